"""`pixel-service person show`: the reading of the person's page, for a colleague who answers a letter (R1, A1)."""

import asyncio
import json
from collections.abc import Mapping

import pytest
from typer.testing import CliRunner, Result

from pixel_service.cli import app
from pixel_service.storage.engine import Database
from tests.builders import context
from tests.conftest import NewDatabase
from tests.journeys.service import environment
from tests.own_data import ADA, everything

SHOW = ("person", "show", ADA, "--reason", "letter 4")


@pytest.fixture
def variables(new_sqlite: NewDatabase) -> Mapping[str, str]:
    made = new_sqlite()

    async def live() -> None:
        database = Database(made)
        await everything(context(database))
        await database.close()

    asyncio.run(live())
    return environment(made, port=8000, smtp_port=25)


def run(variables: Mapping[str, str], *words: str) -> Result:
    return CliRunner().invoke(app, list(words), env=dict(variables))


def test_the_text_is_ready_for_a_letter(variables: Mapping[str, str]) -> None:
    shown = run(variables, *SHOW, "--lang", "en")
    assert shown.exit_code == 0, shown.output
    assert shown.stdout.startswith(f"What we hold about {ADA}\n")
    assert "Neues im November" in shown.stdout
    assert "Bobby" not in shown.stdout
    assert run(variables, *SHOW).stdout.startswith("Was wir über")


def test_the_data_is_every_stored_row(variables: Mapping[str, str]) -> None:
    told = json.loads(run(variables, *SHOW, "--json").stdout)
    assert told["about"]["address"] == ADA
    assert len(told["data"]["opens"]) == 2


def test_a_look_is_on_record_and_an_unknown_address_is_an_error(variables: Mapping[str, str]) -> None:
    run(variables, *SHOW)
    unknown = run(variables, "person", "show", "nobody@example.com", "--reason", "letter 5")
    assert unknown.exit_code == 1
    assert "not on record" in unknown.stderr
    listed = run(variables, "audit", "list").stdout
    assert "letter 4" in listed
    assert "letter 5" in listed
