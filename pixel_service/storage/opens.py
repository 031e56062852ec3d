"""Opens of one person: erased, deleted, set aside and put back. The caller holds the person's consent row, so recorders that
saw it have ended, and what they stored is found here. What is known of the messages and the figures change with the rows.
Everything is found by index from the subscriber's id (W3). How opens come in is in `recording.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, delete, exists, select, update

from pixel_service.domain.messages import MessageId, SubscriberId, Tracking
from pixel_service.storage import figures, scrub, seen
from pixel_service.storage.engine import Connection
from pixel_service.storage.schema import message_opens, messages, opens, pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What a withdrawal deleted, in rows."""

    opens: int
    pixels: int


async def erase_opens(connection: Connection, *people: SubscriberId) -> Erased:
    """Delete people's opens and pixel mappings and mark their messages. The caller holds their consent rows, and says this
    once: figures are locked in one order.

    The messages are locked first: a delivery that is just giving one a pixel finishes, and its mapping is deleted too.
    """
    of_person = messages.c.subscriber_id.in_(people)
    async with figures.kept(connection, figures.BY_PERSON, people):
        erased = await forget(connection, of_person)
        unmapped = await connection.execute(delete(pixels).where(pixels.c.subscriber_id.in_(people)))
        await connection.execute(
            update(messages)
            .where(of_person, messages.c.tracking.in_([Tracking.TRACKED.value, Tracking.RESTRICTED.value]))
            .values(tracking=Tracking.WITHDRAWN.value)
        )
    if erased or unmapped.rowcount:
        await scrub.ask(connection, scrub.Scope.OPENS)
    return Erased(opens=erased, pixels=unmapped.rowcount)


async def delete_opens(connection: Connection, subscriber_id: SubscriberId, now: datetime) -> int:
    """Delete the opens so far; what happened before `now` and still waits is not stored afterwards. Pixels stay and count on
    (R9), later opens start from nothing."""
    of_person = messages.c.subscriber_id == subscriber_id
    async with figures.kept(connection, figures.BY_PERSON, [subscriber_id]):
        deleted = await forget(connection, of_person)
        await connection.execute(update(pixels).where(pixels.c.subscriber_id == subscriber_id).values(reopened_at=now))
    if deleted:
        await scrub.ask(connection, scrub.Scope.OPENS)
    return deleted


async def forget(connection: Connection, which: ColumnElement[bool]) -> int:
    """Delete the opens of the chosen messages and what is known of them; returns how many rows. Inside `figures.kept`."""
    theirs = select(messages.c.message_id).where(which)
    deleted = await connection.execute(delete(opens).where(opens.c.message_id.in_(theirs)))
    await connection.execute(delete(message_opens).where(message_opens.c.message_id.in_(theirs)))
    return deleted.rowcount


async def purge(connection: Connection, open_ids: Sequence[bytes]) -> None:
    """Delete single rows; what is left of their messages is counted anew."""
    mails = select(opens.c.message_id).where(opens.c.open_id.in_(open_ids)).distinct().order_by(opens.c.message_id)
    message_ids = [MessageId(one) for one in (await connection.execute(mails)).scalars()]
    async with figures.kept_of(connection, message_ids):
        # Looked at again now that the messages are held: their person may just have restricted the use of their data.
        kept_back = exists().where(
            messages.c.message_id == opens.c.message_id, messages.c.tracking == Tracking.RESTRICTED.value
        )
        await connection.execute(delete(opens).where(opens.c.open_id.in_(open_ids), ~kept_back))
        await seen.recount(connection, message_ids)


async def set_aside(connection: Connection, subscriber_id: SubscriberId) -> None:
    """Out of every figure, and kept (GDPR Art. 18)."""
    await _turn(connection, subscriber_id, Tracking.TRACKED, Tracking.RESTRICTED)


async def put_back(connection: Connection, subscriber_id: SubscriberId) -> None:
    """The opposite of `set_aside`."""
    await _turn(connection, subscriber_id, Tracking.RESTRICTED, Tracking.TRACKED)


async def _turn(connection: Connection, subscriber_id: SubscriberId, was: Tracking, becomes: Tracking) -> None:
    of_person = messages.c.subscriber_id == subscriber_id
    async with figures.kept(connection, figures.BY_PERSON, [subscriber_id]):
        await connection.execute(
            update(messages).where(of_person, messages.c.tracking == was.value).values(tracking=becomes.value)
        )
