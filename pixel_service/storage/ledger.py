"""The ledger table: append and read. There is no update here except dropping content, which a later erasure does."""

from collections.abc import AsyncIterator

from sqlalchemy import Row, insert, select

from pixel_service.domain.consent import Act, Purpose
from pixel_service.domain.ledger import GENESIS, Draft, Entry, chain
from pixel_service.domain.messages import SubscriberId
from pixel_service.storage.engine import Connection
from pixel_service.storage.schema import ledger

#: Entries read at a time while walking the chain.
_PAGE = 1000


async def append(connection: Connection, draft: Draft) -> Entry:
    """Chain `draft` to the newest entry. The caller holds `dialect.lock_ledger`."""
    head = (
        await connection.execute(select(ledger.c.seq, ledger.c.entry_hash).order_by(ledger.c.seq.desc()).limit(1))
    ).first()
    entry = chain(draft, seq=head.seq + 1 if head else 1, previous_hash=head.entry_hash if head else GENESIS)
    await connection.execute(
        insert(ledger).values(
            seq=entry.seq,
            subscriber_id=entry.subscriber_id,
            purpose=entry.purpose,
            act=entry.act.value,
            at=entry.at,
            content=entry.content,
            salt=entry.salt,
            content_hash=entry.content_hash,
            previous_hash=entry.previous_hash,
            entry_hash=entry.entry_hash,
        )
    )
    return entry


async def read_pages(connection: Connection) -> AsyncIterator[list[Entry]]:
    """All entries in order of `seq`, in constant memory."""
    last = 0
    while True:
        rows = (
            await connection.execute(select(ledger).where(ledger.c.seq > last).order_by(ledger.c.seq).limit(_PAGE))
        ).all()
        if not rows:
            return
        yield [_entry(row) for row in rows]
        last = rows[-1].seq


async def entries_of(connection: Connection, subscriber_id: SubscriberId) -> list[Entry]:
    rows = await connection.execute(
        select(ledger).where(ledger.c.subscriber_id == subscriber_id).order_by(ledger.c.seq)
    )
    return [_entry(row) for row in rows]


def _entry(row: Row[tuple[object, ...]]) -> Entry:
    values = row._mapping  # noqa: SLF001  SQLAlchemy's documented way to read a row by name
    return Entry(
        seq=values["seq"],
        subscriber_id=SubscriberId(values["subscriber_id"]),
        purpose=Purpose(values["purpose"]),
        act=Act(values["act"]),
        at=values["at"],
        content=values["content"],
        salt=values["salt"],
        content_hash=values["content_hash"],
        previous_hash=values["previous_hash"],
        entry_hash=values["entry_hash"],
    )
