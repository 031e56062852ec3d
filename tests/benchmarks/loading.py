"""Rows by the million, straight into the tables of a database that nobody uses yet: nothing is durable, checked or indexed
before all of them are there."""

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime

import asyncpg
from sqlalchemy import Table, make_url

from pixel_service.storage.columns import sqlite_text
from pixel_service.storage.schema import metadata
from tests import postgres

Row = tuple[object, ...]
#: Takes a table, the names of its columns, and rows of them.
Write = Callable[[Table, str, Iterable[Row]], None]
#: More than the largest index of ten million opens.
_CACHE_KB = 2_000_000


@contextmanager
def loading(url: str) -> Iterator[Write]:
    """Indexes are built at the end: ids are random, so that each row would touch another page of each. Then it is as after a
    quiet hour: the planner knows the tables, and nothing waits to be written."""
    with _loading_sqlite(url) if url.startswith("sqlite") else _loading_postgresql(url) as write:
        yield write
    os.sync()


# --- SQLite --------------------------------------------------------------------------------------------------------------


@contextmanager
def _loading_sqlite(url: str) -> Iterator[Write]:
    """Indexes of primary keys and unique columns stay: they can not be dropped."""
    with closing(sqlite3.connect(str(make_url(url).database))) as connection:
        # A run that breaks off begins anew. The service turns all of it on again.
        for pragma in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{_CACHE_KB}"):
            connection.execute(f"PRAGMA {pragma}")
        of_indexes = "FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
        indexes = connection.execute(f"SELECT name, sql {of_indexes}").fetchall()
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")

        def write(table: Table, columns: str, rows: Iterable[Row]) -> None:
            with connection:
                into_sqlite(connection, table, columns.split(), rows)

        yield write
        for _, statement in indexes:
            connection.execute(statement)


def into_sqlite(connection: sqlite3.Connection, table: Table, names: Sequence[str], rows: Iterable[Row]) -> None:
    marks = ", ".join("?" for _ in names)
    connection.executemany(
        f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({marks})",
        (tuple(sqlite_text(value) if isinstance(value, datetime) else value for value in row) for row in rows),
    )


# --- PostgreSQL, as its superuser ----------------------------------------------------------------------------------------

_STOP_INDEXES = """
UPDATE pg_index SET indisready = false, indisvalid = false WHERE indrelid::regclass::text = ANY ($1::text[])
"""


@contextmanager
def _loading_postgresql(url: str) -> Iterator[Write]:
    def write(table: Table, columns: str, rows: Iterable[Row]) -> None:
        postgres.in_thread(_copy(url, table, columns.split(), rows))

    postgres.in_thread(_stop_indexes(url))
    yield write
    postgres.in_thread(_build_indexes(url))


async def _stop_indexes(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(_STOP_INDEXES, list(metadata.tables))
    await connection.close()


async def _copy(url: str, table: Table, names: Sequence[str], rows: Iterable[Row]) -> None:
    connection = await asyncpg.connect(url)
    # No foreign keys are looked up: it would take most of the time, and the rows are right.
    await connection.execute("SET session_replication_role = replica")
    await connection.copy_records_to_table(table.name, columns=names, records=rows)
    await connection.close()


async def _build_indexes(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("SET maintenance_work_mem = '1GB'")
    for name in metadata.tables:
        await connection.execute(f"REINDEX TABLE {name}")
    await connection.execute("VACUUM ANALYZE")
    await connection.execute("CHECKPOINT")
    await connection.close()
