"""Withdrawal: every way out ends here, in one transaction and one ledger (W1-W8).

What must hold when it commits: no open, pixel mapping or waiting mail of what was withdrawn is left, and no transaction
that started before can add one. Nothing is acknowledged that was not committed.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pixel_service.domain.consent import TRACKING_OPENS, Event, Purpose, State, is_valid, kind_of
from pixel_service.domain.journal import Noted
from pixel_service.domain.messages import Reason, SubscriberId
from pixel_service.domain.tokens import Link
from pixel_service.domain.webhooks import WebhookEvent
from pixel_service.storage import consent, erasure, messages, opens, subscribers
from pixel_service.storage.consent import Consent
from pixel_service.storage.dialect import lock_ledger
from pixel_service.storage.engine import Connection
from pixel_service.usecases import journal, service_mails
from pixel_service.usecases.context import Context
from pixel_service.usecases.stopping import Details, Stop, stop
from pixel_service.usecases.webhooks import about, announce, once_given


class Source(StrEnum):
    """How the person said it; kept in the ledger."""

    ONE_CLICK = "one_click"
    UNSUBSCRIBE_PAGE = "unsubscribe_page"
    STOP_TRACKING_PAGE = "stop_tracking_page"
    PREFERENCES_PAGE = "preferences_page"
    #: Unticked on a confirm page what an earlier link had given.
    CONFIRM_PAGE = "confirm_page"
    #: A mail to us: to the unsubscribe address, or a reply.
    MAIL = "mail"
    #: The person's own page of rights.
    PRIVACY_PAGE = "privacy_page"
    #: The page behind the mail to a new address.
    NEW_ADDRESS_PAGE = "new_address_page"
    #: A colleague, for a mail that a person had to read, a letter or a call.
    OPERATOR = "operator"
    #: A program of ours to which the person said it, e.g. a customer portal.
    API = "api"
    #: Said before a backup was restored that did not know of it.
    RESTORE = "restore"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What ended now and what was deleted, in rows (W5). A repeat ends and deletes nothing, and says so."""

    subscriber_id: SubscriberId
    language: str | None
    at: datetime
    withdrawn: tuple[Purpose, ...]
    opens: int = 0
    pixels: int = 0
    mails: int = 0


async def withdraw(
    ctx: Context, subscriber_id: SubscriberId, purposes: Collection[Purpose], source: Source
) -> Receipt | None:
    """End these purposes. Ending the last newsletter ends tracking too (W7). None for an erased person."""
    async with ctx.db.write() as connection:
        return await end(ctx, connection, subscriber_id, purposes, source)


async def withdraw_all(ctx: Context, subscriber_id: SubscriberId, source: Source) -> Receipt | None:
    """End everything on record, whatever its state, and tracking even if never asked."""
    async with ctx.db.write() as connection:
        return await end_all(ctx, connection, subscriber_id, source)


async def end_all(
    ctx: Context, connection: Connection, subscriber_id: SubscriberId, source: Source, details: Details | None = None
) -> Receipt | None:
    """`withdraw_all` inside the caller's transaction."""
    await lock_ledger(connection)
    on_record = await consent.consents_of(connection, subscriber_id)
    return await end(ctx, connection, subscriber_id, {*on_record, TRACKING_OPENS}, source, details)


async def end(
    ctx: Context,
    connection: Connection,
    subscriber_id: SubscriberId,
    purposes: Collection[Purpose],
    source: Source,
    details: Details | None = None,
) -> Receipt | None:
    """`withdraw` inside the caller's transaction."""
    await lock_ledger(connection)
    person = await subscribers.get(connection, subscriber_id)
    if person is None:
        return None
    now = ctx.clock()
    on_record = await consent.consents_of(connection, subscriber_id)
    ending = _with_tracking(on_record, set(purposes))
    said = {**(details or {}), "source": source.value}
    how = Stop(event=Event.WITHDRAW, reason=Reason.CONSENT_WITHDRAWN, said=said)
    stopped = await stop(ctx, connection, subscriber_id, ending, how)
    erased = opens.Erased(opens=0, pixels=0)
    if TRACKING_OPENS in ending:
        erased = await opens.erase_opens(connection, subscriber_id)
    receipt = Receipt(
        subscriber_id=subscriber_id,
        language=person.language,
        at=now,
        withdrawn=stopped.purposes,
        opens=erased.opens,
        pixels=erased.pixels,
        mails=stopped.mails,
    )
    await say_goodbye(ctx, connection, on_record, receipt)
    if told := once_given(on_record, receipt.withdrawn):
        await announce(ctx, connection, about(ctx, WebhookEvent.WITHDRAWN, person, told))
    if stopped.purposes or stopped.asked or stopped.mails or erased.opens or erased.pixels:
        address = await erasure.address_of(connection, subscriber_id)
        await journal.note(ctx, connection, Noted.WITHDRAWN, subscriber_id, ending, address)
    return receipt


async def say_goodbye(
    ctx: Context, connection: Connection, on_record: Mapping[Purpose, Consent], receipt: Receipt
) -> None:
    """The receipt by mail, to whom a newsletter ended: `on_record` is what stood before."""
    if any(kind_of(purpose) == "newsletter" and _stood(on_record, purpose) for purpose in receipt.withdrawn):
        await messages.enqueue(connection, [_goodbye(ctx, receipt)])


def _with_tracking(on_record: Mapping[Purpose, Consent], ending: set[Purpose]) -> tuple[Purpose, ...]:
    """Tracking without any newsletter left has nothing to measure: it ends with the last one. One that is restricted may
    come back."""
    newsletters = {purpose for purpose in on_record if kind_of(purpose) == "newsletter"}
    left = {
        purpose
        for purpose in newsletters - ending
        if _stood(on_record, purpose) or on_record[purpose].state is State.RESTRICTED
    }
    if newsletters & ending and not left:
        ending = ending | {TRACKING_OPENS}
    return tuple(sorted(ending))


def _stood(on_record: Mapping[Purpose, Consent], purpose: Purpose) -> bool:
    record = on_record.get(purpose)
    return record is not None and is_valid(record.state)


def _goodbye(ctx: Context, receipt: Receipt) -> messages.NewMessage:
    return service_mails.goodbye(
        ctx,
        receipt.subscriber_id,
        receipt.language or ctx.policy.default_language,
        {
            "withdrawn": list(receipt.withdrawn),
            "at": receipt.at.isoformat(),
            "opens": receipt.opens,
            "pixels": receipt.pixels,
        },
    )


@dataclass(frozen=True, slots=True)
class UnsubscribeSubject:
    subscriber_id: SubscriberId
    purpose: Purpose


def read_unsubscribe(ctx: Context, token: str) -> UnsubscribeSubject | None:
    read = ctx.tokens.read(Link.UNSUBSCRIBE, token, now=ctx.clock())
    if read is None:
        return None
    subscriber_id, _, purpose = read.subject.partition("/")
    return UnsubscribeSubject(SubscriberId(subscriber_id), Purpose(purpose))


def read_stop_tracking(ctx: Context, token: str) -> SubscriberId | None:
    read = ctx.tokens.read(Link.STOP_TRACKING, token, now=ctx.clock())
    return SubscriberId(read.subject) if read else None
