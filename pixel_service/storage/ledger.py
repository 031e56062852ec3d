"""The ledger table: append and read. There is no update here except dropping content, which a later erasure does."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Row, insert, select

from pixel_service.domain.consent import Act, Purpose
from pixel_service.domain.errors import LedgerBroken
from pixel_service.domain.ledger import GENESIS, Draft, Entry, chain
from pixel_service.domain.messages import SubscriberId
from pixel_service.storage.engine import Connection
from pixel_service.storage.schema import ledger

#: Entries read at a time while walking the chain.
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Head:
    """The newest entry; 0 and `GENESIS` before the first."""

    seq: int
    entry_hash: str


async def head(connection: Connection) -> Head:
    newest = select(ledger.c.seq, ledger.c.entry_hash).order_by(ledger.c.seq.desc()).limit(1)
    row = (await connection.execute(newest)).first()
    return Head(row.seq, row.entry_hash) if row else Head(0, GENESIS)


async def append(connection: Connection, draft: Draft) -> Entry:
    """Chain `draft` to the newest entry. The caller holds `dialect.lock_ledger`."""
    (entry,) = await append_all(connection, [draft])
    return entry


async def append_all(connection: Connection, drafts: Sequence[Draft]) -> list[Entry]:
    """Chain them one to the other, in their order. The caller holds `dialect.lock_ledger`."""
    if not drafts:
        return []
    last = await head(connection)
    seq, previous_hash = last.seq, last.entry_hash
    entries: list[Entry] = []
    for draft in drafts:
        entry = chain(draft, seq=seq + 1, previous_hash=previous_hash)
        seq, previous_hash = entry.seq, entry.entry_hash
        entries.append(entry)
    await connection.execute(insert(ledger), [_row(entry) for entry in entries])
    return entries


def _row(entry: Entry) -> dict[str, object]:
    return {
        "seq": entry.seq,
        "subscriber_id": entry.subscriber_id,
        "purpose": entry.purpose,
        "act": entry.act.value,
        "at": entry.at,
        "content": entry.content,
        "salt": entry.salt,
        "content_hash": entry.content_hash,
        "previous_hash": entry.previous_hash,
        "entry_hash": entry.entry_hash,
    }


async def read_pages(connection: Connection) -> AsyncIterator[list[Entry]]:
    """All entries in order of `seq`, in constant memory."""
    last = 0
    while True:
        rows = (
            await connection.execute(select(ledger).where(ledger.c.seq > last).order_by(ledger.c.seq).limit(_PAGE))
        ).all()
        if not rows:
            return
        yield [entry_of(row) for row in rows]
        last = rows[-1].seq


async def entries_of(connection: Connection, subscriber_id: SubscriberId) -> list[Entry]:
    rows = await connection.execute(
        select(ledger).where(ledger.c.subscriber_id == subscriber_id).order_by(ledger.c.seq)
    )
    return [entry_of(row) for row in rows]


def entry_of(row: Row[tuple[object, ...]]) -> Entry:
    """From a row that holds the table's columns under their names."""
    values = row._mapping  # noqa: SLF001  SQLAlchemy's documented way to read a row by name
    return Entry(
        seq=values["seq"],
        subscriber_id=SubscriberId(values["subscriber_id"]),
        purpose=Purpose(values["purpose"]),
        act=_act(values["seq"], values["act"]),
        at=values["at"],
        content=values["content"],
        salt=values["salt"],
        content_hash=values["content_hash"],
        previous_hash=values["previous_hash"],
        entry_hash=values["entry_hash"],
    )


def _act(seq: int, stored: str) -> Act:
    try:
        return Act(stored)
    except ValueError:
        raise LedgerBroken(seq, "act is none that the ledger records") from None
