"""A whole database copied out while it is being written to, and the programs PostgreSQL has for that.

The copy shows one moment. It holds no remains of deleted rows: SQLite's copy is written anew, PostgreSQL's is a dump.
"""

import asyncio
import os
import shutil
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.engine import URL

from pixel_service.domain.errors import BackupUnusable
from pixel_service.storage.engine import Database
from pixel_service.storage.schema import metadata

#: Ours, and no other table that lives in the same database.
TABLES = (*metadata.tables, "alembic_version")
#: Pages per step of SQLite's copy.
_STEP = 5000
_MOST_SAID = 300

CopyTo = Callable[[Path], Awaitable[None]]


@asynccontextmanager
async def snapshot(db: Database) -> AsyncIterator[CopyTo]:
    """The database as it is at this moment, for as long as the block lasts; nobody waits for it."""
    async with _sqlite_snapshot(db) if db.is_sqlite else _postgresql_snapshot(db) as copy_to:
        yield copy_to


# --- SQLite ---------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def _sqlite_snapshot(db: Database) -> AsyncIterator[CopyTo]:
    source = sqlite3.connect(str(db.url.database), isolation_level=None, check_same_thread=False)
    with closing(source):
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_master").fetchone()

        async def copy_to(path: Path) -> None:
            await asyncio.to_thread(_copy_sqlite, source, path)

        yield copy_to


def _copy_sqlite(source: sqlite3.Connection, path: Path) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as target:
            # The source's open transaction keeps every step at the same moment.
            source.backup(target, pages=_STEP, sleep=0)
            target.execute("PRAGMA journal_mode = DELETE")
            target.execute("VACUUM")
    except sqlite3.Error as error:
        raise BackupUnusable(f"the copy of the database failed: {error}") from error


# --- PostgreSQL -----------------------------------------------------------------------------------------------------


@asynccontextmanager
async def _postgresql_snapshot(db: Database) -> AsyncIterator[CopyTo]:
    async with db.read() as connection:
        # Lives as long as this transaction, whose own isolation does not matter to it: pg_dump has one that does.
        name = (await connection.execute(text("SELECT pg_export_snapshot()"))).scalar_one()

        async def copy_to(path: Path) -> None:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            tables = [f"--table={table}" for table in TABLES]
            options = ("--format=custom", "--no-owner", "--no-privileges", f"--snapshot={name}", f"--file={path}")
            await run("pg_dump", *options, *tables, url=db.url)

        yield copy_to


async def load_dump(path: Path, url: URL) -> None:
    """Into a database without our tables, whole or not at all."""
    options = ("--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges", f"--dbname={url.database}")
    await run("pg_restore", *options, str(path), url=url)


async def run(program: str, *arguments: str, url: URL) -> None:
    """One of PostgreSQL's own programs. Where and as whom it connects, and the password, are nobody's to see in a list
    of processes. Raises `BackupUnusable` with its first line: later ones may quote rows."""
    found = shutil.which(program)
    if found is None:
        raise BackupUnusable(f"{program} is missing: install PostgreSQL's client programs (Debian: postgresql-client)")
    process = await asyncio.create_subprocess_exec(
        found,
        *arguments,
        env={**os.environ, **_libpq(url)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        _, said = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode:
        line = said.decode(errors="replace").strip().partition("\n")[0]
        raise BackupUnusable(f"{program} failed: {line[:_MOST_SAID]}")


def _libpq(url: URL) -> dict[str, str]:
    """The same connection in the words of PostgreSQL's own library."""
    host, ssl = url.query.get("host"), url.query.get("ssl")
    values = {
        "PGHOST": host or url.host,
        "PGPORT": url.port or url.query.get("port"),
        "PGUSER": url.username,
        "PGPASSWORD": url.password,
        "PGDATABASE": url.database,
        "PGSSLMODE": ssl,
    }
    return {name: str(value) for name, value in values.items() if value}
