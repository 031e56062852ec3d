"""Physical removal: what was deleted is also gone from the files (W4).

A delete alone leaves bytes behind. Measured, on pages of random ids: PostgreSQL's plain VACUUM left every ninth pixel id
in the holes of its pages and indexes, and `pg_statistic` keeps samples of a column for the planner; SQLite's
`secure_delete` left one id in some thousands, where a page had been rebuilt. So tables are written anew: VACUUM FULL of
the tables and of the statistics on PostgreSQL, VACUUM and an emptied WAL on SQLite. That costs time in proportion to
what is left (4 s per million opens) and keeps writers waiting meanwhile, so it is asked for by the deleting transaction
and done once per period for everybody.

Not here, because no client can reach it: PostgreSQL's own WAL segments, until the server recycles or archives them.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import delete, func, insert, select, text, update

from pixel_service.storage.engine import Connection, Database
from pixel_service.storage.schema import campaign_figures, message_opens, metadata, opens, pixels, scrubs

#: A busy table is tried again so often, a tenth of a second apart; then the step comes back later.
_TRIES = 30
_PAUSE_SECONDS = 0.1
#: Figures too: one of a rare hour may be of a single person.
_OF_OPENS = (opens, message_opens, pixels, campaign_figures)
#: On SQLite writers wait meanwhile.
_SQLITE_TRIES = 3
#: How long SQLite's readers may keep writers waiting while the WAL is emptied.
_READERS_MS = 500
#: Planner samples; only the owner of the database may rewrite them.
_STATISTICS = "pg_statistic"


class Scope(StrEnum):
    """Which tables held what was deleted."""

    OPENS = "opens"
    #: Erasure of a person: every table.
    PERSON = "person"


async def ask(connection: Connection, scope: Scope) -> None:
    """Said by every transaction that deletes what must be gone from the files. A row each: nobody waits for anybody."""
    await connection.execute(insert(scrubs).values(scope=scope.value))


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    #: What is asked for and not done.
    ids: Sequence[int]
    scope: Scope
    last_done_at: datetime | None


async def due(connection: Connection) -> Due | None:
    asked = (
        await connection.execute(select(scrubs.c.scrub_id, scrubs.c.scope).where(scrubs.c.done_at.is_(None)))
    ).all()
    if not asked:
        return None
    last = (await connection.execute(select(func.max(scrubs.c.done_at)))).scalar_one()
    whole = any(row.scope == Scope.PERSON.value for row in asked)
    return Due(
        ids=[row.scrub_id for row in asked],
        scope=Scope.PERSON if whole else Scope.OPENS,
        last_done_at=last,
    )


async def note_done(connection: Connection, ids: Sequence[int], *, at: datetime) -> None:
    """Only the newest are kept, to know when it was."""
    await connection.execute(delete(scrubs).where(scrubs.c.done_at.is_not(None)))
    await connection.execute(delete(scrubs).where(scrubs.c.scrub_id.in_(ids[1:])))
    await connection.execute(update(scrubs).where(scrubs.c.scrub_id == ids[0]).values(done_at=at))


async def rewrite(db: Database, scope: Scope) -> bool:
    """True when everything deleted before the call is gone from the files; False when somebody was in the way."""
    async with db.exclusive() as connection:
        if db.is_sqlite:
            return await _rewrite_sqlite(connection)
        return await _rewrite_postgresql(connection, scope)


# --- SQLite ---------------------------------------------------------------------------------------------------------


#: Whether somebody let SQLite collect samples for its planner; they hold keys of rows.
_SAMPLED = "SELECT count(*) FROM sqlite_master WHERE name LIKE 'sqlite_stat_'"


async def _rewrite_sqlite(connection: Connection) -> bool:
    if (await connection.execute(text(_SAMPLED))).scalar_one():
        await connection.execute(text("ANALYZE"))
    await connection.execute(text("VACUUM"))
    patience = (await connection.execute(text("PRAGMA busy_timeout"))).scalar_one()
    try:
        await connection.execute(text(f"PRAGMA busy_timeout = {_READERS_MS}"))
        for _ in range(_SQLITE_TRIES):
            # A reader that still looks at the old pages keeps the WAL from being emptied.
            if (await connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))).one()[0] == 0:
                return True
            await asyncio.sleep(_PAUSE_SECONDS)
        return False
    finally:
        await connection.execute(text(f"PRAGMA busy_timeout = {patience}"))


# --- PostgreSQL -----------------------------------------------------------------------------------------------------

#: Whether somebody may still see what was deleted before transaction :horizon: a transaction that writes, of any
#: database of the server (it holds back the snapshot of our own VACUUM), or one of this database that only reads.
_OLDER = """
SELECT pg_snapshot_xmin(pg_current_snapshot()) <= CAST(CAST(:horizon AS text) AS xid8) OR EXISTS (
  SELECT FROM pg_stat_activity
  WHERE datname = current_database() AND pid <> pg_backend_pid()
    AND age(backend_xmin) > age(CAST(CAST(CAST(:horizon AS text) AS xid8) AS xid)))
"""
#: A rewritten table holds no row that was dead before its relfrozenxid: VACUUM FULL freezes all it may.
_STATE = """
SELECT pg_relation_filenode(oid) AS file, age(relfrozenxid) <= age(CAST(CAST(CAST(:horizon AS text) AS xid8) AS xid)) AS clean
FROM pg_class WHERE oid = CAST(CAST(:name AS text) AS regclass)
"""
_SAMPLES = """
SELECT quote_ident(a.attname), format_type(a.atttypid, a.atttypmod)
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_stats s ON s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = a.attname
WHERE c.oid = CAST(CAST(:name AS text) AS regclass)
"""
_OWNER = "SELECT pg_has_role(datdba, 'USAGE') FROM pg_database WHERE datname = current_database()"


async def _rewrite_postgresql(connection: Connection, scope: Scope) -> bool:
    names = [table.name for table in _OF_OPENS] if scope is Scope.OPENS else list(metadata.tables)
    for name in names:
        if not await _rewrite_table(connection, name):
            return False
        await _sample_anew(connection, name)
    if not (await connection.execute(text(_OWNER))).scalar_one():
        return True
    return await _rewrite_table(connection, _STATISTICS)


async def _sample_anew(connection: Connection, name: str) -> None:
    """ANALYZE leaves the samples of a table that has become empty; a change to the same type drops them."""
    await connection.execute(text(f"ANALYZE {name}"))
    if (await connection.execute(text(f"SELECT EXISTS (SELECT FROM {name})"))).scalar_one():  # noqa: S608  a name of the schema
        return
    for column, kind in (await connection.execute(text(_SAMPLES), {"name": name})).all():
        await connection.execute(text(f"ALTER TABLE {name} ALTER COLUMN {column} TYPE {kind}"))


async def _rewrite_table(connection: Connection, name: str) -> bool:
    """SKIP_LOCKED: waiting for the lock would make every pixel of that time wait behind us."""
    known = {"horizon": str((await connection.execute(text("SELECT pg_current_xact_id()::text"))).scalar_one())}
    before = (await connection.execute(text(_STATE), {**known, "name": name})).one()
    for _ in range(_TRIES):
        if not (await connection.execute(text(_OLDER), known)).scalar_one():
            await connection.execute(text(f"VACUUM (FULL, SKIP_LOCKED) {name}"))
            now = (await connection.execute(text(_STATE), {**known, "name": name})).one()
            if now.file != before.file:
                return bool(now.clean)
        await asyncio.sleep(_PAUSE_SECONDS)
    return False
