"""The operator's list of mails that a person has to read: look at it, and settle one (W6). Every look is audited (A1).

What a colleague decides goes the way of every withdrawal, with the colleague and the mail named in the ledger.
"""

from dataclasses import dataclass
from enum import StrEnum

from pixel_service.domain.accounts import User
from pixel_service.domain.address import parse_address
from pixel_service.domain.consent import TRACKING_OPENS, kind_of
from pixel_service.domain.errors import InvalidInput
from pixel_service.domain.messages import SubscriberId
from pixel_service.storage import audit, consent, inbound, subscribers
from pixel_service.storage.dialect import lock_ledger
from pixel_service.storage.engine import Connection
from pixel_service.storage.inbound import InboundId, UnclearMail
from pixel_service.usecases.context import Context
from pixel_service.usecases.withdraw import Receipt, Source, end, end_all

#: Mails shown at once.
SHOWN = 50
#: Rows of each table that one transaction forgets.
SLICE = 500


class Settle(StrEnum):
    """What a colleague decides."""

    WITHDRAW_NEWSLETTERS = "withdraw_newsletters"
    STOP_MEASURING = "stop_measuring"
    WITHDRAW_ALL = "withdraw_all"
    DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    mail: UnclearMail
    #: The address on record of the person whose mail it is; else the one in From.
    address: str
    #: Whether that address is on record.
    known: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbox:
    shown: tuple[Waiting, ...]
    #: How many wait in all.
    waiting: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    #: None where nothing was to be withdrawn.
    receipt: Receipt | None


@dataclass(frozen=True, slots=True)
class NobodyKnown:
    """No person on record has the typed address; the mail stays on the list."""


@dataclass(frozen=True, slots=True)
class NotWaiting:
    """A colleague was faster, or there is no such mail."""


async def look(ctx: Context, user: User) -> Inbox:
    """A write transaction, because no look may go without its row in the audit log."""
    async with ctx.db.write() as connection:
        mails, number = await inbound.open_mails(connection, limit=SHOWN)
        if mails:
            await _audit(ctx, connection, user, subject="list", reason=f"{len(mails)} mails")
        return Inbox(shown=tuple([await _waiting(connection, mail) for mail in mails]), waiting=number)


async def _waiting(connection: Connection, mail: UnclearMail) -> Waiting:
    person = await subscribers.get(connection, mail.subscriber_id) if mail.subscriber_id else None
    return Waiting(mail=mail, address=person.address if person else mail.sender, known=person is not None)


async def settle(
    ctx: Context, user: User, inbound_id: InboundId, decision: Settle, address: str
) -> Settled | NobodyKnown | NotWaiting:
    """`address` names the person who is meant; of no use for `Settle.DONE`. Twice acts once."""
    async with ctx.db.write() as connection:
        await lock_ledger(connection)
        person = None
        if decision is not Settle.DONE:
            person = await _person(connection, address)
            if person is None:
                return NobodyKnown()
        message_id = await inbound.finish(connection, inbound_id, at=ctx.clock(), by=user.user_id, about=person)
        if message_id is None:
            return NotWaiting()
        await _audit(ctx, connection, user, subject=person or inbound_id, reason=f"{decision.value} {inbound_id}")
        if person is None:
            return Settled(receipt=None)
        said = {"inbound": inbound_id, "message_id": message_id, "by": user.user_id}
        return Settled(receipt=await _withdraw(ctx, connection, person, decision, said))


async def _person(connection: Connection, address: str) -> SubscriberId | None:
    try:
        key = parse_address(address).key
    except InvalidInput:
        return None
    known = (await subscribers.find(connection, [key])).get(key)
    return known.subscriber_id if known else None


async def _withdraw(
    ctx: Context, connection: Connection, person: SubscriberId, decision: Settle, said: dict[str, str]
) -> Receipt | None:
    if decision is Settle.WITHDRAW_ALL:
        return await end_all(ctx, connection, person, Source.OPERATOR, said)
    purposes = {TRACKING_OPENS}
    if decision is Settle.WITHDRAW_NEWSLETTERS:
        on_record = await consent.consents_of(connection, person)
        purposes = {purpose for purpose in on_record if kind_of(purpose) == "newsletter"}
    return await end(ctx, connection, person, purposes, Source.OPERATOR, said)


async def forget_old(ctx: Context) -> int:
    """One slice of what is kept as long as the delivery log: notes of mails, and settled ones. Returns how many went (T1)."""
    until = ctx.clock() - ctx.policy.keep.delivery
    async with ctx.db.write() as connection:
        return await inbound.forget_before(connection, noted_before=until, done_before=until, limit=SLICE)


async def _audit(ctx: Context, connection: Connection, user: User, *, subject: str, reason: str) -> None:
    entry = audit.Look(at=ctx.clock(), who=user.email, act="inbox", subject=subject, reason=reason)
    await audit.record(connection, entry)
