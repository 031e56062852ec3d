"""The journal's file: durable, in order, and whole, with any number of writers."""

import fcntl
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pixel_service.domain.consent import Purpose
from pixel_service.domain.errors import JournalBroken
from pixel_service.domain.journal import Note, Noted, Position
from pixel_service.domain.messages import SubscriberId
from pixel_service.storage.journal import Journal

NAME = "j" * 26
AT = datetime(2026, 11, 22, 12, tzinfo=UTC)


def note(*, at: datetime = AT, person: str = "a", purposes: int = 1) -> Note:
    named = tuple(Purpose(f"newsletter:number-{number}") for number in range(purposes))
    return Note(
        at=at,
        act=Noted.WITHDRAWN,
        subscriber_id=SubscriberId(person * 26),
        purposes=named,
        seq=1,
        address_hash=None,
    )


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    made = Journal(tmp_path / "journal")
    made.begin(NAME)
    return made


def numbers(journal: Journal, after: int = 0) -> list[int]:
    return [line.number for line in journal.lines(after=after)]


#: Appends argv[2] lines to the journal argv[1], as another process does.
WRITER = """
import sys
from pathlib import Path
from pixel_service.storage.journal import Journal
from tests.storage.test_journal import NAME, note
journal = Journal(Path(sys.argv[1]))
for _ in range(int(sys.argv[2])):
    journal.append(NAME, note())
"""


def test_lines_are_numbered_and_read_back_in_order(journal: Journal) -> None:
    noted = [note(person=letter) for letter in "abc"]
    assert [journal.append(NAME, one) for one in noted] == [1, 2, 3]
    assert [line.note for line in journal.lines(after=0)] == noted
    assert numbers(journal, after=2) == [3]
    assert numbers(journal, after=3) == []
    assert journal.position() == Position(NAME, 3)


def test_only_its_owner_can_read_it_and_no_other_file_is_overwritten(journal: Journal) -> None:
    journal.append(NAME, note())
    assert journal.path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        journal.begin("another")


def test_processes_that_write_at_the_same_time_lose_no_line_and_give_no_number_twice(journal: Journal) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(journal.path), "40"], cwd=Path(__file__).parents[2])
        for _ in range(4)
    ]
    assert [writer.wait(60) for writer in writers] == [0] * 4
    assert numbers(journal) == list(range(1, 161))


def test_half_a_line_of_a_process_that_died_is_no_line(journal: Journal) -> None:
    journal.append(NAME, note())
    whole = journal.path.read_bytes()
    with journal.path.open("ab") as file:
        file.write(b'{"n": 2, "at": "2026-11')
    assert numbers(journal) == [1]
    assert journal.position() == Position(NAME, 1)
    assert journal.append(NAME, note(person="b")) == 2
    assert journal.path.read_bytes().startswith(whole)
    assert numbers(journal) == [1, 2]


def test_a_full_disk_leaves_the_journal_as_it_was(journal: Journal) -> None:
    """The system refuses the line after its first ten bytes."""
    journal.append(NAME, note())
    before = journal.path.read_bytes()
    limited = f"""
import atexit, resource
no_limit = resource.getrlimit(resource.RLIMIT_FSIZE)
atexit.register(resource.setrlimit, resource.RLIMIT_FSIZE, no_limit)
resource.setrlimit(resource.RLIMIT_FSIZE, ({len(before) + 10}, no_limit[1]))
{WRITER}"""
    done = subprocess.run(
        [sys.executable, "-c", limited, str(journal.path), "1"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert journal.path.read_bytes() == before


def test_a_line_longer_than_what_is_read_at_once_is_one_line(journal: Journal) -> None:
    journal.append(NAME, note(purposes=2000))
    assert journal.append(NAME, note()) == 2
    assert [len(line.note.purposes) for line in journal.lines(after=0)] == [2000, 1]


def test_a_missing_or_unreadable_line_is_found(journal: Journal) -> None:
    for _ in range(3):
        journal.append(NAME, note())
    lines = journal.path.read_bytes().splitlines(keepends=True)
    journal.path.write_bytes(b"".join([*lines[:2], *lines[3:]]))
    with pytest.raises(JournalBroken, match="line 2 of the journal is missing"):
        numbers(journal)
    journal.path.write_bytes(b"".join([*lines[:2], b"nonsense\n", *lines[3:]]))
    with pytest.raises(JournalBroken, match="does not read"):
        numbers(journal)
    journal.path.write_bytes(b"".join(lines[1:]))
    with pytest.raises(JournalBroken, match="no journal"):
        journal.append(NAME, note())


def test_another_journal_in_its_place_is_not_written_to(journal: Journal) -> None:
    journal.path.unlink()
    journal.begin("another")
    before = journal.path.read_bytes()
    with pytest.raises(JournalBroken, match="replaced"):
        journal.append(NAME, note())
    assert journal.path.read_bytes() == before


# --- pruning --------------------------------------------------------------------------------------------------------


def test_old_lines_go_and_numbers_go_on(journal: Journal) -> None:
    for day in range(5):
        journal.append(NAME, note(at=AT + timedelta(days=day)))
    assert journal.prune(AT) == 0
    assert journal.prune(AT + timedelta(days=2)) == 2
    assert numbers(journal, after=2) == [3, 4, 5]
    assert journal.heading().first == 3
    assert journal.path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(JournalBroken, match="begins with line 3, line 2 is needed"):
        numbers(journal, after=1)
    assert journal.prune(AT + timedelta(days=9)) == 3
    assert journal.position() == Position(NAME, 5)
    assert journal.append(NAME, note(at=AT + timedelta(days=9))) == 6
    assert numbers(journal, after=5) == [6]


def test_whoever_waits_while_old_lines_go_writes_into_the_new_file(journal: Journal) -> None:
    journal.append(NAME, note())
    held = os.open(journal.path, os.O_RDWR)
    fcntl.flock(held, fcntl.LOCK_EX)
    waiting = threading.Thread(target=journal.append, args=(NAME, note(person="b")))
    waiting.start()
    waiting.join(0.3)
    assert waiting.is_alive()
    shorter = journal.path.with_name("shorter")
    shorter.write_bytes(journal.path.read_bytes())
    shorter.replace(journal.path)
    os.close(held)
    waiting.join(10)
    assert numbers(journal) == [1, 2]


# --- another place --------------------------------------------------------------------------------------------------


def test_a_journal_goes_on_at_another_place(journal: Journal, tmp_path: Path) -> None:
    journal.append(NAME, note())
    there = Journal(tmp_path / "there")
    for _ in range(2):
        there.take_over(journal)
        assert there.path.read_bytes() == journal.path.read_bytes()
    assert there.path.stat().st_mode & 0o777 == 0o600
    journal.take_over(journal)
    assert numbers(journal) == [1]


def test_a_journal_without_lines_gives_way_and_one_with_lines_does_not(journal: Journal, tmp_path: Path) -> None:
    there = Journal(tmp_path / "there")
    there.begin("another")
    there.take_over(journal)
    assert there.identity() == NAME
    there.append(NAME, note())
    before = there.path.read_bytes()
    with pytest.raises(JournalBroken, match="move it away"):
        there.take_over(journal)
    assert there.path.read_bytes() == before
