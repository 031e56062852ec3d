"""New addresses that people asked for, until they are confirmed from the new mailbox, and as proof afterwards.

At most one of a person waits: a newer one ends the others. Whoever asks or confirms holds `dialect.lock_ledger`.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, func, insert, select, update

from pixel_service.domain.address import Address
from pixel_service.domain.messages import SubscriberId
from pixel_service.domain.rights import AddressChange, ChangeId
from pixel_service.storage.engine import Connection
from pixel_service.storage.schema import address_changes


async def add(connection: Connection, change: AddressChange, new: Address) -> None:
    """It is the one that counts now: the person's others can no longer be confirmed."""
    await connection.execute(
        update(address_changes)
        .where(
            address_changes.c.subscriber_id == change.subscriber_id,
            address_changes.c.confirmed_at.is_(None),
            address_changes.c.expires_at > change.asked_at,
        )
        .values(expires_at=change.asked_at)
    )
    await connection.execute(
        insert(address_changes).values(
            change_id=change.change_id,
            subscriber_id=change.subscriber_id,
            address=new.normalised,
            address_key=new.key,
            previous_address=change.previous_address,
            asked_at=change.asked_at,
            expires_at=change.expires_at,
        )
    )


async def get(connection: Connection, change_id: ChangeId) -> AddressChange | None:
    row = (await connection.execute(select(address_changes).where(address_changes.c.change_id == change_id))).first()
    return _change_of(row) if row else None


async def of_person(connection: Connection, subscriber_id: SubscriberId) -> tuple[AddressChange, ...]:
    """Oldest first, confirmed or not."""
    rows = await connection.execute(
        select(address_changes)
        .where(address_changes.c.subscriber_id == subscriber_id)
        .order_by(address_changes.c.asked_at, address_changes.c.change_id)
    )
    return tuple(_change_of(row) for row in rows)


async def confirmed_of(connection: Connection, subscriber_id: SubscriberId) -> tuple[AddressChange, ...]:
    return tuple(one for one in await of_person(connection, subscriber_id) if one.confirmed_at)


async def moved_from(connection: Connection, address: Address) -> SubscriberId | None:
    """Who gave this address up last, by a change that was confirmed."""
    # As `Address.key` makes one of two spellings: a local part is ASCII, a normalised domain is lower-case already.
    same = func.lower(address_changes.c.previous_address) == address.normalised.lower()
    found = await connection.execute(
        select(address_changes.c.subscriber_id)
        .where(same, address_changes.c.confirmed_at.is_not(None))
        .order_by(address_changes.c.confirmed_at.desc(), address_changes.c.change_id.desc())
        .limit(1)
    )
    one = found.scalar_one_or_none()
    return SubscriberId(one) if one else None


def _change_of(row: Row[Any]) -> AddressChange:
    return AddressChange(
        change_id=ChangeId(row.change_id),
        subscriber_id=SubscriberId(row.subscriber_id),
        address=row.address,
        previous_address=row.previous_address,
        asked_at=row.asked_at,
        expires_at=row.expires_at,
        confirmed_at=row.confirmed_at,
    )


async def confirm(connection: Connection, change_id: ChangeId, *, at: datetime) -> None:
    await connection.execute(
        update(address_changes).where(address_changes.c.change_id == change_id).values(confirmed_at=at)
    )


async def asked_by(connection: Connection, subscriber_id: SubscriberId, *, since: datetime) -> int:
    """How many new addresses one person asked for lately (for limits)."""
    return await _count(connection, address_changes.c.subscriber_id == subscriber_id, since)


async def asked_for(connection: Connection, address: Address, *, since: datetime) -> int:
    """How often one address was asked for lately, by whomever (for limits)."""
    return await _count(connection, address_changes.c.address_key == address.key, since)


async def _count(connection: Connection, whose: ColumnElement[bool], since: datetime) -> int:
    query = select(func.count()).select_from(address_changes).where(whose, address_changes.c.asked_at > since)
    return (await connection.execute(query)).scalar_one()
