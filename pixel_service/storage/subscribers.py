"""Subscribers: people known by one address. What they agreed to is in consent.py."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.dialects import postgresql, sqlite

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
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """As much as a send needs to know of a person."""

    subscriber_id: SubscriberId
    language: str | None


async def find(connection: Connection, keys: Sequence[str]) -> dict[str, Known]:
    """Who of a batch of at most some hundreds of address keys is on record."""
    rows = await connection.execute(
        select(subscribers.c.address_key, subscribers.c.subscriber_id, subscribers.c.language).where(
            subscribers.c.address_key.in_(keys)
        )
    )
    return {
        row.address_key: Known(subscriber_id=SubscriberId(row.subscriber_id), language=row.language) for row in rows
    }


async def languages(connection: Connection, subscriber_ids: Sequence[SubscriberId]) -> dict[SubscriberId, str | None]:
    rows = await connection.execute(
        select(subscribers.c.subscriber_id, subscribers.c.language).where(
            subscribers.c.subscriber_id.in_(subscriber_ids)
        )
    )
    return {SubscriberId(row.subscriber_id): row.language for row in rows}


async def complete(connection: Connection, subscriber_id: SubscriberId, *, language: str, profile: Profile) -> None:
    """Take over the language and the details a confirmed sign-up gave; what it left empty stays."""
    await connection.execute(
        update(subscribers)
        .where(subscribers.c.subscriber_id == subscriber_id)
        .values(language=language, **profile.given())
    )
