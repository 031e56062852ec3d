"""The manifest of a backup: every altered byte is found, and so is the wrong journal."""

import json
from datetime import UTC, datetime

import pytest

from pixel_service.domain.backup import Manifest, expect_journal, read, spell
from pixel_service.domain.errors import BackupUnusable
from pixel_service.domain.journal import Heading, Position

SECRET, OTHER = b"s" * 32, b"o" * 32
MANIFEST = Manifest(
    database="sqlite",
    revision="0002",
    seq=12,
    head="f" * 64,
    taken_at=datetime(2026, 11, 22, 12, tzinfo=UTC),
    journal=Position("journal", 5),
    sha256="0" * 64,
)


def test_a_manifest_reads_back_under_any_of_the_keys() -> None:
    assert read(spell(MANIFEST, SECRET), [OTHER, SECRET]) == MANIFEST


def test_a_manifest_made_under_other_keys_is_refused() -> None:
    with pytest.raises(BackupUnusable, match="other PIXEL_SECRET_KEYS"):
        read(spell(MANIFEST, SECRET), [OTHER])


@pytest.mark.parametrize("name", sorted(json.loads(spell(MANIFEST, SECRET))))
def test_a_manifest_with_another_or_no_value_is_refused(name: str) -> None:
    values = json.loads(spell(MANIFEST, SECRET))
    other = {"journal_id": "journal", "number": 4} if name == "journal" else "2026-11-22T12:00:01+00:00"
    with pytest.raises(BackupUnusable):
        read(json.dumps(values | {name: other}).encode(), [SECRET])
    del values[name]
    with pytest.raises(BackupUnusable, match="damaged"):
        read(json.dumps(values).encode(), [SECRET])


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"7", b'"a"', b"\xff"])
def test_what_is_no_manifest_is_refused(data: bytes) -> None:
    with pytest.raises(BackupUnusable, match="damaged"):
        read(data, [SECRET])


@pytest.mark.parametrize("first, last", [(1, 5), (1, 9), (6, 5), (6, 9)])
def test_a_journal_that_holds_every_later_line_serves(first: int, last: int) -> None:
    expect_journal(MANIFEST, Heading(journal_id="journal", first=first), Position("journal", last))


@pytest.mark.parametrize(
    "journal_id, first, last, why",
    [
        ("another", 1, 9, "not the journal that was kept"),
        ("journal", 1, 4, "ends before the backup: line 4, 5 was written by then"),
        ("journal", 7, 9, "begins with line 7, 6 is needed"),
    ],
)
def test_a_journal_that_misses_lines_is_refused(journal_id: str, first: int, last: int, why: str) -> None:
    with pytest.raises(BackupUnusable, match=why):
        expect_journal(MANIFEST, Heading(journal_id=journal_id, first=first), Position(journal_id, last))
