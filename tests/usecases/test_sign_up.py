"""Sign-up and confirmation below the pages: what is asked, how often, and what an old link is still good for (S9, S11, S15)."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from pixel_service.domain.consent import Act, Purpose, State
from pixel_service.domain.messages import SubscriberId
from pixel_service.storage.engine import Database
from pixel_service.storage.schema import subscribers
from pixel_service.usecases.confirm import (
    AlreadyConfirmed,
    Confirmed,
    LinkExpired,
    LinkUnknown,
    ask_for_new_link,
    confirm,
    look_up,
)
from pixel_service.usecases.context import Context
from pixel_service.usecases.withdraw import Source, withdraw, withdraw_all
from tests.access import Clock
from tests.builders import BLOG, GLASFASER, OPENS, ask, confirm_link, context, dump, join, ledger_of, queued, states_of

ANNA = "anna@example.com"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ctx(db: Database, clock: Clock) -> Context:
    return context(db, clock)


@pytest.fixture
async def other(database_url: str) -> AsyncIterator[Database]:
    """The same database from another process."""
    database = Database(database_url)
    yield database
    await database.close()


async def token_of(ctx: Context, person: SubscriberId) -> str:
    return (await confirm_link(ctx, person)).rpartition("/")[2]


async def asked(ctx: Context, person: SubscriberId) -> list[Purpose]:
    return [purpose for purpose, act, _ in await ledger_of(ctx, person) if act is Act.REQUESTED]


# --- asking ---------------------------------------------------------------------------------------------------------


async def test_nobody_is_asked_for_what_they_gave(ctx: Context) -> None:
    person = await join(ctx, ANNA, BLOG)
    await ask(ctx, ANNA, BLOG, OPENS)
    assert await asked(ctx, person) == [BLOG, OPENS]
    await ask(ctx, ANNA, BLOG)
    assert (await queued(ctx)).count("confirmation") == 2
    assert await states_of(ctx, person) == {BLOG: State.GIVEN, OPENS: State.REQUESTED}


async def test_what_somebody_else_types_changes_no_choice_on_record(ctx: Context) -> None:
    person = await join(ctx, ANNA, BLOG, OPENS, first_name="Anna")
    await withdraw(ctx, person, (OPENS,), Source.STOP_TRACKING_PAGE)
    before = await states_of(ctx, person)
    await ask(ctx, ANNA, BLOG, OPENS, first_name="Mallory", language="en")
    assert await states_of(ctx, person) == before
    async with ctx.db.read() as connection:
        row = (await connection.execute(select(subscribers))).one()
    assert (row.first_name, row.language) == ("Anna", "de")


def asking_often(ctx: Context) -> Context:
    return replace(ctx, policy=replace(ctx.policy, confirmation_mails_per_offer=20))


async def test_an_address_gets_three_questions_a_day_and_no_more(ctx: Context, clock: Clock) -> None:
    often = asking_often(ctx)
    for _ in range(5):
        await ask(often, ANNA, BLOG)
    assert await queued(ctx) == ["confirmation"] * 3
    clock.move(timedelta(days=1, seconds=1))
    await ask(often, ANNA, BLOG)
    assert await queued(ctx) == ["confirmation"] * 4


async def test_a_form_asks_for_the_same_thing_once_a_day(ctx: Context, clock: Clock) -> None:
    for _ in range(3):
        await ask(ctx, ANNA, BLOG)
    assert await queued(ctx) == ["confirmation"]
    await ask(ctx, ANNA, BLOG, GLASFASER)
    assert await queued(ctx) == ["confirmation"] * 2
    clock.move(timedelta(days=1, seconds=1))
    await ask(ctx, ANNA, BLOG)
    assert await queued(ctx) == ["confirmation"] * 3


async def test_sign_ups_that_sent_no_mail_do_not_use_up_the_limit(ctx: Context) -> None:
    await join(ctx, ANNA, BLOG)
    for _ in range(9):
        await ask(ctx, ANNA, BLOG)
    await ask(ctx, ANNA, GLASFASER)
    assert (await queued(ctx)).count("confirmation") == 2


async def test_what_was_answered_may_be_asked_again_the_same_day(ctx: Context) -> None:
    person = await join(ctx, ANNA, BLOG)
    await withdraw_all(ctx, person, Source.PREFERENCES_PAGE)
    await ask(ctx, ANNA, BLOG)
    assert (await queued(ctx)).count("confirmation") == 2


async def test_forms_sent_at_the_same_moment_can_not_flood_an_inbox(
    ctx: Context, db: Database, other: Database
) -> None:
    often = asking_often(ctx)
    await asyncio.gather(*(ask(replace(often, db=database), ANNA, BLOG) for database in (db, other) * 6))
    assert await queued(ctx) == ["confirmation"] * 3
    await asyncio.gather(*(ask(replace(ctx, db=database), "bo@example.com", BLOG) for database in (db, other) * 3))
    assert await queued(ctx) == ["confirmation"] * 4
    async with db.read() as connection:
        assert len((await connection.execute(select(subscribers))).all()) == 2


async def test_a_whitepaper_already_confirmed_comes_again_once_a_day(ctx: Context, clock: Clock) -> None:
    await join(ctx, ANNA, GLASFASER)
    await ask(ctx, ANNA, GLASFASER)
    assert (await queued(ctx)).count("whitepaper") == 1
    clock.move(timedelta(days=1, seconds=1))
    await ask(ctx, ANNA, GLASFASER)
    await ask(ctx, ANNA, GLASFASER)
    assert (await queued(ctx)).count("whitepaper") == 2


# --- answering ------------------------------------------------------------------------------------------------------


async def test_each_purpose_is_answered_for_itself(ctx: Context) -> None:
    person = await ask(ctx, ANNA, BLOG, GLASFASER, OPENS)
    done = await confirm(ctx, await token_of(ctx, person), {GLASFASER, Purpose("newsletter:never-asked")})
    assert isinstance(done, Confirmed)
    assert (done.accepted, set(done.refused)) == ((GLASFASER,), {BLOG, OPENS})
    assert await states_of(ctx, person) == {BLOG: State.REFUSED, GLASFASER: State.GIVEN, OPENS: State.REFUSED}
    assert await queued(ctx) == ["confirmation", "whitepaper"]


async def test_a_second_press_shows_success_and_records_nothing(ctx: Context) -> None:
    person = await ask(ctx, ANNA, BLOG, OPENS)
    token = await token_of(ctx, person)
    await confirm(ctx, token, {BLOG})
    before = await dump(ctx.db)
    assert await confirm(ctx, token, {BLOG, OPENS}) == AlreadyConfirmed(person, "de")
    assert await dump(ctx.db) == before


async def test_looking_changes_nothing(ctx: Context) -> None:
    person = await ask(ctx, ANNA, BLOG)
    before = await dump(ctx.db)
    for _ in range(3):
        await look_up(ctx, await token_of(ctx, person))
    assert await dump(ctx.db) == before


@pytest.mark.parametrize("token", ["", "x", "a" * 120])
async def test_a_garbled_copy_of_a_link_does_not_burn_the_real_one(ctx: Context, token: str) -> None:
    person = await ask(ctx, ANNA, BLOG)
    real = await token_of(ctx, person)
    garbled = token or real[:-1] + ("a" if real[-1] != "a" else "e")
    assert await confirm(ctx, garbled, {BLOG}) == LinkUnknown()
    assert isinstance(await confirm(ctx, real, {BLOG}), Confirmed)


# --- an expired link --------------------------------------------------------------------------------------------------


async def expired(ctx: Context, clock: Clock, *purposes: Purpose) -> tuple[SubscriberId, str]:
    person = await ask(ctx, ANNA, *purposes)
    token = await token_of(ctx, person)
    clock.move(ctx.policy.confirm_within)
    return person, token


async def test_an_expired_link_gives_nothing_and_a_new_mail_gives_all(ctx: Context, clock: Clock) -> None:
    person, old = await expired(ctx, clock, BLOG, OPENS)
    assert await confirm(ctx, old, {BLOG}) == LinkExpired("de")
    assert await states_of(ctx, person) == {BLOG: State.REQUESTED, OPENS: State.REQUESTED}
    await ask_for_new_link(ctx, old)
    assert await queued(ctx) == ["confirmation"] * 2
    done = await confirm(ctx, await token_of(ctx, person), {BLOG, OPENS})
    assert isinstance(done, Confirmed)
    assert set(done.accepted) == {BLOG, OPENS}


async def test_a_link_that_still_works_is_not_sent_again(ctx: Context) -> None:
    person = await ask(ctx, ANNA, BLOG)
    await ask_for_new_link(ctx, await token_of(ctx, person))
    assert await queued(ctx) == ["confirmation"]


async def test_who_confirmed_by_the_newer_mail_gets_no_further_one(ctx: Context, clock: Clock) -> None:
    person, old = await expired(ctx, clock, BLOG)
    await ask_for_new_link(ctx, old)
    await confirm(ctx, await token_of(ctx, person), {BLOG})
    before = await dump(ctx.db)
    await ask_for_new_link(ctx, old)
    assert await dump(ctx.db) == before


async def test_who_left_meanwhile_gets_no_further_mail(ctx: Context, clock: Clock) -> None:
    person, old = await expired(ctx, clock, BLOG)
    await withdraw_all(ctx, person, Source.PREFERENCES_PAGE)
    before = await dump(ctx.db)
    await ask_for_new_link(ctx, old)
    assert await confirm(ctx, old, {BLOG}) == LinkUnknown()
    assert await dump(ctx.db) == before


async def test_the_button_of_an_expired_page_is_limited_like_a_form(
    ctx: Context, clock: Clock, db: Database, other: Database
) -> None:
    _, old = await expired(ctx, clock, BLOG)
    await asyncio.gather(*(ask_for_new_link(replace(ctx, db=database), old) for database in (db, other) * 4))
    assert await queued(ctx) == ["confirmation"] * 4
