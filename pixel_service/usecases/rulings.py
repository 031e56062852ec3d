"""Verdicts for many recipients at a time: look up, rule, queue. Shared by requests, audiences and dry runs."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pixel_service.domain.address import Address, parse_address
from pixel_service.domain.consent import SERVICE, TRACKING_OPENS, Purpose, State
from pixel_service.domain.errors import InvalidInput
from pixel_service.domain.messages import CampaignId, MessageId, Reason, SendId, SubscriberId, Verdict
from pixel_service.domain.sends import JsonValue, RecipientAsked, Ruling, Standing, rule
from pixel_service.storage import audiences, consent, messages, sends, subscribers
from pixel_service.storage.engine import Connection
from pixel_service.storage.messages import NewMessage
from pixel_service.storage.subscribers import Known
from pixel_service.usecases.context import Context

#: Recipients per round trip to the database.
SLICE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What every slice of one send shares. `send_id` is None in a dry run: nothing is written."""

    purpose: Purpose
    campaign_id: CampaignId | None
    send_id: SendId | None
    #: Recipient variables that can appear in the content; nothing else of a recipient's is kept.
    variables: frozenset[str]
    #: See `Needs`.
    personal_content: bool
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    subscriber_id: SubscriberId
    language: str
    variables: Mapping[str, str]
    #: They want nothing of theirs to be used for now.
    restricted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Recipients of one request, looked at one by one before anything is locked."""

    recipients: Sequence[RecipientAsked]
    #: Those with an address worth looking up: their place and it, in the order of the address keys.
    addresses: Sequence[tuple[int, Address]]
    #: Place -> why its address is not looked up.
    refused: Mapping[int, Ruling]


async def read_addresses(recipients: Sequence[RecipientAsked]) -> Asked:
    """10,000 addresses are a third of a second of work: others get their turn in between."""
    seen: set[str] = set()
    addresses: list[tuple[int, Address]] = []
    refused: dict[int, Ruling] = {}
    for index, recipient in enumerate(recipients):
        if index % SLICE == 0:
            await asyncio.sleep(0)
        try:
            address = parse_address(recipient.address)
        except InvalidInput:
            refused[index] = _refused(Reason.INVALID_ADDRESS)
            continue
        if address.key in seen:
            refused[index] = _refused(Reason.DUPLICATE)
            continue
        seen.add(address.key)
        addresses.append((index, address))
    return Asked(recipients=recipients, addresses=sorted(addresses, key=lambda one: one[1].key), refused=refused)


async def rule_recipients(ctx: Context, connection: Connection, job: Job, asked: Asked) -> tuple[Ruling, ...]:
    """In the order asked. A bad, unknown or repeated address is a ruling, never an error for the rest."""
    rulings = dict(asked.refused)
    for start in range(0, len(asked.addresses), SLICE):
        part = asked.addresses[start : start + SLICE]
        known = await _look_up(ctx, connection, job, [address for _, address in part])
        people: dict[int, Person] = {}
        for index, address in part:
            found = known.get(address.key)
            if found is None:
                rulings[index] = _refused(Reason.UNKNOWN_ADDRESS)
            else:
                people[index] = _person(ctx, job, found, asked.recipients[index])
        ruled = await rule_slice(ctx, connection, job, list(people.values()))
        rulings.update(zip(people, ruled, strict=True))
    return tuple(rulings[index] for index in range(len(asked.recipients)))


def _refused(reason: Reason) -> Ruling:
    return Ruling(verdict=Verdict.REFUSED, reason=reason)


async def _look_up(ctx: Context, connection: Connection, job: Job, addresses: Sequence[Address]) -> dict[str, Known]:
    """Marketing goes to people on record only; service mail may be the first we hear of an address."""
    keys = [address.key for address in addresses]
    known = await subscribers.find(connection, keys)
    if job.purpose != SERVICE:
        return known
    new = {SubscriberId(ctx.ids()): address for address in addresses if address.key not in known}
    if new and job.send_id is not None:
        await sends.add_addressees(connection, new, at=job.now)
        # Under their own ids: somebody may have signed up in between.
        return await subscribers.find(connection, keys)
    return known | {
        address.key: Known(subscriber_id=subscriber_id, language=None) for subscriber_id, address in new.items()
    }


def _person(ctx: Context, job: Job, known: Known, asked: RecipientAsked) -> Person:
    return Person(
        subscriber_id=known.subscriber_id,
        language=asked.language or known.language or ctx.policy.default_language,
        variables={name: value for name, value in sorted(asked.variables.items()) if name in job.variables},
        restricted=known.restricted,
    )


async def known_people(ctx: Context, connection: Connection, ids: Sequence[SubscriberId]) -> list[Person]:
    """A slice of an audience."""
    languages = await subscribers.languages(connection, ids)
    return [
        Person(subscriber_id=one, language=languages.get(one) or ctx.policy.default_language, variables={})
        for one in ids
    ]


async def rule_slice(ctx: Context, connection: Connection, job: Job, people: Sequence[Person]) -> list[Ruling]:
    """Rule on up to `SLICE` people and queue their mails, unless it is a dry run."""
    ids = [person.subscriber_id for person in people]
    # Nobody can be erased between this look and their mail.
    present = set(ids) if job.send_id is None else await subscribers.hold(connection, ids)
    on_record = await consent.consents_of_all(connection, ids, (job.purpose, TRACKING_OPENS))
    had_it: set[SubscriberId] = set()
    if job.campaign_id is not None and job.purpose != SERVICE:
        had_it = await sends.already_in(connection, job.campaign_id, ids)
    rulings: list[Ruling] = []
    queue: list[NewMessage] = []
    for person in people:
        if person.subscriber_id not in present:
            rulings.append(_refused(Reason.UNKNOWN_ADDRESS))
            continue
        if person.subscriber_id in had_it:
            rulings.append(_refused(Reason.DUPLICATE))
            continue
        standing = _standing(on_record, person, job.purpose)
        ruling = rule(job.purpose, standing, personal_content=job.personal_content)
        if ruling.verdict is not Verdict.REFUSED and job.send_id is not None:
            ruling = replace(ruling, message_id=MessageId(ctx.ids()))
            queue.append(_message(job, person, ruling))
        rulings.append(ruling)
    await messages.enqueue(connection, queue)
    return rulings


def _standing(
    on_record: Mapping[tuple[SubscriberId, Purpose], consent.Consent], person: Person, purpose: Purpose
) -> Standing:
    who = person.subscriber_id
    mail, tracking = on_record.get((who, purpose)), on_record.get((who, TRACKING_OPENS))
    return Standing(
        mail=mail.state if mail else State.UNKNOWN,
        mail_seq=mail.ledger_seq if mail else None,
        tracking=tracking.state if tracking else State.UNKNOWN,
        tracking_seq=tracking.ledger_seq if tracking else None,
        restricted=person.restricted,
    )


def _message(job: Job, person: Person, ruling: Ruling) -> NewMessage:
    assert ruling.message_id is not None
    return NewMessage(
        message_id=ruling.message_id,
        subscriber_id=person.subscriber_id,
        purpose=job.purpose,
        language=person.language,
        variables=person.variables,
        queued_at=job.now,
        send_id=job.send_id,
        campaign_id=job.campaign_id,
    )


async def count_audience(ctx: Context, connection: Connection, job: Job) -> sends.Progress:
    """An audience's verdicts, counted without writing."""
    tracked = untracked = refused = 0
    cursor = ""
    while ids := await audiences.people_after(connection, job.purpose, cursor=cursor, limit=SLICE):
        cursor = ids[-1]
        rulings = await rule_slice(ctx, connection, job, await known_people(ctx, connection, ids))
        part = progress(rulings, finished_at=None, keep=False)
        tracked, untracked, refused = tracked + part.tracked, untracked + part.untracked, refused + part.refused
    return sends.Progress(tracked=tracked, untracked=untracked, refused=refused)


def progress(rulings: Sequence[Ruling], *, finished_at: datetime | None, keep: bool) -> sends.Progress:
    """Counts of these rulings; `keep` stores the rulings themselves, for a repeat of the request."""

    def count(verdict: Verdict) -> int:
        return sum(ruling.verdict is verdict for ruling in rulings)

    return sends.Progress(
        tracked=count(Verdict.TRACKED),
        untracked=count(Verdict.UNTRACKED),
        refused=count(Verdict.REFUSED),
        results=pack(rulings) if keep else None,
        finished_at=finished_at,
    )


def pack(rulings: Sequence[Ruling]) -> list[list[JsonValue]]:
    return [[one.verdict.value, one.reason.value, one.ledger_seq, one.message_id] for one in rulings]


def unpack(results: Sequence[Sequence[JsonValue]]) -> tuple[Ruling, ...]:
    """The rulings as `pack` stored them."""
    return tuple(
        Ruling(
            verdict=Verdict(str(verdict)),
            reason=Reason(str(reason)),
            ledger_seq=int(str(seq)) if seq is not None else None,
            message_id=MessageId(str(message_id)) if message_id is not None else None,
        )
        for verdict, reason, seq, message_id in results
    )
