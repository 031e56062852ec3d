"""`pixel-service evidence`, `audit list` and `ledger export`/`check`: what a privacy officer runs."""

import asyncio
import json
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pixel_service.cli import app
from pixel_service.storage.engine import Database
from tests.builders import BLOG, OPENS, context, deliver, join
from tests.conftest import NewDatabase
from tests.journeys.service import environment

ASK = ("evidence", "anna@example.com", "--reason", "request 17")


@pytest.fixture
def variables(new_sqlite: NewDatabase) -> Mapping[str, str]:
    """One person who agreed to two things."""
    made = new_sqlite()

    async def agree() -> None:
        database = Database(made)
        ctx = context(database)
        await join(ctx, "anna@example.com", BLOG, OPENS)
        await deliver(ctx)
        await database.close()

    asyncio.run(agree())
    return environment(made, port=8000, smtp_port=25)


def run(variables: Mapping[str, str], *words: str) -> Result:
    return CliRunner().invoke(app, list(words), env=dict(variables))


# --- evidence ---------------------------------------------------------------------------------------------------------


def test_the_proof_is_printed_in_plain_words(variables: Mapping[str, str]) -> None:
    shown = run(variables, *ASK, "--lang", "en")
    assert shown.exit_code == 0, shown.output
    assert "Evidence of consent: anna@example.com" in shown.stdout
    assert "consent stands. The person confirmed on" in shown.stdout
    assert "Nachweis der Einwilligung" in run(variables, *ASK).stdout


def test_the_proof_is_printed_as_json(variables: Mapping[str, str]) -> None:
    told = json.loads(run(variables, *ASK, "--json").stdout)
    assert told["address"] == "anna@example.com"
    assert [one["consent_stands"] for one in told["purposes"]] == [True, True]
    assert told["reason"] == "request 17"


def test_the_proof_is_written_as_a_page_of_its_own_that_only_its_owner_reads(
    variables: Mapping[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "proof.html"
    done = run(variables, *ASK, "--html", str(file), "--lang", "en")
    assert done.exit_code == 0, done.output
    page = file.read_text(encoding="utf-8")
    assert "Evidence of consent: anna@example.com" in page
    assert "@media print" in page
    assert "href=" not in page
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again = run(variables, *ASK, "--html", str(file))
    assert again.exit_code == 1
    assert file.read_text(encoding="utf-8") == page


def test_every_look_is_in_the_audit_log_also_one_for_an_unknown_address(variables: Mapping[str, str]) -> None:
    run(variables, *ASK)
    unknown = run(variables, "evidence", "nobody@example.com", "--reason", "request 18")
    assert unknown.exit_code == 1
    assert "not on record" in unknown.stderr
    listed = run(variables, "audit", "list").stdout
    newest, first = listed.splitlines()[1:]
    assert "request 18" in newest
    assert "hash:" in newest
    assert "request 17" in first
    assert "command line: " in first
    assert "@example.com" not in listed
    assert len(run(variables, "audit", "list", "--limit", "1").stdout.splitlines()) == 2


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501])
def test_no_look_without_a_reason(variables: Mapping[str, str], reason: str) -> None:
    refused = run(variables, "evidence", "anna@example.com", "--reason", reason)
    assert refused.exit_code == 2
    assert "anna@example.com" not in refused.stdout
    assert len(run(variables, "audit", "list").stdout.splitlines()) == 1


def test_an_address_that_is_none_is_an_error_in_one_line(variables: Mapping[str, str]) -> None:
    refused = run(variables, "evidence", "anna", "--reason", "request 17")
    assert refused.exit_code == 1
    assert refused.stderr.strip() == "Error: address: this is not a valid e-mail address"


# --- the ledger as a file ---------------------------------------------------------------------------------------------


def test_an_export_is_checked_without_settings_and_database(variables: Mapping[str, str], tmp_path: Path) -> None:
    file = tmp_path / "ledger.jsonl"
    done = run(variables, "ledger", "export", str(file), "--reason", "yearly audit")
    assert done.exit_code == 0, done.output
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    checked = run({}, "ledger", "check", str(file))
    assert checked.exit_code == 0, checked.output
    assert "the chain is whole" in checked.stdout
    key = run(variables, "ledger", "verify").stdout.rpartition("Public key: ")[2].strip()
    assert f"under {key}." in checked.stdout
    assert "compare it with the one noted earlier" in checked.stdout
    known = run({}, "ledger", "check", str(file), "--key", key)
    assert (known.exit_code, "compare" in known.stdout) == (0, False)
    strange = run({}, "ledger", "check", str(file), "--key", "0" * 64)
    assert (strange.exit_code, "signed by a stranger" in strange.stderr) == (1, True)
    assert "yearly audit" in run(variables, "audit", "list").stdout


def test_an_altered_export_is_refused_and_the_entry_named(variables: Mapping[str, str], tmp_path: Path) -> None:
    file = tmp_path / "ledger.jsonl"
    run(variables, "ledger", "export", str(file), "--reason", "yearly audit")
    lines = file.read_text(encoding="utf-8").splitlines()
    at = next(number for number, line in enumerate(lines) if '"seq": 3' in line)
    lines[at] = lines[at].replace('"act": "', '"act": "withdrawn", "act_before": "')
    file.write_text("\n".join(lines), encoding="utf-8")
    refused = run({}, "ledger", "check", str(file))
    assert refused.exit_code == 1
    assert "ledger entry 3" in refused.stderr


def test_an_export_never_overwrites(variables: Mapping[str, str], tmp_path: Path) -> None:
    file = tmp_path / "ledger.jsonl"
    file.write_text("mine", encoding="utf-8")
    refused = run(variables, "ledger", "export", str(file), "--reason", "yearly audit")
    assert refused.exit_code == 1
    assert file.read_text(encoding="utf-8") == "mine"
