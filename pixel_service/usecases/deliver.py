"""Delivery: claim, decide, look once more, compose, hand over, record (D3, D4, D8).

Consent is asked for three times: by the claim, which also makes the pixel mapping, before composing, and when the relay
is ready for the content. At least once, under one Message-ID: a worker that dies after the relay accepted and before it recorded leaves a mail
that is sent again under the same id. No transaction is open while SMTP speaks.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from pixel_service.domain.consent import SERVICE, TRACKING_OPENS, is_valid
from pixel_service.domain.errors import InvalidInput
from pixel_service.domain.messages import PixelId, Reason, SendId, Status
from pixel_service.domain.settling import EARLY
from pixel_service.domain.signup import Profile
from pixel_service.mail.compose import Prepared
from pixel_service.mail.transport import Accepted, Deferred, Envelope, Rejected, Withheld
from pixel_service.storage import consent, figures, messages, sends
from pixel_service.storage.dialect import lock_ledger
from pixel_service.storage.engine import Connection
from pixel_service.storage.messages import Claimed, Permission, PixelPlan, Result
from pixel_service.storage.subscribers import Subscriber
from pixel_service.usecases import own_mails, personal
from pixel_service.usecases.content import Content, differs_per_person, prepared
from pixel_service.usecases.context import Context
from pixel_service.usecases.own_mails import Writing

#: Mails per claim: a few turns of a default pool of connections, so that a lease is never long in use.
BATCH = 40


@dataclass(slots=True)
class Desk:
    """What a worker keeps between batches: send contents prepared once, one slot per SMTP connection, and answers of
    the relay that are not stored yet."""

    slots: asyncio.Semaphore
    #: `loop.time()` of the next hand-over the relay's rate limit allows.
    next_at: float = 0.0
    unrecorded: "list[_Ended]" = field(default_factory=list)
    contents: dict[SendId, Content] = field(default_factory=dict)
    variants: dict[tuple[SendId, str, bool], Prepared] = field(default_factory=dict)

    def make_room(self) -> None:
        """Campaigns do not run by the dozen at once."""
        if len(self.contents) > 8:
            self.contents.clear()
            self.variants.clear()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """A claimed mail with what the claiming transaction decided."""

    claimed: Claimed
    lease: str
    #: No hand-over begins later: it could outlast the lease, and somebody else would send the mail too.
    begin_before: datetime
    pixel_id: PixelId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ended:
    """The answer of the relay, until it is stored."""

    held: _Held
    result: Result
    #: The mail itself where it is evidence: a confirmation that the relay took (E4).
    evidence: bytes | None = None


async def deliver_batch(ctx: Context, desk: Desk) -> int:
    """Claim and hand over one batch; returns how many mails were claimed."""
    await _record(ctx, desk)
    desk.make_room()
    lease = ctx.ids()
    held = await _claim(ctx, desk, lease)
    ended = await asyncio.gather(*(_hand_over(ctx, desk, one) for one in held), return_exceptions=True)
    # What went wrong with one mail must not make the others of its batch go out twice.
    desk.unrecorded += [end for end in ended if isinstance(end, _Ended)]
    await _record(ctx, desk)
    for one in ended:
        if isinstance(one, BaseException):
            raise one
    return len(held)


def _batch(ctx: Context) -> int:
    """No more than go out while an open is early anyway: acceptance is recorded with the last, and until then an open is early."""
    limit = ctx.policy.mails_per_minute
    return min(BATCH, max(1, limit * EARLY // 60)) if limit else BATCH


async def _claim(ctx: Context, desk: Desk, lease: str) -> list[_Held]:
    """Two transactions: a claim locks mails, a withdrawal locks consent and then mails. Looking at consent while
    holding mails would be the other way round, and deadlock."""
    now = ctx.clock()
    async with ctx.db.write() as connection:
        claimed = await messages.claim_due(
            connection, now=now, lease=lease, lease_for=ctx.policy.lease, limit=_batch(ctx)
        )
    if not claimed:
        return []
    async with ctx.db.write() as connection:
        await _load_contents(connection, desk, claimed)
        tracked = await _trackable(connection, claimed)
        trackable = {one.message_id for one in tracked}
        plan = PixelPlan(
            tracked={one.message_id: (PixelId(ctx.ids()), one.subscriber_id) for one in tracked},
            untracked=[one.message_id for one in claimed if one.message_id not in trackable],
            handed_over_by=now + ctx.policy.lease,
            closes_at=now + ctx.policy.recording_window,
        )
        async with figures.kept_of(connection, [one.message_id for one in claimed]):
            pixel_ids = await messages.set_pixels(connection, plan)
    begin_before = now + ctx.policy.lease - ctx.policy.slowest_hand_over
    return [
        _Held(claimed=one, lease=lease, begin_before=begin_before, pixel_id=pixel_ids.get(one.message_id))
        for one in claimed
    ]


async def _load_contents(connection: Connection, desk: Desk, claimed: Sequence[Claimed]) -> None:
    for send_id in {one.send_id for one in claimed if one.send_id is not None} - desk.contents.keys():
        found = await sends.get(connection, send_id)
        if found is not None:
            desk.contents[send_id] = Content.from_json(found.content)


async def _trackable(connection: Connection, claimed: Sequence[Claimed]) -> list[Claimed]:
    """Only marketing mail, only under both consents (D4). The rows are share-locked: what is read here holds until
    the pixel mapping is committed, so a withdrawal finds every mapping it has to delete."""
    marketing = [one for one in claimed if one.purpose != SERVICE]
    on_record = await consent.consents_of_all(
        connection,
        {one.subscriber_id for one in marketing},
        {TRACKING_OPENS, *(one.purpose for one in marketing)},
        hold=True,
    )

    def valid(one: Claimed) -> bool:
        both = (on_record.get((one.subscriber_id, purpose)) for purpose in (TRACKING_OPENS, one.purpose))
        return all(record is not None and is_valid(record.state) for record in both)

    return [one for one in marketing if valid(one)]


async def _hand_over(ctx: Context, desk: Desk, held: _Held) -> _Ended | None:
    """One mail, from the last look at consent to the relay's answer. None when it is not ours to send any more."""
    async with desk.slots:
        while ctx.clock() < held.begin_before:
            letter = await _write(ctx, desk, held)
            if not isinstance(letter, _Mail):
                return _Ended(held=held, result=letter) if letter else None
            await _keep_pace(ctx, desk)
            if ctx.clock() >= held.begin_before:
                break
            outcome = await ctx.transport.send(letter.envelope)
            if not isinstance(outcome, Withheld):
                return _ended(ctx, held, letter, outcome)
    return None


