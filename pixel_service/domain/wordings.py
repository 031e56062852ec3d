"""What people are asked and told: wordings, privacy notices, offers, and the company behind them.

A wording is the exact text a person agreed to. It is immutable: a change is a new version, and the hash in the ledger
proves which text was shown (S5, E1). Everything here is loaded once at start by `catalogue.py` and only read after that.
Not here: files and their formats.
"""

import hashlib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NewType

from pixel_service.domain.consent import TRACKING_OPENS, Purpose, newsletter, slug_of, whitepaper
from pixel_service.domain.errors import NotFound

#: An ISO 639-1 code, e.g. ``de``.
Language = NewType("Language", str)


def canonical_text(text: str) -> str:
    """NFC, line feeds only, no outer blank space: what is shown and what is hashed are the same characters."""
    return unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\r", "\n").strip()


def text_hash(text: str) -> str:
    """SHA-256 of the UTF-8 bytes of the canonical text, in hex."""
    return hashlib.sha256(canonical_text(text).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Company:
    """Who sends: the imprint (section 5 DDG, section 35a GmbHG) and the look. Plain text; empty means "has none"."""

    name: str
    street: str
    postal_code: str
    city: str
    country: str
    managing_directors: str
    #: Court and number, e.g. ``Amtsgericht Hamburg, HRB 123456``.
    register_entry: str
    vat_id: str
    email: str
    phone: str
    privacy_email: str
    data_protection_officer: str
    supervisory_authority: str
    website: str
    #: ``#rrggbb``
    brand_colour: str

    @property
    def address(self) -> str:
        return f"{self.street}, {self.postal_code} {self.city}, {self.country}"

    @property
    def ink_colour(self) -> str:
        """The text colour that reads best on the brand colour."""
        return (
            "#ffffff" if contrast(self.brand_colour, "#ffffff") >= contrast(self.brand_colour, "#111111") else "#111111"
        )

    @property
    def link_colour(self) -> str:
        """The brand colour where it is readable on white (WCAG 2.2 AA), else near-black."""
        return self.brand_colour if contrast(self.brand_colour, "#ffffff") >= 4.5 else "#111111"


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two ``#rrggbb`` colours, 1 to 21 (WCAG 2.2, relative luminance)."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    channels = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    purpose: Purpose
    #: A date such as ``2026-11``; the highest is the current one.
    version: str
    language: Language
    #: Filled in, identical for everybody.
    text: str
    hash: str

    @property
    def summary(self) -> str:
        """The first paragraph: it says what a person agrees to."""
        return self.text.partition("\n\n")[0]

    @property
    def details(self) -> tuple[str, ...]:
        """The paragraphs after the summary."""
        return tuple(filter(None, self.text.split("\n\n")[1:]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Processor:
    """Somebody who handles data for us (Art. 13(1)(e), 28 GDPR)."""

    name: str
    roles: Mapping[Language, str]
    countries: Mapping[Language, str]
    #: What makes a transfer out of the EU lawful (Art. 13(1)(f)); empty inside it.
    safeguards: Mapping[Language, str]

    def described(self, language: Language) -> str:
        told = (self.roles[language], self.countries[language], self.safeguards.get(language, ""))
        return "; ".join(filter(None, told))


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFact:
    """What a notice says of one class of data, in its language; see `notice.py`."""

    data: str
    name: str
    holds: tuple[str, ...]
    purpose: str
    legal_basis: str
    kept: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """The privacy notice in one language; `text` is Markdown made of headings, paragraphs and lists only."""

    #: Of the operator's prose, and a hash over the texts of all languages.
    version: str
    language: Language
    text: str
    hash: str
    stored: tuple[StoredFact, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Newsletter:
    slug: str
    titles: Mapping[Language, str]
    descriptions: Mapping[Language, str]
    topics: Mapping[Language, tuple[str, ...]]

    @property
    def purpose(self) -> Purpose:
        return newsletter(self.slug)


@dataclass(frozen=True, slots=True, kw_only=True)
class Whitepaper:
    slug: str
    titles: Mapping[Language, str]
    descriptions: Mapping[Language, str]
    #: The PDF itself, read at start, so that a file changed under a running service is never half served.
    files: Mapping[Language, bytes] = field(repr=False)
    #: A newsletter its form offers beside it, as a choice of its own.
    newsletter: str | None = None

    @property
    def purpose(self) -> Purpose:
        return whitepaper(self.slug)


Offer = Newsletter | Whitepaper


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """All offers and all texts ever published, by version."""

    #: The first one stands in for a language that has no text.
    languages: tuple[Language, ...]
    newsletters: Mapping[str, Newsletter]
    whitepapers: Mapping[str, Whitepaper]
    tracking_titles: Mapping[Language, str]
    wordings: Mapping[tuple[Purpose, str, Language], Wording]
    #: The version to show per purpose.
    current_versions: Mapping[Purpose, str]
    #: In the version of today only: what older ones said is kept in the database, as it was shown.
    notices: Mapping[tuple[str, Language], Notice]
    notice_version: str
    processors: tuple[Processor, ...]

    @property
    def offers(self) -> tuple[Offer, ...]:
        return (*self.newsletters.values(), *self.whitepapers.values())

    def offer(self, kind: str, slug: str) -> Offer | None:
        """`kind` is ``newsletter`` or ``whitepaper``."""
        known: Mapping[str, Mapping[str, Offer]] = {"newsletter": self.newsletters, "whitepaper": self.whitepapers}
        return known.get(kind, {}).get(slug)

    def choices(self, offer: Offer) -> tuple[Purpose, ...]:
        """What the form of an offer asks, each on its own (S2): the offer, a newsletter beside it, open tracking."""
        beside = offer.newsletter if isinstance(offer, Whitepaper) else None
        return (offer.purpose, *((newsletter(beside),) if beside else ()), TRACKING_OPENS)

    def language(self, wanted: str) -> Language:
        """`wanted` where there are texts in it, else the first language."""
        return next((language for language in self.languages if language == wanted), self.languages[0])

    def current(self, purpose: Purpose, language: str) -> Wording:
        """Raises `NotFound` for a purpose that is not offered."""
        version = self.current_versions.get(purpose)
        found = version and self.wordings.get((purpose, version, self.language(language)))
        if not found:
            raise NotFound("wording")
        return found

    def wording(self, purpose: Purpose, version: str, language: str) -> Wording | None:
        """Any version ever published, for evidence."""
        return self.wordings.get((purpose, version, Language(language)))

    def is_current(self, purpose: Purpose, version: str) -> bool:
        return self.current_versions.get(purpose) == version

    def notice(self, language: str) -> Notice:
        return self.notices[self.notice_version, self.language(language)]

    def label(self, purpose: Purpose, language: str) -> str:
        """A short name for lists; a purpose no longer offered keeps its technical name rather than vanish."""
        known = self.language(language)
        if purpose == TRACKING_OPENS:
            return self.tracking_titles[known]
        offer = self.offer(purpose.partition(":")[0], slug_of(purpose))
        return offer.titles[known] if offer else purpose

    def published_texts(self) -> Mapping[str, str]:
        """Name of every published text -> its hash, to compare with what was published before (DESIGN rule 14)."""
        wordings = {f"{w.purpose}/{w.version}/{w.language}": w.hash for w in self.wordings.values()}
        notices = {f"notice/{n.version}/{n.language}": n.hash for n in self.notices.values()}
        return wordings | notices
