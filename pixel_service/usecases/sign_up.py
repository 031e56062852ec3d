"""A sign-up by whatever form: one path, one answer, one confirmation mail at most (S1, S4, S7, S15).

The caller learns nothing about the address: new, pending, confirmed and withdrawn people get the same answer after the
same transaction. What differs is only which mail, if any, is put into the outbox.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from pixel_service.domain.address import Address
from pixel_service.domain.consent import TRACKING_OPENS, Act, Event, Purpose, State, is_valid, kind_of, slug_of
from pixel_service.domain.errors import InvalidInput, WordingOutdated
from pixel_service.domain.messages import SignUpId, SubscriberId
from pixel_service.domain.signup import AskedPurpose, Choice, PendingSignUp, Profile
from pixel_service.storage import consent, ledger, messages, signups, subscribers
from pixel_service.storage.consent import Consent, Happening
from pixel_service.storage.dialect import lock_ledger
from pixel_service.storage.engine import Connection
from pixel_service.usecases import service_mails
from pixel_service.usecases.context import Context

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignUp:
    address: Address
    language: str
    choices: tuple[Choice, ...]
    profile: Profile
    #: Where the form stood.
    form_url: str
    #: Version of the privacy notice linked beside it (S6).
    notice_version: str
    #: The person came by a link mailed to the address and asks of their own accord: no waiting time after a no.
    by_mailed_link: bool = False


@dataclass(frozen=True, slots=True)
class SignUpReceived:
    """The one answer."""

    confirm_before: datetime
    sign_up_id: SignUpId


async def sign_up(ctx: Context, command: SignUp) -> SignUpReceived:
    """Raises `WordingOutdated` or `InvalidInput`, neither of which depends on who is on record. Nor does the time it
    takes: what is written for a stranger and for a subscriber differs by milliseconds, so everybody waits as long."""
    loop = asyncio.get_running_loop()
    answer_at = loop.time() + ctx.policy.sign_up_takes.total_seconds()
    received = await _take(ctx, command)
    await asyncio.sleep(answer_at - loop.time())
    return received


async def _take(ctx: Context, command: SignUp) -> SignUpReceived:
    _check_form(ctx, command)
    if not command.by_mailed_link and not await ctx.takes_mail(command.address):
        raise InvalidInput("address", "the domain of this address takes no mail")
    now = ctx.clock()
    async with ctx.db.write() as connection:
        # Limits and choices are read under the lock: of two forms sent at once, the second sees the first.
        await lock_ledger(connection)
        subscriber_id = await subscribers.upsert(connection, command.address, new_id=SubscriberId(ctx.ids()), at=now)
        on_record = await consent.consents_of(connection, subscriber_id)
        own_wish, asked = command.by_mailed_link, tuple[Choice, ...]()
        if await _may_ask_at_all(connection, subscriber_id, own_wish=own_wish):
            asked = tuple(one for one in command.choices if _may_ask(ctx, on_record, one.purpose, own_wish=own_wish))
        pending = _pending(ctx, command, subscriber_id, asked)
        await signups.add(connection, pending)
        for choice in asked:
            await consent.record(connection, _request(ctx, command, pending, choice))
        if await _may_mail(ctx, connection, command, pending):
            await _mail(ctx, connection, pending)
        await _repeat_downloads(ctx, connection, command, pending, on_record)
    return SignUpReceived(pending.expires_at, pending.sign_up_id)


def _check_form(ctx: Context, command: SignUp) -> None:
    if not command.choices:
        raise InvalidInput("choices", "choose at least one")
    unknown = tuple(
        choice.purpose
        for choice in command.choices
        if not ctx.catalogue.is_current(choice.purpose, choice.wording_version)
    )
    if unknown or command.notice_version != ctx.catalogue.notice_version:
        raise WordingOutdated(unknown or ("notice",))
    if not command.by_mailed_link and all(choice.purpose == TRACKING_OPENS for choice in command.choices):
        raise InvalidInput("choices", "choose a newsletter or a whitepaper; open tracking alone has nothing to measure")


async def _may_ask_at_all(connection: Connection, subscriber_id: SubscriberId, *, own_wish: bool) -> bool:
    """A restricted person is asked nothing until they lift it; one who objected only upon a press on a page that is
    reached by a link mailed to them, for no other way leads back."""
    person = await subscribers.get(connection, subscriber_id)
    return person is not None and person.restricted_at is None and (own_wish or person.objected_at is None)


def _may_ask(ctx: Context, on_record: Mapping[Purpose, Consent], purpose: Purpose, *, own_wish: bool) -> bool:
    """Nobody is asked for what they gave or objected to; nobody is asked again for tracking soon after a no (W7)."""
    known = on_record.get(purpose)
    if known is None:
        return True
    if is_valid(known.state) or (known.state is State.OBJECTED and not own_wish):
        return False
    if purpose == TRACKING_OPENS and known.state in {State.REFUSED, State.WITHDRAWN} and not own_wish:
        return ctx.clock() - known.decided_at >= ctx.policy.ask_again_after
    return True


def _pending(ctx: Context, command: SignUp, subscriber_id: SubscriberId, asked: tuple[Choice, ...]) -> PendingSignUp:
    now = ctx.clock()
    return PendingSignUp(
        sign_up_id=SignUpId(ctx.ids()),
        subscriber_id=subscriber_id,
        language=command.language,
        created_at=now,
        expires_at=now + ctx.policy.confirm_within,
        confirmed_at=None,
        profile=command.profile,
        asked=tuple(
            AskedPurpose(
                purpose=choice.purpose,
                wording_version=choice.wording_version,
                wording_hash=ctx.catalogue.current(choice.purpose, command.language).hash,
                answer=None,
            )
            for choice in asked
        ),
    )


def _request(ctx: Context, command: SignUp, pending: PendingSignUp, choice: Choice) -> Happening:
    return Happening(
        subscriber_id=pending.subscriber_id,
        purpose=choice.purpose,
        event=Event.REQUEST,
        at=pending.created_at,
        content={
            "sign_up": pending.sign_up_id,
            "language": command.language,
            "wording_version": choice.wording_version,
            "wording_hash": ctx.catalogue.current(choice.purpose, command.language).hash,
            "notice_version": command.notice_version,
            "form_url": command.form_url,
            "fields": {"address": command.address.normalised, **command.profile.given()},
        },
        salt=ctx.ids(),
    )


async def has_room(ctx: Context, connection: Connection, subscriber_id: SubscriberId) -> bool:
    """Whether one more confirmation mail may go to this inbox today, whoever asks for it (S11)."""
    mails = await signups.mails_since(connection, subscriber_id, ctx.clock() - _DAY)
    return mails < ctx.policy.confirmation_mails_per_day


async def _may_mail(ctx: Context, connection: Connection, command: SignUp, pending: PendingSignUp) -> bool:
    """A form that knows only a typed address asks for one thing once a day; the person's own buttons may repeat it."""
    if not pending.asked or not await has_room(ctx, connection, pending.subscriber_id):
        return False
    lately = await signups.open_questions_since(connection, pending.subscriber_id, pending.created_at - _DAY)
    most = ctx.policy.confirmation_mails_per_offer
    return command.by_mailed_link or any(lately.get(one.purpose, 0) < most for one in pending.asked)


