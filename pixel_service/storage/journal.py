"""The journal's file: append durably from any number of processes, read it, and drop what is too old.

What must hold: a line that was appended is on disk when `append` returns; nobody ever sees half a line as a whole one; no
number is given twice. Everything here blocks, so callers go through a thread. Every failure is an `OSError` or
`JournalBroken`, and means "not noted".
"""

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from errno import ENOSPC
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from pixel_service.domain.errors import JournalBroken
from pixel_service.domain.journal import (
    Heading,
    Line,
    Note,
    Position,
    expect_number,
    read_heading,
    read_line,
    spell,
    spell_heading,
)

_CHUNK = 8192
_MOST_HEADING = 1024


@dataclass(frozen=True, slots=True)
class Journal:
    """On a shared disk it may have several hosts, if that disk honours flock and fsync."""

    path: Path

    def begin(self, journal_id: str) -> None:
        """Make the file, for its owner only; never over another one."""
        _write_whole(self.path, [spell_heading(Heading(journal_id=journal_id)).encode()])

    def identity(self) -> str | None:
        """None where there is no file."""
        try:
            with self.path.open("rb") as file:
                return _heading_of(file).journal_id
        except FileNotFoundError:
            return None

    def heading(self) -> Heading:
        with self.path.open("rb") as file:
            return _heading_of(file)

    def position(self) -> Position:
        with _locked(self.path, os.O_RDONLY, fcntl.LOCK_SH) as file:
            heading = _heading_of(file)
            return Position(heading.journal_id, _last_number(file, heading))

    def append(self, journal_id: str, note: Note) -> int:
        """Returns the line's number, once it is on disk. Half a line, left by a process that died, is removed first:
        its transaction never committed."""
        with _locked(self.path, os.O_RDWR | os.O_APPEND, fcntl.LOCK_EX) as file:
            heading = _heading_of(file)
            if heading.journal_id != journal_id:
                raise JournalBroken("the journal was replaced by another one")
            end = _whole_lines(file)
            os.ftruncate(file.fileno(), end)
            line = Line(number=_last_number(file, heading) + 1, note=note)
            data = spell(line).encode()
            if os.write(file.fileno(), data) != len(data):
                os.ftruncate(file.fileno(), end)
                raise OSError(ENOSPC, os.strerror(ENOSPC))
            os.fsync(file.fileno())
            return line.number

    def lines(self, *, after: int) -> Iterator[Line]:
        """In order, in constant memory. Raises `JournalBroken` when one of them is missing or does not read."""
        with self.path.open("rb") as file:
            expected = _heading_of(file).first
            if after + 1 < expected:
                raise JournalBroken(f"the journal begins with line {expected}, line {after + 1} is needed")
            for line in _whole(file):
                expect_number(line, expected)
                expected += 1
                if line.number > after:
                    yield line

    def prune(self, before: datetime) -> int:
        """Drop the oldest lines; returns how many. Whoever waits for the lock finds the new file."""
        with _locked(self.path, os.O_RDONLY, fcntl.LOCK_EX) as file:
            heading = _heading_of(file)
            gone = 0
            for line in _whole(file):
                if line.note.at >= before:
                    break
                gone += 1
            if gone:
                self._rewrite(file, heading, gone)
            return gone

    def _rewrite(self, file: BinaryIO, heading: Heading, gone: int) -> None:
        kept = (spell(line).encode() for line in _whole(file) if line.number >= heading.first + gone)
        shorter = spell_heading(replace(heading, first=heading.first + gone)).encode()
        aside = self.path.with_name(f"{self.path.name}.new")
        aside.unlink(missing_ok=True)
        _write_whole(aside, chain([shorter], kept))
        aside.replace(self.path)
        sync_folder(self.path.parent)

    def take_over(self, other: "Journal") -> None:
        """Go on with a copy of `other`, unless it is this one. Raises `JournalBroken` over a third one with lines in it."""
        if self.path.exists():
            if self.path.samefile(other.path) or self.position() == other.position():
                return
            if self.position().number:
                raise JournalBroken(f"{self.path} is another journal: move it away first")
            self.path.unlink()
        with other.path.open("rb") as file:
            _write_whole(self.path, iter(lambda: file.read(_CHUNK), b""))


def _write_whole(path: Path, parts: Iterable[bytes]) -> None:
    opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(opened, "wb") as file:  # noqa: PTH123  pathlib opens no descriptor
        file.writelines(parts)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """A new name is durable only when its folder is."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


@contextmanager
def _locked(path: Path, flags: int, how: int) -> Iterator[BinaryIO]:
    """The file, held against other processes; opened anew when it was replaced while we waited."""
    while True:
        opened = os.open(path, flags)
        with open(opened, "r+b" if flags & os.O_RDWR else "rb", buffering=0) as file:  # noqa: PTH123  as above
            fcntl.flock(opened, how)
            now, found = path.stat(), os.fstat(opened)
            if (now.st_dev, now.st_ino) == (found.st_dev, found.st_ino):
                yield file
                return


# --- reading ----------------------------------------------------------------


def _heading_of(file: BinaryIO) -> Heading:
    return read_heading(os.pread(file.fileno(), _MOST_HEADING, 0).partition(b"\n")[0].decode(errors="replace"))


def _whole(file: BinaryIO) -> Iterator[Line]:
    """Without the heading, and without half a line at the end."""
    file.seek(0)
    for number, raw in enumerate(file):
        if number and raw.endswith(b"\n"):
            yield read_line(raw.decode(errors="replace"))


def _whole_lines(file: BinaryIO) -> int:
    """Bytes up to the end of the last whole line."""
    return _after_newline(file, os.fstat(file.fileno()).st_size)


def _last_number(file: BinaryIO, heading: Heading) -> int:
    end = _whole_lines(file)
    begin = _after_newline(file, end - 1)
    if begin == 0:
        return heading.first - 1
    return read_line(os.pread(file.fileno(), end - begin, begin).decode(errors="replace")).number


def _after_newline(file: BinaryIO, end: int) -> int:
    """Where the last line before `end` stops; 0 when there is none."""
    while end > 0:
        begin = max(0, end - _CHUNK)
        found = os.pread(file.fileno(), end - begin, begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        end = begin
    return 0
