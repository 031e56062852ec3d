"""Data goes when its period is over (T1-T3). Unconfirmed sign-ups have their own file, `retain.py`.

A slice of each class per run, so that nobody waits long; whoever repeats it until nothing is due has done everything.
"""

from collections.abc import Mapping, Sequence

from pixel_service.domain.consent import TRACKING_OPENS, Event, Purpose
from pixel_service.domain.messages import SubscriberId
from pixel_service.domain.retention import Kept, due_before
from pixel_service.storage import consent, opens, retention
from pixel_service.storage.consent import Happening
from pixel_service.storage.dialect import lock_ledger
from pixel_service.storage.engine import Connection
from pixel_service.usecases.context import Context

#: Rows per transaction.
SLICE = 500
#: People per transaction, where each takes several statements.
_FEW = 50


async def count_due(ctx: Context) -> dict[Kept, int]:
    """What is due now, by class; what follows from the removal of another class is not in it yet (T3)."""
    now = ctx.clock()
    async with ctx.db.read() as connection:
        return {kind: await retention.count(connection, kind, due_before(kind, ctx.policy.keep, now)) for kind in Kept}


async def purge_slice(ctx: Context) -> Mapping[Kept, int]:
    """What went, by class; all zero when nothing is due any more."""
    return {kind: await _purge(ctx, kind) for kind in Kept}


async def _purge(ctx: Context, kind: Kept) -> int:
    before = due_before(kind, ctx.policy.keep, ctx.clock())
    async with ctx.db.write() as connection:
        if kind is Kept.UNUSED_CONSENT:
            await lock_ledger(connection)
            found = await retention.unused(connection, before, _FEW)
            await expire(ctx, connection, found)
            return len(found)
        if kind is Kept.EVIDENCE:
            await lock_ledger(connection)
            return await retention.purge(connection, kind, before, _FEW)
        if kind is Kept.STRANGERS:
            # Whoever signs up finds the person before or makes them anew afterwards.
            await lock_ledger(connection)
        return await retention.purge(connection, kind, before, SLICE)


async def expire(ctx: Context, connection: Connection, unused: Sequence[tuple[SubscriberId, Purpose]]) -> None:
    """End consents that were not used; the opens measured under them go too. The caller holds `lock_ledger`."""
    for subscriber_id, purpose in unused:
        await _expire(ctx, connection, subscriber_id, purpose)
    unmeasured = [subscriber_id for subscriber_id, purpose in unused if purpose == TRACKING_OPENS]
    if unmeasured:
        await opens.erase_opens(connection, *unmeasured)


async def _expire(ctx: Context, connection: Connection, subscriber_id: SubscriberId, purpose: Purpose) -> None:
    await consent.record(
        connection,
        Happening(
            subscriber_id=subscriber_id,
            purpose=purpose,
            event=Event.EXPIRE,
            at=ctx.clock(),
            content={"source": "unused"},
            salt=ctx.ids(),
        ),
    )
