"""Tokens: opaque, purpose-bound, expiring, one spelling, and no use to anybody without the key."""

import string
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, strategies as st

from pixel_service.domain.messages import PixelId
from pixel_service.domain.tokens import MAX_LENGTH, Link, Read, Tokens, encode_id, id_bytes

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
KEY, OLD_KEY = b"k" * 32, b"o" * 32
SUBJECT = encode_id(bytes(range(16)))


@pytest.fixture
def tokens() -> Tokens:
    return Tokens([KEY])


@pytest.mark.parametrize("link", Link)
def test_a_token_reads_back_under_its_own_purpose_only(tokens: Tokens, link: Link) -> None:
    token = tokens.mint(link, SUBJECT, expires_at=NOW + timedelta(days=1))
    assert tokens.read(link, token, now=NOW) == Read(SUBJECT, expired=False)
    assert [other for other in Link if tokens.read(other, token, now=NOW)] == [link]


def test_an_expired_token_still_says_who_it_was_for(tokens: Tokens) -> None:
    token = tokens.mint(Link.CONFIRM, SUBJECT, expires_at=NOW)
    assert tokens.read(Link.CONFIRM, token, now=NOW - timedelta(seconds=1)) == Read(SUBJECT, expired=False)
    assert tokens.read(Link.CONFIRM, token, now=NOW) == Read(SUBJECT, expired=True)


def test_a_withdrawal_link_never_expires(tokens: Tokens) -> None:
    token = tokens.mint(Link.UNSUBSCRIBE, SUBJECT)
    assert tokens.read(Link.UNSUBSCRIBE, token, now=NOW + timedelta(days=36500)) == Read(SUBJECT, expired=False)


def test_tokens_are_lower_case_base32_and_show_no_subject(tokens: Tokens) -> None:
    minted = [tokens.mint(link, SUBJECT) for link in Link] + [tokens.mint_pixel(PixelId(SUBJECT))]
    for token in minted[:-1]:
        assert set(token) <= set(string.ascii_lowercase + "234567")
        assert SUBJECT[:8] not in token
    assert len({token[:10] for token in minted}) == len(minted)
    assert max(map(len, minted)) <= MAX_LENGTH


def test_a_rotated_key_still_reads_and_no_longer_mints(tokens: Tokens) -> None:
    old = Tokens([OLD_KEY])
    both = Tokens([KEY, OLD_KEY])
    link, pixel = old.mint(Link.CONFIRM, SUBJECT), old.mint_pixel(PixelId(SUBJECT))
    assert both.read(Link.CONFIRM, link, now=NOW) == Read(SUBJECT, expired=False)
    assert both.read_pixel(pixel) == SUBJECT
    assert tokens.read(Link.CONFIRM, link, now=NOW) is None
    assert tokens.read_pixel(pixel) is None
    assert both.mint_pixel(PixelId(SUBJECT)) == tokens.mint_pixel(PixelId(SUBJECT))


@pytest.mark.parametrize("mark", [".", ")", ">"])
def test_one_trailing_mark_a_mail_client_linkified_is_forgiven(tokens: Tokens, mark: str) -> None:
    assert tokens.read(Link.CONFIRM, tokens.mint(Link.CONFIRM, SUBJECT) + mark, now=NOW)
    assert tokens.read_pixel(tokens.mint_pixel(PixelId(SUBJECT)) + mark) == SUBJECT
    assert tokens.read_pixel(tokens.mint_pixel(PixelId(SUBJECT)) + mark * 2) is None


@given(position=st.integers(min_value=0, max_value=41), letter=st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"))
def test_a_pixel_token_with_one_changed_letter_is_forged(position: int, letter: str) -> None:
    tokens = Tokens([KEY])
    token = tokens.mint_pixel(PixelId(SUBJECT))
    changed = token[:position] + letter + token[position + 1 :]
    assert (tokens.read_pixel(changed) is None) == (changed != token)


@given(st.text(max_size=400))
def test_garbage_is_never_an_error(garbage: str) -> None:
    tokens = Tokens([KEY])
    assert tokens.read_pixel(garbage) is None
    assert all(tokens.read(link, garbage, now=NOW) is None for link in Link)


def test_an_upper_case_copy_is_another_spelling_and_not_read(tokens: Tokens) -> None:
    assert tokens.read_pixel(tokens.mint_pixel(PixelId(SUBJECT)).upper()) is None


def test_a_code_is_six_digits_of_one_subject_and_one_key(tokens: Tokens) -> None:
    subjects = [encode_id(bytes([number] * 16)) for number in range(50)]
    codes = [tokens.code(subject) for subject in subjects]
    assert all(len(code) == 6 and code.isascii() and code.isdigit() for code in codes)
    assert len(set(codes)) >= 49
    assert codes != [Tokens([OLD_KEY]).code(subject) for subject in subjects]
    assert tokens.code(SUBJECT) == tokens.code(SUBJECT)


def test_a_code_is_taken_as_people_type_it_and_after_a_rotation_of_keys(tokens: Tokens) -> None:
    code = tokens.code(SUBJECT)
    assert tokens.is_code(SUBJECT, code)
    assert tokens.is_code(SUBJECT, f" {code[:3]} {code[3:]} ")
    assert Tokens([OLD_KEY, KEY]).is_code(SUBJECT, code)
    assert not Tokens([OLD_KEY]).is_code(SUBJECT, code)
    wrong = f"{(int(code) + 1) % 1_000_000:06}"
    assert [
        typed
        for typed in ("", wrong, code[:5], code + "0", "１２３４５６", "x" * 9000)
        if tokens.is_code(SUBJECT, typed)
    ] == []


@pytest.mark.parametrize("keys", [[], [b"short"], [KEY, b"short"]])
def test_keys_must_be_long_enough(keys: list[bytes]) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Tokens(keys)


def test_ids_read_back_and_others_are_refused() -> None:
    assert id_bytes(SUBJECT) == bytes(range(16))
    with pytest.raises(ValueError, match="not an id"):
        id_bytes("abc")
