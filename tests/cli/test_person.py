"""`pixel-service person`: what a colleague does for somebody who wrote a letter."""

import asyncio
import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing

import pytest
from typer.testing import CliRunner, Result

from pixel_service.cli import app
from pixel_service.storage.engine import Database
from tests.builders import BLOG, OPENS, context, deliver, join
from tests.conftest import NewDatabase
from tests.journeys.service import environment

ANNA = "anna@example.com"
ERASE = ("person", "erase", "anna@example.com", "--reason", "letter 17")


@pytest.fixture
def variables(new_sqlite: NewDatabase) -> Mapping[str, str]:
    """One person who agreed to two things."""
    made = new_sqlite()

    async def agree() -> None:
        database = Database(made)
        ctx = context(database)
        await join(ctx, "anna@example.com", BLOG, OPENS)
        await deliver(ctx)
        await database.close()

    asyncio.run(agree())
    return environment(made, port=8000, smtp_port=25)


def run(variables: Mapping[str, str], *words: str, typed: str = "") -> Result:
    return CliRunner().invoke(app, list(words), env=dict(variables), input=typed)


# --- erase ------------------------------------------------------------------------------------------------------------


def test_who_types_the_address_once_more_erases_and_is_told_in_rows_what_went(variables: Mapping[str, str]) -> None:
    done = run(variables, *ERASE, typed="anna@example.com\n")
    assert done.exit_code == 0, done.output
    told = dict(line.split() for line in done.stdout.splitlines() if len(line.split()) == 2)
    assert told.items() >= {"subscribers": "1", "sign_ups": "1", "consents": "2"}.items()
    assert "0" not in told.values()
    assert "The proof of consent stays sealed until 2029-12-31." in done.stdout
    assert "the chain is whole" in run(variables, "ledger", "verify").stdout
    assert "exactly what the ledger says" in run(variables, "ledger", "replay").stdout


@pytest.mark.parametrize("typed", ["", "\n", "ANNA@example.com\n", "bo@example.com\n"])
def test_whoever_types_something_else_erases_nothing(variables: Mapping[str, str], typed: str) -> None:
    assert run(variables, *ERASE, typed=typed).exit_code == 1
    assert '"sealed_since": null' in run(variables, "evidence", "anna@example.com", "--reason", "x", "--json").stdout


def test_a_script_says_yes_and_the_sealed_proof_opens_afterwards(variables: Mapping[str, str]) -> None:
    assert run(variables, *ERASE, "--yes").exit_code == 0
    shown = run(variables, "evidence", "anna@example.com", "--reason", "claim 4", "--lang", "en")
    assert shown.exit_code == 0, shown.output
    assert "Sealed since:" in shown.stdout
    listed = run(variables, "audit", "list").stdout
    assert "letter 17" in listed
    assert "claim 4" in listed
    assert "@example.com" not in listed


def test_a_seal_that_was_altered_is_an_error_after_what_can_still_be_shown(variables: Mapping[str, str]) -> None:
    run(variables, *ERASE, "--yes")
    file = variables["PIXEL_DATABASE_URL"].removeprefix("sqlite:///")
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("UPDATE sealed_evidence SET ends_at = '2099-01-01 00:00:00.000000'")
    shown = run(variables, "evidence", "anna@example.com", "--reason", "claim 4", "--lang", "en")
    assert (shown.exit_code, "sealed evidence does not open" in shown.stderr) == (1, True)
    assert "Sealed since:" in shown.stdout


def test_a_second_time_and_a_stranger_are_not_on_record_and_the_try_is_audited(variables: Mapping[str, str]) -> None:
    run(variables, *ERASE, "--yes")
    again = run(variables, *ERASE, "--yes")
    assert (again.exit_code, again.stderr) == (1, "This address is not on record.\n")
    assert "hash:" in run(variables, "audit", "list").stdout.splitlines()[1]


def test_no_erasure_without_a_reason_or_with_an_address_that_is_none(variables: Mapping[str, str]) -> None:
    assert run(variables, *ERASE[:3], "--reason", " ", "--yes").exit_code == 2
    named = run(variables, *ERASE[:3], "--reason", "letter of bo@example.com", "--yes")
    assert (named.exit_code, "name no address here" in named.stderr, "--reason" in named.stderr) == (2, True, True)
    refused = run(variables, "person", "erase", "anna", "--reason", "letter 17", "--yes")
    assert (refused.exit_code, refused.stderr.strip()) == (1, "Error: address: this is not a valid e-mail address")
    assert len(run(variables, "audit", "list").stdout.splitlines()) == 1


