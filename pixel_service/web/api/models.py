"""What requests of the JSON API may look like: every field, every bound (A4). Unknown fields are refused.

What a value means (is there such a template, may this person get mail) is not known here.
"""

import hashlib
import json
import math
import re
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, JsonValue, StrictBool, StringConstraints, field_validator, model_validator

from pixel_service.domain.consent import Purpose
from pixel_service.domain.errors import InvalidInput, NotFound
from pixel_service.domain.sends import MAX_RECIPIENTS, MAX_TAGS, RecipientAsked
from pixel_service.domain.signup import FIELD_LIMITS, Choice, Profile, parse_profile
from pixel_service.usecases.content import Content
from pixel_service.web.api.problems import Body

#: No line breaks, control characters or reversals of direction: it stands in headers, lists and logs.
_LINE = r"^[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]+$"
_ID = re.compile(r"[a-z2-7]{26}")
_NAME = r"^[A-Za-z_][A-Za-z0-9_]{0,59}$"
#: Rendered mails over 100 KB are clipped by Gmail; the rest of a million characters is markup that inlining drops.
_MAX_HTML = 1_000_000
_MAX_TEXT = 500_000
_MAX_VARIABLES = 50
_MAX_DEPTH = 8
#: Characters of names and texts plus one per value, for variables that are the same for everybody.
_MAX_JSON = 200_000

Name = Annotated[str, StringConstraints(pattern=_NAME)]
PurposeName = Annotated[str, StringConstraints(max_length=60, pattern=r"^[a-z]+(:[a-z0-9-]{1,40})?$")]
#: What a consent can be for; a purpose that is no longer offered can still be withdrawn.
ConsentPurpose = Annotated[
    str, StringConstraints(max_length=60, pattern=r"^((newsletter|whitepaper):[a-z0-9-]{1,40}|tracking:opens)$")
]
LanguageCode = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,8}$")]
#: As typed: what is no address at all gets a verdict (a send) or a message (a form), not a refusal of the document.
TypedAddress = Annotated[str, StringConstraints(max_length=320)]
#: What a campaign is about, for reports.
Tag = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,40}$")]
Version = Annotated[str, StringConstraints(min_length=1, max_length=20)]


def read_id(text: str, kind: str) -> str:
    """An id from a path. Raises `NotFound` for what is none, before a database is asked for it."""
    if not _ID.fullmatch(text):
        raise NotFound(kind)
    return text


def _bounded(values: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Finite numbers (JSON's `1e999` is none), and all of it small enough to be kept and rendered."""
    if _size(values, depth=1) > _MAX_JSON:
        raise ValueError(f"must have at most {_MAX_JSON} characters in all")
    return values


def _size(value: JsonValue, *, depth: int) -> int:
    if isinstance(value, str):
        return 1 + len(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a number is too large")
    if isinstance(value, (dict, list)) and depth > _MAX_DEPTH:
        raise ValueError(f"must be nested at most {_MAX_DEPTH} deep")
    if isinstance(value, dict):
        return 1 + sum(len(name) + _size(one, depth=depth + 1) for name, one in value.items())
    if isinstance(value, list):
        return 1 + sum(_size(one, depth=depth + 1) for one in value)
    return 1


def _in_order(tags: list[str]) -> list[str]:
    """Neither order nor repetition says anything."""
    return sorted(set(tags))


def _web_address(value: str) -> str:
    try:
        parts = urlsplit(value)
    except ValueError:
        raise ValueError("must be an http or https address") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be an http or https address")
    return value


class Recipient(Body):
    """One mail of a send. `variables` are this person's; those the content does not use are dropped."""

    address: TypedAddress
    variables: dict[Name, Annotated[str, StringConstraints(max_length=2000)]] = Field(
        default={}, max_length=_MAX_VARIABLES
    )
    language: LanguageCode | None = None

    def asked(self) -> RecipientAsked:
        return RecipientAsked(address=self.address, variables=self.variables, language=self.language)


class SendRequest(Body):
    """POST /v1/send"""

    campaign: Annotated[str, StringConstraints(min_length=1, max_length=120, pattern=_LINE)]
    #: Of the campaign, in any order; None: as they are.
    tags: Annotated[list[Tag], Field(max_length=MAX_TAGS), AfterValidator(_in_order)] | None = None
    purpose: PurposeName
    subject: Annotated[str, StringConstraints(min_length=1, max_length=300, pattern=_LINE)] | None = None
    template: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,39}$")] | None = None
    html: Annotated[str, StringConstraints(min_length=1, max_length=_MAX_HTML)] | None = None
    text: Annotated[str, StringConstraints(min_length=1, max_length=_MAX_TEXT)] | None = None
    variables: Annotated[dict[Name, JsonValue], AfterValidator(_bounded)] = Field(default={}, max_length=_MAX_VARIABLES)
    recipients: Annotated[list[Recipient], Field(min_length=1, max_length=MAX_RECIPIENTS)] | None = None
    audience: Literal["subscribers"] | None = None
    dry_run: StrictBool = False

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        """Not as `ValueError`: of the model as a whole pydantic can not say which field it is."""
        if (self.template is None) == (self.html is None):
            raise InvalidInput("template", "give either template or html")
        if (self.recipients is None) == (self.audience is None):
            raise InvalidInput("recipients", "give either recipients or audience")
        return self

    def content(self) -> Content:
        return Content(
            subject=self.subject, template=self.template, html=self.html, text=self.text, variables=self.variables
        )

    def asked(self) -> tuple[RecipientAsked, ...] | None:
        return None if self.recipients is None else tuple(recipient.asked() for recipient in self.recipients)

    def body_hash(self) -> str:
        """SHA-256 of the canonical request: order of names, blank space and defaults spelled out make no difference."""
        plain = self.model_dump(mode="json")
        if plain["tags"] is None:
            # As it was hashed before there were tags: a repeat across an upgrade is still one.
            del plain["tags"]
        return hashlib.sha256(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


class WithdrawalRequest(Body):
    """POST /v1/withdrawals; without `purposes` everything ends."""

    address: TypedAddress
    purposes: Annotated[list[ConsentPurpose], Field(min_length=1, max_length=20)] | None = None


class ChoiceMade(Body):
    """A box that was ticked, beside the text with this version."""

    purpose: PurposeName
    wording_version: Version


class SignUpRequest(Body):
    """POST /v1/sign-ups. The optional details stand beside the address, under the names a form posts them by; their
    bounds are the domain's."""

    address: TypedAddress
    language: LanguageCode | None = None
    choices: Annotated[list[ChoiceMade], Field(min_length=1, max_length=20)]
    notice_version: Version
    form_url: Annotated[str, StringConstraints(max_length=500, pattern=_LINE), AfterValidator(_web_address)]
    salutation: str = ""
    first_name: str = ""
    last_name: str = ""
    company: str = ""
    phone: str = ""
    function: str = ""
    interests: str = ""

    @field_validator("choices")
    @classmethod
    def _each_once(cls, choices: list[ChoiceMade]) -> list[ChoiceMade]:
        purposes = [choice.purpose for choice in choices]
        for index, purpose in enumerate(purposes):
            if purpose in purposes[:index]:
                raise InvalidInput(f"choices[{index}].purpose", "named twice")
        return choices

    def chosen(self) -> tuple[Choice, ...]:
        return tuple(
            Choice(purpose=Purpose(choice.purpose), wording_version=choice.wording_version) for choice in self.choices
        )

    def profile(self) -> Profile:
        """Raises `InvalidFields`."""
        return parse_profile({name: str(getattr(self, name)) for name in FIELD_LIMITS})
