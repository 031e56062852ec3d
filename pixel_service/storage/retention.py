"""What has outlived its period: how much of it there is, and its removal a slice at a time (T1-T3).

What must hold: campaign reports count what is left; the ledger keeps every entry with its hashes, only the content goes;
nothing goes that something else still points at. Everything is bounded by `limit`, inside the caller's transaction.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Select, Table, delete, exists, func, or_, select, update

from pixel_service.domain.consent import VALID_STATES, Purpose
from pixel_service.domain.messages import Status, SubscriberId, Tracking
from pixel_service.domain.retention import Kept
from pixel_service.storage import figures
from pixel_service.storage.engine import Connection
from pixel_service.storage.opens import forget as forget_opens, purge as purge_opens
from pixel_service.storage.schema import (
    address_changes,
    audit_log,
    consents,
    ledger,
    messages,
    metadata,
    opens,
    pixels,
    rights_requests,
    sealed_evidence,
    sends,
    subscribers,
    webhook_deliveries,
)

_VALID = tuple(state.value for state in VALID_STATES)
_ENDED = tuple(status.value for status in Status if status is not Status.QUEUED)
#: Whatever is held of a person beside the ledger, today's tables and tomorrow's; what points at others comes first.
_HELD = tuple(table for table in reversed(metadata.sorted_tables) if "subscriber_id" in table.c and table is not ledger)


def due(kind: Kept, before: datetime) -> Select[Any]:
    """The keys of what is due; `before` comes from `domain.retention.due_before`."""
    return _DUE[kind](before)


async def count(connection: Connection, kind: Kept, before: datetime) -> int:
    """In rows; people, for evidence."""
    return int((await connection.execute(select(func.count()).select_from(due(kind, before).subquery()))).scalar_one())


async def unused(connection: Connection, before: datetime, limit: int) -> list[tuple[SubscriberId, Purpose]]:
    """Consents that expire."""
    rows = await connection.execute(due(Kept.UNUSED_CONSENT, before).limit(limit))
    return [(SubscriberId(row.subscriber_id), Purpose(row.purpose)) for row in rows]


async def purge(connection: Connection, kind: Kept, before: datetime, limit: int) -> int:
    """Remove one slice; returns how many it was. Consent is not removed but expires, see `unused`."""
    found = due(kind, before).limit(limit)
    if kind in (Kept.MESSAGES, Kept.PIXELS):
        # Whoever holds a mail or its pixel just now, such as a withdrawal, is not waited for.
        found = found.with_for_update(of=_KEYS[kind].table, skip_locked=True)
    keys = (await connection.execute(found)).scalars().all()
    match kind:
        case Kept.MESSAGES:
            async with figures.kept_of(connection, keys):
                await _note_last_mail(connection, keys)
                await _delete(connection, _KEYS[kind], keys)
        case Kept.OPENS:
            await purge_opens(connection, keys)
        case Kept.EVIDENCE:
            await forget(connection, keys)
        case Kept.STRANGERS:
            # Held first and looked at again: somebody may just be signing up.
            await connection.execute(
                select(subscribers.c.subscriber_id)
                .where(subscribers.c.subscriber_id.in_(keys))
                .order_by(subscribers.c.subscriber_id)
                .with_for_update()
            )
            await connection.execute(delete(subscribers).where(subscribers.c.subscriber_id.in_(keys), _unknown()))
        case Kept.UNUSED_CONSENT:
            raise ValueError("consent expires by an act")
        case _:
            await _delete(connection, _KEYS[kind], keys)
    return len(keys)


async def _delete(connection: Connection, key: Column[Any], keys: Sequence[Any]) -> None:
    await connection.execute(delete(key.table).where(key.in_(keys)))


def _restricted(person: ColumnElement[Any]) -> ColumnElement[bool]:
    """What a person wants kept does not go by its age (GDPR Art. 18)."""
    return exists().where(subscribers.c.subscriber_id == person, subscribers.c.restricted_at.is_not(None))


# --- consent --------------------------------------------------------------------------------------------------------


def _mailed_after(person: ColumnElement[Any], before: datetime) -> ColumnElement[bool]:
    """A mail sent, or one that waits; of those that are no longer in the log, the newest."""
    return or_(
        exists().where(
            messages.c.subscriber_id == person,
            or_(messages.c.sent_at > before, messages.c.status == Status.QUEUED.value),
        ),
        exists().where(subscribers.c.subscriber_id == person, subscribers.c.last_mailed_at > before),
    )


def _unused_consents(before: datetime) -> Select[Any]:
    return (
        select(consents.c.subscriber_id, consents.c.purpose)
        .where(
            consents.c.state.in_(_VALID),
            consents.c.decided_at <= before,
            ~_mailed_after(consents.c.subscriber_id, before),
        )
        .order_by(consents.c.subscriber_id, consents.c.purpose)
    )


# --- mails ----------------------------------------------------------------------------------------------------------


def _old_messages(before: datetime) -> Select[Any]:
    """A mail that was opened stays as long as its opens, one of a restricted person until they lift it. `due_at` is never long after the end, and has the index."""
    return select(messages.c.message_id).where(
        messages.c.status.in_(_ENDED),
        messages.c.due_at <= before,
        func.coalesce(messages.c.sent_at, messages.c.queued_at) <= before,
        ~exists().where(opens.c.message_id == messages.c.message_id),
        ~exists().where(pixels.c.message_id == messages.c.message_id),
        ~_restricted(messages.c.subscriber_id),
    )


async def _note_last_mail(connection: Connection, message_ids: Sequence[str]) -> None:
    """Evidence is kept by the year of the last mail, longer than the mail's row."""
    newest = (
        select(func.max(messages.c.sent_at))
        .where(messages.c.subscriber_id == subscribers.c.subscriber_id, messages.c.message_id.in_(message_ids))
        .scalar_subquery()
    )
    people = select(messages.c.subscriber_id).where(
        messages.c.message_id.in_(message_ids), messages.c.sent_at.is_not(None)
    )
    await connection.execute(
        update(subscribers)
        .where(
            subscribers.c.subscriber_id.in_(people),
            or_(subscribers.c.last_mailed_at.is_(None), subscribers.c.last_mailed_at < newest),
        )
        .values(last_mailed_at=newest)
    )


