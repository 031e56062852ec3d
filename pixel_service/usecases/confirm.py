"""The confirm page and its button: the act that turns a request into consent (S8-S10, S13).

Reading changes nothing, any number of times. One press is one act: the sign-up row is locked, answered once, and a second
press finds it answered.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace

from pixel_service.domain.address import parse_address
from pixel_service.domain.consent import Event, Purpose, is_valid, kind_of, slug_of
from pixel_service.domain.messages import SignUpId, SubscriberId
from pixel_service.domain.signup import AskedPurpose, PendingSignUp
from pixel_service.domain.tokens import Link
from pixel_service.domain.webhooks import WebhookEvent
from pixel_service.storage import consent, messages, signups, subscribers
from pixel_service.storage.consent import Happening
from pixel_service.storage.dialect import lock_ledger
from pixel_service.storage.engine import Connection
from pixel_service.usecases import service_mails
from pixel_service.usecases.context import Context
from pixel_service.usecases.erased_addresses import welcome_back
from pixel_service.usecases.sign_up import resend_confirmation
from pixel_service.usecases.webhooks import about, announce
from pixel_service.usecases.withdraw import Source, end


@dataclass(frozen=True, slots=True)
class Waiting:
    """There is something to confirm."""

    pending: PendingSignUp


@dataclass(frozen=True, slots=True)
class CodeNeeded:
    """A machine may have pressed: the code of the mail tells a person (S14)."""

    pending: PendingSignUp
    #: A code was typed, and it is not the one.
    wrong: bool


@dataclass(frozen=True, slots=True)
class Confirmed:
    pending: PendingSignUp
    accepted: tuple[Purpose, ...]
    refused: tuple[Purpose, ...]


@dataclass(frozen=True, slots=True)
class AlreadyConfirmed:
    subscriber_id: SubscriberId
    language: str


@dataclass(frozen=True, slots=True)
class LinkExpired:
    """Genuine but late; the person may ask for a new mail."""

    language: str | None


@dataclass(frozen=True, slots=True)
class LinkUnknown:
    """Forged, garbled, of another purpose, erased or overtaken by a withdrawal: all the same to the outside."""


Found = Waiting | Confirmed | AlreadyConfirmed | LinkExpired | LinkUnknown


async def look_up(ctx: Context, token: str) -> Found:
    """What a confirm link stands for. Changes nothing (S8)."""
    read = ctx.tokens.read(Link.CONFIRM, token, now=ctx.clock())
    if read is None:
        return LinkUnknown()
    async with ctx.db.read() as connection:
        pending = await signups.get(connection, SignUpId(read.subject))
    return _judge(pending, expired=read.expired)


def _judge(pending: PendingSignUp | None, *, expired: bool) -> Found:
    if pending is None:
        return LinkExpired(None) if expired else LinkUnknown()
    if expired and pending.confirmed_at is not None:
        return LinkUnknown()
    if any(asked.answer == "confirmed" for asked in pending.asked):
        return AlreadyConfirmed(pending.subscriber_id, pending.language)
    if pending.confirmed_at is not None:
        return Confirmed(pending, (), tuple(asked.purpose for asked in pending.asked if asked.answer == "refused"))
    if not pending.waiting():
        return LinkUnknown()
    return LinkExpired(pending.language) if expired else Waiting(pending)


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """What pressed the button."""

    #: By what it calls itself, a program rather than a person's browser.
    machine_like: bool = False
    #: What it typed as the code; empty where it was not asked.
    code: str = ""


_PERSON = Client()


async def confirm(
    ctx: Context, token: str, ticked: Collection[Purpose], client: Client = _PERSON
) -> Confirmed | CodeNeeded | AlreadyConfirmed | LinkExpired | LinkUnknown:
    """The press of the button. What was asked and is not in `ticked` is refused; what was not asked is ignored."""
    read = ctx.tokens.read(Link.CONFIRM, token, now=ctx.clock())
    if read is None:
        return LinkUnknown()
    async with ctx.db.write() as connection:
        await lock_ledger(connection)
        pending = await signups.get(connection, SignUpId(read.subject), lock=True)
        found = _judge(pending, expired=read.expired)
        if not isinstance(found, Waiting):
            return found
        if client.machine_like and _asks_for_code(ctx, found.pending):
            refused = await _check_code(ctx, connection, found.pending, client.code)
            if refused is not None:
                return refused
        return await _answer(ctx, connection, found.pending, ticked)


def _asks_for_code(ctx: Context, pending: PendingSignUp) -> bool:
    """Mail scanners press within moments. A link that was read before the relay's answer is on record is as fresh as can
    be; one whose codes were guessed at stays closed to machines, and only to them: nobody burns a person's link (S10)."""
    if not ctx.policy.step_up:
        return False
    fresh = pending.accepted_at is None or ctx.clock() - pending.accepted_at < ctx.policy.step_up_within
    return fresh or pending.is_locked


