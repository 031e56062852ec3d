"""What every no has in common, whichever right it comes from: the act per purpose, and an end to all that waits.

Withdrawal, objection and restriction differ in the event they record and in what happens to the opens; both is decided by
their own files. Locks are taken in the one order of the house: ledger, consents, messages.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pixel_service.domain.consent import Event, Purpose
from pixel_service.domain.messages import Reason, SubscriberId
from pixel_service.storage import consent, messages, signups
from pixel_service.storage.consent import Happening
from pixel_service.storage.engine import Connection
from pixel_service.usecases.context import Context

#: What the ledger keeps of how it was said: codes and ids, never an address.
Details = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    event: Event
    #: Of the mails that are cancelled.
    reason: Reason
    said: Details


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """The purposes for which it was an act, and what waited and will not come."""

    purposes: tuple[Purpose, ...]
    mails: int
    #: Questions that waited for an answer.
    asked: int


async def stop(
    ctx: Context, connection: Connection, subscriber_id: SubscriberId, purposes: tuple[Purpose, ...], how: Stop
) -> Stopped:
    """The caller holds `lock_ledger`. Afterwards nothing waits that could bring one of these purposes back."""
    acted = await record_all(ctx, connection, subscriber_id, purposes, how.event, how.said)
    asked = await signups.cancel_waiting(connection, subscriber_id, purposes)
    await messages.hold_all_of(connection, subscriber_id)
    mails = await messages.cancel_queued(connection, subscriber_id, purposes, reason=how.reason)
    return Stopped(purposes=acted, mails=mails, asked=asked)


async def record_all(
    ctx: Context,
    connection: Connection,
    subscriber_id: SubscriberId,
    purposes: Iterable[Purpose],
    event: Event,
    said: Details,
) -> tuple[Purpose, ...]:
    """One event for each; returns where it was an act."""
    happenings = [
        Happening(
            subscriber_id=subscriber_id, purpose=purpose, event=event, at=ctx.clock(), content=said, salt=ctx.ids()
        )
        for purpose in purposes
    ]
    acted = await consent.record_all(connection, happenings)
    return tuple(one.purpose for one, was_act in zip(happenings, acted, strict=True) if was_act)
