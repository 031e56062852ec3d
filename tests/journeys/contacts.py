"""Files of contacts for an import, with every fault it tells apart, and the import as a process that can be killed."""

import asyncio
import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select

from pixel_service.storage.engine import Database
from pixel_service.storage.schema import consents, imports, ledger, subscribers
from tests.journeys.service import environment

COLUMNS = (
    *("address", "purpose", "language", "first_name", "requested_at", "confirmed_at", "confirmed_by", "form_url"),
    "wording_version",
)
HEADER = ",".join(COLUMNS) + "\n"
_EVIDENCE = "2026-05-01T10:00:00+02:00,2026-05-01T10:05:00+02:00,double_opt_in,https://alt.example/form"

#: A line each, and what the report says of it: result, field, code. `{n}` makes every line another one.
FAULTS: tuple[tuple[str, tuple[str, str, str]], ...] = (
    (f"nobody{{n}},newsletter:blog,de,Anna,{_EVIDENCE},2026-11\n", ("refused", "address", "invalid")),
    (f"x{{n}}@example.com,newsletter:gone,de,Anna,{_EVIDENCE},2026-11\n", ("refused", "purpose", "unknown_purpose")),
    (
        f"x{{n}}@example.com,newsletter:blog,de,Anna,{_EVIDENCE},1999-01\n",
        ("refused", "wording_version", "unknown_wording"),
    ),
    (f"x{{n}}@example.com,newsletter:blog,de,{'A' * 81},{_EVIDENCE},2026-11\n", ("refused", "first_name", "invalid")),
    ("x{n}@example.com,newsletter:blog,de,Anna\n", ("refused", "", "unreadable")),
    (f'x{{n}}@example.com,newsletter:blog,de,"Anna,{_EVIDENCE},2026-11\n', ("refused", "", "unreadable")),
    (f"x{{n}}@example.com,newsletter:blog,de,A\x00a,{_EVIDENCE},2026-11\n", ("refused", "", "unreadable")),
    (
        "x{n}@example.com,newsletter:blog,de,Anna,,,,,2026-11\n",
        ("unknown", "requested_at form_url confirmed_at confirmed_by", "no_evidence"),
    ),
    (f"person0@example.com,newsletter:blog,de,Anna,{_EVIDENCE},2026-11\n", ("refused", "purpose", "duplicate")),
)
#: Which rows of a hundred, counted from 1, have a fault.
_FAULTY = 50


def good_line(number: int) -> str:
    return f"person{number}@example.com,newsletter:blog,de,Anna,{_EVIDENCE},2026-11\n"


def lines(number: int) -> Iterator[str]:
    """`number` rows, a fault in every hundredth."""
    yield HEADER
    for one in range(number):
        fault = one // 100
        yield FAULTS[fault % len(FAULTS)][0].format(n=one) if one % 100 == _FAULTY else good_line(one)


def expected_report(number: int) -> list[tuple[str, ...]]:
    """Row, result, field, code of each fault."""
    return [(str(one + 2), *FAULTS[one // 100 % len(FAULTS)][1]) for one in range(number) if one % 100 == _FAULTY]


def good_numbers(number: int) -> set[int]:
    return {one for one in range(number) if one % 100 != _FAULTY}


def write_contacts(path: Path, number: int) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.writelines(lines(number))
    return path


def read_report(path: Path) -> list[tuple[str, ...]]:
    """Row, result, field, code of each line behind the heading."""
    with path.open(encoding="utf-8", newline="") as file:
        heading, *rows = csv.reader(file)
    assert heading == ["row", "result", "field", "code", "reason"]
    assert all(row[4] for row in rows)
    return [tuple(row[:4]) for row in rows]


# --- the command as a process -----------------------------------------------------------------------------------------


@dataclass(slots=True)
class Running:
    """`pixel-service import` under way."""

    process: "subprocess.Popen[bytes]"

    def kill(self) -> None:
        assert self.process.poll() is None, "it was faster than the test"
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(20)

    def finish(self) -> int:
        """Waits; the most memory it had, in bytes."""
        _, status, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        assert self.process.returncode == 0
        return usage.ru_maxrss * 1024


def start_import(database_url: str, file: Path, *words: str) -> Running:
    variables = {**os.environ, **environment(database_url, port=8000, smtp_port=25)}
    command = (sys.executable, "-m", "pixel_service", "import", str(file), "--source", "old tool", *words)
    # What it prints is not looked at here; a pipe nobody reads would stop it.
    return Running(subprocess.Popen(command, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))


async def until_row(database: Database, row: int) -> None:
    """Until that much of an import is committed."""
    for _ in range(20_000):
        async with database.read() as connection:
            done = (await connection.execute(select(func.max(imports.c.last_row)))).scalar_one()
        if done and done >= row:
            return
        await asyncio.sleep(0.005)
    raise TimeoutError(f"row {row} was never reached")


# --- what it left behind ----------------------------------------------------------------------------------------------


async def check_exactly_the_good_rows(database: Database, number: int) -> None:
    """Everybody once: a person, a consent, and an entry that names the row."""
    good = good_numbers(number)
    async with database.read() as connection:
        keys = (await connection.execute(select(subscribers.c.address_key))).scalars().all()
        given = (await connection.execute(select(consents.c.state, func.count()).group_by(consents.c.state))).all()
        contents = (await connection.execute(select(ledger.c.content))).scalars().all()
        rows = (await connection.execute(select(imports))).all()
    assert len(keys) == len(good)
    assert set(keys) == {f"person{one}@example.com" for one in good}
    assert [tuple(one) for one in given] == [("given", len(good))]
    assert len(contents) == len(good)
    assert {json.loads(content)["row"] for content in contents} == {one + 2 for one in good}
    (done,) = rows
    faults = expected_report(number)
    assert (done.good, done.last_row) == (len(good), number + 1)
    assert done.unknown == len([one for one in faults if one[1] == "unknown"])
    assert done.refused == len(faults) - done.unknown
    assert done.finished_at is not None