# --- the other rights ---------------------------------------------------------------------------------------------------


def act(variables: Mapping[str, str], *words: str) -> Result:
    return run(variables, "person", *words, "--reason", "letter 18")


@pytest.mark.parametrize(
    "command,state",
    [("restrict", "restricted"), ("object", "objected"), ("withdraw", "withdrawn"), ("delete-opens", "given")],
)
def test_a_right_is_carried_out_audited_and_noted_as_done(
    variables: Mapping[str, str], command: str, state: str
) -> None:
    done = act(variables, command, ANNA)
    assert done.exit_code == 0, done.output
    assert f"choices changed  {0 if command == 'delete-opens' else 2}" in done.stdout
    told = json.loads(run(variables, "evidence", ANNA, "--reason", "x", "--json").stdout)
    assert {one["state"] for one in told["purposes"]} == {state}
    noted = act(variables, "requests", ANNA).stdout.splitlines()
    assert len(noted) == 2
    assert "done " in noted[1]
    assert noted[1].endswith("letter 18")
    audited = run(variables, "audit", "list").stdout
    assert command.replace("-", "_") in audited
    assert ANNA not in audited


def test_stopping_the_measuring_ends_nothing_else(variables: Mapping[str, str]) -> None:
    done = act(variables, "stop-measuring", ANNA)
    assert done.exit_code == 0, done.output
    assert "choices changed  1" in done.stdout
    told = json.loads(run(variables, "evidence", ANNA, "--reason", "x", "--json").stdout)
    assert {one["purpose"]: one["state"] for one in told["purposes"]} == {BLOG: "given", OPENS: "withdrawn"}
    (_, noted) = act(variables, "requests", ANNA).stdout.splitlines()
    assert ("withdrawal" in noted, "done " in noted, noted.endswith("letter 18")) == (True, True, True)
    assert "stop_measuring" in run(variables, "audit", "list").stdout


def test_a_restriction_is_lifted(variables: Mapping[str, str]) -> None:
    act(variables, "restrict", ANNA)
    lifted = act(variables, "lift", ANNA)
    assert lifted.exit_code == 0, lifted.output
    told = json.loads(run(variables, "evidence", ANNA, "--reason", "x", "--json").stdout)
    assert [one["consent_stands"] for one in told["purposes"]] == [True, True]


def test_a_letter_is_listed_with_its_month_until_it_is_closed(variables: Mapping[str, str]) -> None:
    noted = act(variables, "note", ANNA, "access", "--received", "2026-01-31")
    assert noted.exit_code == 0, noted.output
    (_, line) = act(variables, "requests").stdout.splitlines()
    assert "access" in line
    assert "2026-02-28  open" in line
    closed = act(variables, "close", line.split()[0])
    assert closed.exit_code == 0, closed.output
    assert len(act(variables, "requests").stdout.splitlines()) == 1
    assert act(variables, "close", line.split()[0]).exit_code == 1
    assert "done" in act(variables, "requests", ANNA).stdout
    assert "request closed" in run(variables, "audit", "list").stdout


def test_a_letter_of_tomorrow_is_refused(variables: Mapping[str, str]) -> None:
    refused = act(variables, "note", ANNA, "access", "--received", "2126-01-31")
    assert (refused.exit_code, refused.stderr.strip()) == (1, "Error: received: a day that has come")


@pytest.mark.parametrize(
    "command", ["restrict", "lift", "object", "withdraw", "stop-measuring", "delete-opens", "requests"]
)
def test_an_address_that_is_not_on_record_is_told_and_the_look_is_audited(
    variables: Mapping[str, str], command: str
) -> None:
    refused = act(variables, command, "nobody@example.com")
    assert (refused.exit_code, refused.stderr.strip()) == (1, "This address is not on record.")
    listed = run(variables, "audit", "list").stdout
    assert "hash:" in listed
    assert "nobody@" not in listed


@pytest.mark.parametrize(
    "command", ["restrict", "lift", "object", "withdraw", "stop-measuring", "delete-opens", "requests"]
)
def test_no_right_without_a_reason(variables: Mapping[str, str], command: str) -> None:
    assert run(variables, "person", command, ANNA, "--reason", " ").exit_code == 2
    assert run(variables, "person", command, ANNA).exit_code == 2
