"""Restriction, its end, objection, and the deletion of one's opens: each one transaction, noted with its clock (R4, R6, R9).

Restriction keeps everything and uses nothing: no mail, no open recorded, no open counted, nothing deleted by its age.
Objection ends all marketing and deletes the opens, like a withdrawal, and no form of a stranger asks again. Neither is
acknowledged before it is committed, and a repeat changes nothing.
"""

from dataclasses import dataclass
from datetime import datetime

from pixel_service.domain.consent import TRACKING_OPENS, Event, Purpose, is_valid
from pixel_service.domain.journal import Noted
from pixel_service.domain.messages import Reason, SubscriberId
from pixel_service.domain.rights import RightsRequestKind
from pixel_service.domain.webhooks import WebhookEvent
from pixel_service.storage import consent, erasure, messages, opens, subscribers
from pixel_service.storage.consent import Consent
from pixel_service.storage.dialect import lock_ledger
from pixel_service.storage.engine import Connection
from pixel_service.storage.subscribers import Subscriber
from pixel_service.usecases import journal
from pixel_service.usecases.context import Context
from pixel_service.usecases.rights_requests import Asked, note_request
from pixel_service.usecases.stopping import Details, Stop, record_all, stop
from pixel_service.usecases.webhooks import about, announce, once_given
from pixel_service.usecases.withdraw import Receipt, say_goodbye

