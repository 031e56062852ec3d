"""What is left of sign-ups that nobody confirmed, and its erasure (S12).

What must hold: the ledger keeps every entry and its hashes, only what was typed goes; a person of whom there is more than
questions stays. Whoever calls this holds `dialect.lock_ledger`.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, delete, exists, or_, select, update

from pixel_service.domain.consent import Act, Purpose
from pixel_service.domain.messages import SignUpId, SubscriberId
from pixel_service.storage.engine import Connection
from pixel_service.storage.schema import (
    confirmation_mails,
    consents,
    ledger,
    messages,
    metadata,
    sign_up_purposes,
    sign_ups,
    subscribers,
)

#: Acts that only say that somebody was asked.
ASKING = tuple(act.value for act in (Act.REQUESTED, Act.CONFIRMATION_SENT, Act.EXPIRED))
_CONFIRMED = exists().where(
    sign_up_purposes.c.sign_up_id == sign_ups.c.sign_up_id, sign_up_purposes.c.answer == "confirmed"
)
#: Every table that points at a person, today's and tomorrow's: a row in one of them keeps the person.
_POINTING = tuple(
    key.parent
    for table in metadata.sorted_tables
    for key in table.foreign_keys
    if key.column is subscribers.c.subscriber_id and table not in {messages, consents}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lapsed:
    sign_up_id: SignUpId
    subscriber_id: SubscriberId


async def lapsed(connection: Connection, *, created_before: datetime, limit: int) -> list[Lapsed]:
    """Sign-ups of which nothing was confirmed, oldest first. What a person wants kept stays (GDPR Art. 18)."""
    restricted = exists().where(
        subscribers.c.subscriber_id == sign_ups.c.subscriber_id, subscribers.c.restricted_at.is_not(None)
    )
    rows = await connection.execute(
        select(sign_ups.c.sign_up_id, sign_ups.c.subscriber_id)
        .where(sign_ups.c.created_at <= created_before, ~_CONFIRMED, ~restricted)
        .order_by(sign_ups.c.created_at, sign_ups.c.sign_up_id)
        .limit(limit)
    )
    return [Lapsed(sign_up_id=SignUpId(row.sign_up_id), subscriber_id=SubscriberId(row.subscriber_id)) for row in rows]


async def of_person(connection: Connection, subscriber_id: SubscriberId) -> list[Lapsed]:
    """Their sign-ups of which nothing was confirmed, however young."""
    rows = await connection.execute(
        select(sign_ups.c.sign_up_id).where(sign_ups.c.subscriber_id == subscriber_id, ~_CONFIRMED)
    )
    return [Lapsed(sign_up_id=SignUpId(one), subscriber_id=subscriber_id) for one in rows.scalars()]


async def erase(connection: Connection, one: Lapsed) -> None:
    """The rows of a sign-up, the copy of its mail, and what was typed in the ledger's entries of asking."""
    await connection.execute(delete(sign_ups).where(sign_ups.c.sign_up_id == one.sign_up_id))
    await connection.execute(
        delete(confirmation_mails).where(
            confirmation_mails.c.subscriber_id == one.subscriber_id,
            confirmation_mails.c.sign_up_id == one.sign_up_id,
        )
    )
    await connection.execute(
        update(ledger)
        .where(
            ledger.c.subscriber_id == one.subscriber_id,
            ledger.c.act.in_((Act.REQUESTED.value, Act.CONFIRMATION_SENT.value)),
            # Canonical JSON has one spelling, and a quotation mark that somebody typed stands escaped in it.
            ledger.c.content.contains(f'"sign_up":"{one.sign_up_id}"', autoescape=True),
        )
        .values(content=None, salt=None)
    )


async def open_questions(connection: Connection, subscriber_id: SubscriberId) -> set[Purpose]:
    """What the sign-ups still held ask and nobody answered."""
    rows = await connection.execute(
        select(sign_up_purposes.c.purpose)
        .join(sign_ups, sign_ups.c.sign_up_id == sign_up_purposes.c.sign_up_id)
        .where(sign_ups.c.subscriber_id == subscriber_id, sign_up_purposes.c.answer.is_(None))
    )
    return {Purpose(purpose) for purpose in rows.scalars()}


async def forget_strangers(connection: Connection, people: Collection[SubscriberId]) -> int:
    """Delete those of `people` of whom nothing is held but questions that lapsed; returns how many."""
    held: ColumnElement[bool] = or_(
        exists().where(ledger.c.subscriber_id == subscribers.c.subscriber_id, ledger.c.act.not_in(ASKING)),
        exists().where(
            messages.c.subscriber_id == subscribers.c.subscriber_id,
            or_(messages.c.template.is_(None), messages.c.template != "confirmation"),
        ),
        *(exists().where(column == subscribers.c.subscriber_id) for column in _POINTING),
    )
    found = await connection.execute(
        select(subscribers.c.subscriber_id).where(subscribers.c.subscriber_id.in_(people), ~held)
    )
    strangers = tuple(found.scalars())
    for table in (consents, messages, subscribers):
        await connection.execute(delete(table).where(table.c.subscriber_id.in_(strangers)))
    return len(strangers)
