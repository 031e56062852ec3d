"""A round of interleavings on a database: its people written to the tables, its transactions run beside one another, and what
must hold afterwards."""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from pixel_service.domain.consent import TRACKING_OPENS, Event, State, newsletter
from pixel_service.domain.errors import StorageUnavailable
from pixel_service.domain.messages import PixelId, Status, SubscriberId, Tracking
from pixel_service.domain.opens import Fetch
from pixel_service.storage import consent
from pixel_service.storage.consent import Happening
from pixel_service.storage.engine import Database
from pixel_service.storage.opens import erase_opens
from pixel_service.storage.recording import store_alone
from pixel_service.storage.schema import (
    campaign_figures,
    campaigns,
    consents,
    message_opens,
    messages,
    opens,
    pixels,
    subscribers,
)
from pixel_service.usecases.context import Context
from pixel_service.usecases.rights import Asked, delete_my_opens, lift, object_to_marketing, restrict
from pixel_service.usecases.withdraw import Source, withdraw
from tests.benchmarks.seed import write
from tests.figures import differences
from tests.journeys.seed import an_id
from tests.opened_mail import OUTLOOK
from tests.proofs.plan import AGREED, CLOSES, GONE, SAID, SENT, Fate, Person, Record, Round, Say, Step

_BLOG = newsletter("blog")
_ASKED = Asked(source=Source.PRIVACY_PAGE)


def seed(url: str, round_: Round) -> None:
    """Everybody has agreed, and every mail is out."""
    everybody = round_.people
    write(
        url,
        campaigns,
        "campaign_id name purpose created_at",
        [(one, one, _BLOG, AGREED) for one in round_.campaigns],
    )
    write(
        url,
        subscribers,
        "subscriber_id address address_key created_at",
        [(one.subscriber_id, *[f"{one.subscriber_id}@example.com"] * 2, AGREED) for one in everybody],
    )
    write(
        url,
        consents,
        "subscriber_id purpose state decided_at ledger_seq",
        [(one.subscriber_id, TRACKING_OPENS, State.GIVEN.value, AGREED, 0) for one in everybody],
    )
    out = _BLOG, "de", "{}", Status.SENT.value, Tracking.TRACKED.value, SENT, SENT, SENT
    write(
        url,
        messages,
        "message_id subscriber_id campaign_id purpose language variables status tracking queued_at due_at sent_at",
        [(one.message_id, one.subscriber_id, one.campaign_id, *out) for one in everybody],
    )
    write(
        url,
        pixels,
        "pixel_id message_id subscriber_id closes_at",
        [(one.pixel_id, one.message_id, one.subscriber_id, CLOSES) for one in everybody],
    )
    numbers = Counter(one.campaign_id for one in everybody)
    write(
        url,
        campaign_figures,
        "campaign_id kind name hour amount",
        [(one, "message", Tracking.TRACKED.value, 0, number) for one, number in numbers.items()],
    )


# --- running ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Ran:
    """What one process did of a round."""

    #: By the step's place: when it began and ended, by the machine's monotonic clock.
    times: dict[int, tuple[float, float]] = field(default_factory=dict)
    outcomes: Counter[str] = field(default_factory=Counter)


async def run(ctx: Context, steps: Mapping[int, Step], *, at_once: int) -> Ran:
    ran = Ran()
    left = iter(steps.items())
    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(_work(ctx, left, ran))
    return ran


async def _work(ctx: Context, left: Iterator[tuple[int, Step]], ran: Ran) -> None:
    for place, step in left:
        began = time.monotonic()
        while not await _took_place(ctx, step, ran):
            ran.outcomes["timed_out"] += 1
        ran.times[place] = began, time.monotonic()


async def _took_place(ctx: Context, step: Step, ran: Ran) -> bool:
    """False when it waited too long, as on a machine that is overloaded: nothing was stored, and the recorder and a person
    would try again. A deadlock is no such thing."""
    try:
        if isinstance(step, Say):
            ran.outcomes["erased"] += await _say(ctx, step)
            return True
        stored = await store_alone(ctx.db, step.batch)
    except StorageUnavailable as error:
        if _is_deadlock(error):
            raise
        return False
    ran.outcomes.update(
        recorded=stored.recorded, collapsed=stored.collapsed, refused=stored.not_consented, forged=stored.forged
    )
    return True


