"""`pixel-service import`: what it prints and reports; and a killed one, started anew, ends with exactly the good rows."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pixel_service.app import now
from pixel_service.cli import app
from pixel_service.storage.engine import Database
from pixel_service.usecases.ledger import replay, verify
from tests.access import Clock
from tests.builders import context, dump
from tests.conftest import NewDatabase
from tests.journeys.contacts import (
    check_exactly_the_good_rows,
    expected_report,
    read_report,
    start_import,
    until_row,
    write_contacts,
)
from tests.journeys.service import environment

ROWS = 3000
FEW = 900
HEAD = "900 rows: 891 {}, 1 unknown, 8 refused."


@pytest.fixture
def url(new_sqlite: NewDatabase) -> str:
    return new_sqlite()


@pytest.fixture
def contacts(tmp_path: Path) -> str:
    return str(write_contacts(tmp_path / "contacts.csv", FEW))


def run(url: str, *words: str, **changes: str) -> Result:
    variables: Mapping[str, str] = environment(url, port=8000, smtp_port=25, **changes)
    return CliRunner().invoke(app, ["import", *words, "--source", "old tool"], env=dict(variables))


def test_it_says_what_came_of_the_rows_and_reports_those_not_taken(url: str, contacts: str, tmp_path: Path) -> None:
    report = tmp_path / "report.csv"
    # Of a run that was killed.
    report.with_name("report.csv.part").write_text("half", encoding="utf-8")
    done = run(url, contacts, "--report", str(report))
    assert done.exit_code == 0, done.output
    told = done.stdout.splitlines()
    assert told[0] == HEAD.format("imported")
    assert [line.split() for line in told[1:]] == [
        ["reason", "rows"],
        ["duplicate", "1"],
        ["invalid", "2"],
        ["no_evidence", "1"],
        ["unknown_purpose", "1"],
        ["unknown_wording", "1"],
        ["unreadable", "3"],
    ]
    assert read_report(report) == expected_report(FEW)
    assert report.stat().st_mode & 0o077 == 0
    assert [path.name for path in tmp_path.glob("report*")] == [report.name]
    assert "example.com" not in report.read_text(encoding="utf-8") + done.output


def test_the_same_file_again_changes_nothing_and_writes_the_report_anew(
    url: str, contacts: str, tmp_path: Path
) -> None:
    assert run(url, contacts).exit_code == 0
    again = run(url, contacts, "--report", str(tmp_path / "report.csv"))
    assert again.stdout.splitlines()[0] == HEAD.format("imported")
    assert "--again" in again.stderr
    assert read_report(tmp_path / "report.csv") == expected_report(FEW)
    anew = run(url, contacts, "--again")
    assert anew.stdout.splitlines()[0] == "900 rows: 0 imported, 1 unknown, 899 refused."


def test_a_dry_run_says_the_same_and_stores_none(url: str, contacts: str, tmp_path: Path) -> None:
    async def look() -> Mapping[str, object]:
        database = Database(url)
        found = await dump(database)
        await database.close()
        return {name: found[name] for name in ("subscribers", "consents", "ledger", "imports", "import_refusals")}

    before = asyncio.run(look())
    tried = run(url, contacts, "--dry-run", "--report", str(tmp_path / "report.csv"))
    assert tried.stdout.splitlines()[0] == HEAD.format("would be imported")
    assert asyncio.run(look()) == before
    assert read_report(tmp_path / "report.csv") == expected_report(FEW)


def test_a_report_is_never_written_over_a_file_and_nothing_is_imported_then(
    url: str, contacts: str, tmp_path: Path
) -> None:
    report = tmp_path / "report.csv"
    report.write_text("mine", encoding="utf-8")
    done = run(url, contacts, "--report", str(report))
    assert (done.exit_code, report.read_text(encoding="utf-8")) == (1, "mine")
    assert "File exists" in done.stderr
    assert run(url, contacts).stdout.splitlines()[0] == HEAD.format("imported")


def test_a_file_that_is_not_ours_is_one_clear_line(url: str, tmp_path: Path) -> None:
    file = tmp_path / "contacts.csv"
    file.write_text("address,purpose,adress\nanna@example.com,newsletter:blog,\n", encoding="utf-8")
    done = run(url, str(file))
    assert (done.exit_code, done.stderr) == (1, "Error: header: columns that are unknown: number 3\n")


async def test_a_killed_import_started_again_ends_with_exactly_the_good_rows(database_url: str, tmp_path: Path) -> None:
    file, report = write_contacts(tmp_path / "contacts.csv", ROWS), tmp_path / "report.csv"
    database = Database(database_url)
    for row in (2, 1500):
        importing = start_import(database_url, file, "--report", str(report))
        await until_row(database, row)
        importing.kill()
        assert not report.exists()
    await asyncio.to_thread(start_import(database_url, file, "--report", str(report)).finish)
    await check_exactly_the_good_rows(database, ROWS)
    assert read_report(report) == expected_report(ROWS)
    ctx = context(database, Clock(now()))
    assert (await verify(ctx, lambda _: None)).entries == ROWS - len(expected_report(ROWS))
    assert await replay(ctx) == []
    await database.close()
