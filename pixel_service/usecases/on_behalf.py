"""What a colleague does for a person who wrote a letter or called (W6): every act ends in the use case of its right.

Who asked for which address, and why, is in the audit log before anything happens (A1). The reason is also the note of the
request; the ledger only says that a colleague carried it out.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from enum import StrEnum
from zoneinfo import ZoneInfo

from pixel_service.domain.address import Address
from pixel_service.domain.consent import TRACKING_OPENS, Purpose
from pixel_service.domain.errors import InvalidInput
from pixel_service.domain.messages import SubscriberId
from pixel_service.domain.personal_data import Holder
from pixel_service.domain.rights import RightsRequest, RightsRequestKind
from pixel_service.storage import consent, privacy, rights_requests, subscribers
from pixel_service.storage.consent import Consent
from pixel_service.storage.subscribers import Subscriber
from pixel_service.usecases.context import Context
from pixel_service.usecases.erase import erase
from pixel_service.usecases.evidence import Inquiry
from pixel_service.usecases.identify import identify
from pixel_service.usecases.privacy import ACT as TOLD
from pixel_service.usecases.rectify import Correction, ask_new_address, correct_some
from pixel_service.usecases.rights import RightsReceipt, delete_my_opens, lift, object_to_marketing, restrict
from pixel_service.usecases.rights_requests import Asked, note_request
from pixel_service.usecases.withdraw import Receipt, Source, end, end_all

_END_OF_DAY = time(23, 59)


class Right(StrEnum):
    """What a colleague may carry out; the codes stand in the audit log."""

    RESTRICT = "restrict"
    LIFT = "lift"
    OBJECT = "object"
    WITHDRAW = "withdraw"
    #: Ends the consent to open tracking and nothing else.
    STOP_MEASURING = "stop_measuring"
    DELETE_OPENS = "delete_opens"
    ERASE = "erase"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Enough to tell the caller what stands, and to choose."""

    person: Subscriber
    on_record: Mapping[Purpose, Consent]
    #: Newest first.
    requests: tuple[RightsRequest, ...]


async def look_up(ctx: Context, inquiry: Inquiry) -> Found | None:
    """None for an address that is not on record."""
    who = await identify(ctx, inquiry, act="look up")
    if who is None:
        return None
    async with ctx.db.read() as connection:
        person = await subscribers.get(connection, who)
        if person is None:
            return None
        return Found(
            person=person,
            on_record=await consent.consents_of(connection, who),
            requests=tuple(await rights_requests.of_person(connection, who)),
        )


async def carry_out(ctx: Context, inquiry: Inquiry, right: Right) -> RightsReceipt | None:
    """None for an address that is not on record."""
    who = await identify(ctx, inquiry, act=right.value)
    if who is None:
        return None
    return await _ACTS[right](ctx, who, _asked(inquiry))


async def correct_details(ctx: Context, inquiry: Inquiry, details: Mapping[str, str]) -> Correction | None:
    """The details named become this (Art. 16). None for an address that is not on record. Raises as `correct_some` does."""
    who = await identify(ctx, inquiry, act="correct")
    return await correct_some(ctx, who, details, _asked(inquiry)) if who else None


async def move_to(ctx: Context, inquiry: Inquiry, wanted: Address) -> bool:
    """Ask a new address to confirm that it is the person's; it counts once it does. False for an address that is not on
    record. Raises `InvalidInput`."""
    who = await identify(ctx, inquiry, act="new address")
    return who is not None and await ask_new_address(ctx, who, wanted, _asked(inquiry))


async def take_copy(ctx: Context, inquiry: Inquiry) -> Holder | None:
    """Note that a colleague hands over a copy of everything (Art. 15); whose it is. None for an address that is not on
    record."""
    who = await identify(ctx, inquiry, act=TOLD)
    if who is None:
        return None
    async with ctx.db.write() as connection:
        if who not in await subscribers.hold(connection, [who]):
            return None
        await note_request(ctx, connection, who, RightsRequestKind.ACCESS, _asked(inquiry), done=True)
        return await privacy.holder(connection, who)


def _asked(inquiry: Inquiry) -> Asked:
    return Asked(source=Source.OPERATOR, note=inquiry.reason)


async def take_request(ctx: Context, inquiry: Inquiry, kind: RightsRequestKind, received: date) -> bool:
    """Put a letter on the list of open requests; its month began on the local day it came in. False for an unknown
    address. Raises `InvalidInput`."""
    now, zone = ctx.clock(), ZoneInfo(ctx.policy.timezone)
    if received > now.astimezone(zone).date():
        raise InvalidInput("received", "a day that has come")
    received_at = min(now, datetime.combine(received, _END_OF_DAY, zone).astimezone(now.tzinfo))
    who = await identify(ctx, inquiry, act="request noted")
    if who is None:
        return False
    asked = Asked(source=Source.OPERATOR, note=inquiry.reason, received_at=received_at)
    async with ctx.db.write() as connection:
        if who not in await subscribers.hold(connection, [who]):
            # Erased since: nothing that a colleague writes may name them again.
            return False
        await note_request(ctx, connection, who, kind, asked, done=False)
    return True


async def _withdraw(ctx: Context, who: SubscriberId, asked: Asked) -> RightsReceipt | None:
    async with ctx.db.write() as connection:
        ended = await end_all(ctx, connection, who, asked.source)
        if ended is None:
            return None
        await note_request(ctx, connection, who, RightsRequestKind.WITHDRAWAL, asked, done=True)
    return _withdrawn(ended)


async def _stop_measuring(ctx: Context, who: SubscriberId, asked: Asked) -> RightsReceipt | None:
    async with ctx.db.write() as connection:
        ended = await end(ctx, connection, who, {TRACKING_OPENS}, asked.source)
        if ended is None:
            return None
        await note_request(ctx, connection, who, RightsRequestKind.WITHDRAWAL, asked, done=True, part=True)
    return _withdrawn(ended)


def _withdrawn(ended: Receipt) -> RightsReceipt:
    return RightsReceipt(
        subscriber_id=ended.subscriber_id,
        language=ended.language,
        kind=RightsRequestKind.WITHDRAWAL,
        at=ended.at,
        purposes=ended.withdrawn,
        opens=ended.opens,
        pixels=ended.pixels,
        mails=ended.mails,
    )


async def _erase(ctx: Context, who: SubscriberId, asked: Asked) -> RightsReceipt | None:
    erased = await erase(ctx, who, asked)
    if erased is None:
        return None
    return RightsReceipt(
        subscriber_id=who,
        language=erased.language,
        kind=RightsRequestKind.ERASURE,
        at=erased.at,
        opens=erased.rows.get("opens", 0),
        pixels=erased.rows.get("pixels", 0),
    )


_ACTS: Mapping[Right, Callable[[Context, SubscriberId, Asked], Awaitable[RightsReceipt | None]]] = {
    Right.RESTRICT: restrict,
    Right.LIFT: lift,
    Right.OBJECT: object_to_marketing,
    Right.WITHDRAW: _withdraw,
    Right.STOP_MEASURING: _stop_measuring,
    Right.DELETE_OPENS: delete_my_opens,
    Right.ERASE: _erase,
}
