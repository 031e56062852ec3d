"""Reads the operator's files, bounded, and collects what is wrong with them instead of stopping at the first."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from pixel_service.domain.wordings import Language, canonical_text

_LARGEST_TEXT = 64 * 1024
_LARGEST_PDF = 10 * 1024 * 1024
_VERSION = r"\d{4}-\d{2}(?:-\d{2})?[a-z]?"
_TEXT_FILE = re.compile(rf"({_VERSION})\.([a-z]{{2}})\.(txt|md)")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")

_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads below `folder`; `problems` name file, field and what is expected."""

    folder: Path
    problems: list[str] = field(default_factory=list)

    def toml(self, name: str, model: type[_Model]) -> _Model | None:
        text = self.text(self.folder / name)
        try:
            return None if text is None else model.model_validate(tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            self.problems.append(f"{name}: {error}")
        except ValidationError as error:
            self.problems.extend(f"{name}: {_path(e['loc'])}: {e['msg']}" for e in error.errors())
        return None

    def check_languages(self, stem: str, suffix: str, wanted: Iterable[str], has: set[Language]) -> None:
        self.problems.extend(f"{stem}.{code}{suffix}: missing" for code in wanted if code not in has)

    def texts(self, folder: Path, suffix: str) -> Iterable[tuple[Path, str, Language, str]]:
        """File, version, language and the text as it stands there, placeholders unfilled."""
        for path in self.entries(folder):
            name = _TEXT_FILE.fullmatch(path.name)
            if not name or name[3] != suffix:
                self.problem(path, f"expected a name like 2026-11.de.{suffix}")
                continue
            text = self.text(path)
            if text is not None:
                yield path, name[1], Language(name[2]), canonical_text(text)

    def filled(self, path: Path, text: str, values: Mapping[str, str]) -> str:
        """Placeholders name company data and settings only: the same text for everybody, or its hash would prove
        nothing."""
        for name in sorted(set(_PLACEHOLDER.findall(text))):
            if name not in values:
                self.problem(path, f"{{{name}}}: unknown placeholder, known are {', '.join(sorted(values))}")
            elif not values[name]:
                self.problem(path, f"{{{name}}}: this company setting is empty")
        return canonical_text(_PLACEHOLDER.sub(lambda match: values.get(match[1], ""), text))

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