def _ended(ctx: Context, held: _Held, letter: "_Mail", outcome: Accepted | Deferred | Rejected) -> "_Ended":
    """A confirmation mail the relay took is evidence, as it was sent (E4)."""
    result = _result(ctx, held.claimed, outcome, tracked=letter.tracked)
    proves = result.status is Status.SENT and held.claimed.template == "confirmation"
    return _Ended(held=held, result=result, evidence=letter.envelope.data if proves else None)


async def _keep_pace(ctx: Context, desk: Desk) -> None:
    """Spread the mails of this process evenly below the relay's limit."""
    if ctx.policy.mails_per_minute:
        now = asyncio.get_running_loop().time()
        mine = max(desk.next_at, now)
        desk.next_at = mine + 60 / ctx.policy.mails_per_minute
        await asyncio.sleep(mine - now)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mail:
    envelope: Envelope
    #: Whether it carries its pixel.
    tracked: bool


async def _write(ctx: Context, desk: Desk, held: _Held) -> _Mail | Result | None:
    async with ctx.db.read() as connection:
        permission = await messages.permission(connection, held.claimed, lease=held.lease)
        if permission is None:
            return None
        if not permission.may_send:
            return _cancelled(held.claimed, _why_not(permission))
        mail = await _content(ctx, connection, desk, held.claimed)
    if mail is None:
        return _cancelled(held.claimed, Reason.NO_LONGER_NEEDED)
    pixel_id = held.pixel_id if permission.may_track else None
    try:
        variant = _variant(ctx, desk, held.claimed, mail.content, tracked=pixel_id is not None)
        foreign = held.claimed.send_id is not None and pixel_id is None
        if foreign and differs_per_person(ctx, variant, held.claimed.purpose):
            return _cancelled(held.claimed, Reason.PERSONAL_CONTENT)
        letter = personal.Letter(
            claimed=held.claimed, person=_recipient(permission.person, mail), pixel_id=pixel_id, links=mail.links
        )
        envelope = replace(personal.envelope(ctx, letter, variant), still_wanted=_unchanged(ctx, held, permission))
        return _Mail(envelope=envelope, tracked=pixel_id is not None)
    except InvalidInput as error:
        return Result(message_id=held.claimed.message_id, status=Status.FAILED, reason="content", reply=str(error))


