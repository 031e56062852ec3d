"""Delivery: what is claimed, what is decided at the last moment, and what is recorded of it (D2-D4, D8)."""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default as modern
from typing import Any

import pytest
from sqlalchemy import Row, func, select, update

from pixel_service.domain.consent import SERVICE, Purpose
from pixel_service.domain.errors import StorageUnavailable
from pixel_service.domain.messages import PixelId, RetryPolicy, SubscriberId
from pixel_service.domain.opens import Judgement, Verdict
from pixel_service.domain.sends import RecipientAsked
from pixel_service.mail.transport import Accepted, Deferred, Envelope, Outcome, Rejected
from pixel_service.storage import consent, messages
from pixel_service.storage.engine import Database
from pixel_service.storage.recording import store
from pixel_service.storage.schema import messages as table, opens, pixels
from pixel_service.usecases.content import Content
from pixel_service.usecases.context import Context
from pixel_service.usecases.deliver import BATCH, Desk, deliver_batch
from pixel_service.usecases.send import SendCommand, send
from pixel_service.usecases.withdraw import Source, withdraw
from tests.access import Clock
from tests.builders import BLOG, GLASFASER, OPENS, Relay, ask, context, deliver, join, ledger_of
from tests.conftest import NewDatabase
from tests.tracked_mail import GMAIL, fetch

LATER = Deferred(450, "450 4.2.0 not now")
BROWSER = Judgement(Verdict.HUMAN_CLIENT, "browser", "Chrome")
NEVER = Rejected(550, "550 5.1.1 nobody here")
HTML = "<p>{{ greeting }}, es gibt Neues.</p>"
_numbers = itertools.count(1)


def desk(slots: int = 4) -> Desk:
    return Desk(slots=asyncio.Semaphore(slots))


async def send_to(ctx: Context, *addresses: str, purpose: Purpose = BLOG, html: str = HTML, **variables: str) -> None:
    number = next(_numbers)
    command = SendCommand(
        campaign=f"campaign {number}",
        purpose=purpose,
        content=Content(subject="Neues", template=None, html=html, text=None, variables={}),
        recipients=tuple(RecipientAsked(address=one, variables=variables) for one in addresses),
        api_key_id="a",
        idempotency_key=str(number),
        body_hash=str(number),
    )
    await send(ctx, command)


async def reader(ctx: Context, address: str = "anna@example.com", *purposes: Purpose) -> SubscriberId:
    """Somebody who agreed, with no service mail left to be sent."""
    person = await join(ctx, address, *(purposes or (BLOG, OPENS)))
    await deliver(ctx)
    return person


async def mails(db: Database) -> list[Row[Any]]:
    """What pipelines sent, in the order it was queued."""
    async with db.read() as connection:
        rows = await connection.execute(select(table).where(table.c.send_id.is_not(None)).order_by(table.c.message_id))
        return list(rows.all())


async def the_mail(db: Database) -> Row[Any]:
    (row,) = await mails(db)
    return row


async def pixel_count(db: Database) -> int:
    async with db.read() as connection:
        return len((await connection.execute(select(pixels))).all())


def parsed(envelope: Envelope) -> EmailMessage:
    mail = BytesParser(policy=modern).parsebytes(envelope.data)
    assert isinstance(mail, EmailMessage)
    return mail


def html_of(envelope: Envelope) -> str:
    part = parsed(envelope).get_body(("html",))
    assert part is not None
    return str(part.get_content())


@dataclass(slots=True)
class Interrupted(Relay):
    """Something happens while the relay has the mail."""

    happening: Callable[[], Awaitable[object]] | None = None

    async def send(self, envelope: Envelope) -> Outcome:
        if self.happening is not None:
            happening, self.happening = self.happening, None
            await happening()
        return await Relay.send(self, envelope)


