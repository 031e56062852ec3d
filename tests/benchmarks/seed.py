"""People who agreed to be measured, and a campaign with a mail to each of them, written straight into the tables: a million rows in
seconds. Only for benchmarks: the ledger stays empty."""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg
from sqlalchemy import Table, make_url

from pixel_service.domain.consent import TRACKING_OPENS, State, newsletter
from pixel_service.domain.messages import PixelId, Status, Tracking
from pixel_service.domain.tokens import encode_id
from pixel_service.storage.columns import sqlite_text
from pixel_service.storage.schema import campaigns, consents, messages, pixels, subscribers
from tests import postgres
from tests.journeys.seed import TOKENS

Row = tuple[object, ...]


def an_id() -> str:
    return encode_id(os.urandom(16))


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
    agreed = sent - timedelta(days=1)
    campaign_id = an_id()
    persons = [an_id() for _ in range(people)]
    mails = [an_id() for _ in range(people)]
    ids = [an_id() for _ in range(people)]
    blog = newsletter("blog")
    write(url, campaigns, "campaign_id name purpose created_at", [(campaign_id, campaign_id, blog, sent)])
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
        ((one, purpose, State.GIVEN.value, agreed, 0) for one in persons for purpose in (blog, TRACKING_OPENS)),
    )
    both = zip(mails, persons, strict=True)
    out = (Status.SENT.value, Tracking.TRACKED.value, sent, sent, sent)
    write(
        url,
        messages,
        "message_id subscriber_id campaign_id purpose language variables status tracking queued_at due_at sent_at",
        ((mail, person, campaign_id, blog, "de", "{}", *out) for mail, person in both),
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
    paths = [f"/o/{TOKENS.mint_pixel(PixelId(one))}.gif" for one in ids]
    return Seeded(campaign_id=campaign_id, subscriber_ids=persons, message_ids=mails, paths=paths)


def write(url: str, table: Table, columns: str, rows: Iterator[Row] | Sequence[Row]) -> None:
    names = columns.split()
    if url.startswith("sqlite"):
        _into_sqlite(url, table, names, rows)
    else:
        postgres.in_thread(_into_postgresql(url, table, names, rows))


def _into_sqlite(url: str, table: Table, names: list[str], rows: Iterator[Row] | Sequence[Row]) -> None:
    marks = ", ".join("?" for _ in names)
    connection = sqlite3.connect(str(make_url(url).database))
    with connection:
        connection.executemany(
            f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({marks})",
            (tuple(sqlite_text(value) if isinstance(value, datetime) else value for value in row) for row in rows),
        )
    connection.close()


async def _into_postgresql(url: str, table: Table, names: list[str], rows: Iterator[Row] | Sequence[Row]) -> None:
    connection = await asyncpg.connect(url)
    await connection.copy_records_to_table(table.name, columns=names, records=rows)
    await connection.execute(f"ANALYZE {table.name}")
    await connection.close()
