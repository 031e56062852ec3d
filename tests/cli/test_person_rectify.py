"""`pixel-service person correct` and `new-address`: rectification by a colleague, audited, the address still confirmed (R2)."""

import asyncio
from collections.abc import Mapping

import pytest
from typer.testing import CliRunner, Result

from pixel_service.cli import app
from pixel_service.storage.engine import Database
from tests.builders import BLOG, context, deliver, join
from tests.conftest import NewDatabase
from tests.journeys.service import environment

ANNA, NEW = "anna@example.com", "anna.new@example.com"


@pytest.fixture
def variables(new_sqlite: NewDatabase) -> Mapping[str, str]:
    made = new_sqlite()

    async def agree() -> None:
        database = Database(made)
        ctx = context(database)
        await join(ctx, ANNA, BLOG, first_name="Ana", company="Old Ltd")
        await deliver(ctx)
        await database.close()

    asyncio.run(agree())
    return environment(made, port=8000, smtp_port=25)


def act(variables: Mapping[str, str], *words: str, reason: str = "letter 19") -> Result:
    return CliRunner().invoke(app, ["person", *words, "--reason", reason], env=dict(variables))


def audited(variables: Mapping[str, str]) -> str:
    return CliRunner().invoke(app, ["audit", "list"], env=dict(variables)).stdout


def test_the_details_named_are_corrected_noted_and_audited(variables: Mapping[str, str]) -> None:
    done = act(variables, "correct", ANNA, "--field", "first_name=Anna", "--field", "company=")
    assert (done.exit_code, done.stdout) == (0, "Corrected: company, first_name.\n"), done.output
    again = act(variables, "correct", ANNA, "--field", "first_name=Anna")
    assert (again.exit_code, again.stdout) == (0, "Nothing had to be changed.\n")
    _, line = act(variables, "requests", ANNA).stdout.splitlines()
    assert "rectification" in line
    assert "done " in line
    assert line.endswith("letter 19")
    assert audited(variables).count("correct") == 2
    assert ANNA not in audited(variables)


@pytest.mark.parametrize(
    "field, code, said",
    [
        ("first_name", 2, "NAME=VALUE"),
        ("salutation=dr", 1, "salutation: one of: ms, mr, or empty"),
        ("company=" + "x" * 121, 1, "company: at most 120 characters"),
        ("last_name=A\nBcc: b@example.com", 1, "control characters"),
        ("address=new@example.com", 1, "field: one of salutation"),
    ],
)
def test_what_is_no_detail_is_refused(variables: Mapping[str, str], field: str, code: int, said: str) -> None:
    refused = act(variables, "correct", ANNA, "--field", field)
    assert refused.exit_code == code
    assert said in refused.output


def test_a_new_address_stays_on_the_list_until_it_is_confirmed(variables: Mapping[str, str]) -> None:
    asked = act(variables, "new-address", ANNA, NEW)
    assert asked.exit_code == 0, asked.output
    assert "gets a mail to confirm it" in asked.stdout
    assert act(variables, "new-address", ANNA, NEW).exit_code == 0
    _, line = act(variables, "requests").stdout.splitlines()
    assert "new_address" in line
    assert "open" in line
    assert act(variables, "requests", NEW).exit_code == 1
    assert "new address" in audited(variables)
    assert "@example.com" not in audited(variables)


def test_an_address_that_is_none_or_on_record_is_refused(variables: Mapping[str, str]) -> None:
    refused = act(variables, "new-address", ANNA, "anna@")
    assert (refused.exit_code, refused.stderr.strip()) == (1, "Error: new address: this is not a valid e-mail address")
    refused = act(variables, "new-address", ANNA, ANNA)
    assert (refused.exit_code, refused.stderr.strip()) == (1, "Error: address: this address is on record already")


@pytest.mark.parametrize("words", [("correct", "--field", "phone=1"), ("new-address", NEW)])
def test_nobody_is_corrected_without_a_record_or_a_reason(variables: Mapping[str, str], words: tuple[str, ...]) -> None:
    command, *more = words
    refused = act(variables, command, "nobody@example.com", *more)
    assert (refused.exit_code, refused.stderr.strip()) == (1, "This address is not on record.")
    assert "hash:" in audited(variables)
    assert act(variables, command, ANNA, *more, reason=" ").exit_code == 2
