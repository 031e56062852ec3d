"""What a backup says of itself: which database, how far its ledger and its journal had come, and a check sum. Pure.

The manifest is authenticated under the secret keys of the service: a damaged one is found, and so is a restore under keys
that could not read the links of any mail sent.
"""

import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from pixel_service.domain.errors import BackupUnusable
from pixel_service.domain.journal import Heading, Position

_FORMAT = "pixel-service backup 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    #: ``sqlite`` or ``postgresql``; one can not be restored into the other.
    database: str
    #: Of the schema.
    revision: str
    #: Newest entry of the ledger.
    seq: int
    head: str
    #: Aware UTC.
    taken_at: datetime
    #: Every line up to here is in the backup, every later one is not.
    journal: Position
    #: Of the copy of the database, hex.
    sha256: str


def spell(manifest: Manifest, secret: bytes) -> bytes:
    values = {"format": _FORMAT, **asdict(manifest), "taken_at": manifest.taken_at.isoformat()}
    return json.dumps(values | {"mac": _mac(values, secret)}, indent=1).encode()


def read(data: bytes, secrets: Sequence[bytes]) -> Manifest:
    """Raises `BackupUnusable`."""
    try:
        values: dict[str, Any] = json.loads(data)
        mac = str(values.pop("mac"))
        genuine = [hmac.compare_digest(_mac(values, secret), mac) for secret in secrets]
        if values["format"] != _FORMAT:
            raise ValueError
        manifest = Manifest(
            database=str(values["database"]),
            revision=str(values["revision"]),
            seq=int(values["seq"]),
            head=str(values["head"]),
            taken_at=datetime.fromisoformat(values["taken_at"]).astimezone(UTC),
            journal=Position(str(values["journal"]["journal_id"]), int(values["journal"]["number"])),
            sha256=str(values["sha256"]),
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        raise BackupUnusable("the backup is damaged: its manifest does not read") from None
    if not any(genuine):
        raise BackupUnusable("the backup's manifest was altered, or made under other PIXEL_SECRET_KEYS")
    return manifest


def _mac(values: dict[str, Any], secret: bytes) -> str:
    spelled = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hmac.digest(secret, spelled.encode(), hashlib.sha256).hex()


def expect_journal(manifest: Manifest, heading: Heading, end: Position) -> None:
    """Raises `BackupUnusable` unless this journal holds every line after the backup's, as far as anybody can tell."""
    noted = manifest.journal
    if end.journal_id != noted.journal_id:
        raise BackupUnusable("this is not the journal that was kept when the backup was made")
    if end.number < noted.number:
        raise BackupUnusable(
            f"this journal ends before the backup: line {end.number}, {noted.number} was written by then"
        )
    if heading.first > noted.number + 1:
        raise BackupUnusable(
            f"the backup is older than the journal reaches back: it begins with line {heading.first}, "
            f"{noted.number + 1} is needed"
        )
