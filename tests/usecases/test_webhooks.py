"""Processors hear of what people say: exactly what was committed, signed, in order, until they took it (R11)."""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update
from structlog.testing import capture_logs

from pixel_service.domain.address import parse_address
from pixel_service.domain.errors import InvalidInput, NotFound
from pixel_service.domain.messages import SubscriberId
from pixel_service.domain.retention import Kept
from pixel_service.domain.signup import Profile
from pixel_service.domain.tokens import Link, Tokens, encode_id
from pixel_service.domain.webhooks import (
    LEASE,
    PAUSES,
    Answer,
    EndpointId,
    Notice,
    WebhookEvent,
    WebhookId,
    judge_status,
)
from pixel_service.jobs import steps
from pixel_service.observability import Metrics
from pixel_service.storage.engine import Database
from pixel_service.storage.schema import address_changes, webhook_deliveries, webhook_endpoints
from pixel_service.usecases import webhooks
from pixel_service.usecases.context import Context
from pixel_service.usecases.erase import erase
from pixel_service.usecases.rectify import ask_new_address, confirm_new_address, correct
from pixel_service.usecases.retain_data import purge_slice
from pixel_service.usecases.rights import Asked, lift, object_to_marketing, restrict
from pixel_service.usecases.webhook_endpoints import add_endpoint, disable_endpoint, retry, rotate_secret
from pixel_service.usecases.webhooks import BATCH, WebhookDesk, announce, deliver_webhooks, disable
from pixel_service.usecases.withdraw import Source, withdraw, withdraw_all
from tests.access import Clock
from tests.builders import BLOG, GLASFASER, OPENS, ask, context, deliver, join
from tests.certificates import self_signed
from tests.receiver import Posted, Receiver, receiving, status
from tests.usecases.test_scrub import scrub_at_last, stored_bytes
from tests.usecases.test_withdraw import rows

ANNA = "anna@example.com"
MOMENT = timedelta(seconds=1)
#: Right by every rule of ours, and refused by httpx and IDNA.
NOT_TAKEN = ("https://999.1.1.1/", "https://[v1.a]/", "https://xn--a.example/")
ASKED = Asked(source=Source.OPERATOR)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ctx(db: Database, clock: Clock) -> Context:
    """Ids as in real life, of which none sorts by time."""
    return replace(context(db, clock), ids=lambda: encode_id(os.urandom(16)))


@pytest.fixture
async def other(database_url: str) -> AsyncIterator[Database]:
    """The same database from another process."""
    database = Database(database_url)
    yield database
    await database.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as started:
        yield started


@dataclass(slots=True)
class Seen:
    """A desk that counts."""

    outcomes: Counter[str] = field(default_factory=Counter)

    def desk(self) -> WebhookDesk:
        return WebhookDesk(count=lambda outcome: self.outcomes.update([outcome]))


async def listen(ctx: Context, receiver: Receiver, *events: WebhookEvent) -> tuple[EndpointId, bytes]:
    """An endpoint, and its secret as a receiver uses it."""
    endpoint_id, secret = await add_endpoint(ctx, receiver.url, events or tuple(WebhookEvent))
    return endpoint_id, raw(secret)


def raw(secret: str) -> bytes:
    assert secret.startswith("whsec_")
    return base64.b64decode(secret.removeprefix("whsec_"))


def signatures(posted: Posted) -> list[str]:
    return posted.headers["webhook-signature"].split(" ")


def sign(posted: Posted, secret: bytes) -> str:
    """By hand, after the specification."""
    content = b".".join([posted.id.encode(), posted.headers["webhook-timestamp"].encode(), posted.body])
    return "v1," + base64.b64encode(hmac.new(secret, content, hashlib.sha256).digest()).decode()


async def tell(
    ctx: Context, person: str = "p", event: WebhookEvent = WebhookEvent.ERASED, *, fail: bool = False
) -> None:
    async with ctx.db.write() as connection:
        notice = Notice(event=event, subscriber_id=SubscriberId(person), address=ANNA, purposes=(), at=ctx.clock())
        await announce(ctx, connection, notice)
        if fail:
            raise ZeroDivisionError


async def run(ctx: Context, desk: WebhookDesk | None = None) -> int:
    """Until nothing is due."""
    desk, claimed = desk or WebhookDesk(), 0
    while number := await deliver_webhooks(ctx, desk):
        claimed += number
    return claimed


