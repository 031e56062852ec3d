"""A database in which nothing happens for good: one transaction, seen by nobody else and rolled back at its end.

Use cases read and write it like any other; each of their blocks is a savepoint, one at a time, for there is one connection.
The locks they take are held to the end of the rehearsal: keep it short.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

from pixel_service.storage.dialect import at_once
from pixel_service.storage.engine import Connection, Database

_Result = TypeVar("_Result")


class _Over(Exception):
    """Rolls back."""


class Rehearsal(Database):
    def __init__(self, of: Database, connection: Connection) -> None:
        """`connection` is in a transaction of `of`."""
        self.url, self.is_sqlite = of.url, of.is_sqlite
        self._connection, self._turn = connection, asyncio.Lock()

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Connection]:
        async with self._turn, self._connection.begin_nested():
            yield self._connection

    read = snapshot = write

    async def write_at_once(self, work: Callable[[sqlite3.Connection], _Result]) -> _Result:
        async with self.write() as connection:
            return await at_once(connection, work)


@asynccontextmanager
async def rehearse(db: Database) -> AsyncIterator[Database]:
    with suppress(_Over):
        async with db.write() as connection:
            yield Rehearsal(db, connection)
            raise _Over
