"""Withdrawal: what ends, what is deleted, what stays as evidence, and every race against it (W1-W3, W5, W7, W8)."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Collection
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Row, Table, select, update

from pixel_service.domain.consent import Act, Purpose, State
from pixel_service.domain.errors import StorageUnavailable
from pixel_service.domain.messages import CampaignId, PixelId, SubscriberId
from pixel_service.domain.opens import Fetch, Judgement, Verdict
from pixel_service.mail.transport import Deferred, Envelope, Outcome
from pixel_service.storage.engine import Database
from pixel_service.storage.recording import store
from pixel_service.storage.reports import campaign_report
from pixel_service.storage.schema import messages, opens, pixels
from pixel_service.usecases.confirm import LinkUnknown, confirm
from pixel_service.usecases.content import Content
from pixel_service.usecases.context import Context
from pixel_service.usecases.ledger import replay, verify
from pixel_service.usecases.preferences import Save, save
from pixel_service.usecases.send import SendCommand, expand_audience, send
from pixel_service.usecases.withdraw import Receipt, Source, withdraw, withdraw_all
from tests.access import Clock
from tests.builders import (
    BLOG,
    GLASFASER,
    OPENS,
    Relay,
    ask,
    confirm_link,
    context,
    deliver,
    join,
    ledger_of,
    queued,
    states_of,
)
from tests.conftest import NewDatabase
from tests.journeys.machine import NETZ, two_newsletters
from tests.postgres import in_thread
from tests.tracked_mail import LONG_AGO

HUMAN = Judgement(Verdict.HUMAN_CLIENT, "bare_webkit", "Apple Mail or Outlook")
PAGE = Source.PREFERENCES_PAGE
_numbers = itertools.count(1)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ctx(db: Database, clock: Clock) -> Context:
    """With two newsletters, so that one can end while tracking goes on."""
    return replace(context(db, clock), catalogue=two_newsletters())


@pytest.fixture
async def other(database_url: str) -> AsyncIterator[Database]:
    """The same database from another process."""
    database = Database(database_url)
    yield database
    await database.close()


async def mailing(ctx: Context, purpose: Purpose = BLOG) -> CampaignId:
    """Everybody who agreed has a mail of it in the outbox."""
    number = next(_numbers)
    content = Content(subject="Neues", template=None, html="<p>Neues</p>", text=None, variables={})
    command = SendCommand(
        campaign=f"campaign {number}",
        purpose=purpose,
        content=content,
        recipients=None,
        api_key_id="a",
        idempotency_key=str(number),
        body_hash="",
    )
    answer = await send(ctx, command)
    while await expand_audience(ctx):
        pass
    assert answer.campaign_id is not None
    return answer.campaign_id


async def rows(db: Database, table: Table) -> list[Row[Any]]:
    async with db.read() as connection:
        return list((await connection.execute(select(table))).all())


async def open_everything(ctx: Context, db: Database) -> int:
    """One open for every pixel there is; returns how many were stored."""
    batch = [seen(ctx, row.pixel_id) for row in await rows(db, pixels)]
    async with db.write() as connection:
        return (await store(connection, batch)).recorded


def seen(ctx: Context, pixel_id: str) -> Fetch:
    """Late enough to be a person, and each with a mail program of its own: none is a repeat of another."""
    number = next(_numbers)
    return Fetch(
        open_id=number.to_bytes(16, "big"),
        pixel_id=PixelId(pixel_id),
        at=ctx.clock() + timedelta(minutes=1),
        judgement=replace(HUMAN, client_family=f"Mail program {number}"),
    )


async def measured(ctx: Context, address: str = "anna@example.com", *purposes: Purpose) -> SubscriberId:
    """Somebody who agreed, got a mail of every newsletter and opened it."""
    agreed = purposes or (BLOG, OPENS)
    person = await join(ctx, address, *agreed)
    for purpose in agreed:
        if purpose in {BLOG, NETZ}:
            await mailing(ctx, purpose)
    await deliver(ctx)
    await open_everything(ctx, ctx.db)
    return person


async def acts(ctx: Context, person: SubscriberId) -> list[tuple[Purpose, Act]]:
    return [(purpose, act) for purpose, act, _ in await ledger_of(ctx, person) if act is not Act.CONFIRMATION_SENT]


async def leave(ctx: Context, person: SubscriberId, *purposes: Purpose) -> Receipt:
    receipt = await withdraw(ctx, person, purposes, PAGE)
    assert receipt is not None
    return receipt


# --- what ends ------------------------------------------------------------------------------------------------


async def test_stopping_tracking_ends_nothing_else(ctx: Context) -> None:
    person = await measured(ctx)
    await leave(ctx, person, OPENS)
    assert await states_of(ctx, person) == {BLOG: State.GIVEN, OPENS: State.WITHDRAWN}
    campaign = await mailing(ctx)
    await deliver(ctx)
    (mail,) = [row for row in await rows(ctx.db, messages) if row.campaign_id == campaign]
    assert (mail.status, mail.tracking) == ("sent", "none")


async def test_one_newsletter_ends_and_the_other_is_still_measured(ctx: Context) -> None:
    person = await measured(ctx, "anna@example.com", BLOG, NETZ, OPENS)
    receipt = await leave(ctx, person, BLOG)
    assert (receipt.withdrawn, receipt.opens, receipt.pixels) == ((BLOG,), 0, 0)
    assert await states_of(ctx, person) == {BLOG: State.WITHDRAWN, NETZ: State.GIVEN, OPENS: State.GIVEN}
    assert len(await rows(ctx.db, opens)) == 2


async def test_tracking_ends_with_the_last_newsletter(ctx: Context) -> None:
    person = await measured(ctx, "anna@example.com", BLOG, NETZ, OPENS)
    await leave(ctx, person, BLOG)
    receipt = await leave(ctx, person, NETZ)
    assert (receipt.withdrawn, receipt.opens, receipt.pixels) == ((NETZ, OPENS), 2, 2)
    assert (await rows(ctx.db, opens), await rows(ctx.db, pixels)) == ([], [])


async def test_a_whitepaper_asks_nothing_of_a_newsletter(ctx: Context) -> None:
    person = await join(ctx, "anna@example.com", BLOG, GLASFASER, OPENS)
    await leave(ctx, person, GLASFASER)
    assert await states_of(ctx, person) == {BLOG: State.GIVEN, OPENS: State.GIVEN, GLASFASER: State.WITHDRAWN}


async def test_stopping_all_ends_everything_on_record_and_tracking_even_if_never_asked(ctx: Context) -> None:
    person = await join(ctx, "anna@example.com", BLOG, GLASFASER)
    await ask(ctx, "anna@example.com", NETZ)
    assert await withdraw_all(ctx, person, PAGE) is not None
    assert await states_of(ctx, person) == dict.fromkeys((BLOG, GLASFASER, NETZ, OPENS), State.WITHDRAWN)


@pytest.mark.parametrize("purposes", [(OPENS,), (BLOG,), (BLOG, OPENS)])
async def test_a_second_press_is_answered_and_changes_nothing(ctx: Context, purposes: tuple[Purpose, ...]) -> None:
    person = await measured(ctx)
    await leave(ctx, person, *purposes)
    before, waiting = await acts(ctx, person), await queued(ctx)
    receipt = await leave(ctx, person, *purposes)
    assert (receipt.opens, receipt.pixels, receipt.mails) == (0, 0, 0)
    assert (await acts(ctx, person), await queued(ctx)) == (before, waiting)


async def test_a_person_who_is_not_known_has_nothing_to_end(ctx: Context) -> None:
    assert await withdraw(ctx, SubscriberId("a" * 26), (BLOG,), PAGE) is None
    assert await withdraw_all(ctx, SubscriberId("a" * 26), PAGE) is None


async def test_somebody_who_never_agreed_is_obeyed_and_gets_no_goodbye(ctx: Context) -> None:
    person = await ask(ctx, "anna@example.com", BLOG, OPENS)
    await withdraw_all(ctx, person, PAGE)
    assert await states_of(ctx, person) == {BLOG: State.WITHDRAWN, OPENS: State.WITHDRAWN}
    assert await queued(ctx) == ["confirmation"]
    await deliver(ctx)
    assert isinstance(ctx.transport, Relay)
    assert ctx.transport.taken == []


async def test_who_leaves_a_newsletter_is_told_once_by_mail(ctx: Context) -> None:
    person = await measured(ctx)
    await leave(ctx, person, OPENS)
    assert await queued(ctx) == []
    await leave(ctx, person, BLOG)
    assert await queued(ctx) == ["goodbye"]


# --- what is deleted, and what stays ------------------------------------------------------------------------------


async def test_the_receipt_counts_the_rows_that_are_gone(ctx: Context, clock: Clock) -> None:
    anna = await measured(ctx)
    bo = await join(ctx, "bo@example.com", BLOG, OPENS)
    await mailing(ctx)
    await deliver(ctx)
    assert await open_everything(ctx, ctx.db) == 3
    await mailing(ctx)
    receipt = await leave(ctx, anna, BLOG)
    assert (receipt.opens, receipt.pixels, receipt.mails, receipt.at) == (3, 2, 1, clock())
    mine = {row.message_id for row in await rows(ctx.db, messages) if row.subscriber_id == anna}
    assert [row for row in await rows(ctx.db, opens) if row.message_id in mine] == []
    assert {row.subscriber_id for row in await rows(ctx.db, pixels)} == {bo}
    assert len(await rows(ctx.db, opens)) == 1


async def test_the_report_forgets_and_says_how_many_left(ctx: Context) -> None:
    anna, _ = await join(ctx, "anna@example.com", BLOG, OPENS), await join(ctx, "bo@example.com", BLOG, OPENS)
    campaign = await mailing(ctx)
    await deliver(ctx)
    await open_everything(ctx, ctx.db)
    assert await figures(ctx, campaign) == (2, 2, 0, 2)
    await leave(ctx, anna, OPENS)
    assert await figures(ctx, campaign) == (2, 1, 1, 1)


async def figures(ctx: Context, campaign: CampaignId) -> tuple[int, int, int, int]:
    async with ctx.db.read() as connection:
        report = await campaign_report(connection, campaign, whole_since=LONG_AGO)
    assert report is not None
    return report.sent, report.tracked, report.withdrawn_since, report.unique_opens


async def test_the_history_stays_as_evidence_with_how_it_was_said(ctx: Context) -> None:
    person = await join(ctx, "anna@example.com", BLOG)
    await withdraw(ctx, person, (BLOG,), Source.ONE_CLICK)
    assert await acts(ctx, person) == [
        (BLOG, Act.REQUESTED),
        (BLOG, Act.CONFIRMED),
        (BLOG, Act.WITHDRAWN),
        (OPENS, Act.WITHDRAWN),
    ]
    assert (await ledger_of(ctx, person))[-1][2] == {"source": "one_click"}


async def test_a_link_that_still_waits_can_not_bring_the_purpose_back(ctx: Context) -> None:
    person = await join(ctx, "anna@example.com", BLOG)
    await ask(ctx, "anna@example.com", NETZ, OPENS)
    link = await confirm_link(ctx, person)
    await withdraw_all(ctx, person, PAGE)
    assert await confirm(ctx, link.rpartition("/")[2], {NETZ, OPENS}) == LinkUnknown()
    assert set((await states_of(ctx, person)).values()) == {State.WITHDRAWN}


async def test_opens_of_old_mails_stay_out_after_a_new_consent(ctx: Context) -> None:
    person = await measured(ctx)
    old = [row.pixel_id for row in await rows(ctx.db, pixels)]
    await leave(ctx, person, BLOG)
    await join(ctx, "anna@example.com", BLOG)
    await allow_measuring(ctx, person)
    async with ctx.db.write() as connection:
        assert (await store(connection, [seen(ctx, one) for one in old])).recorded == 0


async def allow_measuring(ctx: Context, person: SubscriberId) -> None:
    """By the preferences page, which asks whenever it is asked to."""
    await save(ctx, wish(ctx, person, OPENS))
    link = await confirm_link(ctx, person)
    await confirm(ctx, link.rpartition("/")[2], {OPENS})
    assert (await states_of(ctx, person))[OPENS] is State.GIVEN


def wish(ctx: Context, person: SubscriberId, purpose: Purpose) -> Save:
    from pixel_service.domain.signup import Choice

    version = ctx.catalogue.current(purpose, "de").version
    choice = Choice(purpose=purpose, wording_version=version)
    return Save(
        subscriber_id=person, shown={purpose}, wanted=(choice,), language="de", form_url="https://news.example/p"
    )


# --- not asked again (W7) --------------------------------------------------------------------------------------------


async def test_who_said_no_to_tracking_is_left_alone_for_half_a_year(ctx: Context, clock: Clock) -> None:
    person = await measured(ctx)
    await leave(ctx, person, BLOG)
    clock.move(ctx.policy.ask_again_after - timedelta(seconds=1))
    assert await asked(ctx, person, BLOG, OPENS) == {BLOG}
    clock.move(timedelta(seconds=1))
    assert await asked(ctx, person, BLOG, OPENS) == {BLOG, OPENS}


async def asked(ctx: Context, person: SubscriberId, *purposes: Purpose) -> set[Purpose]:
    """What a form that was just sent asks by mail."""
    before = await acts(ctx, person)
    await ask(ctx, "anna@example.com", *purposes)
    return {purpose for purpose, _ in (await acts(ctx, person))[len(before) :]}


# --- races (W8) -------------------------------------------------------------------------------------------------------


class Dawdling(Relay):
    """Takes its time, and now and then says: later."""

    chance = random.Random(11)

    async def send(self, envelope: Envelope) -> Outcome:
        await asyncio.sleep(self.chance.uniform(0, 0.004))
        if self.chance.random() < 0.2:
            return Deferred(450, "450 4.2.0 not now")
        return await Relay.send(self, envelope)


@pytest.mark.slow
async def test_withdrawals_deliveries_and_recorders_at_once_neither_deadlock_nor_leave_a_row(
    ctx: Context, db: Database, other: Database, clock: Clock
) -> None:
    chance = random.Random(5)
    for number in range(4):
        people = [
            await join(ctx, f"person{number}x{each}@example.com", *chosen)
            for each, chosen in enumerate([(BLOG, OPENS), (BLOG, NETZ, OPENS), (BLOG,), (GLASFASER, BLOG, OPENS)] * 3)
        ]
        for purpose in (BLOG, BLOG, NETZ):
            await mailing(ctx, purpose)
        await storm(ctx, (db, other), people, chance)
        # What was deferred comes due, so that the next round begins with an empty outbox.
        clock.move(timedelta(days=1))
        await deliver(ctx)
    await verify(ctx, lambda _: None)
    assert await replay(ctx) == []


async def storm(
    ctx: Context, databases: tuple[Database, Database], people: Collection[SubscriberId], chance: random.Random
) -> None:
    leaving = {person: chance.choice([(OPENS,), (BLOG,), (BLOG, NETZ)]) for person in people if chance.random() < 0.7}
    workers = [replace(ctx, db=database, transport=Dawdling()) for database in databases]

    async def go(person: SubscriberId, database: Database) -> None:
        await asyncio.sleep(chance.uniform(0, 0.15))
        await withdraw(replace(ctx, db=database), person, leaving[person], Source.ONE_CLICK)

    async def record(database: Database) -> None:
        for _ in range(8):
            await asyncio.sleep(chance.uniform(0, 0.02))
            await open_everything(ctx, database)

    await asyncio.gather(
        *(deliver(worker) for worker in workers),
        *(go(person, databases[index % 2]) for index, person in enumerate(leaving)),
        *(record(database) for database in databases),
    )
    for person in leaving:
        if (await states_of(ctx, person))[OPENS] is State.WITHDRAWN:
            await assert_nothing_left(ctx, person)


async def assert_nothing_left(ctx: Context, person: SubscriberId) -> None:
    mine = {row.message_id: row for row in await rows(ctx.db, messages) if row.subscriber_id == person}
    assert [row for row in await rows(ctx.db, opens) if row.message_id in mine] == []
    assert [row for row in await rows(ctx.db, pixels) if row.subscriber_id == person] == []
    assert "tracked" not in {row.tracking for row in mine.values()}
    states = await states_of(ctx, person)
    waiting = {row.purpose for row in mine.values() if row.status == "queued" and row.purpose != "service"}
    assert all(states[Purpose(purpose)] is State.GIVEN for purpose in waiting)


async def test_a_worker_that_records_its_batch_and_a_withdrawal_meet_at_the_same_mails_in_one_order(
    ctx: Context, new_postgres: NewDatabase
) -> None:
    """Whoever took them the other way round would be ended by PostgreSQL after a second: deadlock."""
    ctx = replace(ctx, db=Database(new_postgres()))
    person = await join(ctx, "anna@example.com", BLOG, OPENS)
    await mailing(ctx)
    service, newsletter = sorted(
        row.message_id for row in await rows(ctx.db, messages) if row.template != "confirmation"
    )
    async with ctx.db.write() as worker:
        await worker.execute(update(messages).where(messages.c.message_id == service).values(attempts=1))
        leaving = asyncio.create_task(withdraw(ctx, person, (BLOG,), PAGE))
        await asyncio.sleep(0.3)
        await worker.execute(update(messages).where(messages.c.message_id == newsletter).values(attempts=1))
        assert not leaving.done()
    receipt = await leaving
    assert receipt is not None
    assert receipt.mails == 1
    await ctx.db.close()


async def test_a_withdrawal_that_comes_while_pixels_are_being_decided_waits_and_finds_them(
    ctx: Context, database_url: str
) -> None:
    """Else it would delete what is there, and the pixel would be made a moment later."""
    person = await join(ctx, "anna@example.com", BLOG, OPENS)
    await deliver(ctx)
    await mailing(ctx)
    waited: list[bool] = []

    def ids() -> str:
        if not waited and ctx.ids() and deciding():
            waited.append(in_thread(withdrawn_within(ctx, person, database_url)))
        return ctx.ids()

    def deciding() -> bool:
        asked.append(1)
        return len(asked) == 2  # the first id is the lease, the second the pixel

    asked: list[int] = []
    await deliver(replace(ctx, ids=ids))
    assert waited == [False]
    assert len(await rows(ctx.db, pixels)) == 1
    await leave(ctx, person, OPENS)
    await assert_nothing_left(ctx, person)


async def withdrawn_within(ctx: Context, person: SubscriberId, database_url: str) -> bool:
    """Whether a withdrawal goes through in half a second."""
    database = Database(f"{database_url}?timeout=0.5")
    try:
        async with asyncio.timeout(0.5):
            return await withdraw(replace(ctx, db=database), person, (OPENS,), PAGE) is not None
    except (TimeoutError, StorageUnavailable):
        return False
    finally:
        await database.close()


async def test_the_same_withdrawal_from_everywhere_at_once_is_one_act(
    ctx: Context, db: Database, other: Database
) -> None:
    person = await measured(ctx)
    everywhere = [replace(ctx, db=database) for database in (db, other) for _ in range(5)]
    receipts = await asyncio.gather(*(withdraw(one, person, (BLOG,), Source.ONE_CLICK) for one in everywhere))
    assert sorted(one.opens for one in receipts if one) == [0] * 9 + [1]
    assert [act for _, act in await acts(ctx, person)].count(Act.WITHDRAWN) == 2
    assert await queued(ctx) == ["goodbye"]


async def test_a_confirmation_and_a_withdrawal_at_once_end_in_one_order_or_the_other(
    ctx: Context, db: Database, other: Database
) -> None:
    for number in range(6):
        person = await ask(ctx, f"person{number}@example.com", BLOG, OPENS)
        link = await confirm_link(ctx, person)
        await asyncio.gather(
            confirm(ctx, link.rpartition("/")[2], {BLOG, OPENS}),
            withdraw_all(replace(ctx, db=other), person, PAGE),
        )
        assert set((await states_of(ctx, person)).values()) == {State.WITHDRAWN}
    assert await replay(ctx) == []
