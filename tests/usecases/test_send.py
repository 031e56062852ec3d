"""Sends: who gets a mail, who does not and why, and that nobody gets one twice (D1-D4, D10)."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
from sqlalchemy import func, insert, select, update

from pixel_service.domain.consent import SERVICE, State
from pixel_service.domain.errors import IdempotencyConflict, InvalidFields, InvalidInput, NotFound
from pixel_service.domain.messages import Reason, SendId, Status, SubscriberId, Verdict
from pixel_service.domain.sends import RecipientAsked
from pixel_service.storage.consent import consents_of_all
from pixel_service.storage.engine import Database
from pixel_service.storage.schema import campaigns, consents, messages, sends, subscribers
from pixel_service.usecases import rulings, service_mails
from pixel_service.usecases.content import Content
from pixel_service.usecases.context import Context
from pixel_service.usecases.send import (
    RulingsPage,
    SendAnswer,
    SendCommand,
    dry_run,
    expand_audience,
    progress_of,
    rulings_of,
    send,
)
from pixel_service.usecases.withdraw import Source, withdraw
from tests.builders import BLOG, GLASFASER, OPENS, Relay, context, deliver, dump, join

CONTENT = Content(subject="November", template=None, html="<p>Hello {{ first_name }}</p>", text=None, variables={})
WITH_CODE = replace(CONTENT, html="<p>Your code: {{ code }}</p>")


def to(*addresses: str, language: str | None = None, **variables: str) -> tuple[RecipientAsked, ...]:
    return tuple(RecipientAsked(address=one, variables=variables, language=language) for one in addresses)


def command(*addresses: str, key: str = "k1", campaign: str = "November", content: Content = CONTENT) -> SendCommand:
    return SendCommand(
        campaign=campaign,
        purpose=BLOG,
        content=content,
        recipients=to(*addresses),
        api_key_id="a",
        idempotency_key=key,
        body_hash=hashlib.sha256(f"{campaign}{content}{addresses}".encode()).hexdigest(),
    )


def to_everybody(key: str = "k1", campaign: str = "November") -> SendCommand:
    return replace(command(key=key, campaign=campaign), recipients=None, body_hash="everybody")


def told(answer: SendAnswer) -> list[tuple[Verdict, Reason]]:
    assert answer.rulings is not None
    return [(ruling.verdict, ruling.reason) for ruling in answer.rulings]


async def queued(db: Database) -> Sequence[SubscriberId]:
    """Whom a pipeline's mails wait for."""
    async with db.read() as connection:
        rows = await connection.execute(select(messages.c.subscriber_id).where(messages.c.send_id.is_not(None)))
        return [SubscriberId(row.subscriber_id) for row in rows]


