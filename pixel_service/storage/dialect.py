"""Where SQLite and PostgreSQL differ, in one place: connecting, beginning to write, locking, and speaking to the driver itself."""

import os
import re
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

#: In the driver's own words, with its values in their order.
Statement = tuple[str, Sequence[Any]]

_Result = TypeVar("_Result")

#: Any constant; serialises appends to the ledger.
_LEDGER_LOCK = 0x70_69_78_65_6C
#: Seconds to wait for another process's transaction on SQLite, for a free connection of the pool, and for PostgreSQL
#: to take a new one. ``?timeout=3`` in the URL changes it.
_PATIENCE = 10.0
#: KiB of pages that the writing connection keeps in memory (SQLite): each open looks at a dozen pages of indexes, anywhere in
#: them. With the default of 2 MB it read 13 of them from the file, with this one 4 (400,000 mails).
_CACHE_KIB = 64 * 1024
#: Pages of the WAL after which a commit copies them into the file itself, if `Database.fold_wal` could not keep pace: some
#: 80 MB. At the default of 1,000 every few hundred opens waited for it.
_LONGEST_WAL = 20_000
#: IMMEDIATE: a write transaction never fails half-way because a reader became a writer.
_BEGIN_TO_WRITE = "BEGIN IMMEDIATE"
#: Execution option of a connection whose statements are not put into a transaction (SQLite).
OUTSIDE_TRANSACTIONS = "outside_transactions"


def parse_url(url: str) -> URL:
    """Accepts ``sqlite:///path`` and ``postgresql://…``; the async driver is ours to choose."""
    parsed = make_url(url)
    match parsed.get_backend_name():
        case "sqlite":
            return parsed.set(drivername="sqlite+aiosqlite")
        case "postgresql":
            return parsed.set(drivername="postgresql+asyncpg")
        case other:
            raise ValueError(f"database: {other} is not supported, use sqlite or postgresql")


@dataclass(frozen=True, slots=True)
class Engines:
    writer: AsyncEngine
    reader: AsyncEngine


def open_engines(url: URL, *, pool_size: int) -> Engines:
    """`hide_parameters`: a database error must not carry addresses or tokens into a log."""
    patience = float(str(url.query.get("timeout", _PATIENCE)))
    url = url.difference_update_query(["timeout"])
    if url.get_backend_name() == "sqlite":
        if url.database:
            make_private(Path(url.database))
        # Every transaction is ended by whoever began it: a rollback on return would be one hop more for each.
        options = {"hide_parameters": True, "max_overflow": 0, "pool_timeout": patience, "pool_reset_on_return": None}
        writer = create_async_engine(url, pool_size=1, **options)
        reader = create_async_engine(url, pool_size=pool_size, **options)
        _configure_sqlite(writer, patience, read_only=False)
        _configure_sqlite(reader, patience, read_only=True)
        return Engines(writer, reader)
    engine = create_async_engine(
        url,
        hide_parameters=True,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=patience,
        # Unnamed statements only: works behind pgbouncer in transaction mode.
        connect_args={"statement_cache_size": 0, "prepared_statement_cache_size": 0, "timeout": patience},
    )
    return Engines(engine, engine)


def _configure_sqlite(engine: AsyncEngine, patience: float, *, read_only: bool) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def _on_connect(connection: Any, record: Any) -> None:
        # Autocommit in the driver: BEGIN is said below, not guessed by the driver.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (
            f"busy_timeout = {int(patience * 1000)}",
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
            "secure_delete = ON",
            f"query_only = {'ON' if read_only else 'OFF'}",
            *(() if read_only else (f"cache_size = -{_CACHE_KIB}", f"wal_autocheckpoint = {_LONGEST_WAL}")),
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()
        record.info["file"] = _identity(engine.url)

    @event.listens_for(engine.sync_engine, "begin")
    def _on_begin(connection: Any) -> None:
        refuse_another_file(connection)
        if connection.get_execution_options().get(OUTSIDE_TRANSACTIONS):
            return
        # One hop to the driver's thread; by SQLAlchemy's cursor it would be three.
        begin = "BEGIN" if read_only else _BEGIN_TO_WRITE
        try:
            connection.connection.dbapi_connection.run_async(lambda driver: driver.execute_fetchall(begin))
        except BaseException:
            # Given up: the driver's thread says it all the same, and nobody would end it. Refused: perhaps an earlier
            # transaction could not be ended.
            connection.invalidate()
            raise

    _never_make_a_file_anew(engine, may_make_one=not read_only)


