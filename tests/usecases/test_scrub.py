"""What a person withdrew is gone from the files of the database, not only from its tables (W4)."""

import asyncio
import hashlib
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import text

from pixel_service.domain.messages import SubscriberId
from pixel_service.domain.tokens import encode_id
from pixel_service.storage import scrub as files
from pixel_service.storage.engine import Database
from pixel_service.storage.recording import store
from pixel_service.storage.schema import metadata, opens, pixels
from pixel_service.usecases.context import Context
from pixel_service.usecases.scrub import scrub
from pixel_service.usecases.withdraw import Source, withdraw
from tests import postgres
from tests.access import Clock
from tests.builders import BLOG, OPENS, context, deliver, join
from tests.conftest import NewDatabase
from tests.usecases.test_withdraw import mailing, rows, seen

PEOPLE = 12


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ctx(db: Database, clock: Clock) -> Context:
    """Ids as in real life: numbered ones could be found where they are not."""
    return replace(context(db, clock), ids=lambda: encode_id(os.urandom(16)))


@pytest.fixture
async def other(database_url: str) -> AsyncIterator[Database]:
    """The same database from another process."""
    database = Database(database_url)
    yield database
    await database.close()


async def open_everything(ctx: Context, db: Database) -> int:
    """Under ids that can be searched for."""
    fetches = [seen(ctx, row.pixel_id) for row in await rows(db, pixels)]
    batch = [one._replace(open_id=hashlib.md5(one.open_id).digest()) for one in fetches]
    async with db.write() as connection:
        return (await store(connection, batch)).recorded


async def opened(ctx: Context) -> tuple[list[SubscriberId], list[bytes]]:
    """People who opened two mails each, and what must not be found of them: ids of pixels and of opens."""
    people = [await join(ctx, f"p{number}@example.com", BLOG, OPENS) for number in range(PEOPLE)]
    for _ in range(2):
        await mailing(ctx)
    await deliver(ctx)
    assert await open_everything(ctx, ctx.db) == 2 * PEOPLE
    traces = [row.pixel_id.encode() for row in await rows(ctx.db, pixels)]
    return people, traces + [bytes(row.open_id) for row in await rows(ctx.db, opens)]


async def stop(ctx: Context, people: list[SubscriberId]) -> None:
    for person in people:
        await withdraw(ctx, person, (OPENS,), Source.STOP_TRACKING_PAGE)


async def stored_bytes(db: Database, request: pytest.FixtureRequest) -> bytes:
    """Every byte of the database's files."""
    if db.is_sqlite:
        file = Path(str(db.url.database))
        return b"".join(one.read_bytes() for one in sorted(file.parent.glob(f"{file.name}*")))
    server: postgres.Server = request.getfixturevalue("postgres_server")
    if server.folder is None:
        pytest.skip("the server's files are not ours to read")
    connection = await asyncpg.connect(server.url_of(str(db.url.database)))
    try:
        # What is still in memory goes to the files first.
        await connection.execute("CHECKPOINT")
        number = await connection.fetchval("SELECT oid FROM pg_database WHERE datname = current_database()")
    finally:
        await connection.close()
    folder = server.folder / "data" / "base"
    temporary = [path for path in folder.glob("pgsql_tmp/**/*") if path.is_file()]
    return b"".join(path.read_bytes() for path in [*(folder / str(number)).iterdir(), *temporary])


async def scrub_at_last(ctx: Context) -> int:
    """On PostgreSQL a transaction of another test, in another database of the server, may be in the way for a while."""
    for _ in range(20):
        if done := await scrub(ctx):
            return done
    return 0


async def living(db: Database) -> set[bytes]:
    return {row.pixel_id.encode() for row in await rows(db, pixels)} | {
        bytes(row.open_id) for row in await rows(db, opens)
    }


def found(traces: list[bytes], data: bytes) -> int:
    return sum(trace in data for trace in traces)


@pytest.mark.parametrize("staying", [0, 1])
async def test_after_a_withdrawal_no_byte_of_opens_and_pixels_is_left_in_the_files(
    ctx: Context, db: Database, request: pytest.FixtureRequest, staying: int
) -> None:
    people, traces = await opened(ctx)
    # The planner's samples hold ids too.
    async with db.write() as connection:
        await connection.execute(text("ANALYZE"))
    assert found(traces, await stored_bytes(db, request)) == len(traces)
    await stop(ctx, people[staying:])
    gone = [trace for trace in traces if trace not in await living(db)]
    assert len(gone) == 4 * (PEOPLE - staying)
    assert found(gone, await stored_bytes(db, request)) > 0
    assert await scrub_at_last(ctx) == 1
    assert found(gone, await stored_bytes(db, request)) == 0