async def log(ctx: Context) -> list[tuple[str, int, str, bool]]:
    return [
        (row.status, row.attempts, row.last_answer, row.payload is not None)
        for row in sorted(await rows(ctx.db, webhook_deliveries), key=lambda row: row.number)
    ]


def types(receiver: Receiver) -> list[str]:
    return [json.loads(one.body)["type"].removeprefix("subscriber.") for one in receiver.taken]


# --- what is told -------------------------------------------------------------------------------------------------------


async def test_a_confirmation_and_a_withdrawal_are_told_in_order_signed_and_then_forgotten(
    ctx: Context, clock: Clock, receiver: Receiver
) -> None:
    _, secret = await listen(ctx, receiver)
    anna = await join(ctx, ANNA, BLOG, OPENS)
    await withdraw(ctx, anna, (OPENS,), Source.STOP_TRACKING_PAGE)
    assert await run(ctx) == 2
    confirmed, withdrawn = receiver.taken
    assert json.loads(confirmed.body) == {
        "type": "subscriber.confirmed",
        "timestamp": f"{clock():%Y-%m-%dT%H:%M:%S.%f}Z",
        "data": {"subscriber_id": anna, "address": ANNA, "purposes": [BLOG, OPENS]},
    }
    assert json.loads(withdrawn.body)["data"]["purposes"] == [OPENS]
    for posted in receiver.taken:
        assert signatures(posted) == [sign(posted, secret)]
        assert posted.headers["content-type"] == "application/json"
        assert posted.headers["webhook-timestamp"] == str(int(clock().timestamp()))
    assert await log(ctx) == [("delivered", 1, "204", False)] * 2


async def test_every_right_is_told_to_whom_it_concerns(ctx: Context, receiver: Receiver) -> None:
    await listen(ctx, receiver)
    anna = await join(ctx, ANNA, BLOG)
    await restrict(ctx, anna, ASKED)
    await lift(ctx, anna, ASKED)
    await object_to_marketing(ctx, anna, ASKED)
    await erase(ctx, anna, ASKED)
    await run(ctx)
    told = [json.loads(one.body)["data"] for one in receiver.taken]
    assert types(receiver) == ["confirmed", "restricted", "lifted", "objected", "erased"]
    assert {(one["subscriber_id"], one["address"]) for one in told} == {(anna, ANNA)}
    assert [one["purposes"] for one in told] == [[BLOG]] * 4 + [[]]


async def test_a_correction_is_told_with_what_changed_and_a_new_address_with_the_old_one(
    ctx: Context, clock: Clock, receiver: Receiver
) -> None:
    await listen(ctx, receiver, WebhookEvent.RECTIFIED)
    anna = await join(ctx, ANNA, BLOG, first_name="Ana", company="Nordwind")
    for _ in range(2):
        await correct(ctx, anna, Profile(first_name="Anna", company="Nordwind"), ASKED)
    await ask_new_address(ctx, anna, parse_address("anna@new.example"), ASKED)
    (change,) = await rows(ctx.db, address_changes)
    link = ctx.tokens.mint(Link.NEW_ADDRESS, change.change_id, expires_at=clock() + timedelta(days=1))
    for _ in range(2):
        await confirm_new_address(ctx, link)
    await run(ctx)
    person = {"subscriber_id": anna, "purposes": []}
    assert [json.loads(one.body)["data"] for one in receiver.taken] == [
        {**person, "address": ANNA, "first_name": "Anna"},
        {**person, "address": "anna@new.example", "previous_address": ANNA},
    ]


async def test_a_repeat_is_no_news(ctx: Context, receiver: Receiver) -> None:
    await listen(ctx, receiver)
    anna = await join(ctx, ANNA, BLOG)
    for _ in range(2):
        await restrict(ctx, anna, ASKED)
    for _ in range(2):
        await lift(ctx, anna, ASKED)
    for _ in range(2):
        await withdraw_all(ctx, anna, Source.ONE_CLICK)
    for _ in range(2):
        await object_to_marketing(ctx, anna, ASKED)
    await run(ctx)
    assert types(receiver) == ["confirmed", "restricted", "lifted", "withdrawn", "objected"]


async def test_a_request_is_nobodys_business_and_neither_is_its_end(ctx: Context, receiver: Receiver) -> None:
    await listen(ctx, receiver)
    anna = await ask(ctx, ANNA, BLOG)
    await withdraw_all(ctx, anna, Source.ONE_CLICK)
    assert await run(ctx) == 0


