"""`pixel-service export-consents`: every record on a line of its own, for programs, with nobody's address."""

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pixel_service.cli import app
from pixel_service.storage.engine import Database
from tests.builders import BLOG, GLASFASER, OPENS, ask, context, join
from tests.conftest import NewDatabase
from tests.journeys.service import environment
from tests.receipts import schema_problems

PEOPLE = 3


@pytest.fixture
def url(new_sqlite: NewDatabase) -> str:
    made = new_sqlite()

    async def agree() -> None:
        database = Database(made)
        ctx = context(database)
        await join(ctx, "anna@example.com", BLOG, OPENS)
        await join(ctx, "bo@example.com", GLASFASER, last_name="Beispiel")
        await ask(ctx, "cleo@example.com", BLOG)
        await database.close()

    asyncio.run(agree())
    return made


def export(url: str, *words: str) -> Result:
    return CliRunner().invoke(app, ["export-consents", *words], env=environment(url, port=8000, smtp_port=25))


def test_every_line_is_a_record_that_passes_the_schema(url: str) -> None:
    done = export(url)
    assert done.exit_code == 0, done.output
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [problems for record in records if (problems := schema_problems(record))] == []
    assert len({record["subject"]["identifier"] for record in records}) == len(records) == PEOPLE
    assert f"{PEOPLE} consent records" in done.stderr


def test_the_export_names_nobody(url: str) -> None:
    done = export(url)
    for typed in ("@example.com", "Beispiel", "anna", "cleo"):
        assert typed not in done.stdout.replace("Dr. Anna", "")


def test_a_file_appears_only_when_it_is_whole(url: str, tmp_path: Path) -> None:
    out = tmp_path / "consents.jsonl"
    done = export(url, "--out", str(out))
    assert (done.exit_code, done.stdout) == (0, "")
    assert len(out.read_text(encoding="utf-8").splitlines()) == PEOPLE
    assert [path.name for path in tmp_path.glob("consents*")] == [out.name]


def test_a_file_that_can_not_be_written_is_one_clear_line(url: str, tmp_path: Path) -> None:
    done = export(url, "--out", str(tmp_path / "missing" / "consents.jsonl"))
    assert done.exit_code == 1
    assert "Error: " in done.stderr
    assert "No such file" in done.stderr