def _is_deadlock(error: StorageUnavailable) -> bool:
    return isinstance(error.__cause__, DBAPIError) and getattr(error.__cause__.orig, "sqlstate", "") == "40P01"


async def _say(ctx: Context, step: Say) -> int:
    """Returns how many opens it deleted."""
    person = step.people[0].subscriber_id
    match step.fate:
        case Fate.WITHDRAWS | Fate.RETURNS:
            return await _leave_together(ctx.db, [one.subscriber_id for one in step.people], step.fate)
        case Fate.WITHDRAWS_ALONE:
            receipt = await withdraw(ctx, person, [TRACKING_OPENS], Source.STOP_TRACKING_PAGE)
            return receipt.opens if receipt else 0
        case Fate.OBJECTS:
            objected = await object_to_marketing(ctx, person, _ASKED)
            return objected.opens if objected else 0
        case Fate.DELETES:
            deleted = await delete_my_opens(ctx, person, _ASKED)
            return deleted.opens if deleted else 0
        case Fate.RESTRICTS:
            await restrict(ctx, person, _ASKED)
        case Fate.LIFTS:
            await restrict(ctx, person, _ASKED)
            await lift(ctx, person, _ASKED)
        case Fate.STAYS:
            pass
    return 0


async def _leave_together(db: Database, people: Sequence[SubscriberId], fate: Fate) -> int:
    """The steps of every withdrawal, in their order; who returns agrees again in a transaction of its own."""
    async with db.write() as connection:
        await consent.record_all(connection, [_happening(one, Event.WITHDRAW) for one in people])
        erased = await erase_opens(connection, *people)
    if fate is Fate.RETURNS:
        async with db.write() as connection:
            await consent.record_all(
                connection, [_happening(one, event) for one in people for event in (Event.REQUEST, Event.CONFIRM)]
            )
    return erased.opens


def _happening(person: SubscriberId, event: Event) -> Happening:
    return Happening(subscriber_id=person, purpose=TRACKING_OPENS, event=event, at=SAID, content={}, salt=an_id())


# --- what must hold ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Left:
    """What a database holds of a round's people afterwards."""

    #: Message -> ids of its opens.
    rows: Mapping[str, set[bytes]]
    known: set[str]
    mapped: set[str]
    tracking: Mapping[str, str]
    states: Mapping[str, str]
    figures: Sequence[tuple[str, str, str, int]]


async def left_of(db: Database) -> Left:
    async with db.snapshot() as connection:
        rows: dict[str, set[bytes]] = {}
        for row in await connection.execute(select(opens.c.message_id, opens.c.open_id)):
            rows.setdefault(row.message_id, set()).add(bytes(row.open_id))
        known = set((await connection.execute(select(message_opens.c.message_id))).scalars())
        mapped = set((await connection.execute(select(pixels.c.message_id))).scalars())
        tracking = {
            row.message_id: row.tracking
            for row in await connection.execute(select(messages.c.message_id, messages.c.tracking))
        }
        states = {
            row.subscriber_id: row.state
            for row in await connection.execute(
                select(consents.c.subscriber_id, consents.c.state).where(consents.c.purpose == TRACKING_OPENS)
            )
        }
        figures = [
            (row.campaign_id, row.kind, row.name, row.amount)
            for row in await connection.execute(select(campaign_figures))
        ]
    return Left(rows, known, mapped, tracking, states, figures)


_TRACKING = {
    Fate.STAYS: Tracking.TRACKED,
    Fate.DELETES: Tracking.TRACKED,
    Fate.LIFTS: Tracking.TRACKED,
    Fate.RESTRICTS: Tracking.RESTRICTED,
    **dict.fromkeys(GONE, Tracking.WITHDRAWN),
}
_STATE = {
    **dict.fromkeys((Fate.STAYS, Fate.DELETES, Fate.RETURNS, Fate.LIFTS), State.GIVEN),
    **dict.fromkeys((Fate.WITHDRAWS, Fate.WITHDRAWS_ALONE), State.WITHDRAWN),
    Fate.OBJECTS: State.OBJECTED,
    Fate.RESTRICTS: State.RESTRICTED,
}


