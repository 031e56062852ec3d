"""A mail comes in: what it asks for happens, in one transaction and once, however often it is delivered (W6, D9).

Nothing is ever answered but by the goodbye mail that every ended newsletter gets, and that goes to the address on record:
no mail can start a loop, or make us write to a stranger. Who is meant is proven by an id of ours that only the recipient
was told. An address in From is no proof, and enough for clear words: a withdrawal is harmless, and the goodbye mail tells.
"""

import asyncio
from dataclasses import dataclass, field
from enum import StrEnum
from typing import assert_never

import structlog

from pixel_service.domain.address import parse_address
from pixel_service.domain.consent import SERVICE, TRACKING_OPENS, Purpose
from pixel_service.domain.errors import InvalidInput
from pixel_service.domain.inbound import (
    AutoReply,
    BounceLater,
    Own,
    Parsed,
    RemoveMe,
    Scope,
    Unclear,
    Unsubscribe,
    Verdict,
    classify,
    fingerprint,
)
from pixel_service.domain.messages import MessageId, SubscriberId
from pixel_service.mail.parse import parse
from pixel_service.storage import inbound, subscribers
from pixel_service.storage.dialect import lock_ledger
from pixel_service.storage.engine import Connection
from pixel_service.storage.inbound import InboundId, UnclearMail
from pixel_service.usecases.context import Context
from pixel_service.usecases.withdraw import Receipt, Source, UnsubscribeSubject, end, end_all, read_unsubscribe

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    raw: bytes = field(repr=False)
    #: Empty for a mail that must not be answered; None when whoever hands it over does not know.
    envelope_from: str | None = field(repr=False)
    envelope_to: tuple[str, ...] = field(repr=False)


class Outcome(StrEnum):
    WITHDRAWN = "withdrawn"
    #: For a person to read.
    LISTED = "listed"
    #: What was clear is done; the rest is for a person to read.
    WITHDRAWN_AND_LISTED = "withdrawn_and_listed"
    AUTO_REPLY = "auto_reply"
    BOUNCE = "bounce"
    #: Delivered before, and handled then.
    REPEATED = "repeated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    outcome: Outcome
    #: On the operator's list.
    inbound_id: InboundId | None = None
    #: Of a withdrawal; None too where the person is no longer on record.
    receipt: Receipt | None = None


@dataclass(frozen=True, slots=True)
class _Person:
    subscriber_id: SubscriberId
    #: Of the mail they answer; None when it is not known, or was one of our own.
    purpose: Purpose | None
    #: How we know, for the ledger.
    known_by: str


async def receive(ctx: Context, incoming: Incoming) -> Received:
    """Raises `StorageUnavailable`: nothing happened then, and the mail must be delivered again."""
    # In a thread: a purpose-made mail takes its time, and pixels must not wait for it.
    mail, verdict = await asyncio.to_thread(_understand, ctx, incoming)
    async with ctx.db.write() as connection:
        await lock_ledger(connection)
        if await inbound.note(connection, fingerprint(mail, verdict), at=ctx.clock(), verdict=_name(verdict)):
            received = await _act(ctx, connection, mail, verdict)
        else:
            received = Received(outcome=Outcome.REPEATED)
    _log.info("mail_received", action="receive", outcome=received.outcome.value, inbound_id=received.inbound_id)
    return received


def _understand(ctx: Context, incoming: Incoming) -> tuple[Parsed, Verdict]:
    own = Own(
        mail_domain=ctx.policy.mail_domain,
        unsubscribe_address=ctx.policy.unsubscribe_address,
        is_genuine=lambda token: read_unsubscribe(ctx, token) is not None,
    )
    mail = parse(incoming.raw, incoming.envelope_from, incoming.envelope_to)
    return mail, classify(mail, own)