__all__ = ["Asked", "RightsReceipt", "delete_my_opens", "lift", "object_to_marketing", "restrict"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RightsReceipt:
    """What happened, in rows where something was deleted or cancelled. A repeat acts on nothing, and says so."""

    subscriber_id: SubscriberId
    language: str | None
    kind: RightsRequestKind
    at: datetime
    #: For which it was an act.
    purposes: tuple[Purpose, ...] = ()
    opens: int = 0
    pixels: int = 0
    mails: int = 0


@dataclass(frozen=True, slots=True)
class _Case:
    """The person, and what was on record before; tracking is in it even if never asked."""

    person: Subscriber
    on_record: dict[Purpose, Consent]
    asked: Asked

    @property
    def subscriber_id(self) -> SubscriberId:
        return self.person.subscriber_id

    @property
    def purposes(self) -> tuple[Purpose, ...]:
        return tuple(sorted({*self.on_record, TRACKING_OPENS}))

    @property
    def said(self) -> Details:
        return {"source": self.asked.source.value}


async def _open_case(connection: Connection, subscriber_id: SubscriberId, asked: Asked) -> _Case | None:
    await lock_ledger(connection)
    person = await subscribers.get(connection, subscriber_id)
    if person is None:
        return None
    return _Case(person, await consent.consents_of(connection, subscriber_id), asked)


async def restrict(ctx: Context, subscriber_id: SubscriberId, asked: Asked) -> RightsReceipt | None:
    """Keep everything, use nothing, until it is lifted (Art. 18). None for a person who is not on record."""
    async with ctx.db.write() as connection:
        case = await _open_case(connection, subscriber_id, asked)
        if case is None:
            return None
        kind = RightsRequestKind.RESTRICTION
        if case.person.restricted_at is not None:
            return await _noted(ctx, connection, case, _receipt(ctx, case, kind))
        how = Stop(event=Event.RESTRICT, reason=Reason.RESTRICTED, said=case.said)
        stopped = await stop(ctx, connection, subscriber_id, case.purposes, how)
        await opens.set_aside(connection, subscriber_id)
        await subscribers.set_restricted(connection, subscriber_id, at=ctx.clock())
        await _tell_processors(ctx, connection, case, WebhookEvent.RESTRICTED, stopped.purposes)
        receipt = _receipt(ctx, case, kind, purposes=stopped.purposes, mails=stopped.mails)
        return await _noted(ctx, connection, case, receipt)


async def lift(ctx: Context, subscriber_id: SubscriberId, asked: Asked) -> RightsReceipt | None:
    """End a restriction: what stood before stands again, its opens count again. What was asked or waited then does not
    come back."""
    async with ctx.db.write() as connection:
        case = await _open_case(connection, subscriber_id, asked)
        if case is None:
            return None
        acted: tuple[Purpose, ...] = ()
        if case.person.restricted_at is not None:
            acted = await record_all(ctx, connection, subscriber_id, case.purposes, Event.LIFT, case.said)
            now = await consent.consents_of(connection, subscriber_id)
            await messages.hold_all_of(connection, subscriber_id)
            if is_valid(now[TRACKING_OPENS].state):
                await opens.put_back(connection, subscriber_id)
            await subscribers.set_restricted(connection, subscriber_id, at=None)
            await _tell_processors(ctx, connection, case, WebhookEvent.LIFTED, acted)
        return await _noted(ctx, connection, case, _receipt(ctx, case, RightsRequestKind.LIFTING, purposes=acted))


async def object_to_marketing(ctx: Context, subscriber_id: SubscriberId, asked: Asked) -> RightsReceipt | None:
    """End all marketing and all measuring for good (Art. 21(3)); opens and pixels are deleted (W3)."""
    async with ctx.db.write() as connection:
        case = await _open_case(connection, subscriber_id, asked)
        if case is None:
            return None
        how = Stop(event=Event.OBJECT, reason=Reason.OBJECTED, said=case.said)
        stopped = await stop(ctx, connection, subscriber_id, case.purposes, how)
        erased = await opens.erase_opens(connection, subscriber_id)
        if case.person.objected_at is None:
            await subscribers.set_objected(connection, subscriber_id, at=ctx.clock())
            await _tell_processors(ctx, connection, case, WebhookEvent.OBJECTED, stopped.purposes)
        ended = Receipt(
            subscriber_id=subscriber_id,
            language=case.person.language,
            at=ctx.clock(),
            withdrawn=stopped.purposes,
            opens=erased.opens,
            pixels=erased.pixels,
            mails=stopped.mails,
        )
        await say_goodbye(ctx, connection, case.on_record, ended)
        receipt = _receipt(
            ctx,
            case,
            RightsRequestKind.OBJECTION,
            purposes=stopped.purposes,
            opens=erased.opens,
            pixels=erased.pixels,
            mails=stopped.mails,
        )
        return await _noted(ctx, connection, case, receipt)


async def delete_my_opens(ctx: Context, subscriber_id: SubscriberId, asked: Asked) -> RightsReceipt | None:
    """Delete the opens so far and nothing else: consent and pixels stay, so later opens count (R9). It decides no
    consent, so the ledger has no entry of it."""
    async with ctx.db.write() as connection:
        case = await _open_case(connection, subscriber_id, asked)
        if case is None:
            return None
        await consent.hold(connection, subscriber_id, TRACKING_OPENS)
        deleted = await opens.delete_opens(connection, subscriber_id, ctx.clock())
        return await _noted(ctx, connection, case, _receipt(ctx, case, RightsRequestKind.OPENS_ERASURE, opens=deleted))


async def _tell_processors(
    ctx: Context, connection: Connection, case: _Case, event: WebhookEvent, purposes: tuple[Purpose, ...]
) -> None:
    """With the purposes that stood, or stand again; the person may have been passed on without any (Art. 19)."""
    await announce(ctx, connection, about(ctx, event, case.person, once_given(case.on_record, purposes)))


def _receipt(
    ctx: Context,
    case: _Case,
    kind: RightsRequestKind,
    purposes: tuple[Purpose, ...] = (),
    opens: int = 0,
    pixels: int = 0,
    mails: int = 0,
) -> RightsReceipt:
    return RightsReceipt(
        subscriber_id=case.subscriber_id,
        language=case.person.language,
        kind=kind,
        at=ctx.clock(),
        purposes=purposes,
        opens=opens,
        pixels=pixels,
        mails=mails,
    )


#: What a restored backup is told of.
_IN_JOURNAL = {
    RightsRequestKind.RESTRICTION: Noted.RESTRICTED,
    RightsRequestKind.LIFTING: Noted.LIFTED,
    RightsRequestKind.OBJECTION: Noted.OBJECTED,
    RightsRequestKind.OPENS_ERASURE: Noted.OPENS_DELETED,
}
#: Whom no import brings back after a restore.
_KEPT_OUT = {Noted.RESTRICTED, Noted.OBJECTED}


async def _noted(ctx: Context, connection: Connection, case: _Case, receipt: RightsReceipt) -> RightsReceipt:
    await note_request(ctx, connection, case.subscriber_id, receipt.kind, case.asked, done=True)
    act = _IN_JOURNAL[receipt.kind]
    address = await erasure.address_of(connection, case.subscriber_id) if act in _KEPT_OUT else None
    await journal.note(ctx, connection, act, case.subscriber_id, address=address)
    return receipt
