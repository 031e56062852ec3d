"""Requests by right and their clock (R10): noted when they are made, closed when they are done, never changed otherwise."""

from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, insert, select, update

from pixel_service.domain.messages import SubscriberId
from pixel_service.domain.rights import RequestId, RightsRequest, RightsRequestKind
from pixel_service.storage.engine import Connection
from pixel_service.storage.schema import rights_requests, subscribers


async def add(connection: Connection, request: RightsRequest) -> None:
    await connection.execute(
        insert(rights_requests).values(
            request_id=request.request_id,
            subscriber_id=request.subscriber_id,
            kind=request.kind.value,
            source=request.source,
            asked_at=request.asked_at,
            due_at=request.due_at,
            done_at=request.done_at,
            note=request.note,
        )
    )


async def finish_open(
    connection: Connection, subscriber_id: SubscriberId, kind: RightsRequestKind, *, asked_by: datetime, at: datetime
) -> int:
    """Close what the person asked for until `asked_by` and was just done; returns how many requests that were."""
    changed = await connection.execute(
        update(rights_requests)
        .where(
            rights_requests.c.subscriber_id == subscriber_id,
            rights_requests.c.kind == kind.value,
            rights_requests.c.asked_at <= asked_by,
            rights_requests.c.done_at.is_(None),
        )
        .values(done_at=at)
    )
    return changed.rowcount


async def finish(connection: Connection, request_id: RequestId, *, at: datetime) -> SubscriberId | None:
    """Whose request it was; None when it is closed already, or unknown."""
    closed = await connection.execute(
        update(rights_requests)
        .where(rights_requests.c.request_id == request_id, rights_requests.c.done_at.is_(None))
        .values(done_at=at)
        .returning(rights_requests.c.subscriber_id)
    )
    row = closed.first()
    return SubscriberId(row.subscriber_id) if row else None


async def open_ones(connection: Connection, *, limit: int) -> list[tuple[RightsRequest, str | None]]:
    """Due first, each with the address on record; None for a person who is gone."""
    rows = await connection.execute(
        select(rights_requests, subscribers.c.address)
        .outerjoin(subscribers, subscribers.c.subscriber_id == rights_requests.c.subscriber_id)
        .where(rights_requests.c.done_at.is_(None))
        .order_by(rights_requests.c.due_at, rights_requests.c.request_id)
        .limit(limit)
    )
    return [(_request_of(row), row.address) for row in rows]


async def count_open(connection: Connection, *, due_before: datetime) -> tuple[int, int]:
    """How many are open, and how many of them are overdue."""
    is_open = rights_requests.c.done_at.is_(None)
    row = (
        await connection.execute(
            select(
                func.count().label("open"),
                func.count().filter(rights_requests.c.due_at < due_before).label("overdue"),
            )
            .select_from(rights_requests)
            .where(is_open)
        )
    ).one()
    return row.open, row.overdue


async def of_person(connection: Connection, subscriber_id: SubscriberId) -> list[RightsRequest]:
    """Newest first."""
    rows = await connection.execute(
        select(rights_requests)
        .where(rights_requests.c.subscriber_id == subscriber_id)
        .order_by(rights_requests.c.asked_at.desc(), rights_requests.c.request_id.desc())
    )
    return [_request_of(row) for row in rows]


def _request_of(row: Row[Any]) -> RightsRequest:
    return RightsRequest(
        request_id=RequestId(row.request_id),
        subscriber_id=SubscriberId(row.subscriber_id),
        kind=RightsRequestKind(row.kind),
        source=row.source,
        asked_at=row.asked_at,
        due_at=row.due_at,
        done_at=row.done_at,
        note=row.note,
    )
