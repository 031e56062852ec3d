"""Subscribers: people known by one address. What they agreed to is in consent.py."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from pixel_service.domain.address import Address
from pixel_service.domain.messages import SubscriberId
from pixel_service.domain.signup import Profile
from pixel_service.storage.engine import Connection
from pixel_service.storage.schema import subscribers


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscriber:
    subscriber_id: SubscriberId
    address: str
    #: Of the last confirmed sign-up; None until then.
    language: str | None
    profile: Profile
    #: Since when nothing of theirs is used, and since when they want no marketing; None: neither.
    restricted_at: datetime | None = None
    objected_at: datetime | None = None


async def upsert(connection: Connection, address: Address, *, new_id: SubscriberId, at: datetime) -> SubscriberId:
    """The id of the person with this address; a known person's row stays as it is (S15)."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    await connection.execute(
        insert(subscribers)
        .values(subscriber_id=new_id, address=address.normalised, address_key=address.key, created_at=at)
        .on_conflict_do_nothing(index_elements=["address_key"])
    )
    found = await connection.execute(
        select(subscribers.c.subscriber_id).where(subscribers.c.address_key == address.key)
    )
    return SubscriberId(found.scalar_one())


async def get(connection: Connection, subscriber_id: SubscriberId) -> Subscriber | None:
    row = (await connection.execute(select(subscribers).where(subscribers.c.subscriber_id == subscriber_id))).first()
    if row is None:
        return None
    return subscriber_of(row)


def subscriber_of(row: Row[Any]) -> Subscriber:
    """From a row that holds the table's columns under their names."""
    values = row._mapping  # noqa: SLF001  SQLAlchemy's documented way to read a row by name
    return Subscriber(
        subscriber_id=SubscriberId(values["subscriber_id"]),
        address=values["address"],
        language=values["language"],
        profile=Profile(**{name: values[name] for name in Profile.__slots__}),
        restricted_at=values["restricted_at"],
        objected_at=values["objected_at"],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """As much as a send needs to know of a person."""

    subscriber_id: SubscriberId
    language: str | None
    #: Not even service mail may go to them.
    restricted: bool = False


async def find(connection: Connection, keys: Sequence[str]) -> dict[str, Known]:
    """Who of a batch of at most some hundreds of address keys is on record."""
    rows = await connection.execute(
        select(
            subscribers.c.address_key,
            subscribers.c.subscriber_id,
            subscribers.c.language,
            subscribers.c.restricted_at.is_not(None).label("restricted"),
        ).where(subscribers.c.address_key.in_(keys))
    )
    return {
        row.address_key: Known(
            subscriber_id=SubscriberId(row.subscriber_id), language=row.language, restricted=row.restricted
        )
        for row in rows
    }


async def languages(connection: Connection, subscriber_ids: Sequence[SubscriberId]) -> dict[SubscriberId, str | None]:
    rows = await connection.execute(
        select(subscribers.c.subscriber_id, subscribers.c.language).where(
            subscribers.c.subscriber_id.in_(subscriber_ids)
        )
    )
    return {SubscriberId(row.subscriber_id): row.language for row in rows}


async def complete(connection: Connection, subscriber_id: SubscriberId, *, language: str, profile: Profile) -> None:
    """Take over the language and the details a confirmed sign-up gave; what it left empty stays. Whoever agrees anew by
    their own button has taken an objection back."""
    await connection.execute(
        update(subscribers)
        .where(subscribers.c.subscriber_id == subscriber_id)
        .values(language=language, objected_at=None, **profile.given())
    )


async def correct(connection: Connection, subscriber_id: SubscriberId, profile: Profile) -> None:
    """Every detail as it is here, an empty one too."""
    values = {name: getattr(profile, name) for name in Profile.__slots__}
    await connection.execute(update(subscribers).where(subscribers.c.subscriber_id == subscriber_id).values(**values))


async def move(connection: Connection, subscriber_id: SubscriberId, address: Address) -> bool:
    """False where somebody else has it. The caller holds `dialect.lock_ledger`, as do all who put people on record but the
    service mails, whose batches would hold up every sign-up: one of theirs may come in after the caller looked."""
    moved = (
        update(subscribers)
        .where(subscribers.c.subscriber_id == subscriber_id)
        .values(address=address.normalised, address_key=address.key)
    )
    try:
        async with connection.begin_nested():
            await connection.execute(moved)
    except IntegrityError:
        return False
    return True


async def set_restricted(connection: Connection, subscriber_id: SubscriberId, *, at: datetime | None) -> None:
    """None lifts it."""
    await connection.execute(
        update(subscribers).where(subscribers.c.subscriber_id == subscriber_id).values(restricted_at=at)
    )


async def set_objected(connection: Connection, subscriber_id: SubscriberId, *, at: datetime) -> None:
    await connection.execute(
        update(subscribers).where(subscribers.c.subscriber_id == subscriber_id).values(objected_at=at)
    )


async def hold(connection: Connection, subscriber_ids: Sequence[SubscriberId]) -> set[SubscriberId]:
    """Who of them is still on record, and stays so until this transaction ends: whoever queues mail asks, so that an
    erasure comes before or after. In one order for everybody."""
    found = await connection.execute(
        select(subscribers.c.subscriber_id)
        .where(subscribers.c.subscriber_id.in_(subscriber_ids))
        .order_by(subscribers.c.subscriber_id)
        .with_for_update(read=True, key_share=True)
    )
    return {SubscriberId(one) for one in found.scalars()}


async def hold_to_erase(connection: Connection, subscriber_id: SubscriberId) -> None:
    """Wait for those who queue mail to this person just now; who comes later finds nobody."""
    one = select(subscribers.c.subscriber_id).where(subscribers.c.subscriber_id == subscriber_id)
    await connection.execute(one.with_for_update())