async def test_only_those_who_want_an_event_hear_of_it_each_under_its_own_id_and_secret(
    ctx: Context, receiver: Receiver
) -> None:
    _, first = await listen(ctx, receiver, WebhookEvent.ERASED)
    _, second = await listen(ctx, receiver, WebhookEvent.ERASED, WebhookEvent.WITHDRAWN)
    deaf, _ = await listen(ctx, receiver)
    await disable_endpoint(ctx, deaf)
    await tell(ctx)
    await tell(ctx, event=WebhookEvent.WITHDRAWN)
    await run(ctx)
    assert types(receiver).count("erased") == 2
    assert types(receiver).count("withdrawn") == 1
    assert len({one.id for one in receiver.taken}) == 3
    verified = Counter(key for one in receiver.taken for key in (first, second) if sign(one, key) in signatures(one))
    assert verified == {first: 1, second: 2}


async def test_what_was_not_committed_is_not_told(ctx: Context, receiver: Receiver) -> None:
    await listen(ctx, receiver)
    with pytest.raises(ZeroDivisionError):
        await tell(ctx, fail=True)
    assert await run(ctx) == 0


# --- retries ------------------------------------------------------------------------------------------------------------


async def test_what_is_not_taken_comes_again_under_the_same_id_with_growing_pauses_until_it_is_given_up(
    ctx: Context, clock: Clock, receiver: Receiver
) -> None:
    await listen(ctx, receiver)
    await tell(ctx)
    receiver.answers = [status(503), b"", status(404), b"nonsense\r\n\r\n", status(400), *[status(500)] * 5]
    seen = Seen()
    for pause in PAUSES:
        assert await run(ctx, seen.desk()) == 1
        clock.move(pause - MOMENT)
        assert await run(ctx) == 0
        clock.move(pause / 10 + MOMENT)
    with capture_logs() as lines:
        assert await run(ctx, seen.desk()) == 1
    clock.move(timedelta(days=30))
    assert await run(ctx) == 0
    assert len(receiver.taken) == 10
    assert len({(one.id, one.body) for one in receiver.taken}) == 1
    assert len({one.headers["webhook-timestamp"] for one in receiver.taken}) == 10
    assert await log(ctx) == [("given_up", 10, "500", False)]
    assert seen.outcomes == {"failed": 9, "given_up": 1}
    assert [line["event"] for line in lines] == ["webhook_given_up"]
    assert ANNA not in str(lines)


async def test_one_that_is_taken_at_last_is_delivered(ctx: Context, clock: Clock, receiver: Receiver) -> None:
    await listen(ctx, receiver)
    await tell(ctx)
    receiver.answers = [status(429, "Retry-After: 120")]
    await run(ctx)
    clock.move(timedelta(seconds=119))
    assert await run(ctx) == 0
    clock.move(MOMENT)
    assert await run(ctx) == 1
    assert await log(ctx) == [("delivered", 2, "204", False)]


async def test_a_redirect_is_not_followed(ctx: Context, receiver: Receiver) -> None:
    async with receiving() as elsewhere:
        await listen(ctx, receiver)
        await tell(ctx)
        receiver.answers = [status(307, f"Location: {elsewhere.url}")]
        await run(ctx)
        assert elsewhere.taken == []
    assert await log(ctx) == [("waiting", 1, "307", True)]


async def test_a_slow_endpoint_and_one_that_is_not_there_fail_and_keep_nobody_waiting(
    ctx: Context, receiver: Receiver
) -> None:
    async def never() -> None:
        await asyncio.Event().wait()

    async with receiving() as gone:
        await listen(ctx, gone)
    async with receiving() as slow:
        slow.before_answer = never
        for one in (slow, receiver):
            await listen(ctx, one)
        await tell(ctx)
        await run(ctx, WebhookDesk(timeout=timedelta(seconds=0.5)))
    answers = {(row.status, row.last_answer) for row in await rows(ctx.db, webhook_deliveries)}
    assert answers == {("waiting", "TimeoutError"), ("waiting", "ConnectError"), ("delivered", "204")}


