"""The journal of withdrawals: what a restored backup does not know and must be told again (Q5). Lines of text, pure.

JSON lines in a file of its own, apart from the database: a heading that names the journal, then numbered lines with opaque
ids and keyed hashes only. A line is written before its transaction commits, so a line without its act is possible (the person asked for it
and was told that it failed); an act without its line is not.
"""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from pixel_service.domain.consent import Purpose
from pixel_service.domain.errors import JournalBroken
from pixel_service.domain.messages import SubscriberId

_FORMAT = "pixel-service journal 1"


class Noted(StrEnum):
    """What people take away; a lift is among them, because it undoes a restriction that stands before it."""

    WITHDRAWN = "withdrawn"
    OBJECTED = "objected"
    RESTRICTED = "restricted"
    LIFTED = "lifted"
    #: Only what was measured; the consent stands.
    OPENS_DELETED = "opens_deleted"
    ERASED = "erased"
    #: To another address, which is not noted: the one of a backup is no longer theirs.
    MOVED = "moved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    journal_id: str
    #: Number of the first line that is kept; those before it have outlived their period.
    first: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """An act before it has its number."""

    at: datetime
    act: Noted
    subscriber_id: SubscriberId
    #: Sorted; empty where the act is about the whole person.
    purposes: tuple[Purpose, ...]
    #: The ledger's newest entry at that moment; for a reader, nothing is decided by it.
    seq: int
    #: The address that no import may bring back where the backup does not know it, as `erased_addresses` keeps it. None:
    #: the act keeps nobody out.
    address_hash: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    #: From 1, without gaps, for the whole life of the journal.
    number: int
    note: Note


@dataclass(frozen=True, slots=True)
class Position:
    """How far a journal had come: the number of its last line, 0 before the first."""

    journal_id: str
    number: int


def spell_heading(heading: Heading) -> str:
    return json.dumps({"format": _FORMAT, **asdict(heading)}) + "\n"


def read_heading(text: str) -> Heading:
    """Raises `JournalBroken` for anything that is no heading of ours."""
    try:
        values: dict[str, Any] = json.loads(text)
        if values["format"] != _FORMAT:
            raise ValueError
        return Heading(journal_id=str(values["journal_id"]), first=int(values["first"]))
    except (ValueError, TypeError, KeyError):
        raise JournalBroken("this is no journal of this service") from None


def spell(line: Line) -> str:
    note = line.note
    return json.dumps({"n": line.number, **asdict(note), "at": note.at.isoformat()}) + "\n"


def read_line(text: str) -> Line:
    """Raises `JournalBroken` for a line that is not whole."""
    try:
        values: dict[str, Any] = json.loads(text)
        note = Note(
            at=datetime.fromisoformat(values["at"]).astimezone(UTC),
            act=Noted(values["act"]),
            subscriber_id=SubscriberId(str(values["subscriber_id"])),
            purposes=tuple(Purpose(str(purpose)) for purpose in values["purposes"]),
            seq=int(values["seq"]),
            address_hash=None if values["address_hash"] is None else str(values["address_hash"]),
        )
        return Line(number=int(values["n"]), note=note)
    except (ValueError, TypeError, KeyError):
        raise JournalBroken("a line of the journal does not read") from None


def expect_number(line: Line, number: int) -> None:
    if line.number != number:
        raise JournalBroken(f"line {number} of the journal is missing, next found is {line.number}")