async def check(db: Database, round_: Round, times: Mapping[int, tuple[float, float]]) -> list[str]:
    """What is wrong, in words; nothing when all is well."""
    wrong = [f"{late} opens came in after it was over"] if (late := await _open_late(db, round_)) else []
    left = await left_of(db)
    wrong += [f"{one}" for one in await differences(db)]
    everybody_left = {(round_.campaigns[0], "message", Tracking.WITHDRAWN.value)}
    if {figure[:3] for figure in left.figures if figure[0] == round_.campaigns[0]} != everybody_left:
        wrong.append(f"figures of people who all left: {left.figures}")
    for person in round_.people:
        wrong += [f"{person.fate} {person.subscriber_id}: {fault}" for fault in _faults(person, left)]
    return wrong + _out_of_order(round_, left, times)


async def _open_late(db: Database, round_: Round) -> int:
    """Everybody who said no opens once more; returns how many of these are stored."""
    batch = [
        Fetch(open_id=os.urandom(16), pixel_id=one.pixel_id, at=CLOSES - timedelta(days=1), judgement=OUTLOOK)
        for one in round_.people
        if one.fate in {*GONE, Fate.RESTRICTS}
    ]
    return (await store_alone(db, batch)).recorded


def _faults(person: Person, left: Left) -> Iterator[str]:
    here = left.rows.get(person.message_id, set())
    if left.tracking[person.message_id] != _TRACKING[person.fate]:
        yield f"the mail is {left.tracking[person.message_id]}"
    if left.states[person.subscriber_id] != _STATE[person.fate]:
        yield f"consent is {left.states[person.subscriber_id]}"
    if (person.message_id in left.known) != bool(here):
        yield "what is known of the mail and its opens do not agree"
    if person.fate in GONE and (here or person.message_id in left.mapped):
        yield f"{len(here)} opens are left, or a mapping"
    if person.fate is Fate.STAYS and not here:
        yield "the opens of somebody who stays are lost"


def _out_of_order(round_: Round, left: Left, times: Mapping[int, tuple[float, float]]) -> list[str]:
    """A deleted open is gone, also one that happened before the deletion and was to be stored afterwards; after a restriction
    ended none comes in."""
    said = {
        one.message_id: times[place]
        for place, step in enumerate(round_.steps)
        if isinstance(step, Say) and step.fate in {Fate.DELETES, Fate.RESTRICTS}
        for one in step.people
    }
    by_pixel: dict[PixelId | None, Person] = {one.pixel_id: one for one in round_.people if one.message_id in said}
    wrong = []
    for fetch, (began, ended) in _recorded(round_, by_pixel, times):
        person = by_pixel[fetch.pixel_id]
        here = fetch.open_id in left.rows.get(person.message_id, set())
        from_, until = said[person.message_id]
        if person.fate is Fate.DELETES and here and (ended < from_ or fetch.at < SAID):
            wrong.append(f"{person.subscriber_id}: an open outlived its deletion")
        if person.fate is Fate.RESTRICTS and here and began > until:
            wrong.append(f"{person.subscriber_id}: an open came in after the restriction")
    return wrong


def _recorded(
    round_: Round, people: Mapping[PixelId | None, Person], times: Mapping[int, tuple[float, float]]
) -> Iterator[tuple[Fetch, tuple[float, float]]]:
    """Each open once: from the beginning of its first try to the end of its last."""
    spans: dict[bytes, tuple[Fetch, float, float]] = {}
    for place, step in enumerate(round_.steps):
        if isinstance(step, Record):
            began, ended = times[place]
            for fetch in step.batch:
                if fetch.pixel_id in people:
                    _, first, last = spans.get(fetch.open_id, (None, began, ended))
                    spans[fetch.open_id] = fetch, min(first, began), max(last, ended)
    for fetch, first, last in spans.values():
        yield fetch, (first, last)


def met(round_: Round, times: Mapping[int, tuple[float, float]]) -> int:
    """How many people's right was used while a transaction with one of their opens ran."""
    said: dict[PixelId | None, tuple[float, float]] = {
        one.pixel_id: times[place]
        for place, step in enumerate(round_.steps)
        if isinstance(step, Say)
        for one in step.people
    }
    meeting = set()
    for place, step in enumerate(round_.steps):
        if isinstance(step, Record):
            began, ended = times[place]
            for fetch in step.batch:
                if fetch.pixel_id in said and began < said[fetch.pixel_id][1] and said[fetch.pixel_id][0] < ended:
                    meeting.add(fetch.pixel_id)
    return len(meeting)