def _old_sends(before: datetime) -> Select[Any]:
    """Decided for everybody, and none of its mails is left."""
    return select(sends.c.send_id).where(
        sends.c.created_at <= before,
        sends.c.expanded_at.is_not(None),
        ~exists().where(messages.c.send_id == sends.c.send_id),
    )


# --- people ---------------------------------------------------------------------------------------------------------


def _ended_evidence(before: datetime) -> Select[Any]:
    """People without an act or a mail since, who agree to nothing any more and restricted nothing; only what was not
    dropped yet."""
    person = ledger.c.subscriber_id
    later = ledger.alias("later")
    return (
        select(person)
        .distinct()
        .where(
            ledger.c.at <= before,
            or_(ledger.c.content.is_not(None), exists().where(subscribers.c.subscriber_id == person)),
            ~exists().where(later.c.subscriber_id == person, later.c.at > before),
            ~exists().where(consents.c.subscriber_id == person, consents.c.state.in_(_VALID)),
            ~_mailed_after(person, before),
            ~_restricted(person),
        )
    )


async def forget(connection: Connection, people: Sequence[str], *, spare: Collection[str] = ()) -> dict[str, int]:
    """Of these people nothing is left but what the tables in `spare` hold; of their acts, hashes. Returns how many rows,
    by table. The caller holds `dialect.lock_ledger`."""
    dropped = await connection.execute(
        update(ledger)
        .where(ledger.c.subscriber_id.in_(people), ledger.c.content.is_not(None))
        .values(content=None, salt=None)
    )
    theirs = messages.c.subscriber_id.in_(people)
    gone = {ledger.name: dropped.rowcount}
    async with figures.kept(connection, figures.BY_PERSON, people):
        gone[opens.name] = await forget_opens(connection, theirs)
        for table in _HELD:
            if table.name not in spare:
                rows = await connection.execute(delete(table).where(table.c.subscriber_id.in_(people)))
                gone[table.name] = rows.rowcount
    return gone


