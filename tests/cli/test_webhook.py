"""`pixel-service webhook`, as an operator types it."""

import asyncio
import os
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner, Result

from pixel_service.cli import app
from pixel_service.domain.tokens import encode_id
from pixel_service.storage.engine import Database
from tests.access import Clock
from tests.builders import BLOG, KEY, context, join
from tests.journeys.test_access_by_command import SETTINGS
from tests.usecases.test_webhooks import ANNA, run

URL = "https://crm.example.com/hooks"


@pytest.fixture(autouse=True)
def settings(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**SETTINGS, "DATABASE_URL": database_url, "SECRET_KEYS": KEY.decode()}.items():
        monkeypatch.setenv(f"PIXEL_{name}", value)


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ("webhook", *arguments))


def _added(url: str = URL) -> str:
    """The id of a new endpoint."""
    assert _run("add", url, "--events", "confirmed", "--events", "erased").exit_code == 0
    return _cells("list")[-1][0]


def _cells(command: str) -> list[list[str]]:
    return [line.split() for line in _run(command).stdout.splitlines()[1:]]


def _one_joins(database_url: str) -> None:
    async def join_and_tell() -> None:
        db = Database(database_url)
        ctx = replace(context(db, Clock(datetime.now(UTC))), ids=lambda: encode_id(os.urandom(16)))
        try:
            await join(ctx, ANNA, BLOG)
            await run(ctx)
        finally:
            await db.close()

    asyncio.run(join_and_tell())


def test_the_secret_is_printed_alone_and_once() -> None:
    made = _run("add", URL, "--events", "confirmed", "--events", "erased")
    assert made.stdout.startswith("whsec_")
    assert made.stdout.count("\n") == 1
    endpoint_id = made.stderr.split()[1].rstrip(".")
    listed = _run("list").stdout
    assert made.stdout.strip() not in listed
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    assert _cells("list") == [[endpoint_id, "enabled", "0", today, "confirmed,erased", URL]]


def test_a_new_secret_is_printed_alone() -> None:
    old = _run("add", URL, "--events", "confirmed").stdout
    rotated = _run("secret", "rotate", _cells("list")[0][0])
    assert rotated.stdout.startswith("whsec_")
    assert rotated.stdout != old
    assert "24 hours" in rotated.stderr


def test_what_waits_is_listed_without_the_address_and_given_up_with_its_endpoint(database_url: str) -> None:
    endpoint_id = _added("http://127.0.0.1:1/")
    _one_joins(database_url)
    assert _cells("list")[0][2] == "1"
    ((webhook_id, endpoint, event, person, _, _, *state),) = _cells("log")
    assert (endpoint, event, len(person), state[:3]) == (endpoint_id, "confirmed", 26, ["waiting", "1", "ConnectError"])
    assert ANNA not in _run("log").stdout
    assert _run("retry", webhook_id).exit_code == 0
    assert _run("disable", endpoint_id).stdout == "Disabled; 1 waiting notices were given up.\n"
    assert _cells("list")[0][1:3] == ["disabled", "0"]
    refused = _run("retry", webhook_id)
    assert (refused.exit_code, refused.stderr) == (1, "Error: id: it is given up, and its content is deleted\n")


@pytest.mark.parametrize(
    "arguments, said",
    [
        (("add", "http://crm.example.com", "--events", "confirmed"), "https:// is needed"),
        (("disable", "nobody"), "no such endpoint"),
        (("secret", "rotate", "nobody"), "no such endpoint"),
        (("retry", "nothing"), "no such notice"),
    ],
)
def test_what_is_not_there_or_not_safe_is_one_line_and_no_traceback(arguments: tuple[str, ...], said: str) -> None:
    refused = _run(*arguments)
    assert refused.exit_code == 1
    assert said in refused.stderr
    assert refused.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [("add", URL), ("add", URL, "--events", "everything"), ("log", "--limit", "0")])
def test_incomplete_and_unknown_options_are_refused(arguments: tuple[str, ...]) -> None:
    assert _run(*arguments).exit_code == 2
