"""What processors are told when a person says something, and how they know that it is us (R11, Art. 19 GDPR).

The form is that of Standard Webhooks 1.0: a JSON body, an id that stays the same however often it is sent, the time of the try,
and HMAC-SHA-256 signatures over all three. Not here: who is told (storage) and the sending (usecases).
"""

import base64
import hashlib
import hmac
import ipaddress
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NewType
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from pixel_service.domain.consent import Purpose, State
from pixel_service.domain.errors import InvalidInput
from pixel_service.domain.messages import SubscriberId

WebhookId = NewType("WebhookId", str)
EndpointId = NewType("EndpointId", str)

#: One try, from connecting to the status of the answer; the specification asks for 15 to 30 seconds.
TIMEOUT = timedelta(seconds=20)
#: How long a worker may hold notices before others take them over.
LEASE = timedelta(minutes=2)
#: An old secret goes on signing for so long after a new one was made.
ROTATION = timedelta(hours=24)
#: Pauses between tries: ten tries, 3 days and 4 hours in all, as the specification proposes.
PAUSES = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
#: An endpoint may ask for a longer pause (Retry-After), but not for ever: its notices hold an address.
LONGEST_ASKED_PAUSE = timedelta(hours=1)
#: So many parts of a pause are added to it at most, so that what failed together does not come back together.
_SPREAD = 10
_MAX_URL = 500
#: Bytes of secret that a sealer takes: AES-256.
SECRET_LENGTH = 64
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*", re.ASCII)
#: The end of a consent is told where there was one: who never agreed, no processor has heard of.
ONCE_GIVEN = frozenset({State.GIVEN, State.RENEWED, State.RESTRICTED, State.EXPIRED})


class WebhookEvent(StrEnum):
    CONFIRMED = "confirmed"
    WITHDRAWN = "withdrawn"
    RECTIFIED = "rectified"
    RESTRICTED = "restricted"
    LIFTED = "lifted"
    OBJECTED = "objected"
    ERASED = "erased"

    @property
    def type(self) -> str:
        """As it stands in a body, full-stop delimited."""
        return f"subscriber.{self.value}"


class DeliveryStatus(StrEnum):
    WAITING = "waiting"
    DELIVERED = "delivered"
    #: After the last try, or because the endpoint is gone.
    GIVEN_UP = "given_up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What happened to whom. `purposes`: those it is about; empty where it is about the person."""

    event: WebhookEvent
    subscriber_id: SubscriberId
    address: str
    purposes: tuple[Purpose, ...]
    at: datetime
    #: What else a processor needs to act, such as a corrected name.
    details: Mapping[str, str] | None = None


def body_of(notice: Notice) -> bytes:
    """Signed and sent as these bytes."""
    data: dict[str, object] = {
        "subscriber_id": notice.subscriber_id,
        "address": notice.address,
        "purposes": list(notice.purposes),
        **(notice.details or {}),
    }
    at = notice.at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
    body = {"type": notice.event.type, "timestamp": f"{at}Z", "data": data}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


# --- signing ----------------------------------------------------------------


def say_secret(raw: bytes) -> str:
    """As it is handed to the processor."""
    return "whsec_" + base64.b64encode(raw).decode()


def signed_headers(secrets: Sequence[bytes], webhook_id: WebhookId, at: datetime, body: bytes) -> Mapping[str, str]:
    """One signature per secret. `at` is the time of this try."""
    timestamp = str(int(at.timestamp()))
    content = f"{webhook_id}.{timestamp}.".encode() + body
    signatures = (base64.b64encode(hmac.digest(secret, content, "sha256")).decode() for secret in secrets)
    return {
        "content-type": "application/json",
        "webhook-id": webhook_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


# --- at rest ----------------------------------------------------------------


class Sealer:
    """Encrypts what may not be found in the files: bodies, which hold an address, and secrets (AES-SIV, RFC 5297).

    Each sealing is bound to what it belongs to. The first key seals, every key opens (rotation). Keys have `SECRET_LENGTH`
    bytes.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._ciphers = tuple(AESSIV(key) for key in keys)

    def seal(self, plain: bytes, belongs_to: str) -> bytes:
        return self._ciphers[0].encrypt(plain, [belongs_to.encode()])

    def open(self, sealed: bytes, belongs_to: str) -> bytes | None:
        """None where none of the keys made it, or where it belongs to something else."""
        for cipher in self._ciphers:
            try:
                return cipher.decrypt(sealed, [belongs_to.encode()])
            except InvalidTag:
                continue
        return None


# --- answers and retries ----------------------------------------------------


class Answer(StrEnum):
    TAKEN = "taken"
    #: The endpoint wants nothing more, now or ever.
    GONE = "gone"
    FAILED = "failed"


def judge_status(code: int) -> Answer:
    """Redirects are not followed, and fail; every other refusal may be a fault that somebody mends."""
    if 200 <= code <= 299:
        return Answer.TAKEN
    return Answer.GONE if code == 410 else Answer.FAILED


def next_pause(tries: int, webhook_id: WebhookId, retry_after: str | None = None) -> timedelta | None:
    """After so many failed tries. `retry_after` is the header, in seconds. None: give up."""
    if tries > len(PAUSES):
        return None
    pause = PAUSES[tries - 1]
    pause += pause / _SPREAD * (hashlib.sha256(webhook_id.encode()).digest()[0] / 255)
    asked = int(retry_after) if retry_after and re.fullmatch(r"[0-9]{1,9}", retry_after) else 0
    return max(pause, min(timedelta(seconds=asked), LONGEST_ASKED_PAUSE))


# --- endpoints --------------------------------------------------------------


def parse_endpoint_url(typed: str) -> str:
    """HTTPS, or plain HTTP to this very machine. Raises `InvalidInput`.

    Private addresses are allowed: only who has the command line of the service names endpoints, and a processor's system
    may stand in the same house. TLS names the host, and redirects are not followed, so nobody else chooses where it goes.
    """
    try:
        parts = urlsplit(typed)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise InvalidInput("url", "not a web address") from None
    if len(typed) > _MAX_URL or not typed.isascii() or re.search(r"[\x00-\x20\x7f]", typed):
        raise InvalidInput("url", f"at most {_MAX_URL} ASCII characters, without blanks")
    if "@" in parts.netloc or "#" in typed:
        raise InvalidInput("url", "without user, password and fragment: the signature is the proof of who sends")
    numeric = _ip_address(host)
    if numeric is None and not _HOST.fullmatch(host):
        raise InvalidInput("url", "a host is needed, e.g. https://crm.example.com/hooks/pixel")
    here = host == "localhost" or (numeric is not None and numeric.is_loopback)
    if parts.scheme != "https" and not (parts.scheme == "http" and here):
        raise InvalidInput("url", "https:// is needed; http:// only for a receiver on this machine")
    return typed


def _ip_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
