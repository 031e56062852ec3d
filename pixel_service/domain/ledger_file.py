"""The ledger as a file that verifies anywhere, without the database and without this service's settings (E3).

JSON lines: a heading, the checkpoints, the entries in order. The last checkpoint covers the last entry, so a file that was
cut is found. Public keys stand in the heading so that a reader can compare them with the ones noted earlier: a file can
not vouch for itself.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from pixel_service.domain.checkpoints import Checkpoint, LedgerCheck
from pixel_service.domain.consent import Act
from pixel_service.domain.errors import InvalidInput, LedgerBroken
from pixel_service.domain.ledger import Entry

_FORMAT = "pixel-service ledger 1"
Record = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileProof:
    entries: int
    head: str
    #: Over the last entry; None for a ledger without entries.
    signed: Checkpoint | None
    #: What the file says its keys are.
    public_keys: tuple[str, ...]


# --- writing ----------------------------------------------------------------


def heading(public_keys: Collection[str]) -> str:
    return _line("heading", {"format": _FORMAT, "public_keys": list(public_keys)})


def checkpoint_line(checkpoint: Checkpoint) -> str:
    return _line("checkpoint", asdict(checkpoint) | {"at": checkpoint.at.isoformat()})


def entry_line(entry: Entry) -> str:
    return _line("entry", asdict(entry) | {"at": entry.at.isoformat()})


def _line(kind: str, values: Record) -> str:
    return json.dumps({"kind": kind, **values}, ensure_ascii=False) + "\n"


# --- reading ----------------------------------------------------------------


def check(lines: Iterable[str], *, trusted: Collection[str] = ()) -> FileProof:
    """Raises `LedgerBroken` at the first bad entry, `InvalidInput` for what is no export. Without `trusted` the keys of the heading count."""
    records = _records(lines)
    kind, first = next(records, ("", {}))
    if kind != "heading" or first.get("format") != _FORMAT:
        raise InvalidInput("file", "this is not an export of the ledger")
    keys = _texts(first.get("public_keys"))
    checkpoints: list[Checkpoint] = []
    found: LedgerCheck | None = None
    for kind, record in records:
        if kind == "checkpoint" and found is None:
            checkpoints.append(_checkpoint(record))
        elif kind == "entry":
            found = found or LedgerCheck(checkpoints, trusted or keys)
            found.add(_entry(record, found.entries + 1))
        else:
            raise LedgerBroken(found.entries + 1 if found else 1, "the file holds a line that does not belong there")
    found = found or LedgerCheck(checkpoints, trusted or keys)
    found.finish()
    if found.entries and (found.covered is None or found.covered.seq != found.entries):
        raise LedgerBroken(found.entries, "the end of the file is not signed")
    return FileProof(entries=found.entries, head=found.head, signed=found.covered, public_keys=keys)


def _records(lines: Iterable[str]) -> Iterator[tuple[str, Record]]:
    for number, line in enumerate(lines, start=1):
        try:
            values = json.loads(line)
        except ValueError as error:
            raise InvalidInput(f"line {number}", "can not be read") from error
        if not isinstance(values, dict):
            raise InvalidInput(f"line {number}", "can not be read")
        yield str(values.pop("kind", "")), values


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()


def _checkpoint(record: Record) -> Checkpoint:
    try:
        return Checkpoint(**_with_time(record))
    except (TypeError, ValueError, KeyError) as error:
        raise InvalidInput("file", "a checkpoint can not be read") from error


def _entry(record: Record, expected_seq: int) -> Entry:
    """Every column and no other; what its values are worth, the chain tells."""
    try:
        return Entry(**_with_time(record) | {"act": Act(str(record["act"]))})
    except (TypeError, ValueError, KeyError) as error:
        raise LedgerBroken(expected_seq, "the entry can not be read") from error


def _with_time(record: Record) -> dict[str, Any]:
    return {**record, "at": datetime.fromisoformat(str(record["at"]))}
