"""What each database is told on its own: how long PostgreSQL may let us wait, and who may read a file of SQLite."""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from stat import S_IMODE

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from pixel_service.domain.errors import StorageUnavailable
from pixel_service.storage import dialect
from pixel_service.storage.engine import Connection, Database
from pixel_service.storage.migrations import _MIGRATION_LOCK, migrate
from pixel_service.web.errors import describe
from tests.conftest import NewDatabase

#: By PostgreSQL's own list of errors (appendix A).
LOCK_NOT_AVAILABLE, QUERY_CANCELED = "55P03", "57014"
LOCK_USERS = "LOCK TABLE users IN ACCESS EXCLUSIVE MODE"


# --- PostgreSQL: several changes in one statement -------------------------------------------------------------


def test_changes_said_together_keep_their_values() -> None:
    first = ("INSERT INTO a VALUES ($1, $2)", ("one", 2))
    second = ("UPDATE b SET x = $1 WHERE y = $11", ["three"])
    statement, values = dialect.together([first, second], "SELECT 1")
    assert values == ["one", 2, "three"]
    assert statement == (
        "WITH change_0 AS (INSERT INTO a VALUES ($1, $2)), change_1 AS (UPDATE b SET x = $3 WHERE y = $13) SELECT 1"
    )


# --- PostgreSQL: waiting ends ---------------------------------------------------------------------------------


@pytest.fixture
def url(new_postgres: NewDatabase) -> str:
    return new_postgres()


@pytest.fixture
async def postgresql(url: str) -> AsyncIterator[Database]:
    """One connection for reading and writing: what a transaction leaves behind on it shows in the next."""
    database = Database(url, pool_size=1)
    yield database
    await database.close()


def shorten(monkeypatch: pytest.MonkeyPatch, bound: str) -> None:
    """A test does not wait for seconds."""
    shorter, times = re.subn(f"'{bound}', '[^']+'", f"'{bound}', '100ms'", dialect._BOUNDS)
    assert times == 1
    monkeypatch.setattr(dialect, "_BOUNDS", shorter)


@asynccontextmanager
async def stranger_holding(url: str, what: str) -> AsyncIterator[None]:
    """Another session that has done this and does not come to an end."""
    stranger = await asyncpg.connect(url)
    try:
        async with stranger.transaction():
            await stranger.execute(what)
            yield
    finally:
        await stranger.close()


async def write(database: Database, statement: str) -> None:
    async with asyncio.timeout(5), database.write() as connection:
        await connection.execute(text(statement))


async def refusal(database: Database, statement: str) -> str:
    """PostgreSQL's code of what ended a write; the service answers 503 to it."""
    with pytest.raises(StorageUnavailable) as refused:
        await write(database, statement)
    assert describe(refused.value).status == 503
    cause = refused.value.__cause__
    assert isinstance(cause, DBAPIError)
    return str(getattr(cause.orig, "sqlstate", ""))


async def test_a_write_that_waits_for_a_stuck_session_gives_up_and_its_connection_back(
    postgresql: Database, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shorten(monkeypatch, "lock_timeout")
    async with stranger_holding(url, LOCK_USERS):
        assert await refusal(postgresql, "DELETE FROM users") == LOCK_NOT_AVAILABLE
    await write(postgresql, "DELETE FROM users")


async def test_a_statement_that_takes_too_long_is_ended(postgresql: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    shorten(monkeypatch, "statement_timeout")
    assert await refusal(postgresql, "SELECT pg_sleep(10)") == QUERY_CANCELED
    await write(postgresql, "SELECT 1")


async def bounds(connection: Connection) -> tuple[str, ...]:
    query = "SELECT current_setting('lock_timeout'), current_setting('statement_timeout')"
    return tuple((await connection.execute(text(query))).one())


async def test_every_transaction_is_bounded_to_seconds_and_leaves_no_bound_behind(postgresql: Database) -> None:
    """Behind pgbouncer the connection is somebody else's next."""
    async with postgresql._reader.connect() as connection:
        before = await bounds(connection)
    for transaction in (postgresql.write, postgresql.read):
        async with transaction() as connection:
            assert await bounds(connection) == ("10s", "30s")
    async with postgresql._reader.connect() as connection:
        assert await bounds(connection) == before


@pytest.mark.parametrize("bound", ["lock_timeout", "statement_timeout"])
async def test_a_migration_may_wait_for_another_one(
    postgresql: Database, url: str, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    shorten(monkeypatch, bound)
    async with stranger_holding(url, f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"):
        migrating = asyncio.create_task(migrate(postgresql))
        done, _ = await asyncio.wait([migrating], timeout=0.5)
        assert not done
    await asyncio.wait_for(migrating, 20)


# --- SQLite: a file for its owner ----------------------------------------------------------------------------


@pytest.fixture
def _careless_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    return {file.name: S_IMODE(file.stat().st_mode) for file in folder.iterdir()}


@pytest.mark.usefixtures("_careless_umask")
async def test_a_new_file_and_what_sqlite_keeps_beside_it_are_for_their_owner_only(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'new.db'}?timeout=3")
    await write(database, "CREATE TABLE people (address TEXT)")
    async with database.read() as connection:
        await connection.execute(text("SELECT address FROM people"))
        found = modes(tmp_path)
    await database.close()
    assert found == dict.fromkeys(("new.db", "new.db-wal", "new.db-shm"), 0o600)