async def _check_code(ctx: Context, connection: Connection, pending: PendingSignUp, typed: str) -> CodeNeeded | None:
    """None when it is the one. A press without a code is no guess."""
    if pending.is_locked or not typed:
        return CodeNeeded(pending, wrong=False)
    if ctx.tokens.is_code(pending.sign_up_id, typed):
        return None
    await signups.count_wrong_code(connection, pending.sign_up_id)
    return CodeNeeded(replace(pending, wrong_codes=pending.wrong_codes + 1), wrong=True)


async def _answer(
    ctx: Context, connection: Connection, pending: PendingSignUp, ticked: Collection[Purpose]
) -> Confirmed:
    waiting = pending.waiting()
    accepted = tuple(asked.purpose for asked in waiting if asked.purpose in ticked)
    refused = tuple(asked.purpose for asked in waiting if asked.purpose not in accepted)
    on_record = await consent.consents_of(connection, pending.subscriber_id)
    for asked in waiting:
        yes = asked.purpose in accepted
        await consent.record(connection, _happening(ctx, pending, asked, Event.CONFIRM if yes else Event.REFUSE))
        await signups.answer(connection, pending.sign_up_id, asked.purpose, with_="confirmed" if yes else "refused")
    await signups.close(connection, pending.sign_up_id, at=ctx.clock())
    if accepted:
        await subscribers.complete(
            connection, pending.subscriber_id, language=pending.language, profile=pending.profile
        )
        await _welcome(ctx, connection, pending.subscriber_id, accepted)
        await _send_follow_ups(ctx, connection, pending, accepted)
    # The last word counts: a no to what was given before, by another link, takes it away; and other links that still
    # ask for it are answered too.
    given = {purpose for purpose in refused if purpose in on_record and is_valid(on_record[purpose].state)}
    if given:
        await end(ctx, connection, pending.subscriber_id, given, Source.CONFIRM_PAGE)
    await signups.cancel_waiting(connection, pending.subscriber_id, refused)
    return Confirmed(pending, accepted, refused)


async def _welcome(
    ctx: Context, connection: Connection, subscriber_id: SubscriberId, accepted: tuple[Purpose, ...]
) -> None:
    """Processors hear of it. Who had themselves erased and is back of their own will may be imported like everybody."""
    person = await subscribers.get(connection, subscriber_id)
    if person is not None:
        await welcome_back(ctx, connection, parse_address(person.address))
        await announce(ctx, connection, about(ctx, WebhookEvent.CONFIRMED, person, accepted))


def _happening(ctx: Context, pending: PendingSignUp, asked: AskedPurpose, event: Event) -> Happening:
    return Happening(
        subscriber_id=pending.subscriber_id,
        purpose=asked.purpose,
        event=event,
        at=ctx.clock(),
        content={
            "sign_up": pending.sign_up_id,
            "language": pending.language,
            "wording_version": asked.wording_version,
            "wording_hash": asked.wording_hash,
            "source": "confirm_page",
        },
        salt=ctx.ids(),
    )


async def _send_follow_ups(
    ctx: Context, connection: Connection, pending: PendingSignUp, accepted: tuple[Purpose, ...]
) -> None:
    """A welcome for a newsletter; the link for each whitepaper. Tracking alone needs no mail."""
    mails = [
        service_mails.whitepaper(ctx, pending.subscriber_id, pending.language, slug_of(purpose))
        for purpose in accepted
        if kind_of(purpose) == "whitepaper"
    ]
    if any(kind_of(purpose) == "newsletter" for purpose in accepted):
        mails.append(service_mails.welcome(ctx, pending, accepted))
    await messages.enqueue(connection, mails)


async def ask_for_new_link(ctx: Context, token: str) -> None:
    """The button of an expired page, or of the page that says to look into the mail. Says nothing about what it found."""
    now = ctx.clock()
    late = ctx.tokens.read(Link.CONFIRM, token, now=now)
    if late is not None:
        await resend_confirmation(ctx, SignUpId(late.subject), even_if_it_works=late.expired)
    again = ctx.tokens.read(Link.SEND_AGAIN, token, now=now)
    if again is not None and not again.expired:
        await resend_confirmation(ctx, SignUpId(again.subject), even_if_it_works=True)