async def test_what_sqlite_left_in_its_pages_is_overwritten_too(
    new_sqlite: NewDatabase, request: pytest.FixtureRequest
) -> None:
    """`secure_delete` forgets a row in some thousands; here it is switched off to forget all of them."""
    database = Database(new_sqlite())
    ctx = replace(context(database), ids=lambda: encode_id(os.urandom(16)))
    _, traces = await opened(ctx)
    with closing(sqlite3.connect(str(database.url.database))) as careless, careless:
        careless.execute("PRAGMA secure_delete = OFF")
        careless.execute("DELETE FROM opens")
        careless.execute("DELETE FROM pixels")
    async with database.write() as connection:
        await files.ask(connection, files.Scope.OPENS)
    assert found(traces, await stored_bytes(database, request)) == len(traces)
    assert await scrub_at_last(ctx) == 1
    assert found(traces, await stored_bytes(database, request)) == 0
    await database.close()


async def test_what_others_have_stays(ctx: Context, db: Database) -> None:
    people, _ = await opened(ctx)
    await stop(ctx, people[1:])
    before = await rows(db, opens), await rows(db, pixels)
    assert await scrub_at_last(ctx) == 1
    assert (await rows(db, opens), await rows(db, pixels)) == before
    assert [len(each) for each in before] == [2, 2]


async def test_nothing_is_written_anew_when_nothing_was_deleted(ctx: Context) -> None:
    people, _ = await opened(ctx)
    assert await scrub(ctx) == 0
    await stop(ctx, people)
    assert await scrub_at_last(ctx) == 1
    assert await scrub(ctx) == 0


async def test_many_withdrawals_share_one_rewriting_per_period(ctx: Context, clock: Clock) -> None:
    people, _ = await opened(ctx)
    await stop(ctx, people[:1])
    assert await scrub_at_last(ctx) == 1
    await stop(ctx, people[1:3])
    clock.move(ctx.policy.scrub_every - timedelta(seconds=1))
    assert await scrub(ctx) == 0
    await stop(ctx, people[3:])
    clock.move(timedelta(seconds=1))
    assert await scrub_at_last(ctx) == 1
    async with ctx.db.read() as connection:
        assert await files.due(connection) is None


async def test_while_somebody_still_reads_what_was_deleted_the_scrub_stays_due(
    ctx: Context, other: Database, request: pytest.FixtureRequest
) -> None:
    people, traces = await opened(ctx)
    engine = other._reader if other.is_sqlite else other._reader.execution_options(isolation_level="REPEATABLE READ")
    async with engine.connect() as reader:
        await reader.execute(text("SELECT count(*) FROM subscribers"))
        await stop(ctx, people)
        assert await scrub(ctx) == 0
    assert await scrub_at_last(ctx) == 1
    assert found(traces, await stored_bytes(ctx.db, request)) == 0


async def test_a_busy_service_is_scrubbed_too_and_loses_nothing(ctx: Context, other: Database) -> None:
    people, _ = await opened(ctx)
    busy = replace(ctx, db=other)
    await stop(ctx, people[1:])
    stored, over = 0, asyncio.Event()

    async def record() -> None:
        nonlocal stored
        while not over.is_set():
            number = await open_everything(busy, other)
            stored += number

    writers = [asyncio.create_task(record()) for _ in range(2)]
    try:
        while not await scrub(ctx):
            pass
    finally:
        over.set()
        await asyncio.gather(*writers)
    assert len(await rows(other, opens)) == stored + 2


async def test_an_erased_person_leaves_every_table(ctx: Context, db: Database, request: pytest.FixtureRequest) -> None:
    await join(ctx, "anna.unverwechselbar@example.com", BLOG)
    async with db.write() as connection:
        for table in reversed(metadata.sorted_tables):
            await connection.execute(table.delete())
        await files.ask(connection, files.Scope.OPENS)
        await files.ask(connection, files.Scope.PERSON)
    assert found([b"anna.unverwechselbar"], await stored_bytes(db, request)) == 1
    assert await scrub_at_last(ctx) == 1
    assert found([b"anna.unverwechselbar"], await stored_bytes(db, request)) == 0
