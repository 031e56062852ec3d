"""What is held of one person, read for that person: their row, mails with opens, letters, requests, and who looked (R1).

Every look-up goes by index from the subscriber's id. Nothing here changes anything.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, func, or_, select

from pixel_service.domain.consent import Purpose
from pixel_service.domain.figures import Standing
from pixel_service.domain.messages import MessageId, Status, SubscriberId, Tracking
from pixel_service.domain.opens import Verdict
from pixel_service.domain.personal_data import Counts, Holder, Letter, LookedAt, Mail, Open
from pixel_service.storage.engine import Connection
from pixel_service.storage.schema import (
    audit_log,
    campaigns,
    inbound_unclear,
    message_opens,
    messages,
    opens,
    pixels,
    sends,
    subscribers,
)
from pixel_service.storage.subscribers import subscriber_of


async def holder(connection: Connection, subscriber_id: SubscriberId) -> Holder | None:
    row = (await connection.execute(select(subscribers).where(subscribers.c.subscriber_id == subscriber_id))).first()
    if row is None:
        return None
    person = subscriber_of(row)
    return Holder(
        subscriber_id=person.subscriber_id,
        address=person.address,
        language=person.language,
        profile=person.profile,
        created_at=row.created_at,
        last_mailed_at=row.last_mailed_at,
        restricted_at=row.restricted_at,
        objected_at=row.objected_at,
    )


async def newest_mails(connection: Connection, subscriber_id: SubscriberId, *, limit: int) -> tuple[Mail, ...]:
    """The newest `limit` mails to a person, newest first, each with every open."""
    query = (
        select(
            messages,
            campaigns.c.name.label("campaign"),
            sends.c.content["subject"].as_string().label("subject"),
            sends.c.content["variables"]["subject"].as_string().label("named"),
            message_opens.c.standing,
            message_opens.c.sessions,
        )
        .outerjoin(message_opens, message_opens.c.message_id == messages.c.message_id)
        .outerjoin(campaigns, campaigns.c.campaign_id == messages.c.campaign_id)
        .outerjoin(sends, sends.c.send_id == messages.c.send_id)
        .where(messages.c.subscriber_id == subscriber_id)
        .order_by(messages.c.queued_at.desc(), messages.c.message_id.desc())
        .limit(limit)
    )
    rows = (await connection.execute(query)).all()
    loaded = await _opens_of(connection, [row.message_id for row in rows])
    return tuple(_mail(row, loaded.get(row.message_id, ())) for row in rows)


def _mail(row: Row[Any], loaded: Sequence[Open]) -> Mail:
    return Mail(
        message_id=MessageId(row.message_id),
        purpose=Purpose(row.purpose),
        template=row.template,
        campaign=row.campaign,
        subject=row.subject or row.named,
        status=Status(row.status),
        tracking=Tracking(row.tracking),
        queued_at=row.queued_at,
        sent_at=row.sent_at,
        opens=tuple(loaded),
        standing=Standing(row.standing) if row.standing else None,
        sessions=row.sessions or 0,
    )


async def _opens_of(connection: Connection, message_ids: Sequence[str]) -> dict[str, list[Open]]:
    query = select(opens).where(opens.c.message_id.in_(message_ids)).order_by(opens.c.opened_at, opens.c.open_id)
    found: dict[str, list[Open]] = {}
    for row in await connection.execute(query):
        one = Open(at=row.opened_at, verdict=Verdict(row.verdict), reason=row.reason, client_family=row.client_family)
        found.setdefault(row.message_id, []).append(one)
    return found


async def counts(connection: Connection, subscriber_id: SubscriberId) -> Counts:
    of_person = messages.c.subscriber_id == subscriber_id
    mails = select(func.count()).select_from(messages).where(of_person)
    loaded = select(func.count()).select_from(opens.join(messages)).where(of_person)
    mapped = select(func.count()).select_from(pixels).where(pixels.c.subscriber_id == subscriber_id)
    row = (
        await connection.execute(select(mails.scalar_subquery(), loaded.scalar_subquery(), mapped.scalar_subquery()))
    ).one()
    return Counts(mails=row[0], opens=row[1], pixels=row[2])


def wrote(person: Holder) -> ColumnElement[bool]:
    """Letters of a person: matched when they came in or decided on them, or sent from the address on record."""
    # By key: a domain beyond ASCII is written in two ways.
    key = select(subscribers.c.address_key).where(subscribers.c.subscriber_id == person.subscriber_id)
    return or_(
        inbound_unclear.c.subscriber_id == person.subscriber_id, inbound_unclear.c.sender == key.scalar_subquery()
    )


async def letters(connection: Connection, person: Holder, *, limit: int) -> tuple[Letter, ...]:
    query = select(inbound_unclear).where(wrote(person)).order_by(inbound_unclear.c.received_at.desc()).limit(limit)
    return tuple(
        Letter(received_at=row.received_at, subject=row.subject, done_at=row.done_at)
        for row in await connection.execute(query)
    )


async def looks(connection: Connection, subscriber_id: SubscriberId, *, limit: int) -> tuple[LookedAt, ...]:
    query = select(audit_log).where(audit_log.c.subject == subscriber_id).order_by(audit_log.c.at.desc()).limit(limit)
    return tuple(LookedAt(at=row.at, act=row.act, reason=row.reason) for row in await connection.execute(query))


async def links_since(connection: Connection, subscriber_id: SubscriberId, since: datetime) -> int:
    """Mails with a link to the page of one's own data that were made lately (for limits)."""
    query = (
        select(func.count())
        .select_from(messages)
        .where(
            messages.c.subscriber_id == subscriber_id,
            messages.c.template == "my_data",
            messages.c.queued_at > since,
        )
    )
    return (await connection.execute(query)).scalar_one()
