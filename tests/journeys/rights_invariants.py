"""What must hold after every step, however rights, imports, periods and restores come one after the other."""

import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import select

from pixel_service.storage import scrub
from pixel_service.storage.schema import metadata, subscribers
from pixel_service.usecases.ledger import replay, verify
from tests.figures import differences
from tests.journeys.consent_model import TRACKING
from tests.journeys.invariants import Books, check_reports, read_books
from tests.journeys.rights_time import TimelyWorld

_VALID = {"given", "renewed"}


async def check_rights(world: TimelyWorld, before: Books | None) -> Books:
    """What did not change since `before` is not proven again."""
    books = await read_books(world)
    assert world.relay.violations == []
    await check_people(world)
    check_consents(world, books)
    check_measured(world, books)
    check_waiting(world, books)
    assert await words_found(world) == [], "somebody gone stands in a table in clear"
    if before is None or (books.messages, books.opens) != (before.messages, before.opens):
        await check_reports(world, books)
        assert await differences(world.db) == [], "the figures are not what the rows say"
    if before is None or books.ledger != before.ledger:
        assert (await verify(world.ctx, lambda _: None)).entries == len(books.ledger)
        assert await replay(world.ctx) == []
    return books


async def check_people(world: TimelyWorld) -> None:
    """Exactly those who came of their own will or with evidence, where they say, in the state they chose."""
    async with world.db.read() as connection:
        rows = (await connection.execute(select(subscribers))).all()
    assert {row.subscriber_id for row in rows} == world.people.present
    for row in rows:
        person = world.people.known[row.subscriber_id]
        assert row.address == person.address
        assert (row.restricted_at is not None) == person.restricted
        assert row.objected_at is not None or not person.objected


def check_consents(world: TimelyWorld, books: Books) -> None:
    for row in books.consents:
        person = world.people.known[row.subscriber_id]
        if row.state in _VALID:
            assert row.purpose in person.agreed, "a consent nobody gave"
            assert not person.restricted, "a consent is in use under a restriction"
        if row.state == "restricted":
            assert person.restricted, "a restriction outlived its end"
            assert row.purpose in person.agreed


def check_measured(world: TimelyWorld, books: Books) -> None:
    people = world.people.known
    for row in books.pixels:
        assert TRACKING in people[row.subscriber_id].agreed, "a pixel outlived its consent"
    for row in books.opens:
        message = books.messages[row.message_id]
        person = people[message.subscriber_id]
        assert person.may_have_opened(row.opened_at), "an open that must not be on record"
        # What is tracked is counted in reports.
        assert not (person.restricted and message.tracking == "tracked"), "an open counts under a restriction"


def check_waiting(world: TimelyWorld, books: Books) -> None:
    for row in books.messages.values():
        person = world.people.known[row.subscriber_id]
        if row.status == "queued" and row.purpose != "service":
            assert row.purpose in person.agreed, "a mail waits without consent"
            assert not person.restricted, "a mail waits under a restriction"


# --- no word of those who are gone ------------------------------------------------------------------------------------


async def words_found(world: TimelyWorld) -> list[str]:
    """Searches every column of every row."""
    gone = world.people.gone()
    if not gone:
        return []
    text = await _everything(world)
    return [word for word in gone if word.encode() in text]


async def _everything(world: TimelyWorld) -> bytes:
    if world.db.is_sqlite:
        # Straight to the file: thirty tables after every step.
        with closing(sqlite3.connect(str(world.db.url.database))) as driver:
            rows = [row for name in metadata.tables for row in driver.execute(f"SELECT * FROM {name}")]
    else:
        async with world.db.read() as connection:
            rows = [tuple(row) for table in metadata.tables.values() for row in await connection.execute(select(table))]
    return b"\n".join(
        value if isinstance(value, bytes) else str(value).encode() for row in rows for value in row if value is not None
    ).lower()


async def check_files(world: TimelyWorld) -> None:
    """Also not in what is left between the rows, nor in the journal. A backup is kept apart, and has its own period."""
    gone = world.people.gone()
    if not gone or not world.db.is_sqlite:
        return
    assert await scrub.rewrite(world.db, scrub.Scope.PERSON)
    file = Path(str(world.db.url.database))
    files = [file, *(Path(f"{file}{end}") for end in ("-wal", "-shm", ".withdrawals"))]
    data = b"".join(one.read_bytes() for one in files if one.exists()).lower()
    assert [word for word in gone if word.encode() in data] == [], "somebody gone stands in a file in clear"
