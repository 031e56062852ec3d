"""Contacts from elsewhere: what a row of an import must prove, and what becomes of it (E9).

A row is one consent: one person, one purpose, with its own evidence; who agreed to two things has two rows. Only double
opt-in proves that the owner of the address agreed, so `EVIDENCE` must be complete. A row without it stays unknown:
nothing of it is stored, nobody is mailed, nothing is measured. How the file is read is in `import_file.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from pixel_service.domain.address import Address, parse_address
from pixel_service.domain.consent import Purpose
from pixel_service.domain.errors import InvalidFields, InvalidInput
from pixel_service.domain.evidence import TextKey
from pixel_service.domain.ledger import Content
from pixel_service.domain.signup import CONTROL, Profile, parse_profile
from pixel_service.domain.wordings import Catalogue, Language, Wording, canonical_text, text_hash

#: What proves a consent: when a form asked, on which page, with which words (one of the two), and when the person
#: pressed the link of the confirmation mail.
EVIDENCE = ("requested_at", "form_url", "confirmed_at", "confirmed_by", "wording_text")
REQUIRED = ("address", "purpose")
COLUMNS = (
    *REQUIRED,
    "language",
    *(field.name for field in fields(Profile)),
    *EVIDENCE,
    #: A version of the catalogue, instead of the text.
    "wording_version",
    #: Where the old system keeps the confirmation mail, e.g. its Message-ID.
    "reference",
    #: When the old system last used the consent; without it, `confirmed_at` counts.
    "last_mailed_at",
)
#: The one way of confirming that proves who agreed.
DOUBLE_OPT_IN = "double_opt_in"
_MOST = {"form_url": 500, "reference": 200, "wording_text": 10_000, "confirmed_by": 40, "wording_version": 20}
_LINE_BREAKS = str.maketrans("\r\n\t", "   ")
_WEB = ("https://", "http://")
#: Older times are typing errors.
_FIRST_YEAR = 1990
#: Beginning of the versions that imported texts are kept under.
IMPORTED_TEXT = "import-"


class Code(StrEnum):
    """Why a row was not imported, for programs."""

    NO_EVIDENCE = "no_evidence"
    UNREADABLE = "unreadable"
    INVALID = "invalid"
    UNKNOWN_PURPOSE = "unknown_purpose"
    UNKNOWN_WORDING = "unknown_wording"
    IN_THE_FUTURE = "in_the_future"
    LAPSED = "lapsed"
    DUPLICATE = "duplicate"
    ON_RECORD = "choice_on_record"
    WITHDREW_SINCE = "withdrew_since"
    RESTRICTED = "restricted"
    OBJECTED = "objected"
    ERASED = "erased"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A row that is not imported. Holds nothing of what stands in it."""

    row: int
    #: Column, or columns with a blank between them.
    field: str
    code: Code
    reason: str

    @property
    def is_unknown(self) -> bool:
        """Not wrong, only not proven."""
        return self.code is Code.NO_EVIDENCE


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRow:
    """A consent with everything that proves it."""

    row: int
    address: Address
    language: Language
    profile: Profile
    purpose: Purpose
    #: In the catalogue, or as it stands in the row.
    wording: Wording
    requested_at: datetime
    confirmed_at: datetime
    form_url: str
    reference: str
    last_mailed_at: datetime | None

    @property
    def text_key(self) -> TextKey:
        return self.purpose, self.wording.version, self.wording.language


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a row is judged by."""

    catalogue: Catalogue
    default_language: str
    now: datetime
    #: A consent that was not used for so long has expired.
    unused_for: timedelta


class _Refused(Exception):
    def __init__(self, field: str, code: Code, reason: str) -> None:
        super().__init__(reason)
        self.field, self.code, self.reason = field, code, reason


def parse_row(row: int, values: Mapping[str, str], rules: Rules) -> ImportRow | Rejected:
    """`values` by column; a column that is not there is as good as empty."""
    typed = {name: values.get(name, "").strip() for name in COLUMNS}
    try:
        return _parse(row, typed, rules)
    except _Refused as why:
        return Rejected(row=row, field=why.field, code=why.code, reason=why.reason)
    except InvalidInput as error:
        return Rejected(row=row, field=error.field, code=Code.INVALID, reason=error.detail)
    except InvalidFields as error:
        first = error.problems[0]
        return Rejected(row=row, field=first.field, code=Code.INVALID, reason=first.detail)


def _parse(row: int, typed: Mapping[str, str], rules: Rules) -> ImportRow:
    address, profile = parse_address(typed["address"]), parse_profile(typed)
    language, purpose = _language(typed["language"], rules), _purpose(typed["purpose"], rules)
    _check_bounds(typed)
    requested_at, confirmed_at, last_mailed_at = (
        _moment(name, typed[name], rules) for name in ("requested_at", "confirmed_at", "last_mailed_at")
    )
    wording = _wording(typed, purpose, language, rules)
    if missing := _missing(typed, wording):
        raise _Refused(" ".join(missing), Code.NO_EVIDENCE, "no evidence: not mailed, not measured, not stored")
    assert requested_at is not None
    assert confirmed_at is not None
    assert wording is not None
    if confirmed_at < requested_at:
        raise _Refused("confirmed_at", Code.INVALID, "before requested_at")
    if max(confirmed_at, last_mailed_at or confirmed_at) <= rules.now - rules.unused_for:
        raise _Refused("confirmed_at", Code.LAPSED, f"older than {rules.unused_for.days} days and not used since")
    return ImportRow(
        row=row,
        address=address,
        language=language,
        profile=profile,
        purpose=purpose,
        wording=wording,
        requested_at=requested_at,
        confirmed_at=confirmed_at,
        form_url=typed["form_url"],
        reference=typed["reference"],
        last_mailed_at=last_mailed_at,
    )


def _missing(typed: Mapping[str, str], wording: Wording | None) -> list[str]:
    """In the order of `EVIDENCE`. Whoever confirmed otherwise has not confirmed in a way that proves anything."""
    present = {**typed, "wording_text": wording, "confirmed_by": typed["confirmed_by"] == DOUBLE_OPT_IN}
    return [name for name in EVIDENCE if not present[name]]


def _check_bounds(typed: Mapping[str, str]) -> None:
    for name, most in _MOST.items():
        if len(typed[name]) > most:
            raise InvalidInput(name, f"at most {most} characters")
        text = typed[name].translate(_LINE_BREAKS) if name == "wording_text" else typed[name]
        if CONTROL.search(text):
            raise InvalidInput(name, "control characters are not allowed")
    if typed["form_url"] and not typed["form_url"].startswith(_WEB):
        raise InvalidInput("form_url", "an address that begins with https:// or http://")


def _language(typed: str, rules: Rules) -> Language:
    known = rules.catalogue.languages
    if typed and typed not in known:
        raise InvalidInput("language", f"one of: {', '.join(known)}")
    return rules.catalogue.language(typed or rules.default_language)


def _purpose(typed: str, rules: Rules) -> Purpose:
    purpose = Purpose(typed)
    if purpose not in rules.catalogue.current_versions:
        raise _Refused("purpose", Code.UNKNOWN_PURPOSE, "nothing of that name is offered")
    return purpose


def _moment(name: str, typed: str, rules: Rules) -> datetime | None:
    if not typed:
        return None
    try:
        moment = datetime.fromisoformat(typed)
    except ValueError:
        raise InvalidInput(name, "a time such as 2024-05-31T14:05:00+02:00") from None
    if moment.tzinfo is None:
        raise InvalidInput(name, "the time zone is missing, e.g. 2024-05-31T14:05:00+02:00")
    if moment.year < _FIRST_YEAR:
        raise InvalidInput(name, f"before {_FIRST_YEAR}")
    if moment > rules.now:
        raise _Refused(name, Code.IN_THE_FUTURE, "in the future")
    return moment.astimezone(UTC)


def _wording(typed: Mapping[str, str], purpose: Purpose, language: Language, rules: Rules) -> Wording | None:
    """None where neither text nor version is given. A version that we do not know is no text that could be shown."""
    version, text = typed["wording_version"], canonical_text(typed["wording_text"])
    if version:
        known = rules.catalogue.wording(purpose, version, language)
        if known is None:
            raise _Refused("wording_version", Code.UNKNOWN_WORDING, "not in the catalogue: give the text instead")
        if text and known.hash != text_hash(text):
            raise _Refused("wording_text", Code.UNKNOWN_WORDING, "not the text of this version")
        return known
    if not text:
        return None
    found = text_hash(text)
    ours = rules.catalogue.wordings.values()
    same = (one for one in ours if (one.hash, one.purpose, one.language) == (found, purpose, language))
    imported = Wording(
        purpose=purpose, version=f"{IMPORTED_TEXT}{found[:13]}", language=language, text=text, hash=found
    )
    return next(same, imported)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Which import a ledger entry belongs to."""

    import_id: str
    #: SHA-256 of the file, hex.
    file_hash: str
    #: Where the operator says the contacts come from.
    source: str


def content_of(one: ImportRow, origin: Origin) -> Content:
    """All evidence of the row, for the ledger."""
    return {
        "source": "import",
        "import": origin.import_id,
        "file_hash": origin.file_hash,
        "row": one.row,
        "origin": origin.source,
        "language": one.language,
        "wording_version": one.wording.version,
        "wording_hash": one.wording.hash,
        "form_url": one.form_url,
        "requested_at": one.requested_at.isoformat(),
        "confirmed_at": one.confirmed_at.isoformat(),
        "confirmed_by": DOUBLE_OPT_IN,
        **({"reference": one.reference} if one.reference else {}),
        "fields": {"address": one.address.normalised, **one.profile.given()},
    }
