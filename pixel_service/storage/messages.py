"""The outbox. A mail exists exactly when the decision that made it was committed (D8).

Life of a row: queued -> (claimed with a lease, decided, handed over) -> sent | failed | cancelled. A claim that never
reports back lapses with its lease and the mail is claimed again, under the same Message-ID.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, insert, select, update

from pixel_service.domain.consent import SERVICE, TRACKING_OPENS, VALID_STATES, Purpose
from pixel_service.domain.messages import (
    CampaignId,
    MessageId,
    PixelId,
    Reason,
    SendId,
    Status,
    SubscriberId,
    Tracking,
)
from pixel_service.storage.engine import Connection
from pixel_service.storage.schema import campaigns, consents, messages, pixels, subscribers
from pixel_service.storage.subscribers import Subscriber, subscriber_of

_VALID = tuple(state.value for state in VALID_STATES)
_MAX_REPLY = 500
_NOT_PAUSED = messages.c.campaign_id.is_(None) | messages.c.campaign_id.not_in(
    select(campaigns.c.campaign_id).where(campaigns.c.paused_at.is_not(None))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMessage:
    message_id: MessageId
    subscriber_id: SubscriberId
    purpose: Purpose
    language: str
    variables: Mapping[str, object]
    queued_at: datetime
    template: str | None = None
    send_id: SendId | None = None
    campaign_id: CampaignId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A mail this worker holds until its lease ends."""

    message_id: MessageId
    subscriber_id: SubscriberId
    purpose: Purpose
    language: str
    variables: Mapping[str, object]
    template: str | None
    send_id: SendId | None
    campaign_id: CampaignId | None
    #: Times the relay said "later". A worker that dies counts as none: it must not cost a mail (D8).
    attempts: int


async def enqueue(connection: Connection, new: Sequence[NewMessage]) -> None:
    if not new:
        return
    await connection.execute(
        insert(messages),
        [
            {
                "message_id": one.message_id,
                "subscriber_id": one.subscriber_id,
                "send_id": one.send_id,
                "campaign_id": one.campaign_id,
                "purpose": one.purpose,
                "template": one.template,
                "language": one.language,
                "variables": dict(one.variables),
                "status": Status.QUEUED.value,
                "queued_at": one.queued_at,
                "due_at": one.queued_at,
            }
            for one in new
        ],
    )