def _unknown() -> ColumnElement[bool]:
    """Nothing is held of the person but the address."""
    held: list[Table] = [ledger, *(table for table in _HELD if table is not subscribers)]
    return ~or_(*(exists().where(table.c.subscriber_id == subscribers.c.subscriber_id) for table in held))


def _old_address_changes(before: datetime) -> Select[Any]:
    """A confirmed one stays with the evidence: it says why a consent that came from one address reaches another."""
    proves = exists().where(ledger.c.subscriber_id == address_changes.c.subscriber_id, ledger.c.content.is_not(None))
    return select(address_changes.c.change_id).where(
        address_changes.c.expires_at <= before,
        or_(address_changes.c.confirmed_at.is_(None), ~proves),
        ~_restricted(address_changes.c.subscriber_id),
    )


# --- which is which -------------------------------------------------------------------------------------------------


def _old_opens(before: datetime) -> Select[Any]:
    """Ids grow with time: the index finds the old ones, the column decides."""
    newest = int(before.timestamp() * 1000).to_bytes(6, "big") + b"\xff" * 10
    kept_back = exists().where(
        messages.c.message_id == opens.c.message_id, messages.c.tracking == Tracking.RESTRICTED.value
    )
    return select(opens.c.open_id).where(opens.c.open_id <= newest, opens.c.opened_at <= before, ~kept_back)


def _old_pixels(before: datetime) -> Select[Any]:
    return select(pixels.c.pixel_id).where(pixels.c.closes_at <= before, ~_restricted(pixels.c.subscriber_id))


#: Of classes that go row by row.
_KEYS: Mapping[Kept, Column[Any]] = {
    Kept.ADDRESS_CHANGES: address_changes.c.change_id,
    Kept.PIXELS: pixels.c.pixel_id,
    Kept.MESSAGES: messages.c.message_id,
    Kept.SENDS: sends.c.send_id,
    Kept.AUDIT: audit_log.c.audit_id,
    Kept.SEALED_EVIDENCE: sealed_evidence.c.subscriber_id,
    Kept.WEBHOOKS: webhook_deliveries.c.number,
    Kept.REQUESTS: rights_requests.c.request_id,
}
_DUE: Mapping[Kept, Callable[[datetime], Select[Any]]] = {
    Kept.UNUSED_CONSENT: _unused_consents,
    Kept.ADDRESS_CHANGES: _old_address_changes,
    Kept.OPENS: _old_opens,
    Kept.PIXELS: _old_pixels,
    Kept.MESSAGES: _old_messages,
    Kept.SENDS: _old_sends,
    Kept.EVIDENCE: _ended_evidence,
    Kept.STRANGERS: lambda before: select(subscribers.c.subscriber_id).where(
        subscribers.c.created_at <= before, _unknown()
    ),
    Kept.AUDIT: lambda before: select(audit_log.c.audit_id).where(audit_log.c.at <= before),
    Kept.WEBHOOKS: lambda before: select(webhook_deliveries.c.number).where(webhook_deliveries.c.ended_at <= before),
    Kept.SEALED_EVIDENCE: lambda before: select(sealed_evidence.c.subscriber_id).where(
        sealed_evidence.c.ends_at <= before
    ),
    Kept.REQUESTS: lambda before: select(rights_requests.c.request_id).where(rights_requests.c.done_at <= before),
}