@dataclass(slots=True)
class Crashing(Relay):
    """Takes the mail, and the worker is no more: its task is cancelled while it waits for the answer."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, envelope: Envelope) -> Outcome:
        self.taken.append(envelope)
        self.reached.set()
        await asyncio.Event().wait()
        raise AssertionError

    async def kill(self, ctx: Context) -> None:
        worker = asyncio.create_task(deliver_batch(ctx, desk()))
        await self.reached.wait()
        worker.cancel()
        await asyncio.wait({worker})


def started(ctx: Context, relay: Relay) -> Context:
    return replace(ctx, transport=relay)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def relay() -> Relay:
    return Relay()


@pytest.fixture
def ctx(db: Database, clock: Clock, relay: Relay) -> Context:
    return context(db, clock, relay)


@pytest.fixture
async def other(database_url: str) -> AsyncIterator[Database]:
    """The same database from another process."""
    database = Database(database_url)
    yield database
    await database.close()


# --- who gets what --------------------------------------------------------------------------------------------


async def test_who_agreed_to_tracking_gets_a_pixel_and_who_did_not_gets_nothing_personal(
    ctx: Context, relay: Relay
) -> None:
    await reader(ctx, "anna@example.com", BLOG, OPENS)
    await reader(ctx, "bo@example.com", BLOG)
    relay.taken.clear()
    await send_to(ctx, "anna@example.com", "bo@example.com")
    await deliver(ctx)
    tracked, untracked = sorted(relay.taken, key=lambda one: one.rcpt_to)
    assert html_of(tracked).count("/o/") == 1
    assert "/t/" in html_of(tracked)
    assert "/o/" not in html_of(untracked)
    assert "/t/" not in html_of(untracked)
    assert [row.tracking for row in await mails(ctx.db)] == ["tracked", "none"]
    assert await pixel_count(ctx.db) == 1


async def test_service_mail_needs_no_consent_and_has_no_pixel_even_for_who_agreed(ctx: Context, relay: Relay) -> None:
    await reader(ctx)
    relay.taken.clear()
    await send_to(ctx, "anna@example.com", "stranger@example.com", purpose=SERVICE)
    await deliver(ctx)
    assert {one.rcpt_to for one in relay.taken} == {"anna@example.com", "stranger@example.com"}
    assert all("/o/" not in html_of(one) and "List-Unsubscribe" not in parsed(one) for one in relay.taken)
    assert await pixel_count(ctx.db) == 0


async def test_an_accepted_mail_is_recorded_with_the_words_of_the_relay(ctx: Context, clock: Clock) -> None:
    await reader(ctx)
    await send_to(ctx, "anna@example.com")
    await deliver(ctx)
    mail = await the_mail(ctx.db)
    assert (mail.status, mail.last_reply, mail.sent_at) == ("sent", "250 2.0.0 taken", clock())
    assert (mail.lease, mail.variables) == (None, {})


async def test_the_confirmation_mail_leaves_evidence_of_what_it_asked(ctx: Context, relay: Relay) -> None:
    person = await ask(ctx, "anna@example.com", BLOG, OPENS)
    await deliver(ctx)
    sent = {purpose: content for purpose, act, content in await ledger_of(ctx, person) if act == "confirmation_sent"}
    assert sent.keys() == {BLOG, OPENS}
    assert sent[BLOG]["message_id"] == parsed(relay.taken[0])["Message-ID"]
    assert sent[BLOG]["relay_reply"] == "250 2.0.0 taken"


async def test_a_mail_that_is_nobodys_occasion_any_more_is_not_sent(ctx: Context, relay: Relay) -> None:
    """Asked, agreed and gone before the first mail went out: neither questions nor welcomes follow."""
    person = await join(ctx, "anna@example.com", BLOG, GLASFASER, OPENS)
    await withdraw(ctx, person, {BLOG, GLASFASER}, Source.PREFERENCES_PAGE)
    await deliver(ctx)
    async with ctx.db.read() as connection:
        rows = await connection.execute(select(table.c.template, table.c.status, table.c.reason))
        ended = {row.template: (row.status, row.reason) for row in rows}
    gone = ("cancelled", "no_longer_needed")
    assert ended == {"confirmation": gone, "welcome": gone, "whitepaper": gone, "goodbye": ("sent", None)}
    assert len(relay.taken) == 1


# --- the last look ----------------------------------------------------------------------------------------------


async def test_what_waits_is_cancelled_by_a_withdrawal_and_never_handed_over(ctx: Context, relay: Relay) -> None:
    person = await reader(ctx)
    await send_to(ctx, "anna@example.com", code="1")
    receipt = await withdraw(ctx, person, {BLOG}, Source.ONE_CLICK)
    assert receipt is not None
    assert receipt.mails == 1
    relay.taken.clear()
    await deliver(ctx)
    mail = await the_mail(ctx.db)
    assert (mail.status, mail.reason, mail.variables) == ("cancelled", "consent_withdrawn", {})
    assert [parsed(one)["List-Unsubscribe"] for one in relay.taken] == [None]  # the goodbye


async def test_a_withdrawal_after_the_claim_stops_the_mails_not_yet_handed_over(
    ctx: Context, db: Database, clock: Clock
) -> None:
    anna, bo = await reader(ctx), await reader(ctx, "bo@example.com")
    await send_to(ctx, "anna@example.com", "bo@example.com")

    async def everybody_leaves() -> None:
        for person in (anna, bo):
            await withdraw(ctx, person, {BLOG}, Source.ONE_CLICK)

    relay = Interrupted(happening=everybody_leaves)
    await deliver_batch(started(ctx, relay), desk(1))
    assert len(relay.taken) == 1
    assert Counter(row.status for row in await mails(db)) == {"sent": 1, "cancelled": 1}
    assert await pixel_count(db) == 0


async def test_tracking_that_stops_after_the_claim_takes_the_pixel_out_of_the_next_mail(
    ctx: Context, db: Database
) -> None:
    anna, bo = await reader(ctx), await reader(ctx, "bo@example.com")
    await send_to(ctx, "anna@example.com", "bo@example.com")

    async def nobody_wants_measuring() -> None:
        for person in (anna, bo):
            await withdraw(ctx, person, {OPENS}, Source.STOP_TRACKING_PAGE)

    relay = Interrupted(happening=nobody_wants_measuring)
    await deliver_batch(started(ctx, relay), desk(1))
    first, second = relay.taken
    assert "/o/" in html_of(first)
    assert "/o/" not in html_of(second)
    assert "/t/" not in html_of(second)
    # The first carried a pixel and was erased; the second never had one.
    assert Counter(row.tracking for row in await mails(db)) == {"withdrawn": 1, "none": 1}
    assert await pixel_count(db) == 0


async def test_personal_content_is_kept_back_when_tracking_stopped_before_the_hand_over(
    ctx: Context, db: Database, relay: Relay
) -> None:
    person = await reader(ctx)
    await send_to(ctx, "anna@example.com", html='<p><a href="https://shop.example/{{ code }}">x</a></p>', code="1")
    await withdraw(ctx, person, {OPENS}, Source.STOP_TRACKING_PAGE)
    relay.taken.clear()
    await deliver(ctx)
    mail = await the_mail(db)
    assert (mail.status, mail.reason) == ("cancelled", "personal_content")
    assert relay.taken == []


async def test_what_the_relay_took_is_recorded_as_sent_although_it_was_cancelled_meanwhile(
    ctx: Context, db: Database
) -> None:
    person = await reader(ctx)
    await send_to(ctx, "anna@example.com")
    relay = Interrupted(happening=lambda: withdraw(ctx, person, {BLOG}, Source.ONE_CLICK))
    await deliver_batch(started(ctx, relay), desk())
    mail = await the_mail(db)
    assert (mail.status, mail.tracking) == ("sent", "withdrawn")


@pytest.mark.parametrize("answer", [LATER, NEVER])
async def test_what_the_relay_did_not_take_stays_cancelled(ctx: Context, db: Database, answer: Outcome) -> None:
    person = await reader(ctx)
    await send_to(ctx, "anna@example.com")
    relay = Interrupted(answers=[answer], happening=lambda: withdraw(ctx, person, {BLOG}, Source.ONE_CLICK))
    await deliver_batch(started(ctx, relay), desk())
    mail = await the_mail(db)
    assert (mail.status, mail.reason) == ("cancelled", "consent_withdrawn")


# --- trying again ---------------------------------------------------------------------------------------------


async def test_a_deferred_mail_is_tried_again_later_and_later_and_then_given_up(
    ctx: Context, db: Database, clock: Clock, relay: Relay
) -> None:
    await reader(ctx)
    ctx = replace(ctx, policy=replace(ctx.policy, retry=RetryPolicy(first=timedelta(minutes=1), attempts=3)))
    await send_to(ctx, "anna@example.com")
    relay.taken.clear()
    for minutes in (1, 2):
        relay.answers = [LATER]
        await deliver(ctx)
        mail = await the_mail(db)
        assert (mail.status, mail.due_at) == ("queued", clock() + timedelta(minutes=minutes))
        clock.move(timedelta(minutes=minutes, seconds=-1))
        assert await deliver_batch(ctx, desk()) == 0
        clock.move(timedelta(seconds=1))
    relay.answers = [LATER]
    await deliver(ctx)
    mail = await the_mail(db)
    assert (mail.status, mail.reason, mail.last_reply) == ("failed", "gave_up", LATER.reply)
    assert (mail.tracking, await pixel_count(db)) == ("none", 0)
    assert relay.taken == []


async def test_a_rejected_mail_is_failed_at_once_and_says_why(ctx: Context, db: Database, relay: Relay) -> None:
    await reader(ctx)
    await send_to(ctx, "anna@example.com")
    relay.answers = [NEVER]
    await deliver(ctx)
    mail = await the_mail(db)
    assert (mail.status, mail.reason, mail.last_reply) == ("failed", "smtp_550", NEVER.reply)
    assert (mail.tracking, await pixel_count(db), mail.variables) == ("none", 0, {})


async def test_a_retry_is_the_same_mail_with_the_same_pixel(
    ctx: Context, db: Database, clock: Clock, relay: Relay
) -> None:
    await reader(ctx)
    await send_to(ctx, "anna@example.com")
    crash = Crashing()
    await crash.kill(started(ctx, crash))
    clock.move(ctx.policy.lease)
    relay.taken.clear()
    await deliver(ctx)
    (first,), (second,) = crash.taken, relay.taken
    assert parsed(first)["Message-ID"] == parsed(second)["Message-ID"]
    assert (first.mail_from, pixel_url(first)) == (second.mail_from, pixel_url(second))
    assert (await the_mail(db)).status == "sent"


def pixel_url(envelope: Envelope) -> str:
    _, found, rest = html_of(envelope).partition("/o/")
    assert found
    return rest.partition(".gif")[0]


async def test_a_claimed_mail_is_nobody_elses_until_its_lease_ends(ctx: Context, clock: Clock) -> None:
    await reader(ctx)
    await send_to(ctx, "anna@example.com")
    crash = Crashing()
    await crash.kill(started(ctx, crash))
    clock.move(ctx.policy.lease - timedelta(seconds=1))
    assert await deliver_batch(ctx, desk()) == 0
    clock.move(timedelta(seconds=1))
    assert await deliver_batch(ctx, desk()) == 1


async def test_a_worker_that_lost_its_lease_changes_nothing_any_more(ctx: Context, db: Database, clock: Clock) -> None:
    await reader(ctx)
    await send_to(ctx, "anna@example.com")
    other = Relay(answers=[LATER])

    async def somebody_else_comes_by() -> None:
        clock.move(ctx.policy.lease)
        await deliver_batch(started(ctx, other), desk())

    slow = Interrupted(happening=somebody_else_comes_by)
    await deliver_batch(started(ctx, slow), desk())
    mail = await the_mail(db)
    assert (mail.status, mail.last_reply) == ("queued", LATER.reply)


async def test_workers_that_die_cost_a_mail_none_of_its_tries(ctx: Context, db: Database, clock: Clock) -> None:
    await reader(ctx)
    ctx = replace(ctx, policy=replace(ctx.policy, retry=RetryPolicy(attempts=2)))
    await send_to(ctx, "anna@example.com")
    for _ in range(3):
        crash = Crashing()
        await crash.kill(started(ctx, crash))
        clock.move(ctx.policy.lease)
    await deliver(ctx)
    assert (await the_mail(db)).status == "sent"


# --- one mail's trouble is not the others' ----------------------------------------------------------------------


async def test_a_recipient_whose_mail_can_not_be_written_fails_alone(ctx: Context, db: Database, relay: Relay) -> None:
    for name in ("anna", "bo", "carla"):
        await reader(ctx, f"{name}@example.com")
    await send_to(
        ctx, *(f"{name}@example.com" for name in ("anna", "bo", "carla")), html=f"{HTML}{{{{ code }}}}", code="1"
    )
    async with db.write() as connection:
        broken = (await mails(db))[1].message_id
        await connection.execute(update(table).where(table.c.message_id == broken).values(variables={}))
    relay.taken.clear()
    await deliver(ctx)
    assert [(row.status, row.reason) for row in await mails(db)] == [
        ("sent", None),
        ("failed", "content"),
        ("sent", None),
    ]
    assert len(relay.taken) == 2


async def test_a_transport_that_raises_costs_no_other_mail_of_the_batch_its_record(
    ctx: Context, db: Database, clock: Clock
) -> None:
    for name in ("anna", "bo"):
        await reader(ctx, f"{name}@example.com")
    await send_to(ctx, "anna@example.com", "bo@example.com")

    class Broken(Relay):
        async def send(self, envelope: Envelope) -> Outcome:
            if envelope.rcpt_to == "anna@example.com":
                raise ValueError("a bug")
            return await Relay.send(self, envelope)

    with pytest.raises(ValueError, match="a bug"):
        await deliver_batch(started(ctx, Broken()), desk())
    assert Counter(row.status for row in await mails(db)) == {"queued": 1, "sent": 1}
    clock.move(ctx.policy.lease)
    await deliver(ctx)
    assert Counter(row.status for row in await mails(db)) == {"sent": 2}


async def test_answers_that_could_not_be_stored_are_stored_by_the_next_step_and_no_mail_goes_out_again(
    ctx: Context, db: Database, database_url: str, relay: Relay, clock: Clock
) -> None:
    await reader(ctx)
    await send_to(ctx, "anna@example.com")
    relay.taken.clear()
    failing = Interrupted(taken=relay.taken)
    unlucky = Unlucky(database_url)
    mine, at_work = replace(ctx, db=unlucky, transport=failing), desk()
    failing.happening = unlucky.fail_next_write
    with pytest.raises(StorageUnavailable):
        await deliver_batch(mine, at_work)
    assert (await the_mail(db)).status == "queued"
    clock.move(ctx.policy.lease * 2)
    await deliver_batch(mine, at_work)
    assert (await the_mail(db)).status == "sent"
    assert len(relay.taken) == 1
    await unlucky.close()


class Unlucky(Database):
    """A database that can be told to refuse its next transaction."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._refuses = False

    async def fail_next_write(self) -> None:
        self._refuses = True

    def write(self) -> Any:
        if self._refuses:
            self._refuses = False
            raise StorageUnavailable("full")
        return super().write()


