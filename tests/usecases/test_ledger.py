"""The ledger as evidence: complete, gap-free under many writers, and telling exactly what the consent table says (E1-E3)."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from sqlalchemy import delete, select, text, update

from pixel_service.domain.consent import TRACKING_OPENS, Act, Event, State
from pixel_service.domain.errors import LedgerBroken
from pixel_service.domain.messages import SubscriberId
from pixel_service.storage import consent
from pixel_service.storage.consent import Happening
from pixel_service.storage.engine import Database
from pixel_service.storage.schema import consents, ledger
from pixel_service.usecases.confirm import AlreadyConfirmed, Confirmed, confirm
from pixel_service.usecases.context import Context
from pixel_service.usecases.ledger import Difference, replay, verify
from pixel_service.usecases.withdraw import Source, withdraw
from tests.builders import BLOG, GLASFASER, OPENS, ask, confirm_link, context, deliver, join, ledger_of, queued

WRITERS = 20


@pytest.fixture
def ctx(db: Database) -> Context:
    return context(db)


@pytest.fixture
async def other(database_url: str) -> AsyncIterator[Database]:
    """The same database from another process."""
    database = Database(database_url)
    yield database
    await database.close()


async def entries(ctx: Context) -> int:
    return (await verify(ctx, lambda _: None)).entries


async def some_history(ctx: Context) -> SubscriberId:
    person = await join(ctx, "anna@example.com", BLOG, GLASFASER, OPENS)
    await join(ctx, "bo@example.com", BLOG)
    await withdraw(ctx, person, (OPENS,), Source.STOP_TRACKING_PAGE)
    return person


# --- what an entry tells --------------------------------------------------------------------------------------------


async def test_every_act_is_one_entry_in_its_order(ctx: Context) -> None:
    person = await ask(ctx, "anna@example.com", BLOG, OPENS)
    await deliver(ctx)
    link = await confirm_link(ctx, person)
    await confirm(ctx, link.rpartition("/")[2], {BLOG})
    await withdraw(ctx, person, (BLOG,), Source.ONE_CLICK)
    told = [(purpose, act) for purpose, act, _ in await ledger_of(ctx, person)]
    assert told == [
        (BLOG, Act.REQUESTED),
        (OPENS, Act.REQUESTED),
        (BLOG, Act.CONFIRMATION_SENT),
        (OPENS, Act.CONFIRMATION_SENT),
        (BLOG, Act.CONFIRMED),
        (OPENS, Act.REFUSED),
        (BLOG, Act.WITHDRAWN),
        (OPENS, Act.WITHDRAWN),
    ]


async def test_a_request_keeps_text_notice_form_language_and_what_was_typed(ctx: Context) -> None:
    person = await ask(ctx, "anna@example.com", BLOG, first_name="Anna")
    ((_, _, content),) = await ledger_of(ctx, person)
    wording = ctx.catalogue.current(BLOG, "de")
    assert content == {
        "sign_up": content["sign_up"],
        "language": "de",
        "wording_version": wording.version,
        "wording_hash": wording.hash,
        "notice_version": ctx.catalogue.notice_version,
        "form_url": "https://news.example/newsletter/blog",
        "fields": {"address": "anna@example.com", "first_name": "Anna"},
    }


# --- proofs -----------------------------------------------------------------------------------------------------------


async def test_an_untouched_ledger_verifies_and_replays_to_the_table(ctx: Context) -> None:
    await some_history(ctx)
    shown: list[int] = []
    proof = await verify(ctx, shown.append)
    assert shown == [proof.entries] == [9]
    assert await replay(ctx) == []


async def test_an_empty_ledger_is_whole(ctx: Context) -> None:
    assert await entries(ctx) == 0
    assert await replay(ctx) == []


@pytest.mark.parametrize(
    "column, value",
    [
        ("act", Act.REFUSED.value),
        ("purpose", "newsletter:other"),
        ("subscriber_id", "b" * 26),
        ("content", "{}"),
        ("salt", None),
        ("entry_hash", "0" * 64),
    ],
)
async def test_an_entry_that_was_altered_is_named(ctx: Context, column: str, value: str | None) -> None:
    await some_history(ctx)
    async with ctx.db.write() as connection:
        await connection.execute(update(ledger).where(ledger.c.seq == 4).values({column: value}))
    with pytest.raises(LedgerBroken) as broken:
        await entries(ctx)
    assert broken.value.seq == 4


async def test_an_entry_that_was_removed_is_named(ctx: Context) -> None:
    await some_history(ctx)
    async with ctx.db.write() as connection:
        await connection.execute(delete(ledger).where(ledger.c.seq == 4))
    with pytest.raises(LedgerBroken) as broken:
        await entries(ctx)
    assert broken.value.seq == 4


async def test_entries_that_changed_places_are_named(ctx: Context) -> None:
    await some_history(ctx)
    async with ctx.db.write() as connection:
        for old, new in ((4, 1000), (5, 4), (1000, 5)):
            await connection.execute(update(ledger).where(ledger.c.seq == old).values(seq=new))
    with pytest.raises(LedgerBroken) as broken:
        await entries(ctx)
    assert broken.value.seq == 4


async def test_dropped_content_leaves_the_chain_whole(ctx: Context) -> None:
    person = await some_history(ctx)
    async with ctx.db.write() as connection:
        await connection.execute(update(ledger).where(ledger.c.subscriber_id == person).values(content=None, salt=None))
    assert await entries(ctx) == 9
    assert await replay(ctx) == []


async def test_a_consent_the_ledger_does_not_know_is_found(ctx: Context) -> None:
    person = await some_history(ctx)
    async with ctx.db.write() as connection:
        key = (consents.c.subscriber_id == person) & (consents.c.purpose == TRACKING_OPENS)
        await connection.execute(update(consents).where(key).values(state=State.GIVEN.value))
        await connection.execute(delete(consents).where(consents.c.purpose == GLASFASER))
    assert await replay(ctx) == [
        Difference(subscriber_id=person, purpose=OPENS, table=State.GIVEN, ledger=State.WITHDRAWN),
        Difference(subscriber_id=person, purpose=GLASFASER, table=State.UNKNOWN, ledger=State.GIVEN),
    ]


# --- many writers -----------------------------------------------------------------------------------------------------


async def test_twenty_writers_at_once_leave_no_gap_and_a_whole_chain(
    ctx: Context, db: Database, other: Database
) -> None:
    people = [await ask(ctx, f"person{number}@example.com", BLOG) for number in range(WRITERS)]
    before = await entries(ctx)

    async def write(person: SubscriberId, database: Database) -> None:
        for event in (Event.CONFIRM, Event.WITHDRAW, Event.CONFIRM, Event.CONFIRM):
            async with database.write() as connection:
                await consent.record(connection, happening(ctx, person, event))

    await asyncio.gather(*(write(person, (db, other)[index % 2]) for index, person in enumerate(people)))
    assert await entries(ctx) == before + 4 * WRITERS
    assert await replay(ctx) == []
    async with db.read() as connection:
        states = (await connection.execute(select(consents.c.state))).scalars().all()
    assert states == [State.RENEWED.value] * WRITERS


def happening(ctx: Context, person: SubscriberId, event: Event) -> Happening:
    return Happening(
        subscriber_id=person, purpose=BLOG, event=event, at=ctx.clock(), content={"n": event.value}, salt=ctx.ids()
    )


async def test_an_act_whose_transaction_fails_leaves_neither_entry_nor_state(ctx: Context) -> None:
    person = await ask(ctx, "anna@example.com", BLOG)
    before = await entries(ctx)
    with pytest.raises(RuntimeError):
        await record_and_fail(ctx, person)
    assert await entries(ctx) == before
    assert await replay(ctx) == []
    async with ctx.db.write() as connection:
        assert await consent.record(connection, happening(ctx, person, Event.CONFIRM))
    assert await entries(ctx) == before + 1


async def record_and_fail(ctx: Context, person: SubscriberId) -> None:
    async with ctx.db.write() as connection:
        await consent.record(connection, happening(ctx, person, Event.CONFIRM))
        raise RuntimeError


async def test_the_button_pressed_by_many_at_once_is_one_act(ctx: Context, db: Database, other: Database) -> None:
    person = await ask(ctx, "anna@example.com", BLOG, OPENS)
    token = (await confirm_link(ctx, person)).rpartition("/")[2]
    pressed = await asyncio.gather(
        *(confirm(replace(ctx, db=database), token, {BLOG, OPENS}) for database in (db, other) * 4)
    )
    assert [type(one) for one in pressed].count(Confirmed) == 1
    assert [type(one) for one in pressed].count(AlreadyConfirmed) == 7
    acts = [act for _, act, _ in await ledger_of(ctx, person)]
    assert acts == [Act.REQUESTED, Act.REQUESTED, Act.CONFIRMED, Act.CONFIRMED]
    assert await queued(ctx) == ["confirmation", "welcome"]


async def test_the_ledger_is_readable_without_this_program(ctx: Context) -> None:
    """Evidence is plain JSON in plain columns."""
    await ask(ctx, "anna@example.com", BLOG)
    async with ctx.db.read() as connection:
        row = (await connection.execute(text("SELECT act, content FROM ledger"))).one()
    assert row.act == "requested"
    assert json.loads(row.content)["fields"] == {"address": "anna@example.com"}
