"""Reads the operator's catalogue: offers, wordings, privacy notices and whitepapers, all plain files.

    catalogue.toml                               what is offered, in every language
    wordings/<kind>.<slug>/<version>.<lang>.txt  what people agree to; first paragraph = summary
    notice/<version>.<lang>.md                   privacy notice
    whitepapers/...pdf                           named by catalogue.toml

Everything is checked at start and every problem is reported at once, so that a mistake costs one restart, not ten.
A retired offer leaves catalogue.toml; its wordings stay in their folder as evidence.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from pixel_service.domain.consent import TRACKING_OPENS, Purpose
from pixel_service.domain.errors import PixelServiceError
from pixel_service.domain.wordings import (
    Catalogue,
    Company,
    Language,
    Newsletter,
    Notice,
    Whitepaper,
    Wording,
    canonical_text,
    text_hash,
)

_LARGEST_TEXT = 64 * 1024
_LARGEST_PDF = 10 * 1024 * 1024
_VERSION = r"\d{4}-\d{2}(?:-\d{2})?[a-z]?"
_TEXT_FILE = re.compile(rf"({_VERSION})\.([a-z]{{2}})\.(txt|md)")
_WORDING_FOLDER = re.compile(r"(newsletter|whitepaper|tracking)\.([a-z0-9-]{1,40})")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")

_Code = Annotated[str, StringConstraints(pattern=r"^[a-z]{2}$")]
_Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,40}$")]
_Line = Annotated[str, StringConstraints(min_length=1, max_length=300, pattern=r"^[^\x00-\x1f]+$")]


class CatalogueInvalid(PixelServiceError):
    """`problems` name the file, the field and what is expected."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(f"catalogue: {problem}" for problem in self.problems))


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Tracking(_Strict):
    title: dict[_Code, _Line]


class _Newsletter(_Strict):
    slug: _Slug
    title: dict[_Code, _Line]
    description: dict[_Code, _Line]
    topics: dict[_Code, Annotated[list[_Line], Field(min_length=1, max_length=20)]]


class _Whitepaper(_Strict):
    slug: _Slug
    title: dict[_Code, _Line]
    description: dict[_Code, _Line]
    file: dict[_Code, _Line]
    newsletter: _Slug | None = None


class _Listing(_Strict):
    languages: list[_Code] = Field(default=["de", "en"], min_length=1, max_length=20)
    tracking: _Tracking
    newsletter: list[_Newsletter] = Field(default=[], max_length=100)
    whitepaper: list[_Whitepaper] = Field(default=[], max_length=100)


def packaged_catalogue() -> Path:
    """The sample that ships with the service."""
    return Path(__file__).parent / "sample_catalogue"


def load_catalogue(folder: Path, company: Company) -> Catalogue:
    """Raises `CatalogueInvalid` with every problem found."""
    reader = _Reader(folder)
    listing = reader.listing()
    if listing is None:
        raise CatalogueInvalid(reader.problems)
    reader.check_listing(listing)
    languages = tuple(Language(code) for code in listing.languages)
    purposes = _purposes(listing)
    wordings = reader.wordings({"company": company.name, "privacy_email": company.privacy_email})
    notices = reader.notices({"company": company.name, "address": company.address} | asdict(company))
    current = {
        purpose: max((w.version for w in wordings.values() if w.purpose == purpose), default="") for purpose in purposes
    }
    for purpose, version in current.items():
        has = {w.language for w in wordings.values() if (w.purpose, w.version) == (purpose, version)}
        reader.check_languages(f"wordings/{purpose.replace(':', '.')}/{version or '<version>'}", ".txt", languages, has)
    notice_version = max((version for version, _ in notices), default="")
    has = {language for version, language in notices if version == notice_version}
    reader.check_languages(f"notice/{notice_version or '<version>'}", ".md", languages, has)
    whitepapers = {entry.slug: reader.whitepaper(entry) for entry in listing.whitepaper}
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
        notice_version=notice_version,
    )


def _purposes(listing: _Listing) -> list[Purpose]:
    newsletters = [Purpose(f"newsletter:{entry.slug}") for entry in listing.newsletter]
    return [TRACKING_OPENS, *newsletters, *(Purpose(f"whitepaper:{entry.slug}") for entry in listing.whitepaper)]


def _newsletter(entry: _Newsletter) -> Newsletter:
    return Newsletter(
        slug=entry.slug,
        titles=_by_language(entry.title),
        descriptions=_by_language(entry.description),
        topics={Language(code): tuple(topics) for code, topics in entry.topics.items()},
    )


_Value = TypeVar("_Value")