# --- several workers --------------------------------------------------------------------------------------------


async def test_workers_share_the_outbox_and_send_nothing_twice(
    ctx: Context, db: Database, other: Database, relay: Relay
) -> None:
    people = [f"person{number}@example.com" for number in range(3 * BATCH)]
    relay.taken.clear()
    await send_to(ctx, *people, purpose=SERVICE)

    class Slow(Relay):
        async def send(self, envelope: Envelope) -> Outcome:
            await asyncio.sleep(0.001)
            return await Relay.send(self, envelope)

    shared = Slow()
    workers = [replace(ctx, db=database, transport=shared) for database in (db, other, db, other)]
    await asyncio.gather(*(deliver(one) for one in workers))
    assert Counter(one.rcpt_to for one in shared.taken) == dict.fromkeys(people, 1)
    assert Counter(row.status for row in await mails(db)) == {"sent": len(people)}


async def test_a_batch_is_recorded_in_the_order_in_which_everybody_locks_mails(
    relay: Relay, new_postgres: NewDatabase
) -> None:
    """Else a withdrawal, which locks the mails of one person in their order, would be ended by PostgreSQL: deadlock."""
    url = new_postgres()
    ctx = context(Database(url), relay=relay)
    await reader(ctx)
    await send_to(ctx, "anna@example.com")
    await send_to(ctx, "anna@example.com", purpose=SERVICE)
    first, second = await mails(ctx.db)
    async with ctx.db.write() as connection:
        due_first = update(table).where(table.c.message_id == second.message_id)
        await connection.execute(due_first.values(due_at=first.due_at - timedelta(minutes=1)))
    locking: list[asyncio.Task[None]] = []
    locked = asyncio.Event()

    async def lock_both() -> None:
        async with ctx.db.write() as connection:
            for one in (first, second):
                await connection.execute(update(table).where(table.c.message_id == one.message_id).values(attempts=1))
                locked.set()
                await asyncio.sleep(0.3)

    async def somebody_locks() -> None:
        locking.append(asyncio.create_task(lock_both()))
        await locked.wait()

    await deliver_batch(started(ctx, Interrupted(happening=somebody_locks)), desk(1))
    await locking[0]
    assert [row.status for row in await mails(ctx.db)] == ["sent", "sent"]
    await ctx.db.close()


