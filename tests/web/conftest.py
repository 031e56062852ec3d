"""The whole web application, asked by a browser without cookies.

On SQLite only: what differs between the databases is tried in tests/storage and tests/usecases, on both.
"""

from collections.abc import AsyncIterator

import pytest
from httpx import AsyncClient

from pixel_service.storage.engine import Database
from pixel_service.usecases.context import Context
from tests.access import Clock
from tests.builders import Relay, context, web
from tests.conftest import NewDatabase


@pytest.fixture
def database_url(new_sqlite: NewDatabase) -> str:
    return new_sqlite()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def relay() -> Relay:
    return Relay()


@pytest.fixture
def ctx(db: Database, clock: Clock, relay: Relay) -> Context:
    return context(db, clock, relay)


@pytest.fixture
async def visitor(ctx: Context) -> AsyncIterator[AsyncClient]:
    async with web(ctx) as client:
        yield client
