"""A CSV file of contacts, record by record in constant memory: UTF-8, RFC 4180, comma or semicolon, with a header.

What must hold: one broken line costs itself and nothing else, so a quotation mark that is never closed does not swallow
the rows below it; every byte is counted, so that reading can go on later where a record ended.
"""

import csv
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pixel_service.domain.errors import InvalidInput

#: Bytes of one record, line breaks in its quoted fields included.
MOST_BYTES = 64 * 1024
_BOM = b"\xef\xbb\xbf"

#: At most so many bytes, up to and with the next line feed; empty at the end. `BinaryIO.readline` is one.
ReadLine = Callable[[int], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    #: As a spreadsheet counts: the header is row 1.
    row: int
    #: Byte offset behind it.
    end: int
    #: One per column of the header; None where it could not be read.
    values: tuple[str, ...] | None
    #: Why not; holds nothing of the line.
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    columns: tuple[str, ...]
    delimiter: str
    #: Byte offset behind it.
    end: int


@dataclass(frozen=True, slots=True)
class _Line:
    data: bytes
    #: In the file; more than `data` holds of a line that is too long.
    size: int

    @property
    def whole(self) -> bool:
        return len(self.data) == self.size


def read_header(read_line: ReadLine, *, known: Sequence[str], required: Sequence[str]) -> Header:
    """Raises `InvalidInput`: a column that is unknown, missing or there twice. A misspelt column must not make every row
    of the file look as if it had no evidence."""
    line = _next_line(read_line)
    text = _decode(line.data.removeprefix(_BOM))
    if text is None or not line.whole:
        raise InvalidInput("file", "this is not a CSV file in UTF-8 whose first line names the columns")
    delimiter = ";" if text.count(";") > text.count(",") else ","
    columns = tuple(name.strip().lower() for name in _fields(text, delimiter) or ())
    for problem, names in (
        ("unknown", [f"number {at}" for at, name in enumerate(columns, start=1) if name not in known]),
        ("missing", [name for name in required if name not in columns]),
        ("there twice", sorted({name for name in columns if columns.count(name) > 1})),
    ):
        if names:
            raise InvalidInput("header", f"columns that are {problem}: {', '.join(names)}")
    return Header(columns=columns, delimiter=delimiter, end=line.size)


def records(read_line: ReadLine, header: Header, *, row: int, offset: int) -> Iterator[Record]:
    """What follows `offset`, where the record number `row` ended. Blank lines are counted and passed over."""
    # Lines that were read in search of a closing quotation mark, and are given back when there was none.
    ahead: deque[_Line] = deque()
    while (line := ahead.popleft() if ahead else _next_line(read_line)).size:
        row, offset = row + 1, offset + line.size
        if not line.whole:
            yield Record(row=row, end=offset, values=None, problem=f"a line of more than {MOST_BYTES} bytes")
        elif line.data.count(b'"') % 2:
            values = _quoted_lines(line, read_line, ahead, header)
            if values:
                offset += sum(one.size for one in ahead)
                ahead.clear()
            yield Record(row=row, end=offset, values=values, problem="" if values else "a quotation mark is not closed")
        elif line.data.strip():
            values = _values(line.data, header)
            yield Record(row=row, end=offset, values=values, problem="" if values else _why(line.data, header))


def _next_line(read_line: ReadLine) -> _Line:
    data = read_line(MOST_BYTES + 1)
    size = len(data)
    if size <= MOST_BYTES:
        return _Line(data, size)
    while not data.endswith(b"\n") and (data := read_line(MOST_BYTES)):
        size += len(data)
    return _Line(b"", size)


def _quoted_lines(first: _Line, read_line: ReadLine, ahead: deque[_Line], header: Header) -> tuple[str, ...] | None:
    """A field holds line breaks: everything up to the line that closes it, read into `ahead`. None where they make no
    record together: then the first one is broken, and the others stand for themselves. `ahead` is empty before, because
    the only line in it that could ask for others is its last one."""
    parts, size = [first.data], first.size
    while (line := _next_line(read_line)).size:
        ahead.append(line)
        size += line.size
        if size > MOST_BYTES:
            return None
        parts.append(line.data)
        if line.data.count(b'"') % 2:
            return _values(b"".join(parts), header)
    return None


def _values(data: bytes, header: Header) -> tuple[str, ...] | None:
    text = _decode(data)
    if text is None or "\0" in text:
        return None
    values = _fields(text, header.delimiter)
    return values if values is not None and len(values) == len(header.columns) else None


def _why(data: bytes, header: Header) -> str:
    text = _decode(data)
    if text is None:
        return "the line is not UTF-8"
    if "\0" in text:
        return "the line holds a NUL byte"
    values = _fields(text, header.delimiter)
    if values is None:
        return "the line is not CSV"
    return f"{len(values)} fields, the header names {len(header.columns)}"


def _decode(data: bytes) -> str | None:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _fields(text: str, delimiter: str) -> tuple[str, ...] | None:
    try:
        return tuple(next(csv.reader([text], delimiter=delimiter, strict=True), ()))
    except csv.Error:
        return None
