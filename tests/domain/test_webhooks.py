"""The form of a notice, its signature, what is stored of it, its retries, and where it may go (R11)."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from pixel_service.domain.consent import Purpose
from pixel_service.domain.errors import InvalidInput
from pixel_service.domain.messages import SubscriberId
from pixel_service.domain.webhooks import (
    PAUSES,
    Answer,
    Notice,
    Sealer,
    WebhookEvent,
    WebhookId,
    body_of,
    judge_status,
    next_pause,
    parse_endpoint_url,
    say_secret,
    signed_headers,
)

NOW = datetime(2026, 11, 22, 12, 0, 0, 344522, tzinfo=UTC)
ONE = WebhookId("aaaaaaaaaaaaaaaaaaaaaaaaba")


def test_a_body_names_type_time_and_person() -> None:
    berlin = timezone(timedelta(hours=1))
    notice = Notice(
        event=WebhookEvent.WITHDRAWN,
        subscriber_id=SubscriberId("p"),
        address="jörg@example.com",
        purposes=(Purpose("newsletter:blog"),),
        at=NOW.astimezone(berlin),
    )
    assert json.loads(body_of(notice)) == {
        "type": "subscriber.withdrawn",
        "timestamp": "2026-11-22T12:00:00.344522Z",
        "data": {"subscriber_id": "p", "address": "jörg@example.com", "purposes": ["newsletter:blog"]},
    }
    assert b" " not in body_of(notice)


def test_details_stand_beside_the_address() -> None:
    notice = Notice(
        event=WebhookEvent.RECTIFIED,
        subscriber_id=SubscriberId("p"),
        address="new@example.com",
        purposes=(),
        at=NOW,
        details={"previous_address": "old@example.com"},
    )
    assert json.loads(body_of(notice))["data"]["previous_address"] == "old@example.com"


def test_the_signature_is_the_one_of_the_reference_implementation() -> None:
    """The example of the libraries of Standard Webhooks."""
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    at = datetime.fromtimestamp(1614265330, UTC)
    headers = signed_headers([secret], WebhookId("msg_p5jXN8AQM9LWM0D4loKWxJek"), at, b'{"test": 2432232314}')
    assert headers == {
        "content-type": "application/json",
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    assert say_secret(secret) == "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_while_a_secret_is_rotated_both_sign() -> None:
    headers = signed_headers([b"new", b"old"], ONE, NOW, b"{}")
    content = f"{ONE}.{int(NOW.timestamp())}.{{}}".encode()
    signatures = [base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()) for key in (b"new", b"old")]
    assert headers["webhook-signature"] == " ".join(f"v1,{one.decode()}" for one in signatures)


# --- at rest ----------------------------------------------------------------


def test_what_is_sealed_opens_only_for_what_it_belongs_to_and_under_every_key() -> None:
    old, new = b"o" * 64, b"n" * 64
    sealed = Sealer([old]).seal(b"anna@example.com", ONE)
    assert b"anna" not in sealed
    assert Sealer([new, old]).open(sealed, ONE) == b"anna@example.com"
    assert Sealer([new, old]).open(sealed, "another") is None
    assert Sealer([new]).open(sealed, ONE) is None
    assert Sealer([new]).open(Sealer([new, old]).seal(b"x", ONE), ONE) == b"x"


# --- answers and retries ----------------------------------------------------


@pytest.mark.parametrize(
    "code, answer",
    [
        (200, Answer.TAKEN),
        (204, Answer.TAKEN),
        (299, Answer.TAKEN),
        (301, Answer.FAILED),
        (400, Answer.FAILED),
        (404, Answer.FAILED),
        (410, Answer.GONE),
        (429, Answer.FAILED),
        (503, Answer.FAILED),
    ],
)
def test_only_success_counts_and_only_gone_ends_it(code: int, answer: Answer) -> None:
    assert judge_status(code) is answer


def test_ten_tries_span_more_than_three_days_and_less_than_four() -> None:
    pauses = [next_pause(tries, ONE) for tries in range(1, 11)]
    assert pauses[-1] is None
    taken = sum((one for one in pauses if one), timedelta())
    assert timedelta(days=3) < sum(PAUSES, timedelta()) <= taken < timedelta(days=4)


def test_what_failed_together_does_not_come_back_together() -> None:
    pauses = {next_pause(3, WebhookId(str(number))) for number in range(200)}
    assert len(pauses) > 50
    assert all(one is not None and timedelta(minutes=30) <= one <= timedelta(minutes=33) for one in pauses)


@pytest.mark.parametrize(
    "asked, least, most",
    [
        ("120", 120, 120),
        ("1", 5, 6),
        ("999999", 3600, 3600),
        ("9" * 40, 5, 6),
        ("-5", 5, 6),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 5, 6),
        ("", 5, 6),
    ],
)
def test_an_endpoint_may_ask_for_a_longer_pause_within_bounds(asked: str, least: int, most: int) -> None:
    pause = next_pause(1, ONE, asked)
    assert pause is not None
    assert least <= pause.total_seconds() <= most


# --- endpoints --------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "https://crm.example.com/hooks/pixel?tenant=7",
        "https://crm.example.com:8443/",
        "https://10.0.0.7/hook",
        "https://[2001:db8::1]/hook",
        "http://localhost:8000/hook",
        "http://127.0.0.1:8000/hook",
        "http://[::1]/hook",
    ],
)
def test_https_anywhere_and_plain_http_to_this_machine(url: str) -> None:
    assert parse_endpoint_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "http://crm.example.com/hook",
        "http://10.0.0.7/hook",
        "http://localhost.example.com/hook",
        "ftp://crm.example.com/",
        "crm.example.com/hook",
        "https://",
        "https:///hook",
        "https://user:secret@crm.example.com/",
        "https://@crm.example.com/",
        "https://crm.example.com/#part",
        "https://crm.example.com/a b",
        "https://crm.example.com/\r\nx",
        "https://crm..example.com/",
        "https://-crm.example.com/",
        "https://crm.example.com:99999/",
        "https://[::1/",
        "https://crm.exämple.com/",
        "https://crm.example.com/" + "a" * 500,
        "https://" + "a" * 64 + ".example.com/",
        "",
    ],
)
def test_what_is_no_safe_address_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match="url"):
        parse_endpoint_url(url)