async def test_a_pixel_plan_can_be_made_twice(ctx: Context, db: Database, clock: Clock) -> None:
    """What a retried claim does: the mapping stays, its window moves on."""
    await reader(ctx)
    await send_to(ctx, "anna@example.com")
    await deliver(ctx)
    mail = await the_mail(db)
    async with db.write() as connection:
        before = (await connection.execute(select(pixels))).one()
        plan = messages.PixelPlan(
            tracked={mail.message_id: (ctx.ids(), mail.subscriber_id)},  # type: ignore[dict-item]
            untracked=[],
            handed_over_by=clock(),
            closes_at=clock() + timedelta(days=60),
        )
        assert await messages.set_pixels(connection, plan) == {mail.message_id: before.pixel_id}
        after = (await connection.execute(select(pixels))).one()
    assert (after.pixel_id, after.closes_at) == (before.pixel_id, clock() + timedelta(days=60))


# --- before the acceptance is recorded --------------------------------------------------------------------------------


@dataclass
class ScannedBefore:
    """A slow relay whose scanner loads the image while it still has the mail."""

    clock: Clock
    db: Database
    judgements: list[Judgement]

    async def send(self, envelope: Envelope) -> Outcome:
        self.clock.move(timedelta(seconds=31))
        async with self.db.write() as connection:
            known = (await connection.execute(select(pixels.c.pixel_id))).scalars().all()
            batch = [
                fetch(PixelId(pixel_id), at=self.clock(), judgement=judgement)
                for pixel_id in known
                for judgement in self.judgements
            ]
            await store(connection, batch)
        return Accepted("250 taken")

    async def close(self) -> None:
        return


