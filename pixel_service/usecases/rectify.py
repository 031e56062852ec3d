"""Rectification (R2, Art. 16 GDPR): wrong details are corrected at once, a new address once its mailbox has confirmed it.

No consent changes and none moves: the person stays the same one, under the same id, so links in old mails go on working.
The ledger keeps what was typed when it was typed, and a confirmed change is kept beside it, because it says why a consent
that came from one address reaches another. Nobody learns whether a new address is on record but who reads its mail.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

from pixel_service.domain.address import Address, parse_address
from pixel_service.domain.errors import InvalidInput
from pixel_service.domain.journal import Noted
from pixel_service.domain.messages import SubscriberId
from pixel_service.domain.rights import AddressChange, ChangeId, RightsRequestKind
from pixel_service.domain.signup import Profile, parse_profile
from pixel_service.domain.tokens import Link
from pixel_service.domain.webhooks import WebhookEvent
from pixel_service.storage import (
    address_changes,
    consent,
    erasure,
    inbound,
    messages,
    rights_requests,
    signups,
    subscribers,
)
from pixel_service.storage.dialect import lock_ledger
from pixel_service.storage.engine import Connection
from pixel_service.storage.subscribers import Subscriber
from pixel_service.usecases import journal, service_mails
from pixel_service.usecases.context import Context
from pixel_service.usecases.erased_addresses import address_hashes, welcome_back
from pixel_service.usecases.rights_requests import Asked, note_request
from pixel_service.usecases.webhooks import about, announce
from pixel_service.usecases.withdraw import Source

_DAY = timedelta(days=1)


# --- details ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """What the person is told."""

    subscriber_id: SubscriberId
    language: str | None
    at: datetime
    #: Field -> what stands there now; empty where nothing had to be written.
    changed: Mapping[str, str]


async def correct(ctx: Context, subscriber_id: SubscriberId, profile: Profile, asked: Asked) -> Correction | None:
    """Every detail becomes what `profile` says, an empty one too. None for a person who is not on record."""
    return await correct_some(ctx, subscriber_id, asdict(profile), asked)


async def correct_some(
    ctx: Context, subscriber_id: SubscriberId, details: Mapping[str, str], asked: Asked
) -> Correction | None:
    """The details named become this, the others stay. Raises `InvalidInput` or `InvalidFields`."""
    unknown = sorted(details.keys() - set(Profile.__slots__))
    if unknown:
        raise InvalidInput("field", "one of " + ", ".join(Profile.__slots__))
    async with ctx.db.write() as connection:
        await lock_ledger(connection)
        person = await subscribers.get(connection, subscriber_id)
        return await _correct(ctx, connection, person, details, asked) if person else None


async def _correct(
    ctx: Context, connection: Connection, person: Subscriber, details: Mapping[str, str], asked: Asked
) -> Correction:
    before = asdict(person.profile)
    corrected = parse_profile({**before, **details})
    changed = {name: value for name, value in asdict(corrected).items() if value != before[name]}
    if changed:
        await subscribers.correct(connection, person.subscriber_id, corrected)
        await signups.correct_waiting(connection, person.subscriber_id, changed)
        kind = RightsRequestKind.RECTIFICATION
        await note_request(ctx, connection, person.subscriber_id, kind, asked, done=True, part=True)
        await announce(ctx, connection, replace(about(ctx, WebhookEvent.RECTIFIED, person), details=changed))
    return Correction(subscriber_id=person.subscriber_id, language=person.language, at=ctx.clock(), changed=changed)


# --- a new address: asking -----------------------------------------------------------------------------------------------


async def ask_new_address(ctx: Context, subscriber_id: SubscriberId, address: Address, asked: Asked) -> bool:
    """Mail the new address a link to confirm it, and tell the one on record. The same whether or not the new one is on
    record, and beyond the limits, where nothing is mailed. False for a person who is not on record. Raises `InvalidInput`."""
    if not await ctx.takes_mail(address):
        raise InvalidInput("address", "the domain of this address takes no mail")
    async with ctx.db.write() as connection:
        await lock_ledger(connection)
        person = await subscribers.get(connection, subscriber_id)
        if person is None:
            return False
        if person.address == address.normalised:
            raise InvalidInput("address", "this address is on record already")
        await _note_letter(ctx, connection, subscriber_id, asked)
        if await _has_room(ctx, connection, subscriber_id, address):
            await _ask(ctx, connection, person, address)
    return True


async def _note_letter(ctx: Context, connection: Connection, subscriber_id: SubscriberId, asked: Asked) -> None:
    """A letter is answered when the new address is confirmed; until then it stays on the operator's list, once. What people
    ask for on their own page and do not confirm is on nobody's list."""
    kind = RightsRequestKind.NEW_ADDRESS
    known = await rights_requests.of_person(connection, subscriber_id)
    if asked.source is Source.OPERATOR and not any(one.kind is kind and one.done_at is None for one in known):
        await note_request(ctx, connection, subscriber_id, kind, asked, done=False)


async def _has_room(ctx: Context, connection: Connection, subscriber_id: SubscriberId, address: Address) -> bool:
    since, most = ctx.clock() - _DAY, ctx.policy.new_addresses_per_day
    by_person = await address_changes.asked_by(connection, subscriber_id, since=since)
    return by_person < most and await address_changes.asked_for(connection, address, since=since) < most


