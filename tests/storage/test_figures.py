"""The figures of campaigns: whatever happens to rows, they say what the rows say, and nothing of who is gone."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from sqlalchemy import delete, insert, select, update

from pixel_service.domain.figures import Kind
from pixel_service.domain.messages import Status
from pixel_service.domain.opens import Fetch, Judgement, Network, Verdict
from pixel_service.domain.retention import Kept
from pixel_service.storage import figures, figures_check, messages as outbox, retention
from pixel_service.storage.engine import Connection, Database
from pixel_service.storage.messages import PixelPlan, Result
from pixel_service.storage.opens import delete_opens, erase_opens, put_back, set_aside
from pixel_service.storage.recording import store
from pixel_service.storage.schema import campaign_figures, message_opens, messages, metadata, pixels
from tests.figures import differences
from tests.scale import scaled
from tests.tracked_mail import (
    GMAIL,
    NOW,
    TrackedMail,
    add_campaign,
    add_mail,
    add_person,
    fetch,
    withdraw_tracking,
)

MPP = Judgement(Verdict.PREFETCH, "apple_mpp", "Apple Mail")
OUTLOOK = Judgement(Verdict.HUMAN_CLIENT, "mail_client", "Outlook")
OLD = Judgement(Verdict.UNKNOWN, "old_browser")
BOT = Judgement(Verdict.BOT, "http_tool")
#: After the consent was given.
SENT = NOW + timedelta(hours=1)
READ = SENT + timedelta(days=2)


async def figures_by(db: Database, kind: Kind) -> dict[tuple[str, int], int]:
    query = select(campaign_figures).where(campaign_figures.c.kind == kind.value)
    async with db.read() as connection:
        return {(row.name, row.hour): row.amount for row in await connection.execute(query)}


async def open_them(db: Database, *fetches: Fetch) -> None:
    async with db.write() as connection:
        await store(connection, fetches)


async def one_mail(db: Database) -> TrackedMail:
    async with db.write() as connection:
        campaign_id = await add_campaign(connection)
        return await add_mail(connection, await add_person(connection), campaign_id=campaign_id, sent_at=SENT)


# --- each kind --------------------------------------------------------------------------------------------------------


async def test_what_was_not_counted_before_is_left_to_the_repair(db: Database) -> None:
    mail = await one_mail(db)
    async with db.write() as connection, figures.kept_of(connection, [mail.message_id]):
        pass
    assert await differences(db) != []
    await count_anew(db)
    assert await differences(db) == []


async def test_a_first_open_before_the_acceptance_has_no_delay(db: Database) -> None:
    """Somebody was faster than the worker that wrote the acceptance down."""
    async with db.write() as connection:
        person, campaign_id = await add_person(connection), await add_campaign(connection)
        mail = await add_mail(connection, person, campaign_id=campaign_id, sent_at=None)
        await hand_over_began(connection, mail)
    await open_them(db, fetch(mail.pixel_id, at=SENT - timedelta(seconds=30), judgement=OUTLOOK))
    await hand_over(db, mail)
    assert await figures_by(db, Kind.STANDING) == {("human", 0): 1}
    assert await figures_by(db, Kind.DELAY) == {}
    assert await differences(db) == []


async def test_one_open_counts_in_every_kind(db: Database) -> None:
    mail = await one_mail(db)
    await count_anew(db)
    await open_them(db, fetch(mail.pixel_id, at=READ, judgement=OUTLOOK))
    hour = int(READ.timestamp()) // 3600
    assert {kind: await figures_by(db, kind) for kind in Kind} == {
        Kind.MESSAGE: {("tracked", 0): 1},
        Kind.STANDING: {("human", 0): 1},
        Kind.OPENS: {("opens", hour): 1},
        Kind.VERDICT: {("human_client/mail_client/Outlook", 0): 1},
        Kind.UNIQUE: {("opens", 0): 1},
        Kind.CLIENT: {("Outlook", 0): 1},
        Kind.FIRST: {("", hour): 1},
        Kind.DELAY: {("3d", 0): 1},
        Kind.SESSION: {("", 0): 1},
    }
    assert await differences(db) == []


async def test_a_standing_that_rose_leaves_no_trace_of_what_it_was(db: Database) -> None:
    mail = await one_mail(db)
    await open_them(db, fetch(mail.pixel_id, at=READ, judgement=MPP))
    assert await figures_by(db, Kind.STANDING) == {("mpp", 0): 1}
    await open_them(db, fetch(mail.pixel_id, at=READ, judgement=OUTLOOK))
    assert await figures_by(db, Kind.STANDING) == {("human", 0): 1}
    assert await figures_by(db, Kind.UNIQUE) == {("machine", 0): 1, ("opens", 0): 1}


async def test_a_mail_opened_before_its_acceptance_is_recorded_is_out_once(db: Database) -> None:
    async with db.write() as connection:
        campaign_id = await add_campaign(connection)
        mail = await add_mail(connection, await add_person(connection), campaign_id=campaign_id, sent_at=None)
    await open_them(db, fetch(mail.pixel_id, at=READ))
    assert await figures_by(db, Kind.MESSAGE) == {("tracked", 0): 1}
    await hand_over(db, mail)
    assert await figures_by(db, Kind.MESSAGE) == {("tracked", 0): 1}
    assert await differences(db) == []


async def test_an_open_of_a_mail_without_a_campaign_is_kept_and_counts_nowhere(db: Database) -> None:
    async with db.write() as connection:
        mail = await add_mail(connection, await add_person(connection), sent_at=SENT)
    await open_them(db, fetch(mail.pixel_id, at=READ))
    async with db.read() as connection:
        assert (await connection.execute(select(message_opens.c.message_id))).scalars().all() == [mail.message_id]
        assert (await connection.execute(select(campaign_figures))).all() == []


async def test_nothing_is_left_of_whoever_withdraws_but_the_mail(db: Database) -> None:
    mail = await one_mail(db)
    await count_anew(db)
    await open_them(db, fetch(mail.pixel_id, at=READ), fetch(mail.pixel_id, at=READ, judgement=BOT))
    async with db.write() as connection:
        await withdraw_tracking(connection, mail.subscriber_id)
    async with db.read() as connection:
        assert (await connection.execute(select(message_opens))).all() == []
        rows = (await connection.execute(select(campaign_figures.c.kind, campaign_figures.c.name))).all()
    assert [tuple(row) for row in rows] == [("message", "withdrawn")]


async def test_after_some_opens_of_a_mail_went_by_their_age_the_rest_is_all_there_was(db: Database) -> None:
    mail = await one_mail(db)
    await count_anew(db)
    times = [SENT + timedelta(hours=hours) for hours in (1, 2, 20)]
    await open_them(db, *(fetch(mail.pixel_id, at=at) for at in times))
    async with db.write() as connection:
        assert await retention.purge(connection, Kept.OPENS, times[1], 10) == 2
    assert await figures_by(db, Kind.SESSION) == {("", 0): 1}
    assert await figures_by(db, Kind.FIRST) == {("", int(times[2].timestamp()) // 3600): 1}
    assert await figures_by(db, Kind.DELAY) == {("1d", 0): 1}
    assert await differences(db) == []
    async with db.write() as connection:
        assert await retention.purge(connection, Kept.OPENS, times[2], 10) == 1
        assert (await connection.execute(select(message_opens))).all() == []
    assert await figures_by(db, Kind.STANDING) == {}


async def test_what_is_out_of_step_is_told_and_repaired(db: Database) -> None:
    mail = await one_mail(db)
    await open_them(db, fetch(mail.pixel_id, at=READ))
    async with db.write() as connection:
        await connection.execute(update(campaign_figures).values(amount=7))
        zero = select(campaign_figures.c.campaign_id).limit(1).scalar_subquery()
        await connection.execute(
            insert(campaign_figures).values(campaign_id=zero, kind="client", name="Nobody", hour=0, amount=0)
        )
        await connection.execute(update(message_opens).values(sessions=5))
    # Nine kinds, the empty row, and the message.
    assert len(await differences(db)) == 11
    async with db.write() as connection:
        assert len([one async for one in figures_check.differences(connection, repair=True)]) >= 11
    assert await differences(db) == []
    async with db.read() as connection:
        assert (await connection.execute(select(campaign_figures.c.amount))).scalars().all() == [1] * 9


async def count_anew(db: Database) -> None:
    """For mails that a test wrote straight to their table."""
    async with db.write() as connection:
        async for _ in figures_check.differences(connection, repair=True):
            pass


async def hand_over_began(connection: Connection, mail: TrackedMail) -> None:
    """Long enough before the acceptance for an open between the two to count as a person's."""
    began = SENT - timedelta(minutes=2)
    await connection.execute(update(pixels).where(pixels.c.message_id == mail.message_id).values(handed_over_at=began))


