"""The one writer of consent: each decision is a state row and a ledger row, or neither."""

import asyncio
import itertools
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import insert, select

from pixel_service.domain.consent import TRACKING_OPENS, Event, Purpose, State, decide, newsletter
from pixel_service.domain.messages import SubscriberId
from pixel_service.storage import consent
from pixel_service.storage.consent import Happening
from pixel_service.storage.engine import Connection, Database
from pixel_service.storage.schema import consents, ledger, subscribers
from tests.scale import scaled
from tests.tracked_mail import NOW, new_id

BLOG = newsletter("blog")


async def somebody(connection: Connection) -> SubscriberId:
    person = SubscriberId(new_id())
    await connection.execute(
        insert(subscribers).values(subscriber_id=person, address=person, address_key=person, created_at=NOW)
    )
    return person


async def put(connection: Connection, person: SubscriberId, state: State, purpose: Purpose = BLOG) -> None:
    await connection.execute(
        insert(consents).values(subscriber_id=person, purpose=purpose, state=state.value, decided_at=NOW, ledger_seq=0)
    )


def happening(person: SubscriberId, event: Event, minutes: int = 5) -> Happening:
    at = NOW + timedelta(minutes=minutes)
    return Happening(subscriber_id=person, purpose=BLOG, event=event, at=at, content={}, salt=new_id())


@pytest.mark.parametrize("event", list(Event))
@pytest.mark.parametrize("state", list(State))
async def test_state_and_ledger_follow_the_decision(db: Database, state: State, event: Event) -> None:
    decision = decide(state, event)
    async with db.write() as connection:
        person = await somebody(connection)
        if state is not State.UNKNOWN:
            await put(connection, person, state)
        recorded = await consent.record(connection, happening(person, event))
        entries = (await connection.execute(select(ledger))).all()
        record = (await consent.consents_of(connection, person)).get(BLOG)
    assert recorded == (decision.act is not None)
    assert [entry.act for entry in entries] == ([decision.act.value] if decision.act else [])
    assert (record.state if record else State.UNKNOWN) is decision.state
    renewed = decision.state is State.RENEWED
    if record is not None and recorded and (decision.state is not state or renewed):
        assert (record.ledger_seq, record.decided_at) == (1, NOW + timedelta(minutes=5))


async def test_a_typed_request_does_not_touch_when_a_choice_was_made(db: Database) -> None:
    """Half a year after a no is counted from the no, not from the last form somebody filled in (W7, S15)."""
    async with db.write() as connection:
        person = await somebody(connection)
        await consent.record(connection, happening(person, Event.WITHDRAW, minutes=1))
        await consent.record(connection, happening(person, Event.REQUEST, minutes=9))
        record = (await consent.consents_of(connection, person))[BLOG]
    assert (record.state, record.decided_at, record.ledger_seq) == (State.WITHDRAWN, NOW + timedelta(minutes=1), 1)


async def test_purposes_and_people_are_decided_apart(db: Database) -> None:
    async with db.write() as connection:
        anna, bo = await somebody(connection), await somebody(connection)
        await put(connection, anna, State.GIVEN, TRACKING_OPENS)
        await put(connection, bo, State.GIVEN)
        await consent.record(connection, happening(anna, Event.WITHDRAW))
        found = await consent.consents_of_all(connection, (anna, bo), (BLOG, TRACKING_OPENS))
        states = await consent.all_states(connection)
    expected = {
        (anna, BLOG): State.WITHDRAWN,
        (anna, TRACKING_OPENS): State.GIVEN,
        (bo, BLOG): State.GIVEN,
    }
    assert {key: record.state for key, record in found.items()} == states == expected


async def test_only_the_people_and_purposes_asked_for_are_read(db: Database) -> None:
    async with db.write() as connection:
        anna, bo = await somebody(connection), await somebody(connection)
        for person in (anna, bo):
            await put(connection, person, State.GIVEN)
            await put(connection, person, State.GIVEN, TRACKING_OPENS)
        assert (await consent.consents_of_all(connection, [anna], [BLOG])).keys() == {(anna, BLOG)}
        assert await consent.consents_of_all(connection, [], [BLOG]) == {}


async def test_whoever_holds_a_consent_keeps_a_withdrawal_waiting(db: Database) -> None:
    async with db.write() as connection:
        person = await somebody(connection)
        await put(connection, person, State.GIVEN)

    async def withdraw() -> None:
        async with db.write() as connection:
            await consent.record(connection, happening(person, Event.WITHDRAW))

    async with db.write() as holder:
        await consent.consents_of_all(holder, [person], [BLOG], hold=True)
        leaving = asyncio.create_task(withdraw())
        await asyncio.sleep(0.1)
        assert not leaving.done()
        (again,) = (await consent.consents_of_all(holder, [person], [BLOG])).values()
        assert again.state is State.GIVEN
    await leaving
    async with db.read() as connection:
        assert (await consent.consents_of(connection, person))[BLOG].state is State.WITHDRAWN


@pytest.mark.slow
async def test_many_at_once_are_recorded_as_one_by_one(db: Database) -> None:
    """Every pair of events after every state, for a person each: the same states, entries, times and answers."""
    plans = [(state, pair) for state in State for pair in itertools.product(Event, repeat=2)]
    plans = plans[:: scaled(1, quick=5)]  # no divisor of the number of events: each is among both
    async with db.write() as connection:
        people = {of: [await somebody(connection) for _ in plans] for of in ("one", "many")}
        for whose in people.values():
            for (state, _), person in zip(plans, whose, strict=True):
                if state is not State.UNKNOWN:
                    await put(connection, person, state)
        planned = {
            of: [
                happening(person, event, minutes=minutes)
                for (_, events), person in zip(plans, whose, strict=True)
                for minutes, event in enumerate(events)
            ]
            for of, whose in people.items()
        }
        one_by_one = [await consent.record(connection, one) for one in planned["one"]]
        at_once = await consent.record_all(connection, planned["many"])
        assert at_once == one_by_one
        entries = (await connection.execute(select(ledger).order_by(ledger.c.seq))).all()
        rows = {row.subscriber_id: row for row in (await connection.execute(select(consents))).all()}
    half = len(entries) // 2
    acts = [(entry.act, entry.at) for entry in entries]
    assert acts[:half] == acts[half:]
    found = [
        [(row.state, row.decided_at, row.ledger_seq % half) if (row := rows.get(person)) else None for person in whose]
        for whose in people.values()
    ]
    assert found[0] == found[1]


async def test_consent_given_elsewhere_counts_from_when_it_was_given(db: Database) -> None:
    async with db.write() as connection:
        person = await somebody(connection)
        before = NOW - timedelta(days=400)
        await consent.record(connection, replace(happening(person, Event.IMPORT), since=before))
        record = (await consent.consents_of(connection, person))[BLOG]
        entry = (await connection.execute(select(ledger))).one()
    assert (record.decided_at, entry.at) == (before, NOW + timedelta(minutes=5))