async def test_what_loads_the_image_before_the_relay_has_answered_is_no_person(db: Database, clock: Clock) -> None:
    """However long the batch takes, within its lease; an image proxy asks only for what was delivered."""
    ctx = context(db, clock)
    ctx = replace(ctx, policy=replace(ctx.policy, smtp_connections=1))
    people = [await reader(ctx, f"p{number}@example.com") for number in range(4)]
    await send_to(ctx, *(f"p{number}@example.com" for number in range(4)))
    await deliver(replace(ctx, transport=ScannedBefore(clock, db, [BROWSER, GMAIL])))
    async with db.read() as connection:
        found = await connection.execute(select(opens.c.client_family, opens.c.verdict).distinct())
        assert {tuple(row) for row in found} == {("Chrome", "prefetch"), ("Gmail", "proxy_open")}
        assert len(people) == (await connection.execute(select(func.count(opens.c.message_id.distinct())))).scalar_one()


async def test_evidence_of_a_mail_and_an_open_of_the_same_person_do_not_deadlock(
    new_postgres: NewDatabase, clock: Clock
) -> None:
    """The recorder holds consents and then messages; so does who records what the relay took."""
    url = new_postgres()
    db, recorder = Database(url), Database(url)
    ctx = context(db, clock)
    await ask(ctx, "anna@example.com", GLASFASER, OPENS)
    person = await join(ctx, "anna@example.com", BLOG, OPENS)
    await send_to(ctx, "anna@example.com")
    async with recorder.write() as connection:
        await consent.consents_of_all(connection, [person], [OPENS], hold=True)
        delivering = asyncio.create_task(deliver(ctx))
        await asyncio.sleep(1)  # until it has the relay's answers and records them
        (pixel_id,) = (await connection.execute(select(pixels.c.pixel_id))).scalars()
        stored = await store(connection, [fetch(PixelId(pixel_id), at=clock(), judgement=GMAIL)])
    assert stored.recorded == 1
    async with asyncio.timeout(20):
        await delivering
    await db.close()
    await recorder.close()
