"""200,000 contacts with a fault in every hundredth row, killed in the middle: exactly the good rows, in constant memory."""

import asyncio
from pathlib import Path

import pytest

from pixel_service.storage.engine import Database
from tests.conftest import NewDatabase
from tests.journeys.contacts import (
    check_exactly_the_good_rows,
    expected_report,
    read_report,
    start_import,
    until_row,
    write_contacts,
)
from tests.scale import scaled

ROWS = scaled(200_000, quick=20_000)
FEW = ROWS // 20


@pytest.mark.slow
async def test_a_big_import_killed_in_the_middle_ends_with_exactly_the_good_rows_in_constant_memory(
    new_sqlite: NewDatabase, tmp_path: Path
) -> None:
    few = start_import(new_sqlite(), write_contacts(tmp_path / "few.csv", FEW))
    memory_of_few = await asyncio.to_thread(few.finish)
    url, file, report = new_sqlite(), write_contacts(tmp_path / "contacts.csv", ROWS), tmp_path / "report.csv"
    database = Database(url)
    first = start_import(url, file, "--report", str(report))
    await until_row(database, ROWS // 4)
    first.kill()
    second = start_import(url, file, "--report", str(report))
    memory = await asyncio.to_thread(second.finish)
    await check_exactly_the_good_rows(database, ROWS)
    assert read_report(report) == expected_report(ROWS)
    assert memory <= 1.2 * memory_of_few, f"{memory >> 20} MB for {ROWS} rows, {memory_of_few >> 20} MB for {FEW}"
    await database.close()
