"""What may be typed into a sign-up form."""

from datetime import UTC, datetime, timedelta

import pytest

from pixel_service.domain.address import parse_address
from pixel_service.domain.consent import TRACKING_OPENS, newsletter
from pixel_service.domain.errors import InvalidFields, InvalidInput
from pixel_service.domain.messages import RetryPolicy, SignUpId, SubscriberId
from pixel_service.domain.signup import FIELD_LIMITS, AskedPurpose, PendingSignUp, Profile, parse_profile


@pytest.mark.parametrize(
    "typed, normalised, key",
    [
        ("anna@example.com", "anna@example.com", "anna@example.com"),
        ("  Anna@EXAMPLE.com ", "Anna@example.com", "anna@example.com"),
        ("anna@bücher.example.com", "anna@bücher.example.com", "anna@xn--bcher-kva.example.com"),
        ("anna@xn--bcher-kva.example.com", "anna@bücher.example.com", "anna@xn--bcher-kva.example.com"),
        ("a+b@example.com", "a+b@example.com", "a+b@example.com"),
    ],
)
def test_two_spellings_of_an_address_are_one_person(typed: str, normalised: str, key: str) -> None:
    address = parse_address(typed)
    assert (address.normalised, address.key) == (normalised, key)


@pytest.mark.parametrize(
    "typed",
    ["", "   ", "anna", "anna@", "@example.com", "anna@example", "a b@example.com", "anna@example.com\r\nBcc: x@y.de",
     "anna@@example.com", "x" * 65 + "@example.com", "anna@" + "a" * 250 + ".de", "<anna@example.com>"],
)  # fmt: skip
def test_a_bad_address_is_refused_without_being_repeated(typed: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_address(typed, field="recipients[3].address")
    assert refused.value.field == "recipients[3].address"
    assert typed.strip() == "" or typed.strip() not in str(refused.value)


def test_an_address_does_not_print_itself() -> None:
    assert "anna" not in f"{parse_address('anna@example.com')!r} {parse_address('anna@example.com')}"


def test_only_what_was_entered_is_given() -> None:
    profile = parse_profile({"first_name": " Anna ", "last_name": "", "unknown": "x"})
    assert profile == Profile(first_name="Anna")
    assert profile.given() == {"first_name": "Anna"}


def test_every_bad_field_is_named_at_once() -> None:
    with pytest.raises(InvalidFields) as refused:
        parse_profile({"salutation": "Dr.", "first_name": "A\r\nBcc: x@y.de", "company": "x" * 121, "last_name": "Ok"})
    assert [problem.field for problem in refused.value.problems] == ["salutation", "first_name", "company"]
    assert str(refused.value).count(";") == 2


@pytest.mark.parametrize("name", sorted(set(FIELD_LIMITS) - {"salutation"}))
def test_a_field_may_be_as_long_as_its_limit_and_no_longer(name: str) -> None:
    assert parse_profile({name: "x" * FIELD_LIMITS[name]}).given() == {name: "x" * FIELD_LIMITS[name]}
    with pytest.raises(InvalidFields):
        parse_profile({name: "x" * (FIELD_LIMITS[name] + 1)})


@pytest.mark.parametrize("mark", ["\n", "\r", "\x00", "\x7f", "\u2028", "\u202e", "\x85"])
def test_control_characters_are_never_part_of_a_name(mark: str) -> None:
    with pytest.raises(InvalidFields):
        parse_profile({"last_name": f"Mei{mark}er"})


def test_only_unanswered_purposes_wait() -> None:
    def asked(purpose: str, answer: str | None) -> AskedPurpose:
        return AskedPurpose(
            purpose=newsletter(purpose), wording_version="2026-11", wording_hash="0" * 64, answer=answer
        )

    now = datetime(2026, 11, 22, tzinfo=UTC)
    pending = PendingSignUp(
        sign_up_id=SignUpId("s"),
        subscriber_id=SubscriberId("p"),
        language="de",
        created_at=now,
        expires_at=now + timedelta(days=7),
        confirmed_at=None,
        profile=Profile(),
        asked=(asked("a", None), asked("b", "cancelled")),
    )
    assert [one.purpose for one in pending.waiting()] == [newsletter("a")]
    assert TRACKING_OPENS not in {one.purpose for one in pending.asked}


def test_retries_back_off_and_end() -> None:
    policy = RetryPolicy(first=timedelta(minutes=1), longest=timedelta(minutes=5), attempts=5)
    delays = [policy.next_delay(made) for made in range(1, 6)]
    assert delays == [timedelta(minutes=minutes) for minutes in (1, 2, 4, 5)] + [None]


def test_domains_that_differ_by_a_sharp_s_are_two_people() -> None:
    assert parse_address("a@straße.example.com").key != parse_address("a@strasse.example.com").key
