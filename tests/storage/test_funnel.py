"""The sign-up funnel of a period, from what the ledger holds."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text, update

from pixel_service.domain.funnel import Asked, Period
from pixel_service.storage.engine import Database
from pixel_service.storage.funnel import funnel
from pixel_service.storage.schema import sign_ups
from pixel_service.usecases.confirm import Confirmed, confirm
from pixel_service.usecases.context import Context
from pixel_service.usecases.erase import erase
from pixel_service.usecases.rights_requests import Asked as AskedFor
from pixel_service.usecases.withdraw import Source
from tests.access import Clock
from tests.builders import BLOG, GLASFASER, OPENS, ask, confirm_link, context, deliver, person_of

TODAY = datetime(2026, 11, 2, 10, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ctx(db: Database, clock: Clock) -> Context:
    return context(db, clock)


def around(at: datetime) -> Period:
    """The day of `at`, in UTC."""
    start = at.replace(hour=0)
    return Period(first_day=start.date(), last_day=start.date(), starts_at=start, ends_at=start + DAY)


async def read(ctx: Context, at: datetime = TODAY) -> dict[str, Asked]:
    async with ctx.db.snapshot() as connection:
        return {one.purpose: one for one in await funnel(connection, around(at))}


def steps(one: Asked) -> tuple[int, int, int, int, int]:
    return one.requests, one.asked, one.mailed, one.confirmed, one.refused


async def press(ctx: Context, address: str) -> None:
    """The button of the newest link, with the box of the newsletter ticked alone."""
    link = await confirm_link(ctx, await person_of(ctx, address))
    assert isinstance(await confirm(ctx, link.rpartition("/")[2], [BLOG]), Confirmed)


async def test_nobody_asked_is_no_offer(ctx: Context) -> None:
    assert await read(ctx) == {}


async def test_each_offer_counts_its_people_step_by_step(ctx: Context) -> None:
    for address in ("ada@example.com", "bo@example.com", "cy@example.com"):
        await ask(ctx, address, BLOG, OPENS)
    await ask(ctx, "dee@example.com", GLASFASER)
    await deliver(ctx)
    await ask(ctx, "late@example.com", BLOG)
    await press(ctx, "ada@example.com")
    found = await read(ctx)
    # Five people asked for something; the last one's mail still waits. Ada left the box of tracking unticked.
    assert steps(found[BLOG]) == (4, 4, 3, 1, 0)
    assert steps(found[OPENS]) == (3, 3, 3, 0, 1)
    assert steps(found[GLASFASER]) == (1, 1, 1, 0, 0)
    assert found[BLOG].not_mailed == 1


async def test_who_asks_three_times_is_one_person(ctx: Context) -> None:
    for _ in range(3):
        await ask(ctx, "ada@example.com", BLOG)
    await deliver(ctx)
    await press(ctx, "ada@example.com")
    # One mail a day: the link of the newest request was never mailed, and answers all the same.
    assert steps((await read(ctx))[BLOG]) == (3, 1, 1, 1, 0)


async def test_a_person_belongs_to_the_day_they_asked_whenever_they_confirm(ctx: Context, clock: Clock) -> None:
    await ask(ctx, "ada@example.com", BLOG)
    await deliver(ctx)
    clock.move(DAY)
    await ask(ctx, "bo@example.com", BLOG)
    await press(ctx, "ada@example.com")
    assert steps((await read(ctx))[BLOG]) == (1, 1, 1, 1, 0)
    assert steps((await read(ctx, TODAY + DAY))[BLOG]) == (1, 1, 0, 0, 0)


async def test_an_erased_person_stays_counted(ctx: Context) -> None:
    person = await ask(ctx, "ada@example.com", BLOG)
    await deliver(ctx)
    await press(ctx, "ada@example.com")
    before = await read(ctx)
    await erase(ctx, person, AskedFor(source=Source.PRIVACY_PAGE))
    assert {key: steps(one) for key, one in (await read(ctx)).items()} == {
        key: steps(one) for key, one in before.items()
    }


async def test_wrong_codes_are_counted_by_offer(ctx: Context) -> None:
    ada = await ask(ctx, "ada@example.com", BLOG, OPENS)
    await ask(ctx, "bo@example.com", GLASFASER)
    async with ctx.db.write() as connection:
        await connection.execute(update(sign_ups).where(sign_ups.c.subscriber_id == ada).values(wrong_codes=3))
    found = await read(ctx)
    assert {purpose: one.wrong_codes for purpose, one in found.items()} == {BLOG: 3, OPENS: 3, GLASFASER: 0}


async def test_the_ledger_is_searched_by_time(new_sqlite: Callable[[], str]) -> None:
    db = Database(new_sqlite())
    async with db.read() as connection:
        plan = "EXPLAIN QUERY PLAN SELECT * FROM ledger WHERE at >= '2026-11-02' AND at < '2026-11-03'"
        found = (await connection.execute(text(plan))).all()
    await db.close()
    assert [row.detail for row in found] == ["SEARCH ledger USING INDEX ix_ledger_at (at>? AND at<?)"]
