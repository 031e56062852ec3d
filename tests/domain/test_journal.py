"""Lines of the journal: what is spelled reads back, and what does not read is refused."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from pixel_service.domain.consent import Purpose
from pixel_service.domain.errors import JournalBroken, StorageUnavailable
from pixel_service.domain.journal import (
    Heading,
    Line,
    Note,
    Noted,
    expect_number,
    read_heading,
    read_line,
    spell,
    spell_heading,
)
from pixel_service.domain.messages import SubscriberId

LINE = Line(
    number=7,
    note=Note(
        at=datetime(2026, 11, 22, 12, 0, 0, 5, tzinfo=UTC),
        act=Noted.WITHDRAWN,
        subscriber_id=SubscriberId("a" * 26),
        purposes=(Purpose("newsletter:blog"), Purpose("tracking:opens")),
        seq=12,
        address_hash="c" * 64,
    ),
)


def test_a_line_and_a_heading_read_back_as_they_were_spelled() -> None:
    heading = Heading(journal_id="b" * 26, first=5)
    assert read_line(spell(LINE)) == LINE
    unnamed = replace(LINE, note=replace(LINE.note, act=Noted.LIFTED, address_hash=None))
    assert read_line(spell(unnamed)) == unnamed
    assert read_heading(spell_heading(heading)) == heading
    assert spell(LINE).count("\n") == spell_heading(heading).count("\n") == 1


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '"a"', "{}", spell(LINE), '{"format": "another"}'])
def test_what_is_no_heading_is_refused(text: str) -> None:
    with pytest.raises(JournalBroken, match="no journal"):
        read_heading(text)


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "{}", spell(LINE)[:-10]])
def test_what_is_no_whole_line_is_refused(text: str) -> None:
    with pytest.raises(JournalBroken, match="does not read"):
        read_line(text)


@pytest.mark.parametrize("name", sorted(json.loads(spell(LINE))))
def test_a_line_without_one_of_its_parts_is_refused(name: str) -> None:
    values = json.loads(spell(LINE))
    del values[name]
    with pytest.raises(JournalBroken, match="does not read"):
        read_line(json.dumps(values))


def test_a_gap_is_named() -> None:
    expect_number(LINE, 7)
    with pytest.raises(JournalBroken, match="line 6 of the journal is missing, next found is 7"):
        expect_number(LINE, 6)


def test_what_can_not_be_noted_counts_as_not_stored() -> None:
    """So that a page answers "try again", and a mail server's pipe delivers again."""
    assert issubclass(JournalBroken, StorageUnavailable)
