"""The operator's commands for accounts and keys, as typed: `pixel-service user ...` and `pixel-service key ...`."""

import asyncio
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner, Result

from pixel_service.cli import app
from pixel_service.domain.accounts import Role, Scope
from pixel_service.storage.engine import Database
from pixel_service.usecases.accounts import LoggedIn, WrongCredentials, log_in, session_of
from pixel_service.usecases.api_keys import authenticate
from tests.access import Clock, context_of

ADA, PASSWORD = "ada@nordlicht.de", "correct horse battery"

SETTINGS = {
    "BASE_URL": "https://news.example",
    "SECRET_KEYS": "a-key-of-the-tests-of-32-characters",
    "FROM_NAME": "Nordlicht",
    "FROM_ADDRESS": "news@nordlicht.de",
    "UNSUBSCRIBE_ADDRESS": "stop@nordlicht.de",
    "MAIL_DOMAIN": "news.example",
    "COMPANY_NAME": "Nordlicht Telekom GmbH",
    "COMPANY_STREET": "Speicherstraße 12",
    "COMPANY_POSTAL_CODE": "20457",
    "COMPANY_CITY": "Hamburg",
    "COMPANY_COUNTRY": "Deutschland",
    "COMPANY_MANAGING_DIRECTORS": "Jens Brandt",
    "COMPANY_REGISTER_ENTRY": "Amtsgericht Hamburg, HRB 123456",
    "COMPANY_EMAIL": "info@nordlicht.de",
    "COMPANY_PHONE": "+49 40 1234567",
    "COMPANY_PRIVACY_EMAIL": "datenschutz@nordlicht.de",
    "COMPANY_DATA_PROTECTION_OFFICER": "Mara Lindt",
    "COMPANY_SUPERVISORY_AUTHORITY": "HmbBfDI",
}


@pytest.fixture(autouse=True)
def settings(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**SETTINGS, "DATABASE_URL": database_url}.items():
        monkeypatch.setenv(f"PIXEL_{name}", value)


def _run(*arguments: str, typed: str = "") -> Result:
    return CliRunner().invoke(app, arguments, input=typed)


def _ask(database_url: str, arguments: tuple[str, str]) -> Role | None:
    """The role in which these credentials log in, on the database the commands wrote to."""

    async def ask() -> Role | None:
        ctx = context_of(Database(database_url), Clock(datetime.now(UTC)))
        try:
            match await log_in(ctx, *arguments):
                case LoggedIn(session=session):
                    user = await session_of(ctx, session)
                    return user.role if user else None
                case outcome:
                    assert outcome == WrongCredentials()
                    return None
        finally:
            await ctx.db.close()

    return asyncio.run(ask())


def test_the_first_admin_is_made_at_a_prompt(database_url: str) -> None:
    made = _run("user", "create", "--email", ADA, "--role", "admin", typed=f"{PASSWORD}\n{PASSWORD}\n")
    assert made.exit_code == 0, made.output
    assert PASSWORD not in made.output
    assert _ask(database_url, (ADA, PASSWORD)) is Role.ADMIN


def test_there_is_no_account_before_one_was_made(database_url: str) -> None:
    assert _run("user", "list").output.split() == ["EMAIL", "ROLE", "CREATED", "STATE"]
    assert _ask(database_url, ("admin@nordlicht.de", "admin")) is None


def test_a_script_hands_the_password_over_by_stdin(database_url: str) -> None:
    assert _run("user", "create", "--email", ADA, "--password-stdin", typed=f"{PASSWORD}\n").exit_code == 0
    assert _ask(database_url, (ADA, PASSWORD)) is Role.VIEWER


@pytest.mark.parametrize("typed", ["short\n", ""])
def test_a_weak_or_missing_password_makes_no_account(typed: str) -> None:
    refused = _run("user", "create", "--email", ADA, "--password-stdin", typed=typed)
    assert (refused.exit_code, refused.stderr) == (1, "Error: password: at least 12 characters\n")
    assert ADA not in _run("user", "list").output


def test_a_user_is_disabled_enabled_and_given_a_new_password(database_url: str) -> None:
    _run("user", "create", "--email", ADA, "--password-stdin", typed=PASSWORD)
    assert _run("user", "disable", "--email", ADA).exit_code == 0
    assert "disabled" in _run("user", "list").output
    assert _ask(database_url, (ADA, PASSWORD)) is None
    assert _run("user", "enable", "--email", ADA).exit_code == 0
    assert _run("user", "password", "--email", ADA, "--password-stdin", typed="another long one").exit_code == 0
    assert _ask(database_url, (ADA, PASSWORD)) is None
    assert _ask(database_url, (ADA, "another long one")) is Role.VIEWER
    assert _run("user", "logout", "--email", ADA).output == "1 sessions have ended.\n"


def test_an_unknown_user_is_an_error_and_not_a_traceback() -> None:
    refused = _run("user", "disable", "--email", ADA)
    assert (refused.exit_code, refused.stderr) == (1, "Error: no such user\n")


def test_a_key_is_printed_alone_and_once_and_works_until_revoked(database_url: str) -> None:
    made = _run("key", "create", "--name", "cms", "--scope", "send", "--scope", "report", "--expires-days", "30")
    bearer = made.stdout.strip()
    assert bearer.startswith("pk_")
    assert _scopes(database_url, bearer) == {Scope.SEND, Scope.REPORT}
    listed = _run("key", "list").output
    assert "cms" in listed
    assert "valid" in listed
    assert bearer.rpartition("_")[2] not in listed
    assert _run("key", "revoke", "--name", "cms").exit_code == 0
    assert "revoked" in _run("key", "list").output
    assert _scopes(database_url, bearer) == set()


def _scopes(database_url: str, bearer: str) -> set[Scope]:
    async def ask() -> set[Scope]:
        ctx = context_of(Database(database_url), Clock(datetime.now(UTC)))
        try:
            key = await authenticate(ctx, bearer)
            return set(key.scopes) if key else set()
        finally:
            await ctx.db.close()

    return asyncio.run(ask())


@pytest.mark.parametrize(
    "arguments",
    [
        ("key", "create", "--name", "cms"),
        ("key", "create", "--name", "cms", "--scope", "everything"),
        ("key", "create", "--name", "cms", "--scope", "send", "--expires-days", "0"),
        ("user", "create", "--role", "admin"),
        ("user", "create", "--email", ADA, "--role", "god"),
        ("user", "create", "--email", ADA, "--password", PASSWORD),
    ],
)
def test_incomplete_and_unknown_options_are_refused(arguments: tuple[str, ...]) -> None:
    assert _run(*arguments).exit_code == 2
