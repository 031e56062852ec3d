"""`pixel-service backup` and `restore`: what an operator does, and what a wrong word costs."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pixel_service.app import open_context
from pixel_service.cli import app
from pixel_service.domain.messages import SubscriberId
from pixel_service.settings import load_settings
from pixel_service.storage.engine import Database
from pixel_service.usecases.withdraw import Source, withdraw_all
from tests.builders import BLOG, OPENS, dump, join, states_of
from tests.conftest import NewDatabase
from tests.journeys.service import environment
from tests.postgres import in_thread


class House:
    """One service at one place, and an operator in front of it."""

    def __init__(self, url: str, **changes: str) -> None:
        self.url = url
        self.variables = environment(url, port=8000, smtp_port=25, **changes)
        self.settings = load_settings(self.variables)

    @property
    def journal(self) -> Path:
        assert self.settings.journal_file is not None
        return self.settings.journal_file

    def run(self, *words: object, given: str = "", **variables: str) -> Result:
        return CliRunner().invoke(app, [str(word) for word in words], env=self.variables | variables, input=given)

    def join(self, name: str) -> SubscriberId:
        async def work() -> SubscriberId:
            async with open_context(self.settings) as ctx:
                return await join(ctx, f"{name}@example.com", BLOG, OPENS)

        return in_thread(work())

    def withdraw(self, person: SubscriberId) -> None:
        async def work() -> None:
            async with open_context(self.settings) as ctx:
                await withdraw_all(ctx, person, Source.OPERATOR)

        in_thread(work())

    def states(self, person: SubscriberId) -> set[str]:
        async def work() -> set[str]:
            async with open_context(self.settings) as ctx:
                return {state.value for state in (await states_of(ctx, person)).values()}

        return in_thread(work())

    def content(self) -> object:
        async def work() -> object:
            database = Database(self.url)
            try:
                return await dump(database)
            finally:
                await database.close()

        return in_thread(work())


@pytest.fixture
def house(database_url: str, tmp_path: Path) -> House:
    return House(database_url, journal_path=str(tmp_path / "withdrawals"))


def test_a_backup_is_made_and_restored_with_what_was_withdrawn_since(house: House, tmp_path: Path) -> None:
    anna, file = house.join("anna"), tmp_path / "backup"
    made = house.run("backup", file)
    assert made.exit_code == 0, made.output
    assert file.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir() if "backup" in path.name) == ["backup"]
    house.withdraw(anna)
    done = house.run("restore", file, "--replace", "--yes")
    assert done.exit_code == 0, done.output
    assert "withdrawn: 1" in done.output
    assert "The ledger verifies: " in done.output
    assert "Lost since the backup: new requests by right" in done.output
    assert "example.com" not in done.output
    assert house.states(anna) == {"withdrawn"}
    assert house.run("ledger", "verify").exit_code == 0
    # Rows are numbered on, and whatever a newer schema adds is there.
    assert house.run("ledger", "export", tmp_path / "ledger", "--reason", "after the restore").exit_code == 0
    assert house.run("backup", tmp_path / "next").exit_code == 0


def test_whoever_restores_is_told_that_endpoints_have_to_be_added_anew(house: House, tmp_path: Path) -> None:
    file, url = tmp_path / "backup", "https://processor.example/hook"
    assert house.run("webhook", "add", url, "--events", "erased").exit_code == 0
    house.run("backup", file)
    done = house.run("restore", file, "--replace", "--yes")
    assert "webhook endpoints disabled: 1" in done.output
    assert "`pixel-service webhook add`" in done.output
    assert "disabled" in house.run("webhook", "list").output
    # Of a copy of that none is left to tell of.
    house.run("backup", tmp_path / "next")
    again = house.run("restore", tmp_path / "next", "--replace", "--yes")
    assert "webhook endpoints disabled: 0" in again.output
    assert "`pixel-service webhook add`" not in again.output


def test_without_a_yes_nothing_happens(house: House, tmp_path: Path) -> None:
    anna, file = house.join("anna"), tmp_path / "backup"
    house.run("backup", file)
    house.withdraw(anna)
    before = house.content()
    assert house.run("restore", file, "--replace", given="n\n").exit_code == 1
    assert house.content() == before


def test_an_existing_file_is_not_overwritten(house: House, tmp_path: Path) -> None:
    file = tmp_path / "backup"
    file.write_text("mine")
    refused = house.run("backup", file)
    assert (refused.exit_code, file.read_text()) == (1, "mine")
    assert "exists" in refused.output
    nowhere = house.run("backup", tmp_path / "no" / "folder")
    assert (nowhere.exit_code, "No such file or directory" in nowhere.output) == (1, True)


def test_a_lost_journal_must_be_said_and_a_new_one_begins(house: House, tmp_path: Path) -> None:
    anna, file = house.join("anna"), tmp_path / "backup"
    house.run("backup", file)
    house.withdraw(anna)
    house.journal.unlink()
    refused = house.run("restore", file, "--replace", "--yes")
    assert (refused.exit_code, "--without-journal" in refused.output) == (1, True)
    assert house.run("restore", file, "--journal", file, "--without-journal", "--yes").exit_code == 1
    assert house.run("serve").exit_code == 1, "a service started beside a journal that is lost"
    assert house.run("restore", file, "--replace", "--yes", "--without-journal").exit_code == 0
    assert house.states(anna) == {"given"}
    house.withdraw(anna)
    assert len(house.journal.read_text().splitlines()) == 2


def test_a_journal_that_was_lost_without_a_restore_is_begun_anew(house: House, tmp_path: Path) -> None:
    anna = house.join("anna")
    house.journal.unlink()
    refused = house.run("migrate")
    assert (refused.exit_code, "journal renew" in refused.output) == (1, True)
    assert house.run("journal", "renew").exit_code == 0
    house.withdraw(anna)
    assert len(house.journal.read_text().splitlines()) == 2


def test_a_new_server_goes_on_where_the_lost_one_stopped(new_database: NewDatabase, tmp_path: Path) -> None:
    old = House(new_database(), journal_path=str(tmp_path / "old"))
    new = House(new_database(), journal_path=str(tmp_path / "new"))
    anna, file = old.join("anna"), tmp_path / "backup"
    old.run("backup", file)
    old.withdraw(anna)
    # Somebody started it to see whether it runs.
    assert new.run("migrate").exit_code == 0
    done = new.run("restore", file, "--journal", old.journal, "--yes")
    assert done.exit_code == 0, done.output
    assert new.states(anna) == {"withdrawn"}
    assert new.journal.read_bytes() == old.journal.read_bytes()
    assert new.run("restore", file, "--replace", "--yes").exit_code == 0


def test_a_database_file_that_can_not_be_read_is_replaced_with_its_wal(new_sqlite: NewDatabase, tmp_path: Path) -> None:
    house = House(new_sqlite())
    anna, file = house.join("anna"), tmp_path / "backup"
    house.run("backup", file)
    house.withdraw(anna)
    database = Path(house.url.removeprefix("sqlite:///"))
    log = database.with_name(f"{database.name}-wal")
    with closing(sqlite3.connect(database, isolation_level=None)) as writer:
        writer.execute("UPDATE subscribers SET address = 'of the wal'")
        unfinished = log.read_bytes()
    database.write_bytes(b"nonsense" * 1000)
    log.write_bytes(unfinished)
    refused = house.run("restore", file, "--yes")
    assert (refused.exit_code, "--replace" in refused.output) == (1, True)
    assert house.run("restore", file, "--yes", "--replace").exit_code == 0
    assert house.states(anna) == {"withdrawn"}
    assert "of the wal" not in str(house.content())


def test_a_backup_of_the_other_database_is_refused(
    new_sqlite: NewDatabase, new_postgres: NewDatabase, tmp_path: Path
) -> None:
    small, large = (House(new(), journal_path=str(tmp_path / "journal")) for new in (new_sqlite, new_postgres))
    small.join("anna")
    small.run("backup", tmp_path / "backup")
    refused = large.run("restore", tmp_path / "backup", "--yes", "--replace")
    assert (refused.exit_code, "backup of sqlite" in refused.output) == (1, True)


def test_a_copy_holds_no_remains_of_deleted_rows(new_sqlite: NewDatabase, tmp_path: Path) -> None:
    house = House(new_sqlite())
    house.join("anna")
    with closing(sqlite3.connect(house.url.removeprefix("sqlite:///"))) as careless, careless:
        careless.execute("PRAGMA secure_delete = OFF")
        careless.execute("CREATE TABLE old (word TEXT)")
        careless.execute("INSERT INTO old VALUES ('unverwechselbar')")
        careless.execute("DELETE FROM old")
    assert house.run("backup", tmp_path / "backup").exit_code == 0
    assert b"unverwechselbar" not in (tmp_path / "backup").read_bytes()


# --- PostgreSQL's own programs --------------------------------------------------------------------------------------


#: Says what it was told and how, and fails like the real one, whose later lines may quote rows.
PRETENDER = """#!/bin/sh
echo "$@" >"$SEEN.arguments"
env >"$SEEN.environment"
echo "pg_dump: error: it can not be done" >&2
echo "CONTEXT: COPY subscribers, line 1: anna@example.com" >&2
exit 1
"""


def test_the_password_is_not_in_the_list_of_processes(new_postgres: NewDatabase, tmp_path: Path) -> None:
    url = new_postgres().replace("postgres@", "postgres:hunter22@")
    house = House(url, journal_path=str(tmp_path / "withdrawals"))
    programs, seen = tmp_path / "programs", tmp_path / "seen"
    programs.mkdir()
    (programs / "pg_dump").write_text(PRETENDER)
    (programs / "pg_dump").chmod(0o755)
    refused = house.run("backup", tmp_path / "backup", PATH=f"{programs}:/usr/bin:/bin", SEEN=str(seen))
    assert refused.exit_code == 1
    assert "pg_dump failed: pg_dump: error: it can not be done" in refused.output
    assert "anna@" not in refused.output
    assert "hunter22" not in seen.with_suffix(".arguments").read_text()
    assert "PGPASSWORD=hunter22" in seen.with_suffix(".environment").read_text().splitlines()
    assert not (tmp_path / "backup").exists()


def test_missing_programs_are_named(new_postgres: NewDatabase, tmp_path: Path) -> None:
    house = House(new_postgres(), journal_path=str(tmp_path / "withdrawals"))
    refused = house.run("backup", tmp_path / "backup", PATH=str(tmp_path))
    assert (refused.exit_code, "postgresql-client" in refused.output) == (1, True)


def test_a_postgresql_without_a_named_journal_has_no_backup(new_postgres: NewDatabase, tmp_path: Path) -> None:
    refused = House(new_postgres()).run("backup", tmp_path / "backup")
    assert (refused.exit_code, "PIXEL_JOURNAL_PATH" in refused.output) == (1, True)
