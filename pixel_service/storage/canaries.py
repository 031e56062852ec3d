"""What canaries leave behind and what is held of people without their consent (P10); and a pixel that should not be there.

Which traces may be there is decided by the use case; only `unfounded_pixels` and `unfounded_opens` look at rows of people, a
slice at a time, and only count them.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import CTE, Select, exists, func, insert, select

from pixel_service.domain.consent import TRACKING_OPENS, VALID_STATES, State
from pixel_service.domain.figures import Kind
from pixel_service.domain.messages import MessageId, PixelId, SubscriberId
from pixel_service.storage.engine import Connection
from pixel_service.storage.schema import campaign_figures, consents, message_opens, messages, opens, pixels

#: Under a restriction everything is kept, and unused (GDPR Art. 18).
_MAY_BE_HELD = tuple(state.value for state in (*sorted(VALID_STATES), State.RESTRICTED))
#: Counted, not asked for with EXISTS: PostgreSQL makes that one join for all, and reads every consent for each slice.
_STANDS = consents.c.purpose == TRACKING_OPENS, consents.c.state.in_(_MAY_BE_HELD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Traces:
    """Of one person, in rows."""

    opens: int
    #: Figures of opens in reports of the person's campaigns.
    figures: int


async def traces_of(connection: Connection, subscriber_id: SubscriberId) -> Traces:
    """Of a person who shares no campaign with anybody."""
    theirs = select(messages.c.message_id).where(messages.c.subscriber_id == subscriber_id)
    campaigns = select(messages.c.campaign_id).where(messages.c.subscriber_id == subscriber_id)
    rows = [
        await _count(connection, select(table).where(table.c.message_id.in_(theirs)))
        for table in (opens, message_opens)
    ]
    shown = select(campaign_figures).where(
        campaign_figures.c.campaign_id.in_(campaigns), campaign_figures.c.kind != Kind.MESSAGE.value
    )
    return Traces(opens=sum(rows), figures=await _count(connection, shown))


async def plant_pixel(
    connection: Connection, message_id: MessageId, subscriber_id: SubscriberId, pixel_id: PixelId, closes_at: datetime
) -> None:
    """A mapping that nobody decided on, as a fault of the delivery or of a withdrawal would leave it."""
    await connection.execute(
        insert(pixels).values(
            pixel_id=pixel_id, message_id=message_id, subscriber_id=subscriber_id, closes_at=closes_at
        )
    )


async def unmapped_mails_of(connection: Connection, subscriber_id: SubscriberId) -> list[MessageId]:
    """Mails of a campaign without a pixel."""
    found = select(messages.c.message_id).where(
        messages.c.subscriber_id == subscriber_id,
        messages.c.campaign_id.is_not(None),
        ~exists().where(pixels.c.message_id == messages.c.message_id),
    )
    return [MessageId(one) for one in (await connection.execute(found)).scalars()]


async def unfounded_pixels(connection: Connection, after: str, limit: int) -> tuple[int, str | None]:
    """Of the next `limit` pixels, how many are of people whose consent to tracking does not stand; and the last one looked
    at, None behind the last of all."""
    page = select(pixels.c.pixel_id.label("key"), pixels.c.subscriber_id).where(pixels.c.pixel_id > after)
    looked_at = page.order_by(pixels.c.pixel_id).limit(limit).cte("page")
    theirs = select(func.count()).where(consents.c.subscriber_id == looked_at.c.subscriber_id, *_STANDS)
    found = select(func.count()).select_from(looked_at).where(theirs.scalar_subquery() == 0)
    return await _found_and_last(connection, found, looked_at)


async def unfounded_opens(connection: Connection, after: bytes, limit: int) -> tuple[int, bytes | None]:
    """Of opens the same, in the order of time."""
    page = select(opens.c.open_id.label("key"), opens.c.message_id).where(opens.c.open_id > after)
    looked_at = page.order_by(opens.c.open_id).limit(limit).cte("page")
    readers = messages.join(consents, consents.c.subscriber_id == messages.c.subscriber_id)
    theirs = select(func.count()).select_from(readers).where(messages.c.message_id == looked_at.c.message_id, *_STANDS)
    found = select(func.count()).select_from(looked_at).where(theirs.scalar_subquery() == 0)
    return await _found_and_last(connection, found, looked_at)


def first_open_id(moment: datetime) -> bytes:
    """Before every open from then on: their ids grow with time."""
    return int(moment.timestamp() * 1000).to_bytes(6, "big")


async def _found_and_last(connection: Connection, found: Select[Any], looked_at: CTE) -> tuple[int, Any]:
    last = select(looked_at.c.key).order_by(looked_at.c.key.desc()).limit(1)
    row = (await connection.execute(select(found.scalar_subquery(), last.scalar_subquery()))).one()
    return int(row[0]), row[1]


async def _count(connection: Connection, which: Select[Any]) -> int:
    return int((await connection.execute(select(func.count()).select_from(which.subquery()))).scalar_one())
