"""What a person may type into a sign-up form, with its bounds (S3). Only the address is required."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pixel_service.domain.consent import Purpose
from pixel_service.domain.errors import InvalidFields, InvalidInput
from pixel_service.domain.messages import SignUpId, SubscriberId

#: Longest value per optional field, in characters.
FIELD_LIMITS: Mapping[str, int] = {
    "salutation": 40,
    "first_name": 80,
    "last_name": 80,
    "company": 120,
    "phone": 40,
    "function": 120,
    "interests": 300,
}
#: Form of address as a code, so that each language can say it its own way.
SALUTATIONS = ("", "ms", "mr")
#: Guesses at the code of a confirmation mail: 5 in 1,000,000.
MAX_WRONG_CODES = 5
#: Never part of a name or a text; a line break in a name is header injection.
CONTROL = re.compile(r"[\x00-\x1f\x7f\u0085\u2028\u2029\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Optional details; an empty string is "not given"."""

    salutation: str = ""
    first_name: str = ""
    last_name: str = ""
    company: str = ""
    phone: str = ""
    function: str = ""
    interests: str = ""

    def given(self) -> dict[str, str]:
        """Only what was entered."""
        return {name: value for name in self.__slots__ if (value := getattr(self, name))}


def parse_profile(typed: Mapping[str, str]) -> Profile:
    """Trim and bound each field. Raises `InvalidFields` naming every field that is too long or holds control
    characters (a line break in a name is header injection, never a name)."""
    problems: list[InvalidInput] = []
    values: dict[str, str] = {}
    for name in Profile.__slots__:
        value = typed.get(name, "").strip()
        if len(value) > FIELD_LIMITS[name]:
            problems.append(InvalidInput(name, f"at most {FIELD_LIMITS[name]} characters"))
        elif name == "salutation" and value not in SALUTATIONS:
            problems.append(InvalidInput(name, "one of: ms, mr, or empty"))
        elif CONTROL.search(value):
            problems.append(InvalidInput(name, "line breaks and control characters are not allowed"))
        values[name] = value
    if problems:
        raise InvalidFields(tuple(problems))
    return Profile(**values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A purpose the person ticked, and the version of the wording they were shown."""

    purpose: Purpose
    wording_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedPurpose:
    """One purpose of a stored sign-up."""

    purpose: Purpose
    wording_version: str
    wording_hash: str
    #: ``confirmed``, ``refused`` or ``cancelled``; None while it waits for the person.
    answer: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingSignUp:
    """A sign-up as stored: what was asked for, and by when it must be confirmed."""

    sign_up_id: SignUpId
    subscriber_id: SubscriberId
    language: str
    created_at: datetime
    expires_at: datetime
    confirmed_at: datetime | None
    profile: Profile
    asked: tuple[AskedPurpose, ...]
    #: When the relay took the confirmation mail; None until that is on record.
    accepted_at: datetime | None = None
    #: Wrong codes typed on the confirm page.
    wrong_codes: int = 0

    @property
    def is_locked(self) -> bool:
        """No code is taken any more; a new mail brings a new one."""
        return self.wrong_codes >= MAX_WRONG_CODES

    def waiting(self) -> tuple[AskedPurpose, ...]:
        return tuple(asked for asked in self.asked if asked.answer is None)