async def _mail(ctx: Context, connection: Connection, pending: PendingSignUp) -> None:
    await messages.enqueue(connection, [service_mails.confirmation(ctx, pending)])
    await signups.mark_mailed(connection, pending.sign_up_id, at=pending.created_at)


async def _repeat_downloads(
    ctx: Context,
    connection: Connection,
    command: SignUp,
    pending: PendingSignUp,
    on_record: Mapping[Purpose, Consent],
) -> None:
    """Who confirmed a whitepaper and asks for it again gets the link again, one such mail a day."""
    for choice in command.choices:
        record = on_record.get(choice.purpose)
        if kind_of(choice.purpose) != "whitepaper" or record is None or not is_valid(record.state):
            continue
        since = ctx.clock() - _DAY
        if not await messages.queued_since(connection, pending.subscriber_id, template="whitepaper", since=since):
            mail = service_mails.whitepaper(ctx, pending.subscriber_id, command.language, slug_of(choice.purpose))
            await messages.enqueue(connection, [mail])


async def resend_confirmation(ctx: Context, sign_up_id: SignUpId, *, even_if_it_works: bool) -> None:
    """A new mail on a press of a button: the questions still open, fresh clock and code, counted per address (S9, S11).
    A request of its own: the old one is erased when its time is over. `even_if_it_works`: the old link may still serve."""
    now = ctx.clock()
    async with ctx.db.write() as connection:
        # No withdrawal, answer or second press comes in between.
        await lock_ledger(connection)
        old = await signups.get(connection, sign_up_id)
        if old is None or old.confirmed_at is not None or not (even_if_it_works or old.is_locked):
            return
        on_record = await consent.consents_of(connection, old.subscriber_id)
        renewed = PendingSignUp(
            sign_up_id=SignUpId(ctx.ids()),
            subscriber_id=old.subscriber_id,
            language=old.language,
            created_at=now,
            expires_at=now + ctx.policy.confirm_within,
            confirmed_at=None,
            profile=old.profile,
            asked=tuple(one for one in old.waiting() if _may_ask(ctx, on_record, one.purpose, own_wish=False)),
        )
        if renewed.asked and await has_room(ctx, connection, old.subscriber_id):
            await signups.add(connection, renewed)
            await _request_again(ctx, connection, old, renewed)
            await _mail(ctx, connection, renewed)


async def _request_again(ctx: Context, connection: Connection, old: PendingSignUp, renewed: PendingSignUp) -> None:
    """What the first request recorded goes with the new one: its evidence must not end with the old one's time."""
    entries = await ledger.entries_of(connection, old.subscriber_id)
    contents = [(one.purpose, json.loads(one.content)) for one in entries if one.act is Act.REQUESTED and one.content]
    first = {purpose: content for purpose, content in contents if content.get("sign_up") == old.sign_up_id}
    for asked in renewed.asked:
        await consent.record(
            connection,
            Happening(
                subscriber_id=renewed.subscriber_id,
                purpose=asked.purpose,
                event=Event.REQUEST,
                at=renewed.created_at,
                content={**first.get(asked.purpose, {}), "sign_up": renewed.sign_up_id, "renews": old.sign_up_id},
                salt=ctx.ids(),
            ),
        )
