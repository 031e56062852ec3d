"""What the catalogue's TOML files may hold, as models, and what must agree between their fields.

Every problem is named by file and field, and all of them at once.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

_Code = Annotated[str, StringConstraints(pattern=r"^[a-z]{2}$")]
_Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,40}$")]
_Line = Annotated[str, StringConstraints(min_length=1, max_length=300, pattern=r"^[^\x00-\x1f]+$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Tracking(_Strict):
    title: dict[_Code, _Line]


class NewsletterEntry(_Strict):
    slug: _Slug
    title: dict[_Code, _Line]
    description: dict[_Code, _Line]
    topics: dict[_Code, Annotated[list[_Line], Field(min_length=1, max_length=20)]]


class WhitepaperEntry(_Strict):
    slug: _Slug
    title: dict[_Code, _Line]
    description: dict[_Code, _Line]
    file: dict[_Code, _Line]
    newsletter: _Slug | None = None


class Listing(_Strict):
    """catalogue.toml."""

    languages: list[_Code] = Field(default=["de", "en"], min_length=1, max_length=20)
    tracking: _Tracking
    newsletter: list[NewsletterEntry] = Field(default=[], max_length=100)
    whitepaper: list[WhitepaperEntry] = Field(default=[], max_length=100)


class ProcessorEntry(_Strict):
    name: _Line
    role: dict[_Code, _Line]
    country: dict[_Code, _Line]
    safeguard: dict[_Code, _Line] = {}


class Processors(_Strict):
    """processors.toml. None is an answer too: then the file is there and empty."""

    processor: list[ProcessorEntry] = Field(default=[], max_length=100)


def problems_of_listing(listing: Listing) -> Iterator[str]:
    languages = listing.languages
    yield from _languages_of("tracking.title", listing.tracking.title, languages)
    for kind, entries in (("newsletter", listing.newsletter), ("whitepaper", listing.whitepaper)):
        for number, entry in enumerate(entries):
            yield from _texts_of(f"{kind}[{number}]", entry, languages)
        slugs = [entry.slug for entry in entries]
        for slug in sorted({slug for slug in slugs if slugs.count(slug) > 1}):
            yield f"{kind}: slug {slug!r} is used twice"
    known = {entry.slug for entry in listing.newsletter}
    for number, paper in enumerate(listing.whitepaper):
        if paper.newsletter is not None and paper.newsletter not in known:
            yield f"whitepaper[{number}].newsletter: no newsletter {paper.newsletter!r}"


def problems_of_processors(processors: Processors, languages: Iterable[str]) -> Iterator[str]:
    for number, entry in enumerate(processors.processor):
        yield from _texts_of(f"processor[{number}]", entry, tuple(languages))


def _texts_of(name: str, entry: BaseModel, languages: Iterable[str]) -> Iterator[str]:
    for field, value in entry:
        if isinstance(value, dict) and (value or type(entry).model_fields[field].is_required()):
            yield from _languages_of(f"{name}.{field}", value, languages)


def _languages_of(name: str, value: Mapping[str, object], languages: Iterable[str]) -> Iterator[str]:
    wanted = list(languages)
    yield from (f"{name}.{code}: missing" for code in wanted if code not in value)
    yield from (f"{name}.{code}: not one of `languages`" for code in value if code not in wanted)
