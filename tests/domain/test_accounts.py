"""Bounds of names and passwords, and the spelling of an API key."""

from datetime import UTC, datetime, timedelta

import pytest

from pixel_service.domain.accounts import (
    ApiKey,
    ApiKeyId,
    Credential,
    Scope,
    parse_email,
    parse_key_name,
    parse_password,
    read_credential,
)
from pixel_service.domain.errors import InvalidInput

NOW = datetime(2026, 11, 2, 10, 0, tzinfo=UTC)
ID, SECRET = "a2" * 13, "b7" * 26


def _key(*, expires_at: datetime | None = None, revoked_at: datetime | None = None) -> ApiKey:
    return ApiKey(
        api_key_id=ApiKeyId(ID),
        name="cms",
        scopes=frozenset({Scope.SEND}),
        created_at=NOW,
        expires_at=expires_at,
        revoked_at=revoked_at,
    )


@pytest.mark.parametrize("typed", ["elevenchars", "", "x" * 1025, "aaaaaaaaaaaaaaaa"])
def test_a_short_endless_or_monotonous_password_is_refused_without_being_repeated(typed: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_password(typed)
    assert refused.value.field == "password"
    assert not typed or typed not in refused.value.detail


def test_twelve_characters_of_any_kind_are_a_password() -> None:
    assert parse_password("ein paar   ü") == "ein paar   ü"


def test_one_password_typed_on_two_keyboards_is_one_password() -> None:
    assert parse_password("schl\u00fcssel bund") == parse_password("schlu\u0308ssel bund")


def test_two_spellings_of_an_address_are_one_account() -> None:
    assert parse_email(" Ada@Nordlicht.DE ") == parse_email("ada@nordlicht.de") == "ada@nordlicht.de"


def test_a_user_name_that_is_no_address_is_refused() -> None:
    with pytest.raises(InvalidInput, match="email"):
        parse_email("ada")


@pytest.mark.parametrize("typed", ["", "   ", "x" * 81, "two\nlines"])
def test_a_key_needs_a_short_name_on_one_line(typed: str) -> None:
    with pytest.raises(InvalidInput, match="name"):
        parse_key_name(typed)


def test_a_key_is_read_as_it_was_written() -> None:
    credential = Credential(ApiKeyId(ID), SECRET)
    assert str(credential) == f"pk_{ID}_{SECRET}"
    assert read_credential(str(credential)) == credential


def test_the_representation_of_a_credential_does_not_hold_the_secret() -> None:
    assert SECRET not in repr(Credential(ApiKeyId(ID), SECRET))


@pytest.mark.parametrize(
    "bearer",
    [
        "",
        "pk_",
        f"pk_{ID}",
        f"pk_{ID}_{SECRET}x",
        f"PK_{ID}_{SECRET}",
        f"pk_{ID}_{SECRET.upper()}",
        f"pk_{ID}_{SECRET}\n",
    ],
)
def test_anything_else_is_no_key(bearer: str) -> None:
    assert read_credential(bearer) is None


def test_a_key_is_valid_until_the_moment_it_expires() -> None:
    key = _key(expires_at=NOW + timedelta(days=1))
    assert key.is_valid(NOW + timedelta(days=1) - timedelta(microseconds=1))
    assert not key.is_valid(NOW + timedelta(days=1))


def test_a_key_without_an_end_is_valid_until_it_is_revoked() -> None:
    assert _key().is_valid(NOW + timedelta(days=36500))
    assert not _key(revoked_at=NOW).is_valid(NOW)
