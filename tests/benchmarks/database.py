"""Databases to measure on: an SQLite file on disk, and a PostgreSQL that makes its commits durable."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pixel_service.storage.engine import Database
from pixel_service.storage.migrations import migrate
from tests import postgres

#: Makes an empty, migrated database and returns its URL.
NewDatabase = Callable[[], str]


@contextmanager
def databases() -> Iterator[dict[str, NewDatabase]]:
    """By name; PostgreSQL only where its server is installed."""
    with tempfile.TemporaryDirectory(prefix="pixel-bench-") as folder, postgres.start_server(durable=True) as server:
        numbers = iter(range(1_000_000))

        def sqlite() -> str:
            return _migrated(f"sqlite:///{folder}/{next(numbers)}.db")

        found: dict[str, NewDatabase] = {"SQLite": sqlite}
        if server is None:
            print(f"PostgreSQL is left out. {postgres.INSTALL}")
        else:
            server.wait_until_ready()
            found["PostgreSQL"] = lambda: _migrated(server.url_of(server.create()))
        yield found


def _migrated(url: str) -> str:
    async def bring_up_to_date() -> None:
        database = Database(url)
        await migrate(database)
        await database.close()

    postgres.in_thread(bring_up_to_date())
    return url
