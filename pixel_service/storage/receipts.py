"""Whom the ledger knows, in slices: what an export of consent records walks through. Persons erased since are among them."""

from collections.abc import Mapping

from sqlalchemy import func, select

from pixel_service.domain.ledger import Entry
from pixel_service.domain.messages import SubscriberId
from pixel_service.storage.engine import Connection
from pixel_service.storage.ledger import entry_of
from pixel_service.storage.schema import ledger


async def count_subjects(connection: Connection) -> int:
    found = await connection.execute(select(func.count(ledger.c.subscriber_id.distinct())))
    return int(found.scalar_one())


async def entries_after(
    connection: Connection, last: SubscriberId, *, limit: int
) -> Mapping[SubscriberId, tuple[Entry, ...]]:
    """The next `limit` persons in order of their ids, each with every entry in order of `seq`; empty at the end."""
    ids = (
        select(ledger.c.subscriber_id)
        .where(ledger.c.subscriber_id > last)
        .distinct()
        .order_by(ledger.c.subscriber_id)
        .limit(limit)
    )
    rows = await connection.execute(
        select(ledger)
        .where(ledger.c.subscriber_id.in_(ids.scalar_subquery()))
        .order_by(ledger.c.subscriber_id, ledger.c.seq)
    )
    found: dict[SubscriberId, list[Entry]] = {}
    for entry in map(entry_of, rows):
        found.setdefault(entry.subscriber_id, []).append(entry)
    return {subject: tuple(entries) for subject, entries in found.items()}
