"""Putting a copy in the place of the database, so that nobody ever works on a restore that is not finished.

SQLite: the copy is worked on beside the database and renamed when all is done; until then nothing has changed.
PostgreSQL: a table marks the database from before the first change until all is done, and nothing starts on it.
Either way a restore that was interrupted is simply run again.
"""

import asyncio
import os
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from datetime import datetime
from pathlib import Path

from sqlalchemy import delete, exists, select, text, update

from pixel_service.domain.errors import BackupUnusable
from pixel_service.domain.messages import Reason, Status
from pixel_service.storage.copies import TABLES, load_dump
from pixel_service.storage.engine import Connection, Database
from pixel_service.storage.journal import sync_folder
from pixel_service.storage.schema import journals, messages, metadata, published_texts, sends, sessions, sign_ups

_MARK = "restore_unfinished"
#: What a service writes at its first start.
_NOT_COUNTED = {published_texts.name, journals.name}
_NOT_EMPTY = "the database is not empty; --replace puts the backup in its place"
_IN_USE = "the database is in use: stop the service first"
#: Connections of processes that have just ended, a tenth of a second each.
_TRIES = 50

#: Writes the checked copy to a path that is free.
Extract = Callable[[Path], None]


async def refuse_unfinished(db: Database) -> None:
    """Called before anything else is done with a database."""
    if db.is_sqlite:
        return
    async with db.read() as connection:
        if await _is_marked(connection):
            raise BackupUnusable("a restore of this database was not finished: run it again")


@asynccontextmanager
async def staged(url: str, extract: Extract, *, replace: bool) -> AsyncIterator[str]:
    """Yields the URL under which the copy can be worked on; when the block ends well, it is the database."""
    db = Database(url)
    try:
        stage = (
            _staged_sqlite(db, extract, replace=replace)
            if db.is_sqlite
            else _staged_postgresql(db, url, extract, replace=replace)
        )
        async with stage as place:
            yield place
    finally:
        await db.close()


# --- SQLite ---------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def _staged_sqlite(db: Database, extract: Extract, *, replace: bool) -> AsyncIterator[str]:
    target = Path(str(db.url.database))
    aside = target.with_name(f"{target.name}.restoring")
    with closing(_hold(target, replace=replace)):
        _remove(aside)
        try:
            await asyncio.to_thread(extract, aside)
            yield f"sqlite:///{aside}"
            await asyncio.to_thread(_settle, aside, target)
        finally:
            _remove(aside)


def _hold(target: Path, *, replace: bool) -> sqlite3.Connection:
    """Nobody else gets in as long as the connection lives. Raises `BackupUnusable` when somebody is."""
    held = sqlite3.connect(target, timeout=1, isolation_level=None)
    try:
        if not replace and _holds_rows(held):
            raise BackupUnusable(_NOT_EMPTY)
        # Only the last one who has it open can leave WAL mode; that also takes the WAL away.
        if held.execute("PRAGMA journal_mode = DELETE").fetchone()[0] != "delete":
            raise BackupUnusable(_IN_USE)
        held.execute("BEGIN EXCLUSIVE")
    except sqlite3.DatabaseError as error:
        held.close()
        if error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            raise BackupUnusable(_IN_USE) from error
        if not replace:
            raise BackupUnusable(_NOT_EMPTY) from error
        # What can not be read is why there is a restore.
        return sqlite3.connect(":memory:")
    except BackupUnusable:
        held.close()
        raise
    return held


def _holds_rows(held: sqlite3.Connection) -> bool:
    there = {name for (name,) in held.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    return any(held.execute(f"SELECT EXISTS (SELECT 1 FROM {name})").fetchone()[0] for name in there & _counted())  # noqa: S608  names of the schema


def _settle(aside: Path, target: Path) -> None:
    """One file, on disk, under the database's name."""
    with closing(sqlite3.connect(aside, isolation_level=None)) as copy:
        copy.execute("PRAGMA journal_mode = DELETE")
    opened = os.open(aside, os.O_RDWR)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
    for remains in _beside(target):
        remains.unlink(missing_ok=True)
    aside.replace(target)
    sync_folder(target.parent)


def _beside(path: Path) -> list[Path]:
    return [path.with_name(f"{path.name}-{kind}") for kind in ("wal", "shm", "journal")]


def _remove(path: Path) -> None:
    for one in (path, *_beside(path)):
        one.unlink(missing_ok=True)


# --- PostgreSQL -----------------------------------------------------------------------------------------------------


@asynccontextmanager
async def _staged_postgresql(db: Database, url: str, extract: Extract, *, replace: bool) -> AsyncIterator[str]:
    with tempfile.TemporaryDirectory(prefix="pixel-restore-") as folder:
        dump = Path(folder) / "dump"
        await asyncio.to_thread(extract, dump)
        await _refuse_company(db)
        async with db.write() as connection:
            if not await _is_marked(connection):
                if not replace and await _any_rows(connection):
                    raise BackupUnusable(_NOT_EMPTY)
                await connection.execute(text(f"CREATE TABLE {_MARK} ()"))
            await connection.execute(text(f"DROP TABLE IF EXISTS {', '.join(TABLES)} CASCADE"))
        await load_dump(dump, db.url)
    yield url
    async with db.write() as connection:
        await connection.execute(text(f"DROP TABLE {_MARK}"))


async def _refuse_company(db: Database) -> None:
    """A service that is running would go on while its tables are replaced."""
    for _ in range(_TRIES):
        async with db.read() as connection:
            if not (await connection.execute(text(_OTHERS))).scalar_one():
                return
        await asyncio.sleep(0.1)
    raise BackupUnusable(_IN_USE)


#: Of sessions of other users only the database is shown.
_OTHERS = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
  AND coalesce(backend_type, 'client backend') = 'client backend'
"""


async def _is_marked(connection: Connection) -> bool:
    return (await connection.execute(text(f"SELECT to_regclass('{_MARK}')"))).scalar_one() is not None


async def _any_rows(connection: Connection) -> bool:
    for name in sorted(_counted()):
        there = (await connection.execute(text("SELECT to_regclass(:name)"), {"name": name})).scalar_one()
        if there and (await connection.execute(select(exists(select(metadata.tables[name]))))).scalar_one():
            return True
    return False


def _counted() -> set[str]:
    return set(metadata.tables) - _NOT_COUNTED


# --- what the world saw since ---------------------------------------------------------------------------------------


async def calm(connection: Connection, *, at: datetime) -> int:
    """Whatever waited when the backup was made may have been sent since: none of it is sent again. Sessions that may have
    been ended since are ended. Returns how many mails were cancelled."""
    cancelled = await connection.execute(
        update(messages)
        .where(messages.c.status == Status.QUEUED.value)
        .values(status=Status.CANCELLED.value, reason=Reason.RESTORED.value, lease=None, variables={})
    )
    # An audience that was being walked may have been walked to its end.
    await connection.execute(update(sends).where(sends.c.expanded_at.is_(None)).values(expanded_at=at))
    unanswered = sign_ups.c.confirmed_at.is_(None) & sign_ups.c.reminded_at.is_(None)
    await connection.execute(update(sign_ups).where(unanswered).values(reminded_at=at))
    await connection.execute(delete(sessions))
    return cancelled.rowcount
