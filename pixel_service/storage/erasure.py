"""Sealed evidence and the hashes of erased addresses: put, find, forget. Nothing here can read what is sealed."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import delete, exists, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from pixel_service.domain.address import Address
from pixel_service.domain.messages import SubscriberId
from pixel_service.storage.engine import Connection
from pixel_service.storage.schema import (
    erased_addresses,
    ledger,
    messages,
    rights_requests,
    sealed_evidence,
    subscribers,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedRow:
    subscriber_id: SubscriberId
    address_hash: str
    sealed_at: datetime
    #: Deleted then.
    ends_at: datetime
    data: bytes = field(repr=False)


async def keep_sealed(connection: Connection, row: SealedRow) -> None:
    await connection.execute(
        insert(sealed_evidence).values(
            subscriber_id=row.subscriber_id,
            address_hash=row.address_hash,
            sealed_at=row.sealed_at,
            ends_at=row.ends_at,
            data=row.data,
        )
    )


async def sealed_under(connection: Connection, address_hashes: Collection[str]) -> list[SealedRow]:
    """Newest first: one address may have been erased more than once."""
    rows = await connection.execute(
        select(sealed_evidence)
        .where(sealed_evidence.c.address_hash.in_(address_hashes))
        .order_by(sealed_evidence.c.sealed_at.desc(), sealed_evidence.c.subscriber_id)
    )
    return [
        SealedRow(
            subscriber_id=SubscriberId(row.subscriber_id),
            address_hash=row.address_hash,
            sealed_at=row.sealed_at,
            ends_at=row.ends_at,
            data=row.data,
        )
        for row in rows
    ]


async def address_of(connection: Connection, subscriber_id: SubscriberId) -> Address:
    """As it was stored, not parsed anew: rules that became stricter must not keep anybody from being erased."""
    stored = select(subscribers.c.address, subscribers.c.address_key).where(
        subscribers.c.subscriber_id == subscriber_id
    )
    row = (await connection.execute(stored)).one()
    return Address(row.address, row.address_key)


async def last_heard_of(connection: Connection, subscriber_id: SubscriberId) -> datetime | None:
    """The newest act on record or mail that was sent; None where there is neither."""
    newest = (
        select(func.max(ledger.c.at)).where(ledger.c.subscriber_id == subscriber_id),
        select(func.max(messages.c.sent_at)).where(messages.c.subscriber_id == subscriber_id),
        select(subscribers.c.last_mailed_at).where(subscribers.c.subscriber_id == subscriber_id),
    )
    found = [(await connection.execute(one)).scalar_one_or_none() for one in newest]
    return max((one for one in found if one is not None), default=None)


async def end_requests(connection: Connection, subscriber_id: SubscriberId, *, at: datetime) -> None:
    """Nobody is left to be answered, and what colleagues wrote beside the requests goes; that there were requests stays on
    record (R10)."""
    theirs = rights_requests.c.subscriber_id == subscriber_id
    await connection.execute(update(rights_requests).where(theirs).values(note=""))
    await connection.execute(
        update(rights_requests).where(theirs, rights_requests.c.done_at.is_(None)).values(done_at=at)
    )


async def note_address(connection: Connection, address_hash: str, *, at: datetime) -> None:
    """An address that was erased before stays as it stands."""
    dialect = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    await connection.execute(
        dialect(erased_addresses)
        .values(address_hash=address_hash, erased_at=at)
        .on_conflict_do_nothing(index_elements=["address_hash"])
    )


async def is_noted(connection: Connection, address_hashes: Collection[str]) -> bool:
    found = await connection.execute(select(exists().where(erased_addresses.c.address_hash.in_(address_hashes))))
    return bool(found.scalar_one())


async def forget_address(connection: Connection, address_hashes: Collection[str]) -> None:
    await connection.execute(delete(erased_addresses).where(erased_addresses.c.address_hash.in_(address_hashes)))