async def claim_due(
    connection: Connection, *, now: datetime, lease: str, lease_for: timedelta, limit: int
) -> list[Claimed]:
    """Take up to `limit` due mails; nobody else gets them before the lease ends."""
    due = (
        select(messages)
        .where(messages.c.status == Status.QUEUED.value, messages.c.due_at <= now, _NOT_PAUSED)
        .order_by(messages.c.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = (await connection.execute(due)).all()
    if rows:
        await connection.execute(
            update(messages)
            .where(messages.c.message_id.in_([row.message_id for row in rows]))
            .values(lease=lease, due_at=now + lease_for)
        )
    return [
        Claimed(
            message_id=MessageId(row.message_id),
            subscriber_id=SubscriberId(row.subscriber_id),
            purpose=Purpose(row.purpose),
            language=row.language,
            variables=row.variables,
            template=row.template,
            send_id=SendId(row.send_id) if row.send_id else None,
            campaign_id=CampaignId(row.campaign_id) if row.campaign_id else None,
            attempts=row.attempts,
        )
        for row in rows
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelPlan:
    """Which claimed messages go out with a pixel. `tracked` maps a message to the pixel id it gets if it has none."""

    tracked: Mapping[MessageId, tuple[PixelId, SubscriberId]]
    untracked: Sequence[MessageId]
    #: When the hand-over begins, and the end of the recording window.
    handed_over_by: datetime
    closes_at: datetime

    @classmethod
    def without(cls, message_id: MessageId, at: datetime) -> "PixelPlan":
        """For one mail that never left."""
        return cls(tracked={}, untracked=[message_id], handed_over_by=at, closes_at=at)


async def set_pixels(connection: Connection, plan: PixelPlan) -> dict[MessageId, PixelId]:
    """Make the mappings match the plan; a retried message keeps its pixel, one without consent keeps none. Inside
    `figures.kept_of`: a mail that went out already may have opens."""
    if plan.untracked:
        await connection.execute(delete(pixels).where(pixels.c.message_id.in_(plan.untracked)))
        await _set_tracking(connection, plan.untracked, Tracking.NONE)
    if not plan.tracked:
        return {}
    wanted = tuple(plan.tracked)
    rows = await connection.execute(
        update(pixels)
        .where(pixels.c.message_id.in_(wanted))
        .values(closes_at=plan.closes_at, handed_over_at=plan.handed_over_by)
        .returning(pixels.c.message_id, pixels.c.pixel_id)
    )
    mapped = {MessageId(row.message_id): PixelId(row.pixel_id) for row in rows}
    new = {message_id: pixel for message_id, pixel in plan.tracked.items() if message_id not in mapped}
    if new:
        await connection.execute(
            insert(pixels),
            [
                {
                    "pixel_id": pixel_id,
                    "message_id": message_id,
                    "subscriber_id": subscriber_id,
                    "closes_at": plan.closes_at,
                    "handed_over_at": plan.handed_over_by,
                }
                for message_id, (pixel_id, subscriber_id) in new.items()
            ],
        )
    await _set_tracking(connection, wanted, Tracking.TRACKED)
    return mapped | {message_id: pixel_id for message_id, (pixel_id, _) in new.items()}


async def hold_all_of(connection: Connection, subscriber_id: SubscriberId) -> None:
    """Lock a person's messages. Whoever changes several messages locks them first, in one order for everybody:
    a withdrawal and a worker that records its batch meet at the same rows."""
    theirs = messages.c.subscriber_id == subscriber_id
    query = select(messages.c.message_id).where(theirs).order_by(messages.c.message_id)
    await connection.execute(query.with_for_update(key_share=True))


async def _set_tracking(connection: Connection, message_ids: Sequence[MessageId], tracking: Tracking) -> None:
    await connection.execute(
        update(messages)
        .where(messages.c.message_id.in_(message_ids), messages.c.tracking != tracking.value)
        .values(tracking=tracking.value)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """What may be handed over at this moment (D3, D4)."""

    person: Subscriber
    may_send: bool
    may_track: bool


async def permission(connection: Connection, claimed: Claimed, *, lease: str) -> Permission | None:
    """The last look before SMTP. None when the mail is no longer ours to send: cancelled, or the lease was lost."""
    row = (
        await connection.execute(
            select(
                subscribers,
                select(consents.c.state)
                .where(consents.c.subscriber_id == messages.c.subscriber_id, consents.c.purpose == messages.c.purpose)
                .scalar_subquery()
                .label("mail_state"),
                select(consents.c.state)
                .where(consents.c.subscriber_id == messages.c.subscriber_id, consents.c.purpose == TRACKING_OPENS)
                .scalar_subquery()
                .label("tracking_state"),
                select(pixels.c.pixel_id)
                .where(pixels.c.message_id == messages.c.message_id)
                .scalar_subquery()
                .label("pixel_id"),
            )
            .select_from(messages.join(subscribers))
            .where(
                messages.c.message_id == claimed.message_id,
                messages.c.lease == lease,
                messages.c.status == Status.QUEUED.value,
            )
        )
    ).first()
    if row is None:
        return None
    person, allowed = subscriber_of(row), claimed.purpose == SERVICE or row.mail_state in _VALID
    return Permission(
        person=person,
        # Our own mails answer the person's act, also under a restriction (GDPR Art. 18).
        may_send=allowed and (claimed.send_id is None or person.restricted_at is None),
        may_track=claimed.purpose != SERVICE and row.tracking_state in _VALID and row.pixel_id is not None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How a hand-over ended. `due_at` is set for a mail that stays queued."""

    message_id: MessageId
    status: Status
    reply: str = ""
    sent_at: datetime | None = None
    due_at: datetime | None = None
    reason: str | None = None
    #: Of a mail that was sent: whether it carried a pixel.
    with_pixel: bool = False


async def record_result(connection: Connection, result: Result, *, lease: str) -> bool:
    """False when the lease was lost meanwhile: another worker's result counts."""
    values: dict[str, object] = {
        "status": result.status.value,
        "last_reply": result.reply[:_MAX_REPLY],
        "reason": result.reason,
        "lease": None,
    }
    if result.due_at is not None:
        values |= {"due_at": result.due_at, "attempts": messages.c.attempts + 1}
    if result.sent_at is not None:
        values["sent_at"] = result.sent_at
    if result.status is not Status.QUEUED:
        values["variables"] = {}
    held = (messages.c.message_id == result.message_id) & (messages.c.lease == lease)
    if result.status is not Status.SENT:
        # A mail cancelled while it was under way stays cancelled, unless the relay has already taken it.
        held &= messages.c.status == Status.QUEUED.value
    changed = await connection.execute(update(messages).where(held).values(**values))
    return changed.rowcount == 1


async def cancel_queued(
    connection: Connection, subscriber_id: SubscriberId, purposes: tuple[Purpose, ...], *, reason: Reason
) -> int:
    """Remove a person's waiting mails for these purposes; returns how many."""
    changed = await connection.execute(
        update(messages)
        .where(
            messages.c.subscriber_id == subscriber_id,
            messages.c.purpose.in_(purposes),
            messages.c.status == Status.QUEUED.value,
        )
        .values(status=Status.CANCELLED.value, reason=reason.value, variables={})
    )
    return changed.rowcount


async def queued_since(connection: Connection, subscriber_id: SubscriberId, *, template: str, since: datetime) -> bool:
    """Whether a mail of one of our own templates was made for a person lately (for limits)."""
    found = await connection.execute(
        select(messages.c.message_id)
        .where(
            messages.c.subscriber_id == subscriber_id,
            messages.c.template == template,
            messages.c.queued_at > since,
        )
        .limit(1)
    )
    return found.first() is not None