async def _ask(ctx: Context, connection: Connection, person: Subscriber, address: Address) -> None:
    now = ctx.clock()
    change = AddressChange(
        change_id=ChangeId(ctx.ids()),
        subscriber_id=person.subscriber_id,
        address=address.normalised,
        previous_address=person.address,
        asked_at=now,
        expires_at=now + ctx.policy.new_address_within,
    )
    await address_changes.add(connection, change, address)
    language = person.language or ctx.policy.default_language
    mails = [service_mails.address_asked(ctx, change, language)]
    if await _takes_question(connection, person, address):
        mails.append(service_mails.new_address(ctx, change, language))
    await messages.enqueue(connection, mails)


async def _takes_question(connection: Connection, person: Subscriber, address: Address) -> bool:
    """Nobody is mailed through somebody else's wish who restricted the use of their data or objected."""
    known = (await subscribers.find(connection, [address.key])).get(address.key)
    owner = await subscribers.get(connection, known.subscriber_id) if known else None
    if owner is None or owner.subscriber_id == person.subscriber_id:
        return True
    return owner.restricted_at is None and owner.objected_at is None


# --- a new address: confirming -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Link:
    """Of whoever reads the new mailbox."""

    address: str
    language: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting(_Link):
    """There is something to confirm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed(_Link):
    """Mail goes there, since now or since an earlier press."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken(_Link):
    """The address has a record of its own; the change can be asked for anew once that is erased."""


@dataclass(frozen=True, slots=True)
class LinkExpired:
    """Genuine, and late or overtaken by a newer request."""


@dataclass(frozen=True, slots=True)
class LinkUnknown:
    """Forged, garbled, of another purpose, or of a person who is gone: all the same to the outside."""


Found = Waiting | Changed | Taken | LinkExpired | LinkUnknown


async def look_up(ctx: Context, token: str) -> Found:
    """What a link in a mail to a new address stands for. Changes nothing."""
    async with ctx.db.read() as connection:
        return (await _judge(ctx, connection, token))[0]


async def confirm_new_address(ctx: Context, token: str) -> Found:
    """The press of the button; never `Waiting`."""
    async with ctx.db.write() as connection:
        await lock_ledger(connection)
        found, change = await _judge(ctx, connection, token)
        if change is None or not isinstance(found, Waiting):
            return found
        before = await subscribers.get(connection, change.subscriber_id)
        assert before is not None, "judged in this transaction"
        if not await subscribers.move(connection, change.subscriber_id, parse_address(change.address)):
            # A service mail made it known in this moment.
            return Taken(address=found.address, language=found.language)
        given_up = await _follow(ctx, connection, before, change)
        await journal.note(ctx, connection, Noted.MOVED, change.subscriber_id, address=given_up)
    return Changed(address=found.address, language=found.language)


async def _judge(ctx: Context, connection: Connection, token: str) -> tuple[Found, AddressChange | None]:
    read = ctx.tokens.read(Link.NEW_ADDRESS, token, now=ctx.clock())
    change = await address_changes.get(connection, ChangeId(read.subject)) if read else None
    person = await subscribers.get(connection, change.subscriber_id) if change else None
    if read is None or change is None or person is None:
        return (LinkExpired() if read and read.expired else LinkUnknown()), None
    if change.confirmed_at is not None and change.address == person.address and not read.expired:
        return Changed(address=change.address, language=person.language), None
    if not change.is_waiting(ctx.clock()):
        return LinkExpired(), None
    key = parse_address(change.address).key
    owner = (await subscribers.find(connection, [key])).get(key)
    if owner is not None and owner.subscriber_id != change.subscriber_id:
        return Taken(address=change.address, language=person.language), None
    return Waiting(address=change.address, language=person.language), change


async def _follow(ctx: Context, connection: Connection, before: Subscriber, change: AddressChange) -> Address | None:
    """No import brings the old address back, which would be without the person's objections; the new one is theirs by their
    own act, also where it was erased before. Returns the old one, unless only its spelling changed."""
    old, new, now = parse_address(before.address), parse_address(change.address), ctx.clock()
    await address_changes.confirm(connection, change.change_id, at=now)
    if old.key != new.key:
        await _end_questions(connection, change.subscriber_id)
        await inbound.attach(connection, change.subscriber_id, old.key)
        await erasure.note_address(connection, address_hashes(ctx, old)[0], at=now)
    await welcome_back(ctx, connection, new)
    # As old as the wish: a letter that came later wants another address.
    asked = Asked(source=Source.NEW_ADDRESS_PAGE, received_at=change.asked_at)
    await note_request(ctx, connection, change.subscriber_id, RightsRequestKind.NEW_ADDRESS, asked, done=True)
    moved = replace(before, address=new.normalised)
    details = {"previous_address": before.address}
    await announce(ctx, connection, replace(about(ctx, WebhookEvent.RECTIFIED, moved), details=details))
    return old if old.key != new.key else None


async def _end_questions(connection: Connection, subscriber_id: SubscriberId) -> None:
    """Whoever reads the old mailbox must not agree for the new one: a link that was mailed there confirms nothing any more,
    and a mail that still waits is not sent."""
    on_record = await consent.consents_of(connection, subscriber_id)
    await signups.cancel_waiting(connection, subscriber_id, tuple(on_record))
