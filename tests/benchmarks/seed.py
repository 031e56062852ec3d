"""People who agreed to be measured, and a campaign with a mail to each of them, written straight into the tables: a million rows in
seconds. Only for benchmarks: the ledger stays empty."""

import os
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg
from sqlalchemy import Table, make_url

from pixel_service.domain.consent import TRACKING_OPENS, State, newsletter
from pixel_service.domain.figures import Kind
from pixel_service.domain.messages import PixelId, Status, Tracking
from pixel_service.domain.tokens import encode_id
from pixel_service.storage.schema import campaign_figures, campaigns, consents, messages, pixels, subscribers
from tests import postgres
from tests.benchmarks.loading import Row, Write, into_sqlite, loading
from tests.journeys.seed import TOKENS

_BLOG = newsletter("blog")


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
    with loading(url) as write_many:
        persons = add_people(write_many, people, agreed=sent - timedelta(days=1))
        mailing = add_mailing(write_many, persons, sent=sent)
    paths = [f"/o/{TOKENS.mint_pixel(PixelId(one))}.gif" for one in mailing.pixel_ids]
    return Seeded(campaign_id=mailing.campaign_id, subscriber_ids=persons, message_ids=mailing.message_ids, paths=paths)


def add_people(write: Write, number: int, *, agreed: datetime) -> list[str]:
    """New subscribers of the blog who also agreed to open tracking."""
    persons = [an_id() for _ in range(number)]
    addresses = (f"{one}@example.com" for one in persons)
    write(
        subscribers,
        "subscriber_id address address_key created_at",
        ((one, address, address, agreed) for one, address in zip(persons, addresses, strict=True)),
    )
    write(
        consents,
        "subscriber_id purpose state decided_at ledger_seq",
        ((one, purpose, State.GIVEN.value, agreed, 0) for one in persons for purpose in (_BLOG, TRACKING_OPENS)),
    )
    return persons


def add_mailing(write: Write, persons: Sequence[str], *, sent: datetime) -> Mailing:
    """One tracked, accepted mail to each of them."""
    campaign_id = an_id()
    mails, ids = [an_id() for _ in persons], [an_id() for _ in persons]
    write(campaigns, "campaign_id name purpose created_at", [(campaign_id, campaign_id, _BLOG, sent)])
    out = (Status.SENT.value, Tracking.TRACKED.value, sent, sent, sent)
    write(
        messages,
        "message_id subscriber_id campaign_id purpose language variables status tracking queued_at due_at sent_at",
        ((mail, person, campaign_id, _BLOG, "de", "{}", *out) for mail, person in zip(mails, persons, strict=True)),
    )
    write(
        pixels,
        "pixel_id message_id subscriber_id closes_at",
        (
            (pixel, mail, person, sent + timedelta(days=30))
            for pixel, mail, person in zip(ids, mails, persons, strict=True)
        ),
    )
    figure = (campaign_id, Kind.MESSAGE.value, Tracking.TRACKED.value, 0, len(mails))
    write(campaign_figures, "campaign_id kind name hour amount", [figure])
    return Mailing(campaign_id=campaign_id, message_ids=mails, pixel_ids=ids)


def write(url: str, table: Table, columns: str, rows: Iterable[Row]) -> None:
    """A few rows, also while a service uses the database."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(str(make_url(url).database))) as connection, connection:
            into_sqlite(connection, table, columns.split(), rows)
    else:
        postgres.in_thread(_into_postgresql(url, table, columns.split(), rows))


async def _into_postgresql(url: str, table: Table, names: list[str], rows: Iterable[Row]) -> None:
    connection = await asyncpg.connect(url)
    await connection.copy_records_to_table(table.name, columns=names, records=rows)
    await connection.execute(f"ANALYZE {table.name}")
    await connection.close()
