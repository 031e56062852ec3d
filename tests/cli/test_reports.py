"""`pixel-service reports check`: what an operator runs to know that figures are right."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from sqlalchemy import update
from typer.testing import CliRunner, Result

from pixel_service.cli import app
from pixel_service.storage.engine import Connection, Database
from pixel_service.storage.recording import store
from pixel_service.storage.schema import campaign_figures, message_opens
from tests.conftest import NewDatabase
from tests.journeys.service import environment
from tests.tracked_mail import add_campaign, add_mail, add_person, fetch

Change = Callable[[Connection], Coroutine[Any, Any, object]]


def change(url: str, how: Change) -> None:
    async def apply() -> None:
        database = Database(url)
        async with database.write() as connection:
            await how(connection)
        await database.close()

    asyncio.run(apply())


async def one_open(connection: Connection) -> None:
    """Of a mail whose acceptance is not recorded, so that the open alone makes every figure."""
    campaign_id = await add_campaign(connection)
    mail = await add_mail(connection, await add_person(connection), campaign_id=campaign_id, sent_at=None)
    await store(connection, [fetch(mail.pixel_id)])


@pytest.fixture
def url(new_sqlite: NewDatabase) -> str:
    made = new_sqlite()
    change(made, one_open)
    return made


def check(url: str, *words: str) -> Result:
    return CliRunner().invoke(app, ["reports", "check", *words], env=environment(url, port=8000, smtp_port=25))


def test_figures_that_are_right_are_said_to_be(url: str) -> None:
    checked = check(url)
    assert checked.exit_code == 0, checked.output
    assert checked.output == "The figures are exactly what the rows say.\n"


def test_every_difference_is_printed_and_repaired_when_asked(url: str) -> None:
    change(url, lambda connection: connection.execute(update(message_opens).values(standing="human")))
    of_opens = update(campaign_figures).where(campaign_figures.c.kind == "verdict")
    change(url, lambda connection: connection.execute(of_opens.values(amount=5)))
    checked = check(url)
    assert checked.exit_code == 1
    assert "known human, rows: 1, sessions: 0; rows machine, rows: 1, sessions: 0" in checked.output
    assert "verdict prefetch/early/Gmail: figure 5, rows 1\n" in checked.output
    repaired = check(url, "--repair")
    assert repaired.exit_code == 1
    assert "differences, repaired." in repaired.output
    assert check(url).exit_code == 0


def test_a_difference_in_an_hour_names_it(url: str) -> None:
    of_hours = update(campaign_figures).where(campaign_figures.c.kind == "opens")
    change(url, lambda connection: connection.execute(of_hours.values(amount=5)))
    assert "opens machine at hour " in check(url).output


def test_what_is_known_of_a_message_without_rows_is_told(url: str) -> None:
    async def lose(connection: Connection) -> None:
        await connection.exec_driver_sql("DELETE FROM opens")

    change(url, lose)
    assert "rows nothing\n" in check(url).output