async def hand_over(db: Database, mail: TrackedMail) -> None:
    """As a delivery records it."""
    async with db.write() as connection:
        await connection.execute(
            update(messages).where(messages.c.message_id == mail.message_id).values(lease="lease", status="queued")
        )
        async with figures.kept_of(connection, [mail.message_id]):
            result = Result(message_id=mail.message_id, status=Status.SENT, sent_at=SENT)
            assert await outbox.record_result(connection, result, lease="lease")


# --- any order --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Opened:
    """Some opens in one batch: which mail, how many seconds after its acceptance, what it looked like, from where."""

    opens: list[tuple[int, int, Judgement, Network]]


@dataclass(frozen=True, slots=True)
class Told:
    """Something that happens to a mail or its recipient."""

    mail: int
    what: str


#: Close to every bound: the same minute, half an hour, the hour, the first ten seconds and minutes.
seconds = st.sampled_from(
    [-30, -5, 0, 9, 10, 30, 59, 60, 61, 599, 600, 1799, 1800, 1860, 3599, 3600, 9000, 90_000, 200_000]
)
judgements = st.sampled_from([GMAIL, OUTLOOK, MPP, BOT, OLD, replace(OUTLOOK, client_family="Apple Mail")])
one_open = st.tuples(st.integers(0, 4), seconds, judgements, st.sampled_from(Network))
steps = st.lists(
    st.one_of(
        st.builds(Opened, st.lists(one_open, min_size=1, max_size=8)),
        st.builds(
            Told,
            st.integers(0, 4),
            st.sampled_from(
                ["withdraw", "erase", "delete", "restrict", "lift", "accept", "untrack", "purge", "forget"]
            ),
        ),
    ),
    min_size=1,
    max_size=12,
)


