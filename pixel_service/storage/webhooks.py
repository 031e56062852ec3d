"""Endpoints of processors, and the notices that wait for them or were delivered (R11).

A notice exists exactly when the change it tells was committed. Life of a row: waiting -> (claimed with a lease, posted) ->
delivered | given_up; then its payload is gone. A claim that never reports back lapses, and the notice goes out again under the
same id. Lock order: an endpoint, then its notices.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, func, insert, select, update

from pixel_service.domain.webhooks import DeliveryStatus, EndpointId, WebhookEvent, WebhookId
from pixel_service.storage.engine import Connection
from pixel_service.storage.schema import webhook_deliveries as deliveries, webhook_endpoints as endpoints

_WAITING = deliveries.c.status == DeliveryStatus.WAITING.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    endpoint_id: EndpointId
    url: str
    events: frozenset[WebhookEvent]
    #: Sealed.
    secret: bytes
    old_secret: bytes | None
    old_secret_until: datetime | None
    created_at: datetime
    disabled_at: datetime | None


def _endpoint_of(row: Row[Any]) -> Endpoint:
    return Endpoint(
        endpoint_id=EndpointId(row.endpoint_id),
        url=row.url,
        events=frozenset(WebhookEvent(name) for name in row.events.split()),
        secret=row.secret,
        old_secret=row.old_secret,
        old_secret_until=row.old_secret_until,
        created_at=row.created_at,
        disabled_at=row.disabled_at,
    )


async def add_endpoint(connection: Connection, new: Endpoint) -> None:
    await connection.execute(
        insert(endpoints).values(
            endpoint_id=new.endpoint_id,
            url=new.url,
            events=" ".join(sorted(new.events)),
            secret=new.secret,
            created_at=new.created_at,
        )
    )


async def all_endpoints(connection: Connection) -> list[Endpoint]:
    rows = await connection.execute(select(endpoints).order_by(endpoints.c.created_at, endpoints.c.endpoint_id))
    return [_endpoint_of(row) for row in rows]


async def endpoints_due(connection: Connection, now: datetime) -> list[Endpoint]:
    """Enabled ones for which something waits that may be sent."""
    due = (
        select(deliveries.c.number)
        .where(deliveries.c.endpoint_id == endpoints.c.endpoint_id, _WAITING, deliveries.c.due_at <= now)
        .exists()
    )
    rows = await connection.execute(
        select(endpoints).where(endpoints.c.disabled_at.is_(None), due).order_by(endpoints.c.endpoint_id)
    )
    return [_endpoint_of(row) for row in rows]


async def get_endpoint(connection: Connection, endpoint_id: EndpointId) -> Endpoint | None:
    """Locked, for whoever changes it."""
    found = select(endpoints).where(endpoints.c.endpoint_id == endpoint_id).with_for_update()
    row = (await connection.execute(found)).first()
    return _endpoint_of(row) if row else None


async def listeners(connection: Connection, event: WebhookEvent) -> list[EndpointId]:
    """Who wants to hear of it. Held until the caller commits: an endpoint that is disabled meanwhile gets no notice that
    would wait for ever."""
    rows = await connection.execute(
        select(endpoints.c.endpoint_id, endpoints.c.events)
        .where(endpoints.c.disabled_at.is_(None))
        .order_by(endpoints.c.endpoint_id)
        .with_for_update(read=True)
    )
    return [EndpointId(row.endpoint_id) for row in rows if event.value in row.events.split()]


async def set_secret(connection: Connection, endpoint: Endpoint) -> None:
    """Store both secrets of it."""
    await connection.execute(
        update(endpoints)
        .where(endpoints.c.endpoint_id == endpoint.endpoint_id)
        .values(secret=endpoint.secret, old_secret=endpoint.old_secret, old_secret_until=endpoint.old_secret_until)
    )


async def disable(connection: Connection, endpoint_id: EndpointId, *, at: datetime) -> int:
    """Nothing more is sent there, also nothing that waits; returns how many notices were given up."""
    await connection.execute(
        update(endpoints)
        .where(endpoints.c.endpoint_id == endpoint_id, endpoints.c.disabled_at.is_(None))
        .values(disabled_at=at)
    )
    dropped = await connection.execute(
        update(deliveries)
        .where(deliveries.c.endpoint_id == endpoint_id, _WAITING)
        .values(status=DeliveryStatus.GIVEN_UP.value, payload=None, ended_at=at, last_answer="endpoint disabled")
    )
    return dropped.rowcount


# --- notices ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDelivery:
    webhook_id: WebhookId
    endpoint_id: EndpointId
    #: Opaque id of the person.
    subject: str
    event: WebhookEvent
    #: Sealed.
    payload: bytes
    queued_at: datetime


async def enqueue(connection: Connection, new: Sequence[NewDelivery]) -> None:
    for one in new:
        await connection.execute(
            insert(deliveries).values(
                webhook_id=one.webhook_id,
                endpoint_id=one.endpoint_id,
                subject=one.subject,
                event=one.event.value,
                payload=one.payload,
                status=DeliveryStatus.WAITING.value,
                queued_at=one.queued_at,
                due_at=one.queued_at,
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A notice this worker holds until its lease ends."""

    webhook_id: WebhookId
    endpoint: Endpoint
    payload: bytes
    #: Failed tries. A worker that dies counts as none.
    attempts: int