def _name(verdict: Verdict) -> str:
    match verdict:
        case Unsubscribe():
            return "unsubscribe"
        case RemoveMe():
            return "remove_me"
        case BounceLater():
            return "bounce"
        case AutoReply():
            return "auto_reply"
        case Unclear():
            return "unclear"
    assert_never(verdict)


async def _act(ctx: Context, connection: Connection, mail: Parsed, verdict: Verdict) -> Received:
    match verdict:
        case Unsubscribe(token=token):
            return await _unsubscribe(ctx, connection, mail, read_unsubscribe(ctx, token))
        case RemoveMe():
            return await _remove(ctx, connection, mail, verdict)
        case BounceLater():
            return Received(outcome=Outcome.BOUNCE)
        case AutoReply():
            return Received(outcome=Outcome.AUTO_REPLY)
        case Unclear(answers=answers):
            person = await _who(connection, mail, answers)
            return Received(outcome=Outcome.LISTED, inbound_id=await _list(ctx, connection, mail, person))
    assert_never(verdict)


async def _unsubscribe(
    ctx: Context, connection: Connection, mail: Parsed, subject: UnsubscribeSubject | None
) -> Received:
    assert subject is not None, "a genuine token stays genuine"
    said = {"message_id": mail.message_id, "known_by": "signed_link"}
    receipt = await end(ctx, connection, subject.subscriber_id, {subject.purpose}, Source.MAIL, said)
    return Received(outcome=Outcome.WITHDRAWN, receipt=receipt)


async def _remove(ctx: Context, connection: Connection, mail: Parsed, asked: RemoveMe) -> Received:
    person = await _who(connection, mail, asked.answers)
    if person is None:
        return Received(outcome=Outcome.LISTED, inbound_id=await _list(ctx, connection, mail, None))
    said = {"message_id": mail.message_id, "known_by": person.known_by}
    who = person.subscriber_id
    if asked.scope is Scope.TRACKING:
        receipt = await end(ctx, connection, who, {TRACKING_OPENS}, Source.MAIL, said)
    elif asked.scope is Scope.MAIL and person.purpose is not None:
        receipt = await end(ctx, connection, who, {person.purpose}, Source.MAIL, said)
    else:
        # Who does not say what, or answers a mail that is no newsletter, wants to hear nothing more.
        receipt = await end_all(ctx, connection, who, Source.MAIL, said)
    if not asked.needs_answer:
        return Received(outcome=Outcome.WITHDRAWN, receipt=receipt)
    listed = await _list(ctx, connection, mail, person)
    return Received(outcome=Outcome.WITHDRAWN_AND_LISTED, receipt=receipt, inbound_id=listed)


async def _who(connection: Connection, mail: Parsed, answers: tuple[MessageId, ...]) -> _Person | None:
    """Whose mail it is. None for strangers, and where two people are named: a mail that was passed on, and answered by
    somebody else who is on record too."""
    answered = await inbound.answered(connection, answers)
    by_address = await subscribers.find(connection, [_sender_key(mail)])
    named = {one.subscriber_id for one in answered} | {one.subscriber_id for one in by_address.values()}
    if len(named) != 1:
        return None
    if not answered:
        return _Person(named.pop(), None, "sender_address")
    purpose = answered[0].purpose
    return _Person(answered[0].subscriber_id, None if purpose == SERVICE else purpose, "answered_mail")


def _sender_key(mail: Parsed) -> str:
    try:
        return parse_address(mail.sender).key
    except InvalidInput:
        return mail.sender.lower()


async def _list(ctx: Context, connection: Connection, mail: Parsed, person: _Person | None) -> InboundId:
    inbound_id = InboundId(ctx.ids())
    await inbound.keep(
        connection,
        UnclearMail(
            inbound_id=inbound_id,
            received_at=ctx.clock(),
            subscriber_id=person.subscriber_id if person else None,
            sender=_sender_key(mail),
            subject=mail.heading,
            excerpt=mail.excerpt,
            message_id_header=mail.message_id,
        ),
    )
    return inbound_id
