"""People of whom nothing is held but an address that service mail once went to: how they go, and how one stays."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import CursorResult, Delete, Executable

from pixel_service.domain.address import parse_address
from pixel_service.domain.consent import State
from pixel_service.domain.messages import SubscriberId
from pixel_service.domain.retention import Kept
from pixel_service.storage import sends
from pixel_service.storage.engine import Connection, Database
from pixel_service.storage.schema import subscribers
from pixel_service.usecases.retain_data import purge_slice
from tests.access import Clock
from tests.builders import BLOG, ask, context, states_of

ANNA = "anna@example.com"


@pytest.fixture
async def other(database_url: str) -> AsyncIterator[Database]:
    """The same database from another process."""
    database = Database(database_url)
    yield database
    await database.close()


async def test_who_signs_up_in_the_moment_in_which_their_address_goes_is_not_lost(
    db: Database, other: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    ctx = context(db, clock)
    async with db.write() as connection:
        await sends.add_addressees(connection, {SubscriberId(ctx.ids()): parse_address(ANNA)}, at=clock())
    clock.move(timedelta(days=400))
    execute = Connection.execute
    sign_ups: list[asyncio.Task[SubscriberId]] = []

    async def interrupted(self: Connection, statement: Executable, *values: Any) -> CursorResult[Any]:
        """Once it is decided who goes, and before they are gone."""
        if isinstance(statement, Delete) and statement.table is subscribers and "EXISTS" in str(statement):
            sign_ups.append(asyncio.create_task(ask(replace(ctx, db=other), ANNA, BLOG)))
            await asyncio.sleep(0.5)
        return await execute(self, statement, *values)

    monkeypatch.setattr(Connection, "execute", interrupted)
    assert (await purge_slice(ctx))[Kept.STRANGERS] == 1
    (sign_up,) = sign_ups
    assert await states_of(ctx, await sign_up) == {BLOG: State.REQUESTED}
