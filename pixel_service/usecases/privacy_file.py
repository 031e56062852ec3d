"""One's own data as files: JSON for programs, tables for a spreadsheet; every stored row, streamed (R1, R5).

JSON is one object: `about`, `columns` (per table and column what it holds, in words), `data` (per table its rows). The
tables are a ZIP of one CSV per kind of row and `columns.csv`. Moments are ISO 8601 in UTC. A colleague gets the same.
"""

import base64
import csv
import io
import json
import re
import zipfile
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from datetime import datetime

from pixel_service.domain.personal_data import Holder
from pixel_service.domain.sends import JsonValue
from pixel_service.domain.stored_data import STORED
from pixel_service.i18n import decimal_mark
from pixel_service.mail.read_back import read_back
from pixel_service.storage.personal_rows import TABLES, Held, Values, rows_of
from pixel_service.usecases.context import Context

#: A file that is handed on must not carry the button of a mail that asks.
_LINK = re.compile(r"((?:/c|/privacy/[a-z]+)/[a-z2-7]{8})[a-z2-7]+")
#: What a spreadsheet takes for a formula (FACTS 6).
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
#: Bytes of a part of the answer.
_PART = 64 * 1024


async def as_json(ctx: Context, person: Holder, language: str) -> AsyncIterator[bytes]:
    """One object, never as a whole in memory."""
    yield _opening(ctx, person, language)
    for number, held in enumerate(TABLES):
        yield f"{',' if number else ''}\n  {json.dumps(held.table.name)}: [".encode()
        separator = "\n    "
        async for row in rows_of(ctx.db, held, person):
            yield (separator + json.dumps(_plain_row(held, row), ensure_ascii=False)).encode()
            separator = ",\n    "
        yield b"]"
    yield b"\n}}\n"


def _opening(ctx: Context, person: Holder, language: str) -> bytes:
    about = {
        "address": person.address,
        "controller": f"{ctx.company.name}, {ctx.company.address}",
        "made_at": ctx.clock().isoformat(),
        "notice": f"{ctx.policy.base_url}/privacy?version={ctx.catalogue.notice_version}",
    }
    columns = {held.table.name: _meanings(ctx, held, language) for held in TABLES}
    return (
        f'{{"about": {json.dumps(about, ensure_ascii=False)},\n'
        f'"columns": {json.dumps(columns, ensure_ascii=False, indent=1)},\n"data": {{'
    ).encode()


async def as_tables(ctx: Context, person: Holder, language: str) -> AsyncIterator[bytes]:
    """A ZIP, part by part as its rows are read."""
    sink = _Sink()
    delimiter = _delimiter(language)
    made_at = ctx.clock()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open(_entry("columns.csv", made_at), "w") as file:
            file.write(_lines(delimiter, _explained(ctx, language), first=True))
        for held in TABLES:
            with archive.open(_entry(f"{held.table.name}.csv", made_at), "w") as file:
                file.write(_lines(delimiter, [held.columns], first=True))
                async for row in rows_of(ctx.db, held, person):
                    file.write(_lines(delimiter, [[_cell(one) for one in _plain_row(held, row).values()]]))
                    if sink.size >= _PART:
                        yield sink.take()
        yield sink.take()
    yield sink.take()


class _Sink:
    """Where the archive is written to: forgets what was handed on."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self.size = 0

    def write(self, data: bytes, /) -> int:
        self._parts.append(bytes(data))
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        return

    def close(self) -> None:
        return

    def take(self) -> bytes:
        taken = b"".join(self._parts)
        self._parts, self.size = [], 0
        return taken


def _entry(name: str, at: datetime) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, at.timetuple()[:6])
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


# --- words ------------------------------------------------------------------


def _meanings(ctx: Context, held: Held, language: str) -> Mapping[str, str]:
    words = ctx.catalogues.translations(language)
    told = {name: words.gettext(one.words) for one in STORED[held.table.name] for name in one}
    return {name: told[name] for name in held.columns}


def _explained(ctx: Context, language: str) -> Iterator[tuple[str, str, str]]:
    yield "file", "column", "meaning"
    for held in TABLES:
        for name, meaning in _meanings(ctx, held, language).items():
            yield f"{held.table.name}.csv", name, meaning


# --- values -----------------------------------------------------------------


def _plain_row(held: Held, row: Values) -> dict[str, JsonValue]:
    return {name: _plain(f"{held.table.name}.{name}", value) for name, value in row.items()}


def _plain(column: str, value: object) -> JsonValue:
    match value:
        case datetime():
            return value.isoformat()
        case bytes() if column == "confirmation_mails.data":
            return _mail(value)
        case bytes():
            return base64.b32encode(value).decode().rstrip("=").lower()
        case None | bool() | int() | float() | str() | list() | dict():
            return value
    raise TypeError(f"{column}: {type(value).__name__}")


def _mail(raw: bytes) -> str:
    """As it was read: headers and text. Its link is shortened, since files are handed on."""
    headers, text = read_back(raw)
    lines = "\n".join(f"{name}: {value}" for name, value in headers)
    return _LINK.sub(r"\1…", f"{lines}\n\n{text}")


def _cell(value: JsonValue) -> str:
    """Guarded: a spreadsheet must take nothing that a person typed for a formula."""
    match value:
        case None:
            return ""
        case str():
            text = value
        case bool() | list() | dict():
            text = json.dumps(value, ensure_ascii=False)
        case _:
            return str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _lines(delimiter: str, rows: Iterable[Iterable[str]], *, first: bool = False) -> bytes:
    """Lines of CSV. The first of a file begin with the mark by which a spreadsheet knows UTF-8."""
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter).writerows(rows)
    return text.getvalue().encode("utf-8-sig" if first else "utf-8")


def _delimiter(language: str) -> str:
    """What a spreadsheet of that language expects: a semicolon where the comma is the decimal mark."""
    return ";" if decimal_mark(language) == "," else ","
