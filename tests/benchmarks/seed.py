"""People who agreed to be measured, and a campaign with a mail to each of them, written straight into the tables: a million rows in
seconds. Only for benchmarks: the ledger stays empty."""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg
from sqlalchemy import Table, make_url

from pixel_service.domain.consent import TRACKING_OPENS, State, newsletter
from pixel_service.domain.figures import Kind
from pixel_service.domain.messages import PixelId, Status, Tracking
from pixel_service.domain.tokens import encode_id
from pixel_service.storage.columns import sqlite_text
from pixel_service.storage.schema import campaign_figures, campaigns, consents, messages, metadata, pixels, subscribers
from tests import postgres
from tests.journeys.seed import TOKENS

Row = tuple[object, ...]
_BLOG = newsletter("blog")
#: The largest index of ten million opens and more.
_CACHE_KB = 2_000_000


def an_id() -> str:
    return encode_id(os.urandom(16))


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailing:
    campaign_id: str
    #: One per person, in the order of the people.
    message_ids: Sequence[str]
    pixel_ids: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeded:
    campaign_id: str
    subscriber_ids: Sequence[str]
    message_ids: Sequence[str]
    #: Of the pixels, one per message.
    paths: Sequence[str]


def seed(url: str, people: int) -> Seeded:
    """One tracked, accepted mail to each of `people` new subscribers, sent an hour ago."""
    sent = datetime.now(UTC) - timedelta(hours=1)
    with loading(url):
        persons = add_people(url, people, agreed=sent - timedelta(days=1))
        mailing = add_mailing(url, persons, sent=sent)
    paths = [f"/o/{TOKENS.mint_pixel(PixelId(one))}.gif" for one in mailing.pixel_ids]
    return Seeded(campaign_id=mailing.campaign_id, subscriber_ids=persons, message_ids=mailing.message_ids, paths=paths)


def add_people(url: str, number: int, *, agreed: datetime) -> list[str]:
    """New subscribers of the blog who also agreed to open tracking."""
    persons = [an_id() for _ in range(number)]
    addresses = (f"{one}@example.com" for one in persons)
    write(
        url,
        subscribers,
        "subscriber_id address address_key created_at",
        ((one, address, address, agreed) for one, address in zip(persons, addresses, strict=True)),
    )
    write(
        url,
        consents,
        "subscriber_id purpose state decided_at ledger_seq",
        ((one, purpose, State.GIVEN.value, agreed, 0) for one in persons for purpose in (_BLOG, TRACKING_OPENS)),
    )
    return persons


def add_mailing(url: str, persons: Sequence[str], *, sent: datetime) -> Mailing:
    """One tracked, accepted mail to each of them."""
    campaign_id = an_id()
    mails, ids = [an_id() for _ in persons], [an_id() for _ in persons]
    write(url, campaigns, "campaign_id name purpose created_at", [(campaign_id, campaign_id, _BLOG, sent)])
    out = (Status.SENT.value, Tracking.TRACKED.value, sent, sent, sent)
    write(
        url,
        messages,
        "message_id subscriber_id campaign_id purpose language variables status tracking queued_at due_at sent_at",
        ((mail, person, campaign_id, _BLOG, "de", "{}", *out) for mail, person in zip(mails, persons, strict=True)),
    )
    write(
        url,
        pixels,
        "pixel_id message_id subscriber_id closes_at",
        (
            (pixel, mail, person, sent + timedelta(days=30))
            for pixel, mail, person in zip(ids, mails, persons, strict=True)
        ),
    )
    figure = (campaign_id, Kind.MESSAGE.value, Tracking.TRACKED.value, 0, len(mails))
    write(url, campaign_figures, "campaign_id kind name hour amount", [figure])
    return Mailing(campaign_id=campaign_id, message_ids=mails, pixel_ids=ids)


def write(url: str, table: Table, columns: str, rows: Iterator[Row] | Sequence[Row]) -> None:
    names = columns.split()
    if url.startswith("sqlite"):
        _into_sqlite(url, table, names, rows)
    else:
        postgres.in_thread(_into_postgresql(url, table, names, rows))


@contextmanager
def loading(url: str) -> Iterator[None]:
    """Indexes are built when all rows are there: ids are random, so that each row would touch another page of each. At the
    end it is as after a quiet hour: the planner knows the tables, and nothing waits to be written."""
    if url.startswith("sqlite"):
        with _without_indexes_on_sqlite(url):
            yield
    else:
        postgres.in_thread(_stop_indexes_on_postgresql(url))
        yield
        postgres.in_thread(_settle_postgresql(url))
    os.sync()


# --- SQLite --------------------------------------------------------------------------------------------------------------


def _sqlite(url: str) -> sqlite3.Connection:
    """Without a journal: a run that breaks off begins anew. The service turns all of it on again."""
    connection = sqlite3.connect(str(make_url(url).database))
    for pragma in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{_CACHE_KB}"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _into_sqlite(url: str, table: Table, names: list[str], rows: Iterator[Row] | Sequence[Row]) -> None:
    marks = ", ".join("?" for _ in names)
    with closing(_sqlite(url)) as connection, connection:
        connection.executemany(
            f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({marks})",
            (tuple(sqlite_text(value) if isinstance(value, datetime) else value for value in row) for row in rows),
        )


@contextmanager
def _without_indexes_on_sqlite(url: str) -> Iterator[None]:
    """Those of primary keys and unique columns stay: they can not be dropped."""
    with closing(_sqlite(url)) as connection:
        found = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
        ).fetchall()
        for name, _ in found:
            connection.execute(f"DROP INDEX {name}")
    yield
    with closing(_sqlite(url)) as connection:
        for _, statement in found:
            connection.execute(statement)


# --- PostgreSQL, as its superuser ----------------------------------------------------------------------------------------


async def _into_postgresql(url: str, table: Table, names: list[str], rows: Iterator[Row] | Sequence[Row]) -> None:
    connection = await asyncpg.connect(url)
    # No foreign keys are looked up: the rows are right, and it would take most of the time.
    await connection.execute("SET session_replication_role = replica")
    await connection.copy_records_to_table(table.name, columns=names, records=rows)
    await connection.close()


async def _stop_indexes_on_postgresql(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(
        "UPDATE pg_index SET indisready = false, indisvalid = false WHERE indrelid::regclass::text = ANY ($1::text[])",
        list(metadata.tables),
    )
    await connection.close()


async def _settle_postgresql(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("SET maintenance_work_mem = '1GB'")
    for name in metadata.tables:
        await connection.execute(f"REINDEX TABLE {name}")
    await connection.execute("VACUUM ANALYZE")
    await connection.execute("CHECKPOINT")
    await connection.close()
