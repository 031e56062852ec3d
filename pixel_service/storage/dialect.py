"""Where SQLite and PostgreSQL differ, in one place: connecting, beginning to write, and locking."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

#: Any constant; serialises appends to the ledger.
_LEDGER_LOCK = 0x70_69_78_65_6C
#: Seconds a SQLite writer waits for another process's transaction, and a PostgreSQL statement for a lock.
_BUSY_SECONDS = 10


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
    if url.get_backend_name() == "sqlite":
        writer = create_async_engine(url, hide_parameters=True, pool_size=1, max_overflow=0, pool_timeout=_BUSY_SECONDS)
        reader = create_async_engine(url, hide_parameters=True, pool_size=pool_size, max_overflow=0)
        _configure_sqlite(writer, read_only=False)
        _configure_sqlite(reader, read_only=True)
        return Engines(writer, reader)
    engine = create_async_engine(
        url,
        hide_parameters=True,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=_BUSY_SECONDS,
        # Unnamed statements only: works behind pgbouncer in transaction mode.
        connect_args={"statement_cache_size": 0, "prepared_statement_cache_size": 0, "timeout": _BUSY_SECONDS},
    )
    return Engines(engine, engine)


def _configure_sqlite(engine: AsyncEngine, *, read_only: bool) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def _on_connect(connection: Any, _record: Any) -> None:
        # Autocommit in the driver: BEGIN is said below, not guessed by the driver.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (
            f"busy_timeout = {_BUSY_SECONDS * 1000}",
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
            "secure_delete = ON",
            f"query_only = {'ON' if read_only else 'OFF'}",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _on_begin(connection: Any) -> None:
        # IMMEDIATE: a write transaction never fails half-way because a reader became a writer.
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


async def lock_ledger(connection: AsyncConnection) -> None:
    """Serialise appends. Taken before any row lock, by every transaction that writes consent: with one order there is
    no deadlock with the recorder, which holds share locks on consent rows. SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LEDGER_LOCK})
