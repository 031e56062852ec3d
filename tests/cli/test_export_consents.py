"""`pixel-service export-consents`: every record on a line of its own, for programs, with nobody's address."""

import asyncio
import json
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pixel_service.cli import app
from pixel_service.domain.errors import LedgerBroken
from pixel_service.storage.engine import Database
from pixel_service.usecases import receipts
from pixel_service.usecases.context import Context
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
    words = ("export-consents", "--reason", "yearly audit", *words)
    return CliRunner().invoke(app, words, env=environment(url, port=8000, smtp_port=25))


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


def test_a_file_is_its_owners_alone_and_never_over_an_existing_one(url: str, tmp_path: Path) -> None:
    out = tmp_path / "consents.jsonl"
    done = export(url, "--out", str(out))
    assert (done.exit_code, done.stdout) == (0, "")
    assert len(out.read_text(encoding="utf-8").splitlines()) == PEOPLE
    assert [path.name for path in tmp_path.glob("consents*")] == [out.name]
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    out.write_text("mine", encoding="utf-8")
    assert export(url, "--out", str(out)).exit_code == 1
    assert out.read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("fails", [OSError(28, "No space left on device"), LedgerBroken(3, "x")])
def test_of_an_export_that_fails_nothing_stays(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: Exception
) -> None:
    async def count(ctx: Context) -> int:
        raise fails

    monkeypatch.setattr(receipts, "count_subjects", count)
    done = export(url, "--out", str(tmp_path / "consents.jsonl"))
    assert (done.exit_code, "Error: " in done.stderr) == (1, True)
    assert list(tmp_path.glob("consents*")) == []


def test_who_exports_is_on_record_with_a_reason(url: str) -> None:
    assert CliRunner().invoke(app, ["export-consents"], env=environment(url, port=8000, smtp_port=25)).exit_code == 2
    export(url)
    listed = CliRunner().invoke(app, ["audit", "list"], env=environment(url, port=8000, smtp_port=25)).stdout
    assert listed.count("consent export") == 1
    assert "yearly audit" in listed


def test_a_file_that_can_not_be_written_is_one_clear_line(url: str, tmp_path: Path) -> None:
    done = export(url, "--out", str(tmp_path / "missing" / "consents.jsonl"))
    assert done.exit_code == 1
    assert "Error: " in done.stderr
    assert "No such file" in done.stderr