def _by_language(values: Mapping[str, _Value]) -> dict[Language, _Value]:
    return {Language(code): value for code, value in values.items()}


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads files below `folder` and collects what is wrong with them instead of stopping at the first."""

    folder: Path
    problems: list[str] = field(default_factory=list)

    def listing(self) -> _Listing | None:
        text = self.text(self.folder / "catalogue.toml")
        try:
            return None if text is None else _Listing.model_validate(tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            self.problems.append(f"catalogue.toml: {error}")
        except ValidationError as error:
            self.problems.extend(f"catalogue.toml: {_path(e['loc'])}: {e['msg']}" for e in error.errors())
        return None

    def check_listing(self, listing: _Listing) -> None:
        languages = listing.languages
        self.check_field("tracking.title", listing.tracking.title, languages)
        for kind, entries in (("newsletter", listing.newsletter), ("whitepaper", listing.whitepaper)):
            for number, entry in enumerate(entries):
                texts = {name: value for name, value in entry if isinstance(value, dict)}
                for name, value in texts.items():
                    self.check_field(f"{kind}[{number}].{name}", value, languages)
            slugs = [entry.slug for entry in entries]
            for slug in sorted({slug for slug in slugs if slugs.count(slug) > 1}):
                self.problems.append(f"catalogue.toml: {kind}: slug {slug!r} is used twice")
        known = {entry.slug for entry in listing.newsletter}
        for number, paper in enumerate(listing.whitepaper):
            if paper.newsletter is not None and paper.newsletter not in known:
                self.problems.append(
                    f"catalogue.toml: whitepaper[{number}].newsletter: no newsletter {paper.newsletter!r}"
                )

    def check_field(self, name: str, value: Mapping[str, object], languages: Iterable[str]) -> None:
        missing = [code for code in languages if code not in value]
        surplus = [code for code in value if code not in languages]
        self.problems.extend(f"catalogue.toml: {name}.{code}: missing" for code in missing)
        self.problems.extend(f"catalogue.toml: {name}.{code}: not one of `languages`" for code in surplus)

    def check_languages(self, stem: str, suffix: str, wanted: Iterable[str], has: set[Language]) -> None:
        self.problems.extend(f"{stem}.{code}{suffix}: missing" for code in wanted if code not in has)

    def wordings(self, values: Mapping[str, str]) -> dict[tuple[Purpose, str, Language], Wording]:
        found = {}
        for sub in self.entries(self.folder / "wordings"):
            name = _WORDING_FOLDER.fullmatch(sub.name)
            if not name or not sub.is_dir():
                self.problem(sub, "expected a folder newsletter.<slug>, whitepaper.<slug> or tracking.opens")
                continue
            purpose = Purpose(f"{name[1]}:{name[2]}")
            for version, language, text in self.texts(sub, "txt", values):
                found[purpose, version, language] = Wording(
                    purpose=purpose, version=version, language=language, text=text, hash=text_hash(text)
                )
        return found

    def notices(self, values: Mapping[str, str]) -> dict[tuple[str, Language], Notice]:
        return {
            (version, language): Notice(version=version, language=language, text=text, hash=text_hash(text))
            for version, language, text in self.texts(self.folder / "notice", "md", values)
        }

    def texts(self, folder: Path, suffix: str, values: Mapping[str, str]) -> Iterable[tuple[str, Language, str]]:
        for path in self.entries(folder):
            name = _TEXT_FILE.fullmatch(path.name)
            if not name or name[3] != suffix:
                self.problem(path, f"expected a name like 2026-11.de.{suffix}")
                continue
            text = self.text(path)
            if text is not None:
                yield name[1], Language(name[2]), canonical_text(self.filled(path, text, values))

    def filled(self, path: Path, text: str, values: Mapping[str, str]) -> str:
        """Placeholders name company data only: the same text for everybody, or its hash would prove nothing."""
        for name in sorted(set(_PLACEHOLDER.findall(text))):
            if name not in values:
                self.problem(path, f"{{{name}}}: unknown placeholder, known are {', '.join(sorted(values))}")
            elif not values[name]:
                self.problem(path, f"{{{name}}}: this company setting is empty")
        return _PLACEHOLDER.sub(lambda match: values.get(match[1], ""), text)

    def whitepaper(self, entry: _Whitepaper) -> Whitepaper:
        return Whitepaper(
            slug=entry.slug,
            titles=_by_language(entry.title),
            descriptions=_by_language(entry.description),
            files={Language(code): self.pdf(name) for code, name in entry.file.items()},
            newsletter=entry.newsletter,
        )

    def pdf(self, name: str) -> bytes:
        path = self.folder / name
        if not path.resolve().is_relative_to(self.folder.resolve()):
            self.problem(path, "is outside the catalogue folder")
            return b""
        content = self.content(path, _LARGEST_PDF)
        if content is not None and not content.startswith(b"%PDF-"):
            self.problem(path, "is not a PDF")
        return content or b""

    def text(self, path: Path) -> str | None:
        content = self.content(path, _LARGEST_TEXT)
        if content is None:
            return None
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            self.problem(path, "is not UTF-8 text")
            return None
        if not text.strip():
            self.problem(path, "is empty")
        return text

    def content(self, path: Path, largest: int) -> bytes | None:
        try:
            with path.open("rb") as file:
                content = file.read(largest + 1)
        except OSError as error:
            self.problem(path, error.strerror or "can not be read")
            return None
        if len(content) > largest:
            self.problem(path, f"is larger than {largest} bytes")
            return None
        return content

    def entries(self, folder: Path) -> list[Path]:
        """Sorted, without dot files."""
        try:
            return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
        except OSError as error:
            self.problem(folder, error.strerror or "can not be read")
            return []

    def problem(self, path: Path, detail: str) -> None:
        name = path.relative_to(self.folder).as_posix() if path.is_relative_to(self.folder) else path.name
        self.problems.append(f"{name}: {detail}")


def _path(location: tuple[int | str, ...]) -> str:
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return "".join(parts).lstrip(".")
