"""Erasure: a person is gone, and only what the law lets a sender keep is left, locked away (R3, R12, W4, E3).

What must hold when it commits: no table names the person any more, nor what others asked for and wrote or what relays
answered them. The ledger keeps hashes, so its chain verifies; the proof of consent is sealed until its period ends; a keyed
hash of the address keeps imports from bringing the person back. Requests by right and the audit log keep an opaque id.
Nothing is mailed afterwards, whoever asked for it: waiting mails are gone, a worker that holds one finds it gone when it looks
again, and the answer to one that had already left is recorded nowhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pixel_service.domain.consent import TRACKING_OPENS, Event
from pixel_service.domain.journal import Noted
from pixel_service.domain.messages import SubscriberId
from pixel_service.domain.retention import evidence_ends_at
from pixel_service.domain.rights import RightsRequestKind
from pixel_service.domain.sealed_evidence import Label
from pixel_service.domain.webhooks import WebhookEvent
from pixel_service.storage import (
    consent,
    erasure,
    inbound,
    ledger,
    mentions,
    retention,
    scrub,
    sends,
    subscribers,
    unconfirmed,
)
from pixel_service.storage.dialect import lock_ledger
from pixel_service.storage.engine import Connection
from pixel_service.storage.subscribers import Subscriber
from pixel_service.usecases import journal, sealing
from pixel_service.usecases.context import Context
from pixel_service.usecases.erased_addresses import address_hashes
from pixel_service.usecases.rights_requests import Asked, note_request
from pixel_service.usecases.stopping import record_all
from pixel_service.usecases.webhooks import about, announce

#: Tables that name a person by an opaque id only, and go on proving what was asked of us.
_STAYS = ("rights_requests", "sealed_evidence")


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """What the person is told."""

    subscriber_id: SubscriberId
    language: str | None
    at: datetime
    #: Rows that went, by table; of the ledger, contents.
    rows: Mapping[str, int]
    #: When the sealed proof goes too; None where there was nothing to prove.
    sealed_until: datetime | None


async def erase(ctx: Context, subscriber_id: SubscriberId, asked: Asked) -> Erasure | None:
    """None for a person who is gone already."""
    async with ctx.db.write() as connection:
        await lock_ledger(connection)
        person = await subscribers.get(connection, subscriber_id)
        return await _erase(ctx, connection, person, asked) if person else None


async def _erase(ctx: Context, connection: Connection, person: Subscriber, asked: Asked) -> Erasure:
    subscriber_id, now = person.subscriber_id, ctx.clock()
    address = await erasure.address_of(connection, subscriber_id)
    ends_at = await _evidence_end(ctx, connection, subscriber_id)
    purposes = sorted({*await consent.consents_of(connection, subscriber_id), TRACKING_OPENS})
    await record_all(ctx, connection, subscriber_id, purposes, Event.ERASE, {"source": asked.source.value})
    # Consent, mails, person: the order of everybody who queues or delivers.
    named_by_others = await mentions.hold_mails(connection, subscriber_id, address)
    await subscribers.hold_to_erase(connection, subscriber_id)
    for one in await unconfirmed.of_person(connection, subscriber_id):
        await unconfirmed.erase(connection, one)
    address_hash = address_hashes(ctx, address)[0]
    if ends_at is not None:
        label = Label(subscriber_id=subscriber_id, address_hash=address_hash, sealed_at=now, ends_at=ends_at)
        await sealing.seal(ctx, connection, label, person.address)
    written = await inbound.erase_of(connection, subscriber_id, address.key)
    await inbound.strike_out(connection, address)
    await mentions.forget(connection, address, named_by_others)
    rows = await retention.forget(connection, [subscriber_id], spare=_STAYS)
    await sends.forget_contents(connection)
    await erasure.note_address(connection, address_hash, at=now)
    await note_request(ctx, connection, subscriber_id, RightsRequestKind.ERASURE, asked, done=True)
    await erasure.end_requests(connection, subscriber_id, at=now)
    await announce(ctx, connection, about(ctx, WebhookEvent.ERASED, person))
    await scrub.ask(connection, scrub.Scope.PERSON)
    await journal.note(ctx, connection, Noted.ERASED, subscriber_id, address=address)
    return Erasure(
        subscriber_id=subscriber_id,
        language=person.language,
        at=now,
        rows={**rows, "inbound_unclear": written},
        sealed_until=ends_at,
    )


async def _evidence_end(ctx: Context, connection: Connection, subscriber_id: SubscriberId) -> datetime | None:
    """By the last mail or act before the erasure: having oneself erased must not prolong anything."""
    if not sealing.proves_something(await ledger.entries_of(connection, subscriber_id)):
        return None
    last = await erasure.last_heard_of(connection, subscriber_id)
    return evidence_ends_at(last, ctx.policy.keep) if last else None
