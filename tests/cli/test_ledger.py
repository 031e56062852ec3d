"""`pixel-service ledger`: what the privacy officer runs."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from sqlalchemy import update
from typer.testing import CliRunner, Result

from pixel_service.cli import app
from pixel_service.storage.engine import Connection, Database
from pixel_service.storage.schema import consents, ledger
from tests.builders import BLOG, OPENS, context, join
from tests.conftest import NewDatabase
from tests.journeys.service import environment

Change = Callable[[Connection], Coroutine[Any, Any, object]]


@pytest.fixture
def url(new_sqlite: NewDatabase) -> str:
    """One person who agreed to two things: four entries and more."""
    made = new_sqlite()

    async def agree() -> None:
        database = Database(made)
        await join(context(database), "anna@example.com", BLOG, OPENS)
        await database.close()

    asyncio.run(agree())
    return made


def change(url: str, how: Change) -> None:
    async def apply() -> None:
        database = Database(url)
        async with database.write() as connection:
            await how(connection)
        await database.close()

    asyncio.run(apply())


def command(url: str, *words: str) -> Result:
    return CliRunner().invoke(app, ["ledger", *words], env=environment(url, port=8000, smtp_port=25))


def test_an_untouched_ledger_verifies_and_replays(url: str) -> None:
    verified, replayed = command(url, "verify"), command(url, "replay")
    assert (verified.exit_code, replayed.exit_code) == (0, 0), verified.output + replayed.output
    assert "entries, the chain is whole. Head: " in verified.output
    assert "exactly what the ledger says" in replayed.output


def test_an_altered_entry_is_named_and_the_exit_code_says_so(url: str) -> None:
    change(url, lambda connection: connection.execute(update(ledger).where(ledger.c.seq == 2).values(act="withdrawn")))
    verified = command(url, "verify")
    assert verified.exit_code == 1
    assert "ledger entry 2" in verified.output


def test_a_table_that_says_more_than_the_ledger_is_found(url: str) -> None:
    change(url, lambda connection: connection.execute(update(consents).values(state="renewed")))
    replayed = command(url, "replay")
    assert replayed.exit_code == 1
    assert "table renewed, ledger given" in replayed.output
    assert "anna@" not in replayed.output
