"""The database: one way to read, one way to write, and every failure of storage under one name.

A write is one transaction: it commits when the block ends and rolls back when it raises.
"""

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from sqlalchemy.exc import DBAPIError, IntegrityError, TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection

from pixel_service.domain.errors import StorageUnavailable
from pixel_service.storage.dialect import (
    OUTSIDE_TRANSACTIONS,
    at_once,
    bound_waiting,
    open_engines,
    parse_url,
    refuse_another_file,
    straight,
    transaction_of,
)

Connection = AsyncConnection
_Result = TypeVar("_Result")


class Database:
    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        """`url`: ``sqlite:///file`` or ``postgresql://user@host/name``. Nothing is opened yet."""
        self.url = parse_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        engines = open_engines(self.url, pool_size=pool_size)
        self._writer, self._reader = engines.writer, engines.reader

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Connection]:
        """A consistent view within one statement; on SQLite within the whole block, and unable to write."""
        async with _named_failures(), self._reader.connect() as connection:
            await bound_waiting(connection)
            yield connection

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Connection]:
        """A consistent view within the whole block, for what is put together from several statements; unable to write."""
        async with _named_failures(), self._reader.connect() as connection:
            if not self.is_sqlite:
                await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            await bound_waiting(connection)
            yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Connection]:
        """One transaction. Raises `StorageUnavailable` when it was not stored."""
        async with _named_failures(), self._writer.begin() as connection:
            await bound_waiting(connection)
            yield connection

    async def write_at_once(self, work: Callable[[sqlite3.Connection], _Result]) -> _Result:
        """One transaction around `work`, in one hop to the driver's thread, where `work` runs: it does not touch the event loop.
        SQLite only. Raises `StorageUnavailable` when it was not stored."""
        async with _named_failures(), self._writer.connect() as connection:
            refuse_another_file(connection.sync_connection)
            return await at_once(connection, transaction_of(work))

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator[Connection]:
        """The writing connection without a transaction, for statements that rewrite the files: each acts at once."""
        options = {OUTSIDE_TRANSACTIONS: True} if self.is_sqlite else {"isolation_level": "AUTOCOMMIT"}
        async with _named_failures(), self._writer.connect() as connection:
            await connection.execution_options(**options)
            yield connection

    async def fold_wal(self) -> None:
        """Copy what the write-ahead log holds into the database file, beside whoever reads and writes, so that no commit has
        to (SQLite; https://sqlite.org/wal.html#ckpt). Said often it takes milliseconds."""
        if not self.is_sqlite:
            return
        async with _named_failures(), self._reader.connect() as connection:
            await connection.execution_options(**{OUTSIDE_TRANSACTIONS: True})
            await straight(connection, "PRAGMA wal_checkpoint(PASSIVE)")

    async def close(self) -> None:
        await self._writer.dispose()
        if self._reader is not self._writer:
            await self._reader.dispose()


@asynccontextmanager
async def _named_failures() -> AsyncIterator[None]:
    """Broken constraints are bugs and pass where SQLAlchemy tells of them; everything else the driver or the disk says means "not stored"."""
    try:
        yield
    except IntegrityError:
        raise
    except (DBAPIError, PoolTimeout, OSError, sqlite3.Error) as error:
        raise StorageUnavailable(type(error).__name__) from error
