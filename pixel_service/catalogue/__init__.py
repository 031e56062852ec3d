"""The operator's catalogue: offers, wordings, the privacy notice, processors and whitepapers, all plain files.

    catalogue.toml                               what is offered, in every language
    processors.toml                              who handles data for us
    wordings/<kind>.<slug>/<version>.<lang>.txt  what people agree to; first paragraph = summary
    notice/<version>.<lang>.md                   prose of the privacy notice; see `notice.py` beside this file
    whitepapers/...pdf                           named by catalogue.toml

Everything is checked at start and every problem is reported at once, so that a mistake costs one restart, not ten.
A retired offer leaves catalogue.toml; its wordings stay in their folder as evidence.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from pixel_service.catalogue.files import Reader
from pixel_service.catalogue.listing import (
    Listing,
    NewsletterEntry,
    Processors,
    WhitepaperEntry,
    problems_of_listing,
    problems_of_processors,
)
from pixel_service.catalogue.notice import Facts, read_notices
from pixel_service.domain.consent import TRACKING_OPENS, Purpose
from pixel_service.domain.errors import PixelServiceError
from pixel_service.domain.notice import Terms
from pixel_service.domain.wordings import (
    Catalogue,
    Company,
    Language,
    Newsletter,
    Processor,
    Whitepaper,
    Wording,
    text_hash,
)

_WORDING_FOLDER = re.compile(r"(newsletter|whitepaper|tracking)\.([a-z0-9-]{1,40})")
_Value = TypeVar("_Value")


class CatalogueInvalid(PixelServiceError):
    """`problems` name the file, the field and what is expected."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(f"catalogue: {problem}" for problem in self.problems))


def packaged_catalogue() -> Path:
    """The sample that ships with the service."""
    return Path(__file__).parents[1] / "sample_catalogue"


def load_catalogue(folder: Path, company: Company, terms: Terms) -> Catalogue:
    """Raises `CatalogueInvalid` with every problem found."""
    reader = Reader(folder)
    listing = reader.toml("catalogue.toml", Listing)
    if listing is None:
        raise CatalogueInvalid(reader.problems)
    reader.problems.extend(f"catalogue.toml: {problem}" for problem in problems_of_listing(listing))
    languages = tuple(Language(code) for code in listing.languages)
    processors = _processors(reader, languages)
    wordings = _wordings(reader, {"company": company.name, "privacy_email": company.privacy_email})
    whitepapers = {entry.slug: _whitepaper(reader, entry) for entry in listing.whitepaper}
    version, notices = read_notices(reader, Facts(company=company, terms=terms, processors=processors), languages)
    current = _current_versions(reader, _purposes(listing), wordings, languages)
    if reader.problems:
        raise CatalogueInvalid(reader.problems)
    return Catalogue(
        languages=languages,
        newsletters={entry.slug: _newsletter(entry) for entry in listing.newsletter},
        whitepapers=whitepapers,
        tracking_titles=_by_language(listing.tracking.title),
        wordings=wordings,
        current_versions=current,
        notices=notices,
        notice_version=version,
        processors=processors,
    )


def _purposes(listing: Listing) -> list[Purpose]:
    newsletters = [Purpose(f"newsletter:{entry.slug}") for entry in listing.newsletter]
    return [TRACKING_OPENS, *newsletters, *(Purpose(f"whitepaper:{entry.slug}") for entry in listing.whitepaper)]


def _processors(reader: Reader, languages: Iterable[Language]) -> tuple[Processor, ...]:
    found = reader.toml("processors.toml", Processors)
    if found is None:
        return ()
    problems = list(problems_of_processors(found, languages))
    reader.problems.extend(f"processors.toml: {problem}" for problem in problems)
    if problems:
        return ()
    return tuple(
        Processor(
            name=entry.name,
            roles=_by_language(entry.role),
            countries=_by_language(entry.country),
            safeguards=_by_language(entry.safeguard),
        )
        for entry in found.processor
    )


def _wordings(reader: Reader, values: Mapping[str, str]) -> dict[tuple[Purpose, str, Language], Wording]:
    found = {}
    for sub in reader.entries(reader.folder / "wordings"):
        name = _WORDING_FOLDER.fullmatch(sub.name)
        if not name or not sub.is_dir():
            reader.problem(sub, "expected a folder newsletter.<slug>, whitepaper.<slug> or tracking.opens")
            continue
        purpose = Purpose(f"{name[1]}:{name[2]}")
        for path, version, language, written in reader.texts(sub, "txt"):
            text = reader.filled(path, written, values)
            found[purpose, version, language] = Wording(
                purpose=purpose, version=version, language=language, text=text, hash=text_hash(text)
            )
    return found


def _current_versions(
    reader: Reader,
    purposes: Iterable[Purpose],
    wordings: Mapping[tuple[Purpose, str, Language], Wording],
    languages: Iterable[Language],
) -> dict[Purpose, str]:
    """The highest version per purpose; it has to be there in every language."""
    current = {
        purpose: max((w.version for w in wordings.values() if w.purpose == purpose), default="") for purpose in purposes
    }
    for purpose, version in current.items():
        has = {w.language for w in wordings.values() if (w.purpose, w.version) == (purpose, version)}
        reader.check_languages(f"wordings/{purpose.replace(':', '.')}/{version or '<version>'}", ".txt", languages, has)
    return current


def _newsletter(entry: NewsletterEntry) -> Newsletter:
    return Newsletter(
        slug=entry.slug,
        titles=_by_language(entry.title),
        descriptions=_by_language(entry.description),
        topics={Language(code): tuple(topics) for code, topics in entry.topics.items()},
    )


def _whitepaper(reader: Reader, entry: WhitepaperEntry) -> Whitepaper:
    return Whitepaper(
        slug=entry.slug,
        titles=_by_language(entry.title),
        descriptions=_by_language(entry.description),
        files={Language(code): reader.pdf(name) for code, name in entry.file.items()},
        newsletter=entry.newsletter,
    )


def _by_language(values: Mapping[str, _Value]) -> dict[Language, _Value]:
    return {Language(code): value for code, value in values.items()}