async def test_an_endless_answer_is_not_read(ctx: Context, receiver: Receiver) -> None:
    await listen(ctx, receiver)
    await tell(ctx)
    receiver.answers = [b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n" + b"x" * 100_000]
    async with asyncio.timeout(5):
        await run(ctx)
    assert await log(ctx) == [("delivered", 1, "200", False)]


async def test_notices_about_one_person_never_overtake_each_other_and_hold_up_nobody_else(
    ctx: Context, clock: Clock, receiver: Receiver
) -> None:
    await listen(ctx, receiver)
    await tell(ctx, "anna", WebhookEvent.CONFIRMED)
    await tell(ctx, "anna", WebhookEvent.ERASED)
    receiver.answers = [status(503)]
    await run(ctx)
    await tell(ctx, "berta", WebhookEvent.RESTRICTED)
    await run(ctx)
    clock.move(timedelta(seconds=6))
    await run(ctx)
    assert types(receiver) == ["confirmed", "restricted", "confirmed", "erased"]


async def test_an_endpoint_that_is_gone_is_told_nothing_more(ctx: Context, clock: Clock, receiver: Receiver) -> None:
    gone, _ = await listen(ctx, receiver)
    for number in range(BATCH + 2):
        await tell(ctx, str(number))
    receiver.answers = [status(410)]
    seen = Seen()
    await run(ctx, seen.desk())
    clock.move(timedelta(days=1))
    await tell(ctx)
    assert await run(ctx) == 0
    assert [row.disabled_at is not None for row in await rows(ctx.db, webhook_endpoints)] == [True]
    states = Counter(await log(ctx))
    assert states == {
        ("delivered", 1, "204", False): BATCH - 1,
        ("given_up", 1, "410", False): 1,
        ("given_up", 0, "endpoint disabled", False): 2,
    }
    assert seen.outcomes == {"delivered": BATCH - 1, "given_up": 1}
    with pytest.raises(NotFound):
        await disable_endpoint(ctx, EndpointId(gone[:-1]))


async def test_no_notice_slips_in_while_its_endpoint_is_disabled(
    ctx: Context, receiver: Receiver, other: Database
) -> None:
    """It would wait for ever, with an address in it."""
    endpoint_id, _ = await listen(ctx, receiver)
    async with ctx.db.write() as connection:
        notice = Notice(
            event=WebhookEvent.ERASED, subscriber_id=SubscriberId("p"), address=ANNA, purposes=(), at=ctx.clock()
        )
        await announce(ctx, connection, notice)
        disabling = asyncio.create_task(disable(replace(ctx, db=other), endpoint_id))
        await asyncio.sleep(0.3)
    assert await disabling == 1
    assert await log(ctx) == [("given_up", 0, "endpoint disabled", False)]


# --- several workers, and one that dies ---------------------------------------------------------------------------------


async def test_a_worker_that_dies_before_it_records_leaves_a_notice_that_goes_out_again_under_the_same_id(
    ctx: Context, clock: Clock, receiver: Receiver
) -> None:
    await listen(ctx, receiver)
    await tell(ctx)
    arrived = asyncio.Event()

    async def never() -> None:
        arrived.set()
        await asyncio.Event().wait()

    receiver.before_answer = never
    worker = asyncio.create_task(deliver_webhooks(ctx, WebhookDesk()))
    async with asyncio.timeout(5):
        await arrived.wait()
    worker.cancel()
    await asyncio.wait([worker])
    receiver.before_answer = Receiver().before_answer
    clock.move(LEASE - MOMENT)
    assert await run(ctx) == 0
    clock.move(MOMENT)
    assert await run(ctx) == 1
    first, again = receiver.taken
    assert (first.id, first.body) == (again.id, again.body)
    assert await log(ctx) == [("delivered", 1, "204", False)]


async def test_who_lost_the_lease_records_nothing(
    ctx: Context, clock: Clock, receiver: Receiver, other: Database
) -> None:
    await listen(ctx, receiver)
    await tell(ctx)
    go_on = asyncio.Event()

    async def late() -> None:
        if len(receiver.taken) == 1:
            await go_on.wait()

    receiver.before_answer = late
    receiver.answers = [status(500), status(503)]
    slow = asyncio.create_task(deliver_webhooks(ctx, WebhookDesk()))
    async with asyncio.timeout(5):
        while not receiver.taken:  # noqa: ASYNC110  what was posted is a list, not an event
            await asyncio.sleep(0.01)
    clock.move(LEASE)
    assert await deliver_webhooks(replace(ctx, db=other), WebhookDesk()) == 1
    assert await log(ctx) == [("waiting", 1, "500", True)]
    go_on.set()
    await slow
    assert await log(ctx) == [("waiting", 1, "500", True)]


@pytest.mark.parametrize("url", NOT_TAKEN)
async def test_an_endpoint_at_an_address_that_httpx_refuses_is_given_up_like_any_other(
    ctx: Context, clock: Clock, receiver: Receiver, url: str
) -> None:
    await listen(ctx, receiver)
    await tell(ctx)
    async with ctx.db.write() as connection:
        await connection.execute(update(webhook_endpoints).values(url=url))
    for _ in range(1 + len(PAUSES)):
        assert await run(ctx) == 1
        clock.move(timedelta(days=2))
    assert [(status, tries) for status, tries, _, _ in await log(ctx)] == [("given_up", 10)]


@pytest.mark.parametrize("url", NOT_TAKEN)
async def test_an_address_that_httpx_refuses_is_refused_when_it_is_added(ctx: Context, url: str) -> None:
    with pytest.raises(InvalidInput, match="url"):
        await add_endpoint(ctx, url, [WebhookEvent.ERASED])
    assert await rows(ctx.db, webhook_endpoints) == []


async def test_what_goes_wrong_with_one_notice_makes_no_other_go_out_twice(
    ctx: Context, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def judge(code: int) -> Answer:
        if code == 418:
            raise ZeroDivisionError
        return judge_status(code)

    monkeypatch.setattr(webhooks, "judge_status", judge)
    await listen(ctx, receiver)
    await listen(ctx, receiver)
    receiver.answers = [status(418)]
    await tell(ctx)
    with pytest.raises(ZeroDivisionError):
        await deliver_webhooks(ctx, WebhookDesk())
    assert await run(ctx) == 0
    assert sorted(await log(ctx)) == [("delivered", 1, "204", False), ("waiting", 0, "", True)]


async def test_two_workers_share_and_send_nothing_twice(ctx: Context, receiver: Receiver, other: Database) -> None:
    await listen(ctx, receiver)
    for number in range(3 * BATCH):
        await tell(ctx, str(number))
    await asyncio.gather(run(ctx), run(replace(ctx, db=other)), run(ctx), run(replace(ctx, db=other)))
    ids = [one.id for one in receiver.taken]
    assert len(ids) == len(set(ids)) == 3 * BATCH
    assert set(await log(ctx)) == {("delivered", 1, "204", False)}


# --- secrets ------------------------------------------------------------------------------------------------------------


async def test_after_a_rotation_both_secrets_sign_for_a_day(ctx: Context, clock: Clock, receiver: Receiver) -> None:
    endpoint_id, old = await listen(ctx, receiver)
    new = raw(await rotate_secret(ctx, endpoint_id))
    assert len(new) == 32
    await tell(ctx)
    await run(ctx)
    clock.move(timedelta(hours=24))
    await tell(ctx)
    await run(ctx)
    during, after = receiver.taken
    assert signatures(during) == [sign(during, new), sign(during, old)]
    assert signatures(after) == [sign(after, new)]
    with pytest.raises(NotFound):
        await rotate_secret(ctx, EndpointId("nobody"))


async def test_after_a_change_of_the_service_key_the_old_one_still_reads_and_a_forgotten_one_may_come_back(
    ctx: Context, clock: Clock, receiver: Receiver
) -> None:
    _, secret = await listen(ctx, receiver)
    old, new = b"a-key-of-the-tests--32-bytes-or-more", b"another-key-of-32-bytes-or-even-more"
    await tell(ctx, "one")
    await run(replace(ctx, tokens=Tokens([new, old])))
    (posted,) = receiver.taken
    assert signatures(posted) == [sign(posted, secret)]
    await tell(ctx, "two")
    await run(replace(ctx, tokens=Tokens([new])))
    assert (await log(ctx))[1] == ("waiting", 1, "sealed under a lost key", True)
    clock.move(timedelta(minutes=1))
    assert await run(ctx) == 1
    assert len(receiver.taken) == 2


async def test_after_an_erasure_the_address_is_in_no_file_though_the_notice_of_it_waits(
    ctx: Context, db: Database, request: pytest.FixtureRequest, clock: Clock, receiver: Receiver
) -> None:
    _, secret = await listen(ctx, receiver)
    anna = await join(ctx, ANNA, BLOG)
    assert ANNA.encode() in await stored_bytes(db, request)
    await deliver(ctx)
    await erase(ctx, anna, ASKED)
    clock.move(ctx.policy.scrub_every)
    assert await scrub_at_last(ctx) == 1
    stored = await stored_bytes(db, request)
    assert [state for state, *_ in await log(ctx)] == ["waiting", "waiting"]
    for clear in (ANNA.encode(), b"subscriber.erased", secret, base64.b64encode(secret)):
        assert clear not in stored
    await run(ctx)
    assert json.loads(receiver.taken[-1].body)["data"]["address"] == ANNA


async def test_only_a_certificate_that_is_trusted_for_the_host_gets_a_notice(
    ctx: Context, clock: Clock, tmp_path: Path
) -> None:
    certificate = self_signed(tmp_path)
    async with receiving(certificate.server_context()) as receiver:
        await listen(ctx, receiver)
        await tell(ctx)
        await run(ctx)
        assert receiver.taken == []
        assert await log(ctx) == [("waiting", 1, "ConnectError", True)]
        clock.move(timedelta(minutes=1))
        await run(ctx, WebhookDesk(trust=ssl.create_default_context(cafile=str(certificate.file))))
        assert len(receiver.taken) == 1


# --- operators ----------------------------------------------------------------------------------------------------------


async def test_an_operator_sends_a_waiting_notice_at_once_with_all_its_tries_before_it(
    ctx: Context, receiver: Receiver
) -> None:
    await listen(ctx, receiver)
    await tell(ctx)
    receiver.answers = [status(500)]
    await run(ctx)
    assert await run(ctx) == 0
    (posted,) = receiver.taken
    await retry(ctx, WebhookId(posted.id))
    assert await log(ctx) == [("waiting", 0, "500", True)]
    assert await run(ctx) == 1
    assert [one.id for one in receiver.taken] == [posted.id] * 2
    with pytest.raises(InvalidInput, match="delivered, and its content is deleted"):
        await retry(ctx, WebhookId(posted.id))
    with pytest.raises(NotFound):
        await retry(ctx, WebhookId("nothing"))


async def test_one_that_is_on_its_way_is_not_sent_a_second_time(ctx: Context, receiver: Receiver) -> None:
    await listen(ctx, receiver)
    await tell(ctx)

    async def impatient() -> None:
        await retry(ctx, WebhookId(receiver.taken[0].id))
        assert await deliver_webhooks(ctx, WebhookDesk()) == 0

    receiver.before_answer = impatient
    assert await run(ctx) == 1
    assert await log(ctx) == [("delivered", 1, "204", False)]


async def test_an_endpoint_without_events_or_with_an_unsafe_address_is_refused(ctx: Context) -> None:
    with pytest.raises(InvalidInput, match="events"):
        await add_endpoint(ctx, "https://crm.example.com/", ())
    with pytest.raises(InvalidInput, match="url"):
        await add_endpoint(ctx, "http://crm.example.com/", tuple(WebhookEvent))
    assert await rows(ctx.db, webhook_endpoints) == []


# --- the job, and the end of the log ------------------------------------------------------------------------------------


async def test_the_job_tells_and_its_figures_say_what_waits(ctx: Context, receiver: Receiver) -> None:
    await listen(ctx, receiver)
    await join(ctx, ANNA, BLOG, GLASFASER)
    await tell(ctx, "berta")
    receiver.answers = [status(503)]
    metrics = Metrics()
    (step,) = (one for one in steps(ctx, metrics) if one.name == "tell_processors")
    assert [await step.run(), await step.run()] == [2, 0]
    figures = metrics.render()
    assert b'pixel_webhooks_total{outcome="delivered"} 1.0' in figures
    assert b'pixel_webhooks_total{outcome="failed"} 1.0' in figures
    assert b"pixel_webhooks_waiting 1.0" in figures


async def test_the_log_goes_after_its_period_and_what_waits_stays(
    ctx: Context, clock: Clock, receiver: Receiver
) -> None:
    await listen(ctx, receiver)
    await tell(ctx, "delivered")
    await run(ctx)
    clock.move(ctx.policy.keep.webhooks - MOMENT)
    await tell(ctx, "waiting")
    assert (await purge_slice(ctx))[Kept.WEBHOOKS] == 0
    clock.move(MOMENT)
    assert (await purge_slice(ctx))[Kept.WEBHOOKS] == 1
    clock.move(timedelta(days=999))
    assert (await purge_slice(ctx))[Kept.WEBHOOKS] == 0
    assert [state for state, *_ in await log(ctx)] == ["waiting"]