def _recipient(person: Subscriber, mail: Writing) -> Subscriber:
    """Whoever reads at another address than the one on record may be a stranger, and is told no name."""
    return person if mail.address is None else replace(person, address=mail.address, profile=Profile())


def _unchanged(ctx: Context, held: _Held, permission: Permission) -> Callable[[], Awaitable[bool]]:
    """Connecting and greeting a relay takes its time: whether the mail may go is asked again when it would (D3)."""

    async def look_again() -> bool:
        async with ctx.db.read() as connection:
            return await messages.permission(connection, held.claimed, lease=held.lease) == permission

    return look_again


async def _content(ctx: Context, connection: Connection, desk: Desk, claimed: Claimed) -> Writing | None:
    if claimed.send_id is None:
        return await own_mails.write(ctx, connection, claimed)
    content = desk.contents.get(claimed.send_id)
    return Writing(content, {}) if content else None


def _variant(ctx: Context, desk: Desk, claimed: Claimed, content: Content, *, tracked: bool) -> Prepared:
    if claimed.send_id is None:
        return prepared(ctx, content, claimed.purpose, language=claimed.language, tracked=False)
    key = claimed.send_id, claimed.language, tracked
    if key not in desk.variants:
        desk.variants[key] = prepared(ctx, content, claimed.purpose, language=claimed.language, tracked=tracked)
    return desk.variants[key]


def _why_not(permission: Permission) -> Reason:
    if permission.person.restricted_at is not None:
        return Reason.RESTRICTED
    return Reason.OBJECTED if permission.person.objected_at is not None else Reason.CONSENT_WITHDRAWN


def _cancelled(claimed: Claimed, reason: Reason) -> Result:
    return Result(message_id=claimed.message_id, status=Status.CANCELLED, reason=reason.value)


def _result(ctx: Context, claimed: Claimed, outcome: Accepted | Deferred | Rejected, *, tracked: bool) -> Result:
    now = ctx.clock()
    match outcome:
        case Accepted(reply=reply):
            return Result(
                message_id=claimed.message_id, status=Status.SENT, reply=reply, sent_at=now, with_pixel=tracked
            )
        case Rejected(code=code, reply=reply):
            return Result(message_id=claimed.message_id, status=Status.FAILED, reply=reply, reason=f"smtp_{code}")
        case Deferred(reply=reply):
            delay = ctx.policy.retry.next_delay(claimed.attempts + 1)
            if delay is None:
                return Result(message_id=claimed.message_id, status=Status.FAILED, reply=reply, reason="gave_up")
            return Result(message_id=claimed.message_id, status=Status.QUEUED, reply=reply, due_at=now + delay)


async def _record(ctx: Context, desk: Desk) -> None:
    """All answers of a batch in one transaction; they are kept until it is committed, for what is not recorded is sent
    again. Whoever was mailed counts in the figures from then on."""
    if not desk.unrecorded:
        return
    async with ctx.db.write() as connection:
        proving = sorted({one.held.claimed.subscriber_id for one in desk.unrecorded if one.evidence is not None})
        if proving:
            await lock_ledger(connection)
        for person in proving:
            # Before the messages, as recorders do: what the evidence changes may be the consent they hold.
            await consent.hold(connection, person, TRACKING_OPENS)
        async with figures.kept_of(connection, [one.result.message_id for one in desk.unrecorded]):
            for one in desk.unrecorded:
                await _record_one(ctx, connection, one)
    desk.unrecorded.clear()


async def _record_one(ctx: Context, connection: Connection, ended: _Ended) -> None:
    """A mail that never left, or left without its pixel, loses the mapping too."""
    held, result = ended.held, ended.result
    if not await messages.record_result(connection, result, lease=held.lease):
        return
    if ended.evidence is not None:
        await own_mails.record_confirmation_sent(ctx, connection, held.claimed, result, ended.evidence)
    left_without = result.status is Status.SENT and not result.with_pixel
    if held.pixel_id is not None and (left_without or result.status in {Status.FAILED, Status.CANCELLED}):
        await messages.set_pixels(connection, PixelPlan.without(result.message_id, ctx.clock()))
