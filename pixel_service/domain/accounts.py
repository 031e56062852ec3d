"""Who may use the service besides subscribers: colleagues who log in, and programs that hold an API key (A1, A2).

Bounds, roles and the spelling of a key live here. Hashing and sessions are in usecases/accounts.py; which page or
endpoint asks for which role or scope is decided where it is routed.
"""

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NewType

from pixel_service.domain.address import parse_address
from pixel_service.domain.errors import InvalidInput

UserId = NewType("UserId", str)
ApiKeyId = NewType("ApiKeyId", str)

MIN_PASSWORD = 12
#: Far above any passphrase; bounds what a stranger can make us hash.
MAX_PASSWORD = 1024
MAX_KEY_NAME = 80
SESSION_LIFE = timedelta(hours=12)

_KEY = re.compile(r"pk_([a-z2-7]{26})_([a-z2-7]{52})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Role(StrEnum):
    """Each may do what the ones before it may. Today every role may read reports; the others gain rights later."""

    VIEWER = "viewer"
    ANALYST = "analyst"
    PRIVACY_OFFICER = "privacy_officer"
    ADMIN = "admin"


#: Who may see what is held of one person, for a stated reason and on record.
SEES_PERSONS = frozenset({Role.PRIVACY_OFFICER, Role.ADMIN})
#: Who looks after the running service.
OPERATES = frozenset({Role.ADMIN})


class Scope(StrEnum):
    SEND = "send"
    REPORT = "report"
    #: Withdraw for a person who said so elsewhere.
    CONSENT = "consent"


@dataclass(frozen=True, slots=True, kw_only=True)
class TriesLimit:
    """At most `tries` failed log-ins per account within any `window`."""

    tries: int = 5
    window: timedelta = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    user_id: UserId
    #: Case-folded.
    email: str
    role: Role
    created_at: datetime
    #: None while the user may log in.
    disabled_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """What is known of a key; its secret is not."""

    api_key_id: ApiKeyId
    name: str
    scopes: frozenset[Scope]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    def is_valid(self, now: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True)
class Credential:
    """The two halves of a key as its holder writes it."""

    api_key_id: ApiKeyId
    secret: str

    def __str__(self) -> str:
        """The whole key. Shown once, when it is made."""
        return f"pk_{self.api_key_id}_{self.secret}"

    def __repr__(self) -> str:
        return f"Credential({self.api_key_id})"


def read_credential(bearer: str) -> Credential | None:
    found = _KEY.fullmatch(bearer)
    return Credential(ApiKeyId(found[1]), found[2]) if found else None


def parse_email(typed: str) -> str:
    """The name a user logs in by. Raises `InvalidInput`."""
    return parse_address(typed, field="email").key


def canonical_password(typed: str) -> str:
    """NFKC, so that one password typed on two keyboards is one password (NIST SP 800-63B section 3.1.1.2)."""
    return unicodedata.normalize("NFKC", typed)


def parse_password(typed: str) -> str:
    """A password someone chose. Length is the only rule: others make people choose worse ones. Raises `InvalidInput`."""
    password = canonical_password(typed)
    if len(password) < MIN_PASSWORD:
        raise InvalidInput("password", f"at least {MIN_PASSWORD} characters")
    if len(password) > MAX_PASSWORD:
        raise InvalidInput("password", f"at most {MAX_PASSWORD} characters")
    if len(set(password)) == 1:
        raise InvalidInput("password", "more than one character repeated")
    return password


def parse_key_name(typed: str) -> str:
    name = typed.strip()
    if not name or len(name) > MAX_KEY_NAME or _CONTROL.search(name):
        raise InvalidInput("name", f"1 to {MAX_KEY_NAME} characters, no line breaks")
    return name
