"""Every use of a right is noted with its one-month clock (R10, GDPR Art. 12(3)).

Rights that act at once are done when they are noted. A letter that somebody has to work on is noted as open, and stays on
the operator's list until its right is carried out or a colleague closes it.
"""

from dataclasses import dataclass
from datetime import datetime

from pixel_service.domain.messages import SubscriberId
from pixel_service.domain.rights import MOST_NOTE, RequestId, RightsRequest, RightsRequestKind, one_month_after
from pixel_service.storage import audit, rights_requests
from pixel_service.storage.audit import Look
from pixel_service.storage.engine import Connection
from pixel_service.usecases.context import Context
from pixel_service.usecases.withdraw import Source

#: Open requests shown at once.
SHOWN = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """How somebody used a right."""

    source: Source
    #: A colleague's own words, such as the number of a letter. Kept with the request, not in the ledger.
    note: str = ""
    #: When a letter came in; None: now.
    received_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRequest:
    request: RightsRequest
    #: On record; None for a person who is gone.
    address: str | None
    overdue: bool


async def note_request(
    ctx: Context,
    connection: Connection,
    subscriber_id: SubscriberId,
    kind: RightsRequestKind,
    asked: Asked,
    *,
    done: bool,
    part: bool = False,
) -> None:
    """Inside the transaction of the right. What is done also closes the open requests of the same kind that came no later:
    it was this one that a colleague carried out, or the person did it first. `part`: what was done may be less than a
    letter asks for, so that only a colleague, who has read it, closes it."""
    now = ctx.clock()
    asked_at = asked.received_at or now
    closes = done and (not part or asked.source is Source.OPERATOR)
    if closes and await rights_requests.finish_open(connection, subscriber_id, kind, asked_by=asked_at, at=now):
        return
    await rights_requests.add(
        connection,
        RightsRequest(
            request_id=RequestId(ctx.ids()),
            subscriber_id=subscriber_id,
            kind=kind,
            source=asked.source.value,
            asked_at=asked_at,
            due_at=one_month_after(asked_at, ctx.policy.timezone),
            done_at=now if done else None,
            note=asked.note[:MOST_NOTE],
        ),
    )


async def open_requests(ctx: Context) -> list[OpenRequest]:
    """Due first, at most `SHOWN`. Whoever shows it to a person audits the look."""
    now = ctx.clock()
    async with ctx.db.read() as connection:
        found = await rights_requests.open_ones(connection, limit=SHOWN)
    return [
        OpenRequest(request=request, address=address, overdue=request.is_overdue(now)) for request, address in found
    ]


async def count_open(ctx: Context) -> tuple[int, int]:
    """Those in time, and those whose month is over."""
    async with ctx.db.read() as connection:
        number, overdue = await rights_requests.count_open(connection, due_before=ctx.clock())
    return number - overdue, overdue


async def look_at_open(ctx: Context, *, by: str, reason: str) -> list[OpenRequest]:
    """`open_requests` for a colleague, on record where it names anybody (A1)."""
    found = await open_requests(ctx)
    if found:
        look = Look(at=ctx.clock(), who=by, act="requests", subject="list", reason=reason)
        async with ctx.db.write() as connection:
            await audit.record(connection, look)
    return found


async def close_request(ctx: Context, request_id: RequestId, *, by: str, reason: str) -> bool:
    """A colleague has answered. False when it was closed before, or there is no such request."""
    async with ctx.db.write() as connection:
        subject = await rights_requests.finish(connection, request_id, at=ctx.clock())
        if subject is None:
            return False
        look = Look(at=ctx.clock(), who=by, act="request closed", subject=subject, reason=reason)
        await audit.record(connection, look)
    return True