@pytest.mark.slow
@settings(max_examples=scaled(200, quick=8), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps)
def test_in_any_order_the_figures_say_what_the_rows_say(database_url: str, steps: list[Opened | Told]) -> None:
    async def run() -> None:
        db = Database(database_url)
        try:
            await play(db, steps)
        finally:
            await db.close()

    asyncio.run(run())


async def play(db: Database, steps: list[Opened | Told]) -> None:
    """Three people with five mails of two campaigns; two were handed over and not yet recorded as accepted."""
    async with db.write() as connection:
        for table in reversed(metadata.sorted_tables):
            await connection.execute(delete(table))
        campaigns = [await add_campaign(connection, name=f"{number}") for number in (0, 1)]
        people = [await add_person(connection) for _ in range(3)]
        mails = [
            await add_mail(
                connection, people[number % 3], campaign_id=campaigns[number % 2], sent_at=None if number > 2 else SENT
            )
            for number in range(5)
        ]
        await hand_over_began(connection, mails[4])
    await count_anew(db)
    forgotten = set[str]()
    for step in steps:
        match step:
            case Opened(opens=some):
                batch = [
                    fetch(mails[mail].pixel_id, at=SENT + timedelta(seconds=after), judgement=judgement)._replace(
                        network=network
                    )
                    for mail, after, judgement, network in some
                ]
                await open_them(db, *batch)
            case Told(mail=mail, what=what):
                person = mails[mail].subscriber_id
                if person not in forgotten:
                    await TOLD[what](db, mails[mail])
                forgotten |= {person} if what == "forget" else set()
        assert await differences(db) == [], step


def inside(
    act: Callable[[Connection, TrackedMail], Awaitable[object]],
) -> Callable[[Database, TrackedMail], Awaitable[None]]:
    async def do(db: Database, mail: TrackedMail) -> None:
        async with db.write() as connection:
            await act(connection, mail)

    return do


async def untrack(connection: Connection, mail: TrackedMail) -> None:
    """Claimed again after a crash, and meanwhile the newsletter has ended."""
    async with figures.kept_of(connection, [mail.message_id]):
        await outbox.set_pixels(connection, PixelPlan.without(mail.message_id, NOW))


async def purge(connection: Connection, mail: TrackedMail) -> None:
    """Opens whose period is over, and only some of them."""
    await retention.purge(connection, Kept.OPENS, SENT + timedelta(seconds=4000), 3)


TOLD: dict[str, Callable[[Database, TrackedMail], Awaitable[None]]] = {
    "withdraw": inside(lambda connection, mail: withdraw_tracking(connection, mail.subscriber_id)),
    "erase": inside(lambda connection, mail: erase_opens(connection, mail.subscriber_id)),
    "delete": inside(lambda connection, mail: delete_opens(connection, mail.subscriber_id, NOW)),
    "restrict": inside(lambda connection, mail: set_aside(connection, mail.subscriber_id)),
    "lift": inside(lambda connection, mail: put_back(connection, mail.subscriber_id)),
    "accept": hand_over,
    "untrack": inside(untrack),
    "purge": inside(purge),
    "forget": inside(lambda connection, mail: retention.forget(connection, [mail.subscriber_id])),
}
