"""A rehearsal reads what it wrote, on the real tables, and leaves nothing behind (P10)."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import insert, select

from pixel_service.storage.engine import Connection, Database
from pixel_service.storage.rehearsal import rehearse
from pixel_service.storage.schema import journals
from tests.builders import dump
from tests.conftest import NewDatabase
from tests.tracked_mail import NOW


async def note(db: Database, name: str) -> None:
    async with db.write() as connection:
        await connection.execute(insert(journals).values(journal_id=name, bound_at=NOW))


async def note_and_fail(db: Database) -> None:
    async with db.write() as connection:
        await connection.execute(insert(journals).values(journal_id="failed", bound_at=NOW))
        raise ValueError("broken")


async def rehearse_and_fail(db: Database) -> None:
    async with rehearse(db) as rehearsal:
        await note(rehearsal, "within")
        raise ValueError("broken")


async def noted(connection: Connection) -> list[str]:
    return sorted((await connection.execute(select(journals.c.journal_id))).scalars())


async def test_what_was_rehearsed_never_happened(db: Database) -> None:
    await note(db, "before")
    before = await dump(db)
    async with rehearse(db) as rehearsal:
        await note(rehearsal, "within")
        async with rehearsal.read() as connection:
            assert await noted(connection) == ["before", "within"]
        async with db.read() as others:
            assert await noted(others) == ["before"]
    assert await dump(db) == before
    await note(db, "after")


@pytest.fixture
async def sqlite(new_sqlite: NewDatabase) -> AsyncIterator[Database]:
    database = Database(new_sqlite())
    yield database
    await database.close()


async def test_what_was_rehearsed_at_once_never_happened(sqlite: Database) -> None:
    before = await dump(sqlite)
    async with rehearse(sqlite) as rehearsal:
        written = "INSERT INTO journals (journal_id, bound_at) VALUES ('within', '2026-01-01')"
        await rehearsal.write_at_once(lambda driver: driver.execute(written))
        async with rehearsal.read() as connection:
            assert await noted(connection) == ["within"]
    assert await dump(sqlite) == before


async def test_a_block_that_fails_takes_back_its_own_only(db: Database) -> None:
    async with rehearse(db) as rehearsal:
        await note(rehearsal, "first")
        with pytest.raises(ValueError, match="broken"):
            await note_and_fail(rehearsal)
        async with rehearsal.snapshot() as connection:
            assert await noted(connection) == ["first"]


async def test_a_rehearsal_that_fails_says_so_and_leaves_nothing(db: Database) -> None:
    before = await dump(db)
    with pytest.raises(ValueError, match="broken"):
        await rehearse_and_fail(db)
    assert await dump(db) == before


async def test_those_who_want_the_connection_at_once_take_turns(db: Database) -> None:
    async with rehearse(db) as rehearsal:
        await asyncio.gather(*(note(rehearsal, f"journal {number}") for number in range(5)))
        async with rehearsal.read() as connection:
            assert len(await noted(connection)) == 5
