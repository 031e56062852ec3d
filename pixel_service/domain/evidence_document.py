"""A readable document in finished words: sections of facts, paragraphs, quotations and steps. HTML and plain text are
made of the same one; what it says, and in which language, is decided in usecases/evidence_document.py."""

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

_WIDTH = 100


@dataclass(frozen=True, slots=True)
class Fact:
    label: str
    value: str
    #: A hash, a number, a technical name: shown letter by letter.
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Quote:
    """Words as they stand elsewhere, line by line."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Step:
    title: str
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    title: str
    paragraphs: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()
    quotes: tuple[Quote, ...] = ()
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    title: str
    facts: tuple[Fact, ...]
    sections: tuple[Section, ...]


def as_text(document: Document) -> str:
    """For a terminal or a letter; lines of at most 100 characters where words allow it."""
    return "\n".join(_lines(document)) + "\n"


def _lines(document: Document) -> Iterator[str]:
    yield from (document.title, "=" * len(document.title), "", *_facts(document.facts))
    for section in document.sections:
        yield from ("", section.title, "-" * len(section.title))
        for paragraph in section.paragraphs:
            yield from ("", *textwrap.wrap(paragraph, _WIDTH, break_long_words=False, break_on_hyphens=False))
        if section.facts:
            yield from ("", *_facts(section.facts))
        for quote in section.quotes:
            yield from ("", f"{quote.title}:", *(f"  | {line}".rstrip() for line in quote.text.splitlines()))
        for step in section.steps:
            yield from ("", step.title, *(f"  {line}" for line in _facts(step.facts)))


def _facts(facts: tuple[Fact, ...]) -> list[str]:
    width = max((len(fact.label) for fact in facts), default=0)
    return [f"{fact.label + ':':<{width + 1}} {fact.value}" for fact in facts]
