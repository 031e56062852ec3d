"""The outbox table: who may claim what, whose result counts, and which pixels exist (D8)."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, update

from pixel_service.domain.consent import SERVICE, Event, State
from pixel_service.domain.messages import MessageId, PixelId, Reason, Status, SubscriberId, Tracking
from pixel_service.storage import figures, messages
from pixel_service.storage.engine import Connection, Database
from pixel_service.storage.messages import Claimed, NewMessage, PixelPlan, Result
from pixel_service.storage.schema import messages as table, pixels
from tests.conftest import NewDatabase
from tests.tracked_mail import BLOG, NOW, add_mail, add_person, new_id, say

LEASE = timedelta(minutes=5)
CLOSES_AT = NOW + timedelta(days=30)


@pytest.fixture
async def other(database_url: str) -> AsyncIterator[Database]:
    """The same database from another process."""
    database = Database(database_url)
    yield database
    await database.close()


async def queue(db: Database, number: int = 1, *, at: datetime = NOW) -> tuple[SubscriberId, list[MessageId]]:
    """Mails to one person who agreed to everything."""
    async with db.write() as connection:
        person = await add_person(connection)
        new = [MessageId(new_id()) for _ in range(number)]
        await messages.enqueue(connection, [newsletter_to(person, one, at) for one in new])
    return person, new


def newsletter_to(person: SubscriberId, message_id: MessageId, at: datetime) -> NewMessage:
    return NewMessage(
        message_id=message_id,
        subscriber_id=person,
        purpose=BLOG,
        language="de",
        variables={"code": "x"},
        queued_at=at,
    )


async def claim(db: Database, lease: str = "a", *, at: datetime = NOW, limit: int = 10) -> list[Claimed]:
    async with db.write() as connection:
        return await messages.claim_due(connection, now=at, lease=lease, lease_for=LEASE, limit=limit)


async def record(db: Database, result: Result, lease: str = "a") -> bool:
    async with db.write() as connection:
        return await messages.record_result(connection, result, lease=lease)


async def state(db: Database, message_id: MessageId) -> tuple[str, str, str | None]:
    async with db.read() as connection:
        row = (await connection.execute(select(table).where(table.c.message_id == message_id))).one()
    return row.status, row.tracking, row.lease


def sent(message_id: MessageId) -> Result:
    return Result(message_id=message_id, status=Status.SENT, sent_at=NOW, reply="250 ok")


def deferred(message_id: MessageId) -> Result:
    return Result(message_id=message_id, status=Status.QUEUED, due_at=NOW + timedelta(hours=1))


# --- claiming ---------------------------------------------------------------------------------------------------


async def test_a_claim_takes_what_is_due_oldest_first_and_no_more_than_asked(db: Database) -> None:
    _, (late,) = await queue(db, at=NOW + timedelta(minutes=1))
    _, (early,) = await queue(db, at=NOW - timedelta(minutes=1))
    _, (now,) = await queue(db)
    assert [one.message_id for one in await claim(db, limit=1)] == [early]
    assert [one.message_id for one in await claim(db)] == [now]
    assert await claim(db) == []
    assert [one.message_id for one in await claim(db, at=NOW + timedelta(minutes=1))] == [late]


async def test_a_claim_carries_what_the_mail_needs_and_counts_the_tries_before(db: Database) -> None:
    person, (message_id,) = await queue(db)
    expected = Claimed(
        message_id=message_id,
        subscriber_id=person,
        purpose=BLOG,
        language="de",
        variables={"code": "x"},
        template=None,
        send_id=None,
        campaign_id=None,
        attempts=0,
    )
    assert await claim(db) == [expected]
    (again,) = await claim(db, "b", at=NOW + LEASE)
    assert again.attempts == 0, "a worker that died is no answer of the relay"
    assert await record(db, deferred(message_id), "b")
    (later,) = await claim(db, "c", at=NOW + timedelta(hours=1))
    assert later.attempts == 1


@pytest.mark.parametrize("status", [Status.SENT, Status.FAILED, Status.CANCELLED])
async def test_what_came_to_an_end_is_never_claimed(db: Database, status: Status) -> None:
    _, (message_id,) = await queue(db)
    await claim(db)
    assert await record(db, Result(message_id=message_id, status=status))
    assert await claim(db, "b", at=NOW + timedelta(days=365)) == []


async def test_a_mail_that_another_transaction_holds_is_passed_over(new_postgres: NewDatabase) -> None:
    url = new_postgres()
    db, other = Database(url), Database(url)
    await queue(db, 3)
    async with db.write() as connection:
        mine = await messages.claim_due(connection, now=NOW, lease="a", lease_for=LEASE, limit=2)
        theirs = await asyncio.wait_for(claim(other, "b"), 5)
    assert (len(mine), len(theirs)) == (2, 1)
    assert {one.message_id for one in mine}.isdisjoint(one.message_id for one in theirs)
    for database in (db, other):
        await database.close()


async def test_claims_at_the_same_time_share_and_never_overlap(db: Database, other: Database) -> None:
    _, mine = await queue(db, 60)
    taken = await asyncio.gather(*(claim((db, other)[number % 2], str(number), limit=7) for number in range(12)))
    claimed = [one.message_id for each in taken for one in each]
    assert len(claimed) == len(set(claimed))
    assert set(claimed) <= set(mine)
    while left := await claim(db, "rest"):
        claimed += [one.message_id for one in left]
    assert sorted(claimed) == sorted(mine)


# --- whose result counts --------------------------------------------------------------------------------------------


async def test_the_holder_of_the_lease_records_and_the_values_are_gone_with_the_mail(db: Database) -> None:
    _, (message_id,) = await queue(db)
    await claim(db)
    assert await record(db, sent(message_id))
    async with db.read() as connection:
        row = (await connection.execute(select(table))).one()
    assert (row.status, row.lease, row.variables, row.sent_at, row.last_reply) == ("sent", None, {}, NOW, "250 ok")


async def test_a_deferred_mail_keeps_its_values_and_comes_back_when_due(db: Database) -> None:
    _, (message_id,) = await queue(db)
    await claim(db)
    assert await record(db, deferred(message_id))
    assert await claim(db, "b", at=NOW + timedelta(minutes=59)) == []
    (again,) = await claim(db, "b", at=NOW + timedelta(hours=1))
    assert again.variables == {"code": "x"}


@pytest.mark.parametrize("result", [sent, deferred])
async def test_a_lost_lease_records_nothing(db: Database, result: object) -> None:
    _, (message_id,) = await queue(db)
    await claim(db, "a")
    await claim(db, "b", at=NOW + LEASE)
    assert not await record(db, sent(message_id) if result is sent else deferred(message_id), "a")
    assert await state(db, message_id) == ("queued", "none", "b")


async def test_a_cancelled_mail_that_the_relay_took_is_sent_and_one_it_did_not_take_stays_cancelled(
    db: Database,
) -> None:
    person, (taken, not_taken) = await queue(db, 2)
    await claim(db)
    async with db.write() as connection:
        cancelled = await messages.cancel_queued(connection, person, (BLOG,), reason=Reason.CONSENT_WITHDRAWN)
    assert cancelled == 2
    assert await record(db, sent(taken))
    assert not await record(db, deferred(not_taken))
    assert (await state(db, taken))[0] == "sent"
    assert (await state(db, not_taken))[0] == "cancelled"


async def test_a_long_reply_is_cut_and_not_refused(db: Database) -> None:
    _, (message_id,) = await queue(db)
    await claim(db)
    assert await record(db, Result(message_id=message_id, status=Status.FAILED, reply="ü" * 3000, reason="smtp_550"))


async def test_cancelling_takes_a_persons_waiting_mails_of_these_purposes_only(db: Database) -> None:
    anna, (waiting, out) = await queue(db, 2)
    _, (theirs,) = await queue(db)
    await claim(db)
    await record(db, sent(out))
    service = MessageId(new_id())
    async with db.write() as connection:
        await messages.enqueue(connection, [newsletter_to(anna, service, NOW)])
        await connection.execute(update(table).where(table.c.message_id == service).values(purpose=SERVICE))
        assert await messages.cancel_queued(connection, anna, (BLOG,), reason=Reason.CONSENT_WITHDRAWN) == 1
    states = {one: (await state(db, one))[0] for one in (waiting, out, theirs, service)}
    assert states == {waiting: "cancelled", out: "sent", theirs: "queued", service: "queued"}


# --- the last look ------------------------------------------------------------------------------------------------------


async def look(db: Database, claimed: Claimed, lease: str = "a") -> tuple[bool, bool] | None:
    async with db.read() as connection:
        found = await messages.permission(connection, claimed, lease=lease)
    return None if found is None else (found.may_send, found.may_track)


async def give_pixel(connection: Connection, claimed: Claimed) -> PixelId:
    plan = PixelPlan(
        tracked={claimed.message_id: (PixelId(new_id()), claimed.subscriber_id)},
        untracked=[],
        handed_over_by=NOW,
        closes_at=CLOSES_AT,
    )
    return (await messages.set_pixels(connection, plan))[claimed.message_id]


async def test_what_may_be_handed_over_is_read_from_the_consent_of_this_moment(db: Database) -> None:
    person, _ = await queue(db)
    (claimed,) = await claim(db)
    assert await look(db, claimed) == (True, False), "without a mapping there is no pixel"
    async with db.write() as connection:
        await give_pixel(connection, claimed)
    assert await look(db, claimed) == (True, True)
    async with db.write() as connection:
        await say(connection, person, Event.WITHDRAW)
    assert await look(db, claimed) == (True, False)


async def test_a_mail_that_is_not_ours_any_more_is_not_handed_over(db: Database) -> None:
    person, _ = await queue(db)
    (claimed,) = await claim(db)
    assert await look(db, claimed, "b") is None
    async with db.write() as connection:
        await messages.cancel_queued(connection, person, (BLOG,), reason=Reason.CONSENT_WITHDRAWN)
    assert await look(db, claimed) is None


@pytest.mark.parametrize("tracking", [None, *State])
async def test_only_a_valid_consent_lets_a_pixel_out(db: Database, tracking: State | None) -> None:
    async with db.write() as connection:
        person = await add_person(connection, tracking)
        mail = await add_mail(connection, person, sent_at=None)
    (claimed,) = await claim(db)
    assert claimed.message_id == mail.message_id
    assert await look(db, claimed) == (True, tracking in {State.GIVEN, State.RENEWED})


# --- pixels -------------------------------------------------------------------------------------------------------------


async def test_a_mapping_is_made_once_kept_by_a_retry_and_gone_with_the_consent(db: Database) -> None:
    _, (message_id,) = await queue(db)
    (claimed,) = await claim(db)
    async with db.write() as connection:
        first = await give_pixel(connection, claimed)
        assert await give_pixel(connection, claimed) == first
    assert (await state(db, message_id))[1] == Tracking.TRACKED
    async with db.write() as connection:
        assert await messages.set_pixels(connection, PixelPlan.without(message_id, NOW)) == {}
        assert (await connection.execute(select(pixels))).all() == []
    assert (await state(db, message_id))[1] == Tracking.NONE


async def test_a_limit_on_our_own_mails_sees_those_of_the_same_kind_person_and_time(db: Database) -> None:
    person, (message_id,) = await queue(db)
    async with db.write() as connection:
        await connection.execute(update(table).where(table.c.message_id == message_id).values(template="welcome"))
        stranger = await add_person(connection)
        before = NOW - timedelta(seconds=1)
        assert await messages.queued_since(connection, person, template="welcome", since=before)
        assert not await messages.queued_since(connection, person, template="welcome", since=NOW)
        assert not await messages.queued_since(connection, person, template="goodbye", since=before)
        assert not await messages.queued_since(connection, stranger, template="welcome", since=before)


async def test_two_who_change_the_same_mails_in_opposite_order_do_not_wait_for_each_other_for_ever(
    db: Database, other: Database
) -> None:
    person, mails = await queue(db, 12)
    await claim(db)
    plan = PixelPlan(
        tracked={one: (PixelId(new_id()), person) for one in reversed(mails)},
        untracked=[],
        handed_over_by=NOW,
        closes_at=CLOSES_AT,
    )

    async def make_pixels() -> None:
        async with db.write() as connection, figures.kept_of(connection, list(plan.tracked)):
            await messages.set_pixels(connection, plan)

    async def leave() -> None:
        async with other.write() as connection:
            await messages.hold_all_of(connection, person)
            await messages.cancel_queued(connection, person, (BLOG,), reason=Reason.CONSENT_WITHDRAWN)

    for _ in range(5):
        await asyncio.wait_for(asyncio.gather(make_pixels(), leave(), make_pixels(), leave()), 20)