def refuse_another_file(connection: Any) -> None:
    """Removed or replaced: SQLite would go on writing into the file nobody can find any more. `connection` is SQLAlchemy's
    own, not the asynchronous one."""
    if connection.info["file"] != _identity(connection.engine.url):
        connection.invalidate()
        raise FileNotFoundError("the database file is not the one that was opened")


def _never_make_a_file_anew(engine: AsyncEngine, *, may_make_one: bool) -> None:
    """SQLite makes a file that is missing. The first connection of a process may, it migrates; later the file was
    removed, and an empty one in its place would stand in the way of the backup that is being restored."""

    @event.listens_for(engine.sync_engine, "do_connect")
    def _on_do_connect(_dialect: Any, _record: Any, _arguments: Any, _keywords: Any) -> None:
        nonlocal may_make_one
        if not may_make_one and _identity(engine.url) is None:
            raise FileNotFoundError("the database file is missing")
        may_make_one = False


def _identity(url: URL) -> tuple[int, int] | None:
    """Device and number of the file; None when there is none."""
    try:
        found = Path(url.database or "").stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


#: No statement of ours takes long but a migration; one that waits for a stuck session must give its connection back.
_BOUNDS = "SELECT set_config('lock_timeout', '10s', true), set_config('statement_timeout', '30s', true)"


async def bound_waiting(connection: AsyncConnection) -> None:
    """For this transaction only, so that it holds behind pgbouncer too. SQLite has its busy timeout."""
    if connection.dialect.name == "postgresql":
        await connection.exec_driver_sql(_BOUNDS)


def make_private(path: Path) -> None:
    """A new SQLite file is for its owner only; its WAL takes over the mode. One that exists is left as it is."""
    # A folder that is not there shows itself when the database is asked.
    with suppress(OSError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


async def lock_ledger(connection: AsyncConnection) -> None:
    """Serialise appends. Taken before any row lock, by every transaction that writes consent: with one order there is
    no deadlock with the recorder, which holds share locks on consent rows. SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LEDGER_LOCK})


async def straight(connection: AsyncConnection, statement: str, parameters: Sequence[Any] = ()) -> Sequence[Any]:
    """Rows of a statement in the driver's own words and values. On SQLite that is one hop to the driver's thread instead
    of three."""
    if connection.dialect.name == "postgresql":
        result = await connection.exec_driver_sql(statement, tuple(parameters))
        return result.all() if result.returns_rows else ()
    return list(await _driver(connection).execute_fetchall(statement, parameters))


async def at_once(connection: AsyncConnection, work: Callable[[sqlite3.Connection], _Result]) -> _Result:
    """All of `work` in one hop to the driver's thread (SQLite). Said statement by statement, each waits for its turn in the
    event loop: beside hundreds of requests that is 10 ms a turn."""
    driver = _driver(connection)
    found: _Result = await driver._execute(work, driver._conn)  # noqa: SLF001  aiosqlite has no public name for it
    return found


def transaction_of(work: Callable[[sqlite3.Connection], _Result]) -> Callable[[sqlite3.Connection], _Result]:
    """`work` with a transaction around it (SQLite)."""

    def begin_to_commit(driver: sqlite3.Connection) -> _Result:
        try:
            driver.execute(_BEGIN_TO_WRITE)
            found = work(driver)
            driver.execute("COMMIT")
        except BaseException:
            driver.rollback()
            raise
        return found

    return begin_to_commit


def together(changes: Sequence[Statement], then: str) -> Statement:
    """Changes that do not look at each other, in one statement with `then` (PostgreSQL): each on its own takes two round trips.
    They happen in no certain order: all that two of them could wait for must be locked before."""
    parts: list[str] = []
    values: list[Any] = []
    for statement, parameters in changes:
        parts.append(f"change_{len(parts)} AS ({_from_place(len(values), statement)})")
        values += parameters
    return f"WITH {', '.join(parts)} {then}", values


def _from_place(before: int, statement: str) -> str:
    """Its parameters come after as many others."""
    return re.sub(r"\$(\d+)", lambda found: f"${int(found[1]) + before}", statement)


def _driver(connection: AsyncConnection) -> Any:
    assert connection.sync_connection is not None
    return connection.sync_connection.connection.driver_connection
