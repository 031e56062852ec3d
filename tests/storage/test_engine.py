"""The database itself: transactions, and what a caller is told when it is locked, full, cut off or gone."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import func, insert, select, text
from sqlalchemy.exc import IntegrityError

from pixel_service.domain.errors import StorageUnavailable
from pixel_service.storage.dialect import at_once
from pixel_service.storage.engine import Connection, Database
from pixel_service.storage.migrations import is_current, migrate
from pixel_service.storage.schema import journals, users
from tests.conftest import NewDatabase

ADA = "ada@example.com"


async def add(db: Database, name: str) -> None:
    async with db.write() as connection:
        await insert_user(connection, name)


async def insert_user(connection: Connection, name: str) -> None:
    values = {"email": name, "password_hash": "x" * 200, "role": "viewer", "created_at": datetime.now(UTC)}
    await connection.execute(insert(users).values(user_id=f"{name:a>26}"[:26], **values))


async def count(db: Database) -> int:
    async with db.read() as connection:
        return (await connection.execute(select(func.count()).select_from(users))).scalar_one()


async def refused(db: Database, name: str = "late") -> None:
    with pytest.raises(StorageUnavailable):
        await add(db, name)


@pytest.fixture
def url(new_sqlite: NewDatabase) -> str:
    return new_sqlite()


@pytest.fixture
def path(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


@pytest.fixture
async def sqlite(url: str) -> AsyncIterator[Database]:
    """One that does not wait long."""
    database = Database(f"{url}?timeout=0.1")
    yield database
    await database.close()


# --- transactions ---------------------------------------------------------------------------------------------


async def test_a_transaction_that_raises_leaves_nothing(db: Database) -> None:
    with pytest.raises(RuntimeError):
        await add_and_fail(db)
    assert await count(db) == 0
    await add(db, ADA)
    assert await count(db) == 1


async def add_and_fail(db: Database) -> None:
    async with db.write() as connection:
        await insert_user(connection, ADA)
        raise RuntimeError


async def test_a_broken_constraint_is_a_bug_and_not_an_outage(db: Database) -> None:
    await add(db, ADA)
    with pytest.raises(IntegrityError) as broken:
        await add(db, ADA)
    assert ADA not in str(broken.value), "a database error must not carry what was stored into a log"


async def test_nobody_sees_what_is_not_committed(db: Database) -> None:
    async with db.write() as connection:
        await insert_user(connection, ADA)
        assert await count(db) == 0
    assert await count(db) == 1


async def test_a_reader_can_not_write_on_sqlite(sqlite: Database) -> None:
    with pytest.raises(StorageUnavailable):
        await write_as_reader(sqlite)
    assert await count(sqlite) == 0


async def write_as_reader(db: Database) -> None:
    async with db.read() as connection:
        await insert_user(connection, ADA)


async def test_a_reader_sees_one_moment_on_sqlite(sqlite: Database) -> None:
    query = select(func.count()).select_from(users)
    async with sqlite.read() as connection:
        assert (await connection.execute(query)).scalar_one() == 0
        await add(sqlite, ADA)
        assert (await connection.execute(query)).scalar_one() == 0


async def test_writers_take_turns_and_lose_nothing(db: Database, database_url: str) -> None:
    other = Database(database_url)
    await asyncio.gather(*(add((db, other)[number % 2], f"user{number}") for number in range(30)))
    await other.close()
    assert await count(db) == 30


async def test_a_stranger_among_databases_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="mysql is not supported"):
        Database("mysql://localhost/x")


# --- locked, full, gone -----------------------------------------------------------------------------------------


async def test_a_lock_of_another_process_that_stays_means_not_stored(sqlite: Database, path: Path) -> None:
    await add(sqlite, "before")
    with closing(sqlite3.connect(path, isolation_level=None)) as stranger:
        stranger.execute("BEGIN EXCLUSIVE")
        await refused(sqlite)
        assert await count(sqlite) == 1
    await add(sqlite, "after")
    assert await count(sqlite) == 2


async def test_no_free_connection_in_time_means_not_stored(sqlite: Database) -> None:
    async with sqlite.write():
        await refused(sqlite)
    await add(sqlite, "after")


async def test_a_full_disk_means_not_stored_and_reading_goes_on(sqlite: Database) -> None:
    await limit_pages(sqlite, await page_count(sqlite))
    with pytest.raises(StorageUnavailable):
        await fill(sqlite)
    stored = await count(sqlite)
    await refused(sqlite)
    assert await count(sqlite) == stored
    await limit_pages(sqlite, 100_000)
    await add(sqlite, "after")
    assert await count(sqlite) == stored + 1


async def fill(db: Database) -> None:
    for number in range(2000):
        await add(db, f"user{number}")


async def page_count(db: Database) -> int:
    async with db.write() as connection:
        return int((await connection.execute(text("PRAGMA page_count"))).scalar_one())


async def limit_pages(db: Database, pages: int) -> None:
    async with db.write() as connection:
        await connection.execute(text(f"PRAGMA max_page_count = {pages}"))


async def test_a_database_file_that_was_removed_is_neither_written_nor_read_nor_made_anew(
    sqlite: Database, path: Path
) -> None:
    await add(sqlite, ADA)
    assert await count(sqlite) == 1
    saved = move(path, path.with_suffix(".saved"))
    for _ in range(2):
        await refused(sqlite)
        with pytest.raises(StorageUnavailable):
            await count(sqlite)
    assert not exists(path)
    move(saved, path)
    await add(sqlite, "after")
    assert await count(sqlite) == 2


async def test_a_database_file_that_was_replaced_is_taken_up(
    sqlite: Database, path: Path, new_sqlite: NewDatabase
) -> None:
    await add(sqlite, ADA)
    assert await count(sqlite) == 1
    restore(Path(new_sqlite().removeprefix("sqlite:///")), path)
    await refused(sqlite)
    with pytest.raises(StorageUnavailable):
        await count(sqlite)
    assert await count(sqlite) == 0
    await add(sqlite, "anew")
    assert await count(sqlite) == 1


async def test_what_is_written_at_once_is_committed(sqlite: Database) -> None:
    assert await sqlite.write_at_once(note_at_once) == 1
    assert await journals_in(sqlite) == 1


async def test_what_fails_at_once_leaves_nothing_and_the_next_is_stored(sqlite: Database) -> None:
    def fail(driver: sqlite3.Connection) -> None:
        note_at_once(driver)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await sqlite.write_at_once(fail)
    assert await journals_in(sqlite) == 0
    await sqlite.write_at_once(note_at_once)
    assert await journals_in(sqlite) == 1


async def test_at_once_too_a_file_that_was_replaced_is_refused(
    sqlite: Database, path: Path, new_sqlite: NewDatabase
) -> None:
    await sqlite.write_at_once(note_at_once)
    restore(Path(new_sqlite().removeprefix("sqlite:///")), path)
    with pytest.raises(StorageUnavailable):
        await sqlite.write_at_once(note_at_once)
    await sqlite.write_at_once(note_at_once)
    assert await journals_in(sqlite) == 1


async def test_at_once_too_a_lock_is_waited_for_no_longer_than_the_patience(sqlite: Database, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageUnavailable):
            await sqlite.write_at_once(note_at_once)
    await sqlite.write_at_once(note_at_once)


async def test_a_transaction_that_was_given_up_while_it_waited_for_the_lock_does_not_keep_it(
    sqlite: Database, url: str, path: Path
) -> None:
    patient = Database(f"{url}?timeout=5")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await add(patient, ADA)
    await patient.write_at_once(note_at_once)
    await add(patient, ADA)
    await add(sqlite, "another")
    await patient.close()


async def test_a_transaction_that_could_not_be_ended_stops_nobody_for_good(sqlite: Database) -> None:
    async with sqlite._writer.connect() as connection:
        await at_once(connection, lambda driver: driver.execute("BEGIN IMMEDIATE"))
    await refused(sqlite)
    await add(sqlite, ADA)
    assert await count(sqlite) == 1


async def test_reading_that_was_given_up_at_any_step_spoils_no_connection(url: str) -> None:
    database = Database(url, pool_size=1)
    for steps in range(40):
        reading = asyncio.create_task(count(database))
        for _ in range(steps):
            await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait({reading})
        assert await count(database) == 0
    await database.close()


def note_at_once(driver: sqlite3.Connection) -> int:
    return driver.execute("INSERT INTO journals (journal_id, bound_at) VALUES ('it', '2026-01-01')").rowcount


async def journals_in(db: Database) -> int:
    async with db.read() as connection:
        return (await connection.execute(select(func.count()).select_from(journals))).scalar_one()


def move(file: Path, to: Path) -> Path:
    return file.rename(to)


def restore(backup: Path, path: Path) -> None:
    """As who knows SQLite does it: what it keeps beside the old file goes first."""
    for kept in ("-wal", "-shm"):
        path.with_name(f"{path.name}{kept}").unlink()
    backup.rename(path)


def exists(path: Path) -> bool:
    return path.exists()


async def test_a_service_that_starts_makes_its_file(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'new.db'}")
    await migrate(database)
    assert await is_current(database)
    await database.close()


async def test_a_folder_that_is_not_there_means_not_stored(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'nowhere' / 'new.db'}")
    await refused(database)
    await database.close()
    # The driver's thread says goodbye to the loop of this test, which must still be there.
    for thread in threading.enumerate():
        if "_connection_worker_thread" in thread.name:
            await asyncio.to_thread(thread.join, 5)


async def test_cut_connections_mean_not_stored_and_the_next_ones_are_fresh(new_postgres: NewDatabase) -> None:
    url = new_postgres()
    database = Database(url)
    await add(database, ADA)
    await cut_connections(url)
    await refused(database)
    await add(database, "after")
    assert await count(database) == 2
    await database.close()


async def test_a_connection_cut_in_the_middle_means_not_stored(new_postgres: NewDatabase) -> None:
    url = new_postgres()
    database = Database(url)
    with pytest.raises(StorageUnavailable):
        await write_and_be_cut(database, url)
    assert await count(database) == 0
    await database.close()


async def write_and_be_cut(database: Database, url: str) -> None:
    async with database.write() as connection:
        await insert_user(connection, ADA)
        await cut_connections(url)


async def cut_connections(url: str) -> None:
    server, _, name = url.rpartition("/")
    admin = await asyncpg.connect(f"{server}/postgres")
    await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
    await admin.close()


@pytest.mark.parametrize("change", ["/nowhere", "port"])
async def test_a_server_or_database_that_is_not_there_means_not_stored(new_postgres: NewDatabase, change: str) -> None:
    url = new_postgres()
    server, _, name = url.rpartition("/")
    database = Database(f"{server}/nowhere" if change == "/nowhere" else f"postgresql://postgres@127.0.0.1:1/{name}")
    await refused(database)
    await database.close()


# --- outside transactions -------------------------------------------------------------------------------------------


async def test_what_is_said_outside_a_transaction_acts_at_once_and_later_writes_are_transactions_again(
    db: Database,
) -> None:
    async with db.exclusive() as connection:
        await insert_user(connection, ADA)
        assert await count(db) == 1
    async with db.write() as connection:
        await insert_user(connection, "bo@example.com")
        await connection.rollback()
    assert await count(db) == 1


def content(path: Path) -> bytes:
    return path.read_bytes()


async def test_what_was_committed_is_copied_into_the_file_while_others_read_and_write(
    sqlite: Database, path: Path
) -> None:
    await add(sqlite, ADA)
    assert ADA.encode() not in content(path)
    async with sqlite.read() as reader, sqlite.write() as writer:
        await insert_user(writer, "writing")
        await sqlite.fold_wal()
        assert ADA.encode() in content(path)
        assert (await reader.execute(select(func.count()).select_from(users))).scalar_one() == 1
    assert await count(sqlite) == 2


async def test_a_commit_copies_nothing_itself_before_the_log_is_long(sqlite: Database, path: Path) -> None:
    before = content(path)
    for number in range(40):
        async with sqlite.write() as connection:
            values = {"password_hash": "x" * 200_000, "role": "viewer", "created_at": datetime.now(UTC)}
            name = f"user{number:a>22}"
            await connection.execute(insert(users).values(user_id=name, email=name, **values))
    assert len(content(path.with_name(f"{path.name}-wal"))) > 1000 * 4096
    assert content(path) == before


async def test_postgresql_has_no_log_of_ours_to_copy(new_postgres: NewDatabase) -> None:
    database = Database(new_postgres())
    await database.fold_wal()
    await database.close()