async def claim_due(
    connection: Connection, endpoint: Endpoint, *, now: datetime, lease: str, lease_for: timedelta, limit: int
) -> list[Claimed]:
    """Take up to `limit` due notices of one endpoint, of each person the oldest: nobody shall hear of a confirmation after
    the erasure that followed it."""
    older = deliveries.alias("older")
    overtakes = (
        select(older.c.number)
        .where(
            older.c.subject == deliveries.c.subject,
            older.c.endpoint_id == deliveries.c.endpoint_id,
            older.c.status == DeliveryStatus.WAITING.value,
            older.c.number < deliveries.c.number,
        )
        .exists()
    )
    due = (
        select(deliveries.c.webhook_id, deliveries.c.payload, deliveries.c.attempts)
        .where(deliveries.c.endpoint_id == endpoint.endpoint_id, _WAITING, deliveries.c.due_at <= now, ~overtakes)
        .order_by(deliveries.c.due_at, deliveries.c.number)
        .limit(limit)
        .with_for_update(of=deliveries, skip_locked=True)
    )
    rows = (await connection.execute(due)).all()
    if rows:
        await connection.execute(
            update(deliveries)
            .where(deliveries.c.webhook_id.in_([row.webhook_id for row in rows]))
            .values(lease=lease, due_at=now + lease_for)
        )
    return [
        Claimed(webhook_id=WebhookId(row.webhook_id), endpoint=endpoint, payload=row.payload, attempts=row.attempts)
        for row in rows
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How a try ended. `due_at` is set for a notice that goes on waiting."""

    webhook_id: WebhookId
    status: DeliveryStatus
    answer: str
    at: datetime
    due_at: datetime | None = None


async def record_result(connection: Connection, result: Result, *, lease: str) -> bool:
    """False when the lease was lost meanwhile: another worker's result counts."""
    values: dict[str, object] = {
        "status": result.status.value,
        "last_answer": result.answer,
        "attempts": deliveries.c.attempts + 1,
        "lease": None,
    }
    if result.due_at is not None:
        values["due_at"] = result.due_at
    else:
        values |= {"payload": None, "ended_at": result.at}
    held = (deliveries.c.webhook_id == result.webhook_id) & (deliveries.c.lease == lease)
    if result.status is not DeliveryStatus.DELIVERED:
        # Of an endpoint that was disabled meanwhile nothing waits; what it took, it took.
        held &= _WAITING
    changed = await connection.execute(update(deliveries).where(held).values(**values))
    return changed.rowcount == 1


async def bring_forward(connection: Connection, webhook_id: WebhookId, *, now: datetime) -> DeliveryStatus | None:
    """A waiting notice is due now, unless it is on its way just now, and has all its tries before it again. Returns what it
    was; None: no such notice."""
    found = select(deliveries.c.status).where(deliveries.c.webhook_id == webhook_id).with_for_update()
    status = (await connection.execute(found)).scalar()
    await connection.execute(
        update(deliveries)
        .where(deliveries.c.webhook_id == webhook_id, _WAITING, deliveries.c.lease.is_(None))
        .values(due_at=now, attempts=0)
    )
    return DeliveryStatus(status) if status else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """A line of the delivery log; no address."""

    webhook_id: WebhookId
    endpoint_id: EndpointId
    subject: str
    event: WebhookEvent
    status: DeliveryStatus
    attempts: int
    last_answer: str
    queued_at: datetime
    due_at: datetime
    ended_at: datetime | None


async def newest(connection: Connection, *, limit: int) -> list[Logged]:
    rows = await connection.execute(select(deliveries).order_by(deliveries.c.number.desc()).limit(limit))
    return [
        Logged(
            webhook_id=WebhookId(row.webhook_id),
            endpoint_id=EndpointId(row.endpoint_id),
            subject=row.subject,
            event=WebhookEvent(row.event),
            status=DeliveryStatus(row.status),
            attempts=row.attempts,
            last_answer=row.last_answer,
            queued_at=row.queued_at,
            due_at=row.due_at,
            ended_at=row.ended_at,
        )
        for row in rows
    ]


async def waiting(connection: Connection) -> Mapping[EndpointId, int]:
    """Notices not delivered yet, per endpoint."""
    rows = await connection.execute(
        select(deliveries.c.endpoint_id, func.count().label("number"))
        .where(_WAITING)
        .group_by(deliveries.c.endpoint_id)
    )
    return {EndpointId(row.endpoint_id): row.number for row in rows}
