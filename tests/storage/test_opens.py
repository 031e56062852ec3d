"""Opens in storage: the consent gate, its races with a withdrawal, and erasure."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select, text, update

from pixel_service.domain.consent import TRACKING_OPENS, VALID_STATES, Event, State
from pixel_service.domain.errors import StorageUnavailable
from pixel_service.domain.messages import PixelId, SubscriberId, Tracking
from pixel_service.domain.opens import Judgement, Verdict
from pixel_service.domain.settling import RULES_VERSION
from pixel_service.storage import figures_check
from pixel_service.storage.engine import Connection, Database
from pixel_service.storage.opens import Erased, delete_opens, erase_opens, purge, put_back, set_aside
from pixel_service.storage.recording import Stored, store
from pixel_service.storage.schema import campaign_figures, consents, message_opens, messages, opens, pixels
from tests.figures import differences
from tests.tracked_mail import (
    NOW,
    add_campaign,
    add_mail,
    add_person,
    add_tracked_mail,
    fetch,
    new_id,
    say,
    withdraw_tracking,
)

FIREFOX = Judgement(Verdict.HUMAN_CLIENT, "browser", "Firefox")
CLOSES_AT = NOW + timedelta(days=30)


@pytest.fixture
async def other(database_url: str) -> AsyncIterator[Database]:
    """The same database from another process."""
    database = Database(database_url)
    yield database
    await database.close()


async def store_one(db: Database, pixel_id: PixelId) -> int:
    async with db.write() as connection:
        return (await store(connection, [fetch(pixel_id)])).recorded


async def count(db: Database) -> int:
    async with db.read() as connection:
        return (await connection.execute(select(func.count()).select_from(opens))).scalar_one()


# --- the gate -----------------------------------------------------------------------------------------------


async def test_an_open_keeps_message_time_verdict_reason_and_client_family(db: Database) -> None:
    async with db.write() as connection:
        mail = await add_tracked_mail(connection)
        seen = fetch(mail.pixel_id, at=NOW + timedelta(seconds=10), judgement=FIREFOX)
        assert (await store(connection, [seen])).recorded == 1
    async with db.read() as connection:
        row = (await connection.execute(select(opens))).one()
    assert tuple(row) == (seen.open_id, mail.message_id, seen.at, "human_client", "browser", "Firefox", RULES_VERSION)


@pytest.mark.parametrize("state", list(State))
async def test_only_a_valid_consent_lets_an_open_in(db: Database, state: State) -> None:
    async with db.write() as connection:
        mail = await add_tracked_mail(connection, state)
        assert (await store(connection, [fetch(mail.pixel_id)])).recorded == (1 if state in VALID_STATES else 0)


async def test_a_consent_given_since_lets_no_open_in_that_waited(db: Database) -> None:
    async with db.write() as connection:
        mail = await add_tracked_mail(connection)
        given_at = (
            await connection.execute(select(consents.c.decided_at).where(consents.c.purpose == TRACKING_OPENS))
        ).scalar_one()
        before, then = given_at - timedelta(microseconds=1), given_at
        assert (await store(connection, [fetch(mail.pixel_id, at=before)])).recorded == 0
        assert (await store(connection, [fetch(mail.pixel_id, at=then)])).recorded == 1


async def test_a_newsletter_consent_lets_no_open_in(db: Database) -> None:
    async with db.write() as connection:
        mail = await add_tracked_mail(connection, None)
        assert (await store(connection, [fetch(mail.pixel_id)])).recorded == 0


async def test_the_consent_of_another_person_lets_no_open_in(db: Database) -> None:
    async with db.write() as connection:
        mail = await add_tracked_mail(connection, State.WITHDRAWN)
        other = await add_tracked_mail(connection)
        assert (await store(connection, [fetch(mail.pixel_id), fetch(other.pixel_id)])).recorded == 1
        assert (await connection.execute(select(opens.c.message_id))).scalars().all() == [other.message_id]


@pytest.mark.parametrize("pixel_id", [None, PixelId(new_id()), PixelId("")])
async def test_a_pixel_that_is_not_mapped_stores_nothing(db: Database, pixel_id: PixelId | None) -> None:
    async with db.write() as connection:
        await add_tracked_mail(connection)
        assert (await store(connection, [fetch(pixel_id)])).recorded == 0


@pytest.mark.parametrize("before_end, rows", [(1, 1), (0, 0), (-1, 0)])
async def test_the_recording_window_ends_at_its_end(db: Database, before_end: int, rows: int) -> None:
    async with db.write() as connection:
        mail = await add_tracked_mail(connection)
        at = CLOSES_AT - timedelta(microseconds=before_end)
        assert (await store(connection, [fetch(mail.pixel_id, at=at)])).recorded == rows


async def test_a_repeated_batch_changes_nothing(db: Database) -> None:
    """The answer of its commit was lost. The third is close to the second, which is stored now and was not then."""
    async with db.write() as connection:
        campaign_id = await add_campaign(connection)
        mail = await add_mail(connection, await add_person(connection), campaign_id=campaign_id)
    batch = [fetch(mail.pixel_id, at=NOW + timedelta(seconds=after)) for after in (0, 30, 61, 90)] + [fetch(None)]
    results, books = [], []
    for _ in range(2):
        async with db.write() as connection:
            results.append(await store(connection, batch))
            books.append(
                [(await connection.execute(select(table))).all() for table in (opens, message_opens, campaign_figures)]
            )
    assert results == [Stored(recorded=2, collapsed=2, forged=1)] * 2
    assert books[0] == books[1]


async def test_an_empty_batch_stores_nothing(db: Database) -> None:
    async with db.write() as connection:
        assert await store(connection, []) == Stored()


async def test_of_a_batch_of_a_thousand_each_message_keeps_fifty(db: Database) -> None:
    async with db.write() as connection:
        mails = [await add_tracked_mail(connection) for _ in range(10)]
        batch = [fetch(mail.pixel_id, at=NOW + timedelta(minutes=number)) for mail in mails for number in range(100)]
        random.Random(3).shuffle(batch)
        assert await store(connection, batch) == Stored(recorded=500, over_limit=500)
        per_message = select(opens.c.message_id, func.count()).group_by(opens.c.message_id)
        assert {tuple(row) for row in await connection.execute(per_message)} == {(m.message_id, 50) for m in mails}


async def test_each_request_of_a_batch_has_one_outcome(db: Database) -> None:
    async with db.write() as connection:
        mail, ended = await add_tracked_mail(connection), await add_tracked_mail(connection, State.WITHDRAWN)
        pixels_asked = [mail.pixel_id, mail.pixel_id, ended.pixel_id, PixelId("unmapped"), None]
        stored = await store(connection, [fetch(pixel) for pixel in pixels_asked])
    assert stored == Stored(recorded=1, collapsed=1, not_consented=2, forged=1)


# --- what is known of the message -----------------------------------------------------------------------------


async def test_an_open_is_judged_by_the_acceptance_of_its_mail(db: Database) -> None:
    async with db.write() as connection:
        person = await add_person(connection)
        sent, unknown = await add_mail(connection, person), await add_mail(connection, person, sent_at=None)
        handed = await add_mail(connection, person, sent_at=None)
        await connection.execute(
            update(pixels).where(pixels.c.message_id == handed.message_id).values(handed_over_at=NOW)
        )
        at = NOW + timedelta(seconds=20)
        batch = [fetch(mail.pixel_id, at=at, judgement=FIREFOX) for mail in (sent, unknown)]
        batch += [fetch(handed.pixel_id, at=NOW + timedelta(seconds=after), judgement=FIREFOX) for after in (9, 10)]
        await store(connection, batch)
        rows = (await connection.execute(select(opens.c.message_id, opens.c.reason).order_by(opens.c.open_id))).all()
    assert [tuple(row) for row in rows] == [
        (sent.message_id, "browser"),
        (unknown.message_id, "early"),
        (handed.message_id, "early"),
        (handed.message_id, "browser"),
    ]


async def test_after_deleting_ones_opens_the_next_starts_from_nothing(db: Database) -> None:
    async with db.write() as connection:
        mail = await add_tracked_mail(connection)
        await store(connection, [fetch(mail.pixel_id)])
        assert await delete_opens(connection, mail.subscriber_id, NOW) == 1
        assert await store(connection, [fetch(mail.pixel_id)]) == Stored(recorded=1)


async def test_an_open_that_waits_while_ones_opens_are_deleted_is_not_stored(db: Database) -> None:
    async with db.write() as connection:
        mail = await add_tracked_mail(connection)
        waiting = fetch(mail.pixel_id, at=NOW - timedelta(microseconds=1))
        assert await delete_opens(connection, mail.subscriber_id, NOW) == 0
        assert await store(connection, [waiting]) == Stored(not_consented=1)


async def test_two_processes_with_opens_of_one_message_take_turns(db: Database, other: Database) -> None:
    async with db.write() as connection:
        campaign_id = await add_campaign(connection)
        mail = await add_mail(connection, await add_person(connection), campaign_id=campaign_id)
        async for _ in figures_check.differences(connection, repair=True):
            pass

    async def record(database: Database, family: str) -> Stored:
        async with database.write() as connection:
            judgement = Judgement(Verdict.HUMAN_CLIENT, "browser", family)
            times = [NOW + timedelta(minutes=10 + 2 * number) for number in range(30)]
            return await store(connection, [fetch(mail.pixel_id, at=at, judgement=judgement) for at in times])

    async with db.write() as first:
        assert (await store(first, [fetch(mail.pixel_id)])).recorded == 1
        second = asyncio.create_task(record(other, "Firefox"))
        await until_it_waits(db, second)
    assert (await second).recorded == 30
    results = await asyncio.gather(record(db, "Edge"), record(other, "Opera"))
    assert sum(result.recorded for result in results) == 50 - 31
    assert await differences(db) == []


# --- every batch is written, so that the time of an answer tells nothing --------------------------------------


def size_of(file: Path) -> int:
    return file.stat().st_size


async def test_a_batch_of_forgeries_alone_is_written_to_the_log_of_sqlite(new_sqlite: Callable[[], str]) -> None:
    url = new_sqlite()
    db = Database(url)
    log = Path(url.removeprefix("sqlite:///") + "-wal")
    async with db.write() as connection:
        await store(connection, [fetch(None)])
    before = size_of(log)
    async with db.write() as connection:
        await store(connection, [fetch(None)])
    assert size_of(log) > before
    await db.close()


async def test_a_batch_of_forgeries_alone_is_written_to_the_log_of_postgresql(new_postgres: Callable[[], str]) -> None:
    db = Database(new_postgres())
    async with db.write() as connection:
        assigned = text("SELECT pg_current_xact_id_if_assigned() IS NOT NULL")
        assert (await connection.execute(assigned)).scalar_one() is False
        await store(connection, [fetch(None)])
        assert (await connection.execute(assigned)).scalar_one() is True
    await db.close()


async def test_a_failing_statement_means_not_stored(db: Database) -> None:
    async with db.write() as connection:
        mail = await add_tracked_mail(connection)
        await connection.execute(text("DROP TABLE opens"))
    with pytest.raises(StorageUnavailable):
        await store_one(db, mail.pixel_id)


# --- races with a withdrawal: two connections, both orders ----------------------------------------------------


async def until_it_waits(db: Database, task: asyncio.Task[Any]) -> None:
    """PostgreSQL tells who waits for a lock; SQLite does not, there a while has to do."""
    if db.is_sqlite:
        await asyncio.wait({task}, timeout=0.2)
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    while not db.is_sqlite:
        async with db.read() as connection:
            if (await connection.execute(waiting)).scalar_one():
                break
        assert not task.done()
        await asyncio.sleep(0.01)
    assert not task.done()


async def test_a_withdrawal_waits_for_opens_being_stored_and_erases_them(db: Database, other: Database) -> None:
    async with db.write() as connection:
        mail = await add_tracked_mail(connection)

    async def withdraw() -> object:
        async with other.write() as connection:
            return await withdraw_tracking(connection, mail.subscriber_id)

    async with db.write() as recorder:
        assert (await store(recorder, [fetch(mail.pixel_id)])).recorded == 1
        withdrawal = asyncio.create_task(withdraw())
        await until_it_waits(db, withdrawal)
    assert await withdrawal == Erased(opens=1, pixels=1)
    assert await count(db) == 0


async def store_meanwhile(db: Database, other: Database, pixel_id: PixelId) -> "asyncio.Task[int]":
    recording = asyncio.create_task(store_one(other, pixel_id))
    await until_it_waits(db, recording)
    return recording


async def test_an_open_that_waits_for_a_withdrawal_is_not_stored(db: Database, other: Database) -> None:
    async with db.write() as connection:
        mail = await add_tracked_mail(connection)
    async with db.write() as withdrawal:
        await withdraw_tracking(withdrawal, mail.subscriber_id)
        recording = await store_meanwhile(db, other, mail.pixel_id)
    assert await recording == 0
    assert await count(db) == 0


async def test_a_consent_given_anew_lets_no_open_of_an_erased_mail_in(db: Database, other: Database) -> None:
    async with db.write() as connection:
        mail = await add_tracked_mail(connection)
    async with db.write() as withdrawal:
        await withdraw_tracking(withdrawal, mail.subscriber_id)
        await say(withdrawal, mail.subscriber_id, Event.CONFIRM)
        recording = await store_meanwhile(db, other, mail.pixel_id)
    assert await recording == 0
    assert await count(db) == 0


async def test_an_open_that_waits_for_a_withdrawal_that_fails_is_stored(db: Database, other: Database) -> None:
    async with db.write() as connection:
        mail = await add_tracked_mail(connection)
    recordings: list[asyncio.Task[int]] = []

    async def fail_to_withdraw() -> None:
        async with db.write() as withdrawal:
            await withdraw_tracking(withdrawal, mail.subscriber_id)
            recordings.append(await store_meanwhile(db, other, mail.pixel_id))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_to_withdraw()
    assert await recordings[0] == 1


async def test_a_pixel_given_during_a_withdrawal_is_erased_too(db: Database, other: Database) -> None:
    """A delivery has claimed the message and maps its pixel while the person withdraws."""
    async with db.write() as connection:
        person = await add_person(connection)
        mail = await add_mail(connection, person, tracking=Tracking.NONE, sent_at=None)

    async def withdraw() -> object:
        async with other.write() as connection:
            return await withdraw_tracking(connection, person)

    async with db.write() as delivery:
        this = messages.c.message_id == mail.message_id
        await delivery.execute(select(messages.c.message_id).where(this).with_for_update())
        await delivery.execute(
            insert(pixels).values(
                pixel_id=mail.pixel_id, message_id=mail.message_id, subscriber_id=person, closes_at=CLOSES_AT
            )
        )
        withdrawal = asyncio.create_task(withdraw())
        await until_it_waits(db, withdrawal)
    assert await withdrawal == Erased(opens=0, pixels=1)


async def test_recorders_and_withdrawals_in_any_order_neither_deadlock_nor_leave_a_row(
    db: Database, other: Database
) -> None:
    chance = random.Random(7)
    async with db.write() as connection:
        mails = [await add_tracked_mail(connection) for _ in range(12)]
        mails += [await add_mail(connection, mail.subscriber_id) for mail in mails]
    leaving = {mail.subscriber_id for mail in mails[:8]}

    async def record(database: Database) -> None:
        batch = [fetch(chance.choice(mails).pixel_id) for _ in range(30)]
        async with database.write() as connection:
            await store(connection, batch)

    async def withdraw(person: SubscriberId) -> None:
        async with other.write() as connection:
            await withdraw_tracking(connection, person)

    work = [record(database) for database in (db, other) for _ in range(12)] + [withdraw(person) for person in leaving]
    chance.shuffle(work)
    await asyncio.gather(*work)
    async with db.read() as connection:
        opened = set(
            (await connection.execute(select(messages.c.subscriber_id).join_from(opens, messages).distinct())).scalars()
        )
        mapped = set((await connection.execute(select(pixels.c.subscriber_id))).scalars())
    assert opened.isdisjoint(leaving)
    assert opened
    assert mapped == {mail.subscriber_id for mail in mails} - leaving


# --- erasure --------------------------------------------------------------------------------------------------


async def test_erasing_takes_all_mails_of_one_person_and_nothing_of_another(db: Database) -> None:
    async with db.write() as connection:
        first = await add_tracked_mail(connection)
        second = await add_mail(connection, first.subscriber_id)
        untracked = await add_mail(connection, first.subscriber_id, tracking=Tracking.NONE)
        kept = await add_tracked_mail(connection)
        later = fetch(first.pixel_id, at=NOW + timedelta(hours=1))
        await store(connection, [later, *(fetch(mail.pixel_id) for mail in (first, second, kept))])

        assert await erase_opens(connection, first.subscriber_id) == Erased(opens=3, pixels=2)

        assert (await connection.execute(select(opens.c.message_id))).scalars().all() == [kept.message_id]
        assert (await connection.execute(select(pixels.c.pixel_id))).scalars().all() == [kept.pixel_id]
        rows = await connection.execute(select(messages.c.message_id, messages.c.tracking))
        assert {row.message_id: row.tracking for row in rows} == {
            first.message_id: "withdrawn",
            second.message_id: "withdrawn",
            untracked.message_id: "none",
            kept.message_id: "tracked",
        }


async def test_erasing_twice_deletes_nothing_more(db: Database) -> None:
    async with db.write() as connection:
        mail = await add_tracked_mail(connection)
        await erase_opens(connection, mail.subscriber_id)
        assert await erase_opens(connection, mail.subscriber_id) == Erased(opens=0, pixels=0)


async def test_an_erased_mail_stays_a_strangers_after_a_new_consent(db: Database) -> None:
    async with db.write() as connection:
        mail = await add_tracked_mail(connection)
        await withdraw_tracking(connection, mail.subscriber_id)
        await say(connection, mail.subscriber_id, Event.CONFIRM)
        states = select(consents.c.state).where(
            consents.c.subscriber_id == mail.subscriber_id, consents.c.purpose == TRACKING_OPENS
        )
        assert State((await connection.execute(states)).scalar_one()) in VALID_STATES
        assert (await store(connection, [fetch(mail.pixel_id)])).recorded == 0


async def test_recording_and_erasing_look_nothing_up_by_scanning(new_sqlite: Callable[[], str]) -> None:
    """W3: their cost does not grow with the tables. What is scanned is the batch, or what was found by index."""
    said: list[str] = []
    db = Database(new_sqlite())
    async with db.write() as connection:
        campaign_id = await add_campaign(connection)
        mail = await add_mail(connection, await add_person(connection), campaign_id=campaign_id)
        driver = await connection.get_raw_connection()
        assert driver.driver_connection is not None
        await driver.driver_connection.set_trace_callback(said.append)
        await store(connection, [fetch(mail.pixel_id)])
        await store(connection, [fetch(mail.pixel_id, judgement=FIREFOX)])
        await set_aside(connection, mail.subscriber_id)
        await put_back(connection, mail.subscriber_id)
        await delete_opens(connection, mail.subscriber_id, NOW)
        await erase_opens(connection, mail.subscriber_id)
        await driver.driver_connection.set_trace_callback(lambda _: None)
        steps = [str(row.detail) for one in said for row in await _plan(connection, one)]
    assert len(steps) > 100
    allowed = ("asked", "seen", "json_each", "found", "mails", "rows_of_opens", "SUBQUERY", "CONSTANT")
    assert {step for step in steps if step.startswith("SCAN") and not step.split()[1].startswith(allowed)} == set()
    await db.close()


async def _plan(connection: Connection, statement: str) -> Sequence[Any]:
    if not statement.lstrip().startswith(("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")):
        return []
    return (await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}")).all()


async def test_opens_that_were_set_aside_since_retention_chose_them_stay(db: Database) -> None:
    """Their person has just restricted the use of their data (GDPR Art. 18)."""
    async with db.write() as connection:
        people = [await add_person(connection) for _ in range(2)]
        mails = [await add_mail(connection, one) for one in people]
        await store(connection, [fetch(mail.pixel_id) for mail in mails])
        chosen = (await connection.execute(select(opens.c.open_id))).scalars().all()
        await set_aside(connection, people[0])
        await purge(connection, chosen)
        left = (await connection.execute(select(opens.c.message_id))).scalars().all()
    assert left == [mails[0].message_id]
