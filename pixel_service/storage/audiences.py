"""An audience: everybody with consent for a purpose, walked a slice at a time, and what was decided for each of them (D1)."""

from sqlalchemy import insert, select, union_all

from pixel_service.domain.consent import VALID_STATES, Purpose
from pixel_service.domain.messages import SendId, SubscriberId
from pixel_service.domain.sends import JsonValue
from pixel_service.storage.engine import Connection
from pixel_service.storage.schema import audience_rulings, consents


async def people_after(connection: Connection, purpose: Purpose, *, cursor: str, limit: int) -> list[SubscriberId]:
    """Everyone with valid consent for `purpose`, in a fixed order, a slice at a time.

    One walk of the index per valid state: asked for both states at once, the databases sort everybody who is left, for
    every slice.
    """
    per_state = [
        select(consents.c.subscriber_id)
        .where(consents.c.purpose == purpose, consents.c.state == state.value, consents.c.subscriber_id > cursor)
        .order_by(consents.c.subscriber_id)
        .limit(limit)
        .subquery()
        for state in sorted(VALID_STATES)
    ]
    both = union_all(*(select(one.c.subscriber_id) for one in per_state)).subquery()
    rows = await connection.execute(select(both.c.subscriber_id).order_by(both.c.subscriber_id).limit(limit))
    return [SubscriberId(row.subscriber_id) for row in rows]


async def add_rulings(connection: Connection, send_id: SendId, *, first: int, results: list[list[JsonValue]]) -> None:
    """`first`: place of the slice's first person in the walk."""
    await connection.execute(insert(audience_rulings).values(send_id=send_id, first=first, results=results))


async def rulings_at(connection: Connection, send_id: SendId, *, first: int) -> list[list[JsonValue]]:
    """Empty where nothing is decided yet, or nobody is left."""
    found = await connection.execute(
        select(audience_rulings.c.results).where(
            audience_rulings.c.send_id == send_id, audience_rulings.c.first == first
        )
    )
    return found.scalar_one_or_none() or []