async def add_people(db: Database, number: int, *, tracking: State = State.GIVEN) -> None:
    """Many at once, straight to the tables; `tracking` is the record of the first half, the others have none."""
    from tests.tracked_mail import NOW, new_id

    ids = [new_id() for _ in range(number)]
    async with db.write() as connection:
        await connection.execute(
            insert(subscribers),
            [
                {
                    "subscriber_id": one,
                    "address": f"{one}@example.com",
                    "address_key": f"{one}@example.com",
                    "created_at": NOW,
                }
                for one in ids
            ],
        )
        rows = [{"subscriber_id": one, "purpose": BLOG, "state": State.GIVEN.value} for one in ids]
        rows += [{"subscriber_id": one, "purpose": OPENS, "state": tracking.value} for one in ids[: number // 2]]
        await connection.execute(
            insert(consents), [{**row, "decided_at": NOW, "ledger_seq": seq} for seq, row in enumerate(rows, 1)]
        )


async def expand_all(ctx: Context) -> int:
    steps = 0
    while await expand_audience(ctx):
        steps += 1
    return steps


# --- verdicts -------------------------------------------------------------------------------------------------


async def test_every_recipient_gets_a_verdict_in_the_order_asked(db: Database) -> None:
    ctx = context(db)
    tracked = await join(ctx, "tracked@example.com", BLOG, OPENS, language="en")
    untracked = await join(ctx, "untracked@example.com", BLOG)
    gone = await join(ctx, "gone@example.com", BLOG, OPENS)
    await join(ctx, "reader@example.com", GLASFASER)
    await withdraw(ctx, gone, (BLOG,), Source.PREFERENCES_PAGE)
    answer = await send(
        ctx,
        command(
            "nobody@example.com",
            "untracked@example.com",
            "no address",
            "Tracked@Example.com",
            "gone@example.com",
            "tracked@example.com",
            "reader@example.com",
        ),
    )
    assert told(answer) == [
        (Verdict.REFUSED, Reason.UNKNOWN_ADDRESS),
        (Verdict.UNTRACKED, Reason.NO_TRACKING_CONSENT),
        (Verdict.REFUSED, Reason.INVALID_ADDRESS),
        (Verdict.TRACKED, Reason.TRACKING_CONSENT),
        (Verdict.REFUSED, Reason.CONSENT_WITHDRAWN),
        (Verdict.REFUSED, Reason.DUPLICATE),
        (Verdict.REFUSED, Reason.NO_CONSENT),
    ]
    assert (answer.tracked, answer.untracked, answer.refused, answer.finished) == (1, 1, 5, True)
    assert set(await queued(db)) == {tracked, untracked}


async def test_the_mails_in_the_outbox_are_the_verdicts_told(db: Database) -> None:
    ctx = context(db)
    anna = await join(ctx, "anna@example.com", BLOG, OPENS, language="en")
    bo = await join(ctx, "bo@example.com", BLOG)
    asked = (
        RecipientAsked(address="anna@example.com", variables={"code": "A", "unused": "secret"}),
        RecipientAsked(address="bo@example.com", variables={"code": "B"}, language="en"),
        RecipientAsked(address="nobody@example.com", variables={"code": "C"}),
    )
    answer = await send(ctx, replace(command(content=WITH_CODE), recipients=asked))
    assert answer.rulings is not None
    async with db.read() as connection:
        query = select(messages).where(messages.c.send_id == answer.send_id)
        rows = {row.message_id: row for row in await connection.execute(query)}
    assert set(rows) == {ruling.message_id for ruling in answer.rulings if ruling.message_id}
    first, second = (rows[ruling.message_id] for ruling in answer.rulings[:2])
    assert (first.subscriber_id, first.language, first.variables) == (anna, "en", {"code": "A"})
    assert (second.subscriber_id, second.language, second.variables) == (bo, "en", {"code": "B"})
    assert {(row.campaign_id, row.purpose, row.status) for row in rows.values()} == {
        (answer.campaign_id, BLOG, Status.QUEUED.value)
    }
    assert answer.rulings[2].message_id is None


async def test_the_entry_told_is_the_one_that_decided(db: Database) -> None:
    from pixel_service.storage.consent import consents_of

    ctx = context(db)
    anna = await join(ctx, "anna@example.com", BLOG, OPENS)
    bo = await join(ctx, "bo@example.com", BLOG)
    async with db.read() as connection:
        of_anna, of_bo = await consents_of(connection, anna), await consents_of(connection, bo)
    answer = await send(ctx, command("anna@example.com", "bo@example.com", "nobody@example.com"))
    assert answer.rulings is not None
    assert [ruling.ledger_seq for ruling in answer.rulings] == [of_anna[OPENS].ledger_seq, of_bo[BLOG].ledger_seq, None]


async def test_content_that_differs_per_person_goes_only_to_who_agreed_to_tracking(db: Database) -> None:
    ctx = context(db)
    await join(ctx, "tracked@example.com", BLOG, OPENS)
    await join(ctx, "untracked@example.com", BLOG)
    content = replace(CONTENT, html='<p><a href="https://shop.example/?c={{ code }}">Shop</a></p>')
    asked = to("tracked@example.com", "untracked@example.com", code="x")
    answer = await send(ctx, replace(command(content=content), recipients=asked))
    assert told(answer) == [
        (Verdict.TRACKED, Reason.TRACKING_CONSENT),
        (Verdict.REFUSED, Reason.PERSONAL_CONTENT),
    ]


async def test_a_dry_run_says_the_same_and_writes_nothing(db: Database) -> None:
    ctx = context(db)
    await join(ctx, "tracked@example.com", BLOG, OPENS)
    addresses = ("tracked@example.com", "nobody@example.com", "x")
    before = await dump(db)
    trial = await dry_run(ctx, command(*addresses))
    assert await dump(db) == before
    real = await send(ctx, command(*addresses))
    assert told(trial) == told(real)
    assert (trial.tracked, trial.untracked, trial.refused) == (real.tracked, real.untracked, real.refused)
    assert trial.send_id is None
    again = await dry_run(ctx, command(*addresses))
    assert told(again)[0] == (Verdict.REFUSED, Reason.DUPLICATE)
    assert again.campaign_id == real.campaign_id


# --- what is refused before anybody is looked at --------------------------------------------------------------------


@pytest.mark.parametrize(
    "change, field",
    [
        ({"purpose": GLASFASER}, "purpose"),
        ({"purpose": OPENS}, "purpose"),
        ({"purpose": "newsletter:unheard-of"}, "purpose"),
        ({"content": replace(CONTENT, html=None, template="unheard-of")}, "template"),
        ({"content": replace(CONTENT, html="<p>{{ unclosed </p>")}, "html"),
        ({"content": replace(CONTENT, subject="{% if %}")}, "subject"),
        ({"purpose": SERVICE, "recipients": None}, "audience"),
        ({"content": WITH_CODE, "recipients": None}, "variables"),
    ],
)
async def test_a_request_that_can_not_be_sent_is_refused_by_the_name_of_the_field(
    db: Database, change: dict[str, object], field: str
) -> None:
    before = await dump(db)
    for act in (send, dry_run):
        with pytest.raises(InvalidInput) as refused:
            await act(context(db), replace(command("anna@example.com"), **change))  # type: ignore[arg-type]
        assert refused.value.field == field
    assert await dump(db) == before


async def test_every_recipient_without_a_variable_or_with_a_strange_language_is_named(db: Database) -> None:
    asked = (*to("a@example.com", code="1"), *to("b@example.com"), *to("c@example.com", code="1", language="fr"))
    with pytest.raises(InvalidFields) as refused:
        await send(context(db), replace(command(content=WITH_CODE), recipients=asked))
    assert [problem.field for problem in refused.value.problems] == [
        "recipients[1].variables.code",
        "recipients[2].language",
    ]


async def test_ten_thousand_times_the_same_mistake_is_told_a_hundred_times(db: Database) -> None:
    asked = to(*(f"p{number}@example.com" for number in range(10_000)))
    with pytest.raises(InvalidFields) as refused:
        await send(context(db), replace(command(content=WITH_CODE), recipients=asked))
    assert len(refused.value.problems) == 100


async def test_a_campaign_keeps_its_purpose_and_a_cancelled_one_takes_no_mail(db: Database) -> None:
    ctx = context(db)
    await send(ctx, command("anna@example.com"))
    with pytest.raises(InvalidInput) as other_purpose:
        await send(ctx, replace(command("anna@example.com", key="k2"), purpose=SERVICE))
    assert other_purpose.value.field == "purpose"
    async with db.write() as connection:
        await connection.execute(update(campaigns).values(cancelled_at=ctx.clock()))
    for act in (send, dry_run):
        with pytest.raises(InvalidInput) as cancelled:
            await act(ctx, command("anna@example.com", key="k3"))
        assert cancelled.value.field == "campaign"


# --- nobody twice ---------------------------------------------------------------------------------------------------


async def test_a_repeat_is_answered_from_what_was_decided_whatever_happened_since(db: Database) -> None:
    ctx = context(db)
    anna = await join(ctx, "anna@example.com", BLOG, OPENS)
    asked = command("anna@example.com", "nobody@example.com")
    first = await send(ctx, asked)
    await withdraw(ctx, anna, (BLOG, OPENS), Source.PREFERENCES_PAGE)
    async with db.write() as connection:
        await connection.execute(update(campaigns).values(cancelled_at=ctx.clock()))
    retired = replace(ctx, catalogue=replace(ctx.catalogue, newsletters={}))
    before = await dump(db)
    assert await send(retired, asked) == first
    assert await dump(db) == before


async def test_a_repeat_for_an_audience_is_answered_alike_although_it_went_on(db: Database) -> None:
    ctx = context(db)
    await add_people(db, 3)
    first = await send(ctx, to_everybody())
    assert (first.rulings, first.finished, first.tracked) == (None, False, 0)
    await expand_all(ctx)
    assert await send(ctx, to_everybody()) == first
    assert await expand_audience(ctx) == 0


async def test_the_same_key_with_another_body_is_a_conflict(db: Database) -> None:
    ctx = context(db)
    await join(ctx, "anna@example.com", BLOG)
    await send(ctx, command("anna@example.com"))
    before = await dump(db)
    for other in (command("bo@example.com"), command("anna@example.com", campaign="December")):
        with pytest.raises(IdempotencyConflict):
            await send(ctx, other)
    assert await dump(db) == before
    # A key belongs to the API key it came with.
    assert (await send(ctx, replace(command("bo@example.com"), api_key_id="b"))).refused == 1


async def test_two_sends_into_one_campaign_give_nobody_two_mails(db: Database) -> None:
    ctx = context(db)
    anna = await join(ctx, "anna@example.com", BLOG)
    await send(ctx, command("anna@example.com", key="k1"))
    second = await send(ctx, command("anna@example.com", key="k2"))
    assert told(second) == [(Verdict.REFUSED, Reason.DUPLICATE)]
    await send(ctx, command("anna@example.com", key="k3", campaign="December"))
    assert await queued(db) == [anna, anna]


async def test_sends_into_one_campaign_at_the_same_time_give_nobody_two_mails(db: Database) -> None:
    ctx = context(db)
    await add_people(db, 40)
    async with db.read() as connection:
        addresses = list((await connection.execute(select(subscribers.c.address))).scalars())
    # The campaign exists: making it would serialise them by itself.
    await send(ctx, command("nobody@example.com", key="first"))
    answers = await asyncio.gather(
        *(send(ctx, command(*addresses[start:], *addresses[:start], key=f"k{start}")) for start in (0, 10, 20, 30))
    )
    assert sum(answer.tracked + answer.untracked for answer in answers) == 40
    assert max(Counter(await queued(db)).values()) == 1


async def test_one_key_at_the_same_time_is_one_send_and_one_answer(db: Database) -> None:
    ctx = context(db)
    await join(ctx, "anna@example.com", BLOG)
    answers = await asyncio.gather(*(send(ctx, command("anna@example.com")) for _ in range(5)))
    assert all(answer == answers[0] for answer in answers)
    assert len(await queued(db)) == 1


async def test_one_key_for_two_campaigns_at_the_same_time_is_one_send_and_a_conflict(db: Database) -> None:
    ctx = context(db)
    await join(ctx, "anna@example.com", BLOG)
    outcomes = await asyncio.gather(
        *(send(ctx, command("anna@example.com", campaign=name)) for name in ("one", "two", "three")),
        return_exceptions=True,
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == [
        "IdempotencyConflict",
        "IdempotencyConflict",
        "SendAnswer",
    ]
    async with db.read() as connection:
        assert (await connection.execute(select(func.count()).select_from(campaigns))).scalar_one() == 1


# --- service mail ---------------------------------------------------------------------------------------------------


async def test_service_mail_goes_to_anybody_without_a_pixel_and_makes_no_consent(db: Database) -> None:
    ctx = context(db)
    anna = await join(ctx, "anna@example.com", BLOG, OPENS, language="en")
    asked = replace(command("New@example.com", "anna@example.com", "no address", "new@example.com"), purpose=SERVICE)
    before = (await dump(db))["consents"]
    answer = await send(ctx, asked)
    assert told(answer) == [
        (Verdict.UNTRACKED, Reason.SERVICE_MAIL),
        (Verdict.UNTRACKED, Reason.SERVICE_MAIL),
        (Verdict.REFUSED, Reason.INVALID_ADDRESS),
        (Verdict.REFUSED, Reason.DUPLICATE),
    ]
    assert (await dump(db))["consents"] == before
    async with db.read() as connection:
        rows = await connection.execute(
            select(subscribers.c.address, subscribers.c.subscriber_id, messages.c.language)
            .join(messages, messages.c.subscriber_id == subscribers.c.subscriber_id)
            .where(messages.c.send_id == answer.send_id)
            .order_by(subscribers.c.address)
        )
        assert [(row.address, row.language) for row in rows] == [("New@example.com", "de"), ("anna@example.com", "en")]
    assert anna in await queued(db)


async def test_a_second_service_mail_of_one_kind_is_a_second_mail(db: Database) -> None:
    """An invoice answers an order: two orders, two invoices."""
    ctx = context(db)
    for key in ("k1", "k2"):
        answer = await send(ctx, replace(command("anna@example.com", key=key), purpose=SERVICE))
        assert told(answer) == [(Verdict.UNTRACKED, Reason.SERVICE_MAIL)]
    first, second = await queued(db)
    assert first == second


async def test_a_dry_run_of_service_mail_puts_nobody_on_record(db: Database) -> None:
    before = await dump(db)
    answer = await dry_run(context(db), replace(command("new@example.com"), purpose=SERVICE))
    assert told(answer) == [(Verdict.UNTRACKED, Reason.SERVICE_MAIL)]
    assert await dump(db) == before


async def test_service_mails_to_the_same_strangers_at_the_same_time_do_not_wait_for_each_other_for_ever(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is put on record by one and found by the other; locks are taken in one order, slice by slice."""
    monkeypatch.setattr(rulings, "SLICE", 10)
    ctx = context(db)
    people = [f"p{number:02}@example.com" for number in range(60)]
    answers = await asyncio.gather(
        *(
            send(ctx, replace(command(*order, key=f"k{number}", campaign=f"c{number}"), purpose=SERVICE))
            for number, order in enumerate((people, people[::-1], people[30:] + people[:30]))
        )
    )
    assert [answer.untracked for answer in answers] == [60, 60, 60]
    async with db.read() as connection:
        assert (await connection.execute(select(func.count()).select_from(subscribers))).scalar_one() == 60


# --- an audience ----------------------------------------------------------------------------------------------------


async def test_an_audience_is_walked_in_slices_until_everybody_has_one_mail(db: Database) -> None:
    ctx = context(db)
    await add_people(db, 2 * rulings.SLICE + 10)
    answer = await send(ctx, to_everybody())
    assert answer.send_id is not None
    assert await queued(db) == []
    assert await expand_audience(ctx) == rulings.SLICE
    assert len(await queued(db)) == rulings.SLICE
    halfway, _ = await progress_of(ctx, answer.send_id)
    assert halfway.expanded_at is None
    # Another process goes on where the first one stopped.
    assert await expand_all(context(db)) == 2
    done, delivery = await progress_of(ctx, answer.send_id)
    assert done.expanded_at is not None
    assert (done.tracked, done.untracked, done.refused) == (rulings.SLICE + 5, rulings.SLICE + 5, 0)
    assert delivery == {Status.QUEUED: 2 * rulings.SLICE + 10}
    assert max(Counter(await queued(db)).values()) == 1


async def test_everybody_of_an_audience_has_a_verdict_and_the_entry_that_decided_it(db: Database) -> None:
    ctx = context(db)
    await add_people(db, 2 * rulings.SLICE + 10)
    answer = await send(ctx, to_everybody())
    assert answer.send_id is not None
    assert await rulings_of(ctx, answer.send_id, 0) == RulingsPage(first=0, rulings=(), next_page=None, finished=False)
    await expand_audience(ctx)
    halfway = await rulings_of(ctx, answer.send_id, 0)
    assert (len(halfway.rulings), halfway.next_page, halfway.finished) == (rulings.SLICE, None, False)
    await expand_all(ctx)
    pages = [await rulings_of(ctx, answer.send_id, page) for page in range(4)]
    assert [(page.first, len(page.rulings), page.next_page, page.finished) for page in pages] == [
        (0, rulings.SLICE, 1, True),
        (rulings.SLICE, rulings.SLICE, 2, True),
        (2 * rulings.SLICE, 10, None, True),
        (3 * rulings.SLICE, 0, None, True),
    ]
    told = [ruling for page in pages for ruling in page.rulings]
    async with db.read() as connection:
        decided = await consents_of_all(connection, await queued(db), (BLOG, OPENS))
        rows = await connection.execute(select(messages.c.message_id, messages.c.subscriber_id))
        recipients = {row.message_id: SubscriberId(row.subscriber_id) for row in rows}
    assert {ruling.message_id for ruling in told} == recipients.keys()
    for ruling in told:
        assert ruling.message_id is not None
        person = recipients[ruling.message_id]
        assert ruling.verdict is (Verdict.TRACKED if (person, OPENS) in decided else Verdict.UNTRACKED)
        assert ruling.ledger_seq == decided.get((person, OPENS), decided[person, BLOG]).ledger_seq


async def test_named_recipients_are_told_page_by_page_too(db: Database) -> None:
    ctx = context(db)
    await join(ctx, "anna@example.com", BLOG)
    nobody = [f"nobody{number}@example.com" for number in range(rulings.SLICE)]
    answer = await send(ctx, command(*nobody, "anna@example.com"))
    assert answer.send_id is not None
    assert answer.rulings is not None
    first, second = [await rulings_of(ctx, answer.send_id, page) for page in range(2)]
    assert (first.next_page, second.next_page, second.first) == (1, None, rulings.SLICE)
    assert (*first.rulings, *second.rulings) == answer.rulings


async def test_an_audience_of_nobody_and_one_of_exactly_a_slice_come_to_an_end(db: Database) -> None:
    ctx = context(db)
    nobody = await send(ctx, to_everybody("k1", "one"))
    assert await expand_all(ctx) == 1
    await add_people(db, rulings.SLICE)
    slice_ = await send(ctx, to_everybody("k2", "two"))
    assert await expand_all(ctx) == 2
    for answer, number in ((nobody, 0), (slice_, rulings.SLICE)):
        assert answer.send_id is not None
        found, delivery = await progress_of(ctx, answer.send_id)
        assert found.expanded_at is not None
        assert sum(delivery.values()) == number


async def test_who_has_the_campaign_already_or_stopped_is_left_out_of_the_audience(db: Database) -> None:
    ctx = context(db)
    anna, bo, cy = [await join(ctx, f"{name}@example.com", BLOG) for name in ("anna", "bo", "cy")]
    await send(ctx, command("anna@example.com", key="k1"))
    answer = await send(ctx, to_everybody("k2"))
    await withdraw(ctx, bo, (BLOG,), Source.PREFERENCES_PAGE)
    await expand_all(ctx)
    assert Counter(await queued(db)) == Counter([anna, cy])
    assert answer.send_id is not None
    found, _ = await progress_of(ctx, answer.send_id)
    assert (found.untracked, found.refused) == (1, 1)
    reasons = Counter(one.reason for one in (await rulings_of(ctx, answer.send_id, 0)).rulings)
    assert reasons == {Reason.DUPLICATE: 1, Reason.NO_TRACKING_CONSENT: 1}


async def test_several_workers_share_audiences_and_nobody_gets_a_mail_twice(db: Database) -> None:
    ctx = context(db)
    await add_people(db, 2 * rulings.SLICE + 1)
    answers = [await send(ctx, to_everybody(key)) for key in ("k1", "k2")]
    await asyncio.gather(*(expand_all(ctx) for _ in range(4)))
    await expand_all(ctx)
    assert len(await queued(db)) == 2 * rulings.SLICE + 1
    assert max(Counter(await queued(db)).values()) == 1
    for answer in answers:
        assert answer.send_id is not None
        found, _ = await progress_of(ctx, answer.send_id)
        assert found.tracked + found.untracked + found.refused == 2 * rulings.SLICE + 1


async def test_a_cancelled_campaign_is_walked_no_further(db: Database) -> None:
    ctx = context(db)
    await add_people(db, rulings.SLICE + 1)
    answer = await send(ctx, to_everybody())
    await expand_audience(ctx)
    async with db.write() as connection:
        await connection.execute(update(campaigns).values(cancelled_at=ctx.clock()))
    assert await expand_all(ctx) == 1
    assert len(await queued(db)) == rulings.SLICE
    assert answer.send_id is not None
    assert (await progress_of(ctx, answer.send_id))[0].expanded_at is not None


async def test_an_audience_goes_on_although_its_template_is_gone(db: Database) -> None:
    """What was accepted is not judged again; the delivery says per mail what it could not compose."""
    ctx = context(db)
    await add_people(db, 2)
    await send(ctx, to_everybody())
    async with db.write() as connection:
        await connection.execute(update(sends).values(content=replace(CONTENT, html=None, template="gone").to_json()))
    await expand_all(ctx)
    assert len(await queued(db)) == 2


async def test_a_dry_run_counts_an_audience_without_writing(db: Database) -> None:
    ctx = context(db)
    await add_people(db, rulings.SLICE + 20)
    before = await dump(db)
    answer = await dry_run(ctx, to_everybody())
    assert (answer.rulings, answer.tracked, answer.untracked, answer.refused) == (
        None,
        rulings.SLICE // 2 + 10,
        rulings.SLICE // 2 + 10,
        0,
    )
    assert await dump(db) == before


async def test_a_send_that_does_not_exist_has_no_progress(db: Database) -> None:
    with pytest.raises(NotFound):
        await rulings_of(context(db), SendId("x" * 26), 0)
    with pytest.raises(NotFound):
        await progress_of(context(db), SendId("none"))


@pytest.mark.parametrize("name", sorted(service_mails.TEMPLATES))
async def test_templates_of_our_own_mails_are_not_for_a_pipeline(db: Database, name: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        await send(context(db), command("anna@example.com", content=replace(CONTENT, html=None, template=name)))
    assert refused.value.field == "template"


async def test_a_recipient_may_bring_its_own_name_and_what_the_content_can_do_without(db: Database) -> None:
    relay = Relay()
    ctx = context(db, relay=relay)
    await join(ctx, "anna@example.com", BLOG, OPENS)
    relay.taken.clear()
    html = "<p>Hello {{ first_name }}{% if code is defined %}, code {{ code }}{% endif %}</p>"
    asked = command(content=replace(CONTENT, html=html))
    people = to("anna@example.com", first_name="Annabel", code="4711", secret="not asked for")
    await send(ctx, replace(asked, recipients=people))
    async with db.read() as connection:
        kept = (
            await connection.execute(select(messages.c.variables).where(messages.c.send_id.is_not(None)))
        ).scalar_one()
    assert kept == {"first_name": "Annabel", "code": "4711"}
    await deliver(ctx)
    assert any(b"Hello Annabel, code 4711" in envelope.data.replace(b"=\r\n", b"") for envelope in relay.taken)
