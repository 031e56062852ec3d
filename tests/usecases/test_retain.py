"""Requests that nobody confirmed: at most one reminder, then nothing is left but hashes and opaque ids (S12)."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from pixel_service.domain.consent import Act, State
from pixel_service.domain.messages import SubscriberId
from pixel_service.storage import ledger as books
from pixel_service.storage.engine import Database
from pixel_service.storage.schema import messages, metadata, sign_ups, subscribers
from pixel_service.usecases.confirm import Confirmed, LinkExpired, ask_for_new_link, confirm, look_up
from pixel_service.usecases.context import Context
from pixel_service.usecases.ledger import replay, verify
from pixel_service.usecases.retain import SLICE, erase_unconfirmed, remind
from pixel_service.usecases.withdraw import Source, withdraw_all
from tests.access import Clock
from tests.builders import (
    BLOG,
    GLASFASER,
    OPENS,
    ask,
    confirm_link,
    context,
    deliver,
    dump,
    join,
    person_of,
    queued,
    states_of,
)

ANNA = "anna@example.com"
TWO_WEEKS = timedelta(days=14)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ctx(db: Database, clock: Clock) -> Context:
    return context(db, clock)


async def token_of(ctx: Context, person: SubscriberId) -> str:
    return (await confirm_link(ctx, person)).rpartition("/")[2]


async def entries_of(ctx: Context, person: SubscriberId) -> list[tuple[Act, bool]]:
    """Each act, and whether its content is still there."""
    async with ctx.db.read() as connection:
        return [(entry.act, entry.content is not None) for entry in await books.entries_of(connection, person)]


async def everything(ctx: Context) -> str:
    return repr(await dump(ctx.db))


async def is_whole(ctx: Context) -> bool:
    await verify(ctx, lambda _: None)
    return await replay(ctx) == []


# --- erasing ----------------------------------------------------------------------------------------------------------


async def test_nothing_of_an_unconfirmed_request_is_left_in_clear(ctx: Context, clock: Clock) -> None:
    person = await ask(ctx, ANNA, BLOG, OPENS, first_name="Annabella")
    await deliver(ctx)
    clock.move(TWO_WEEKS)
    assert await erase_unconfirmed(ctx) == 1
    left = await everything(ctx)
    assert ANNA not in left
    assert "Annabella" not in left
    told = await entries_of(ctx, person)
    assert told == [
        *[(Act.REQUESTED, False)] * 2,
        *[(Act.CONFIRMATION_SENT, False)] * 2,
        *[(Act.EXPIRED, True)] * 2,
    ]
    async with ctx.db.read() as connection:
        for table in (subscribers, sign_ups, messages):
            assert (await connection.execute(select(table))).all() == []
    assert await is_whole(ctx)
    assert await erase_unconfirmed(ctx) == 0


async def test_a_request_is_kept_until_its_time_is_over(ctx: Context, clock: Clock) -> None:
    await ask(ctx, ANNA, BLOG)
    clock.move(TWO_WEEKS - timedelta(seconds=1))
    before = await dump(ctx.db)
    assert await erase_unconfirmed(ctx) == 0
    assert await dump(ctx.db) == before


async def test_the_link_of_an_erased_request_says_that_it_expired(ctx: Context, clock: Clock) -> None:
    token = await token_of(ctx, await ask(ctx, ANNA, BLOG))
    clock.move(TWO_WEEKS)
    await erase_unconfirmed(ctx)
    assert await look_up(ctx, token) == LinkExpired(None)


async def test_confirmed_sign_ups_stay_whole(ctx: Context, clock: Clock) -> None:
    person = await join(ctx, ANNA, BLOG, OPENS)
    clock.move(TWO_WEEKS)
    before = await dump(ctx.db)
    assert await erase_unconfirmed(ctx) == 0
    assert await dump(ctx.db) == before
    assert all(kept for _, kept in await entries_of(ctx, person))


async def test_what_a_known_person_left_unconfirmed_goes_and_their_consent_stays(ctx: Context, clock: Clock) -> None:
    person = await join(ctx, ANNA, BLOG)
    await ask(ctx, ANNA, GLASFASER, first_name="Mallory")
    clock.move(TWO_WEEKS)
    assert await erase_unconfirmed(ctx) == 1
    assert await states_of(ctx, person) == {BLOG: State.GIVEN, GLASFASER: State.EXPIRED}
    assert "Mallory" not in await everything(ctx)
    assert [act for act, kept in await entries_of(ctx, person) if not kept] == [Act.REQUESTED]
    assert await is_whole(ctx)


async def test_a_consent_given_by_another_mail_does_not_lapse_with_the_first(ctx: Context, clock: Clock) -> None:
    await ask(ctx, ANNA, BLOG)
    clock.move(timedelta(days=2))
    person = await join(ctx, ANNA, BLOG)
    clock.move(TWO_WEEKS)
    assert await erase_unconfirmed(ctx) == 1
    assert await states_of(ctx, person) == {BLOG: State.GIVEN}


async def test_a_question_that_is_still_open_in_a_later_mail_does_not_lapse_yet(ctx: Context, clock: Clock) -> None:
    person = await ask(ctx, ANNA, BLOG)
    clock.move(timedelta(days=10))
    await ask(ctx, ANNA, BLOG)
    clock.move(timedelta(days=4))
    assert await erase_unconfirmed(ctx) == 1
    assert await states_of(ctx, person) == {BLOG: State.REQUESTED}
    clock.move(timedelta(days=10))
    assert await erase_unconfirmed(ctx) == 1
    assert await states_of(ctx, person) == {}
    assert await is_whole(ctx)


async def test_a_request_made_anew_keeps_its_evidence_when_the_old_one_is_erased(ctx: Context, clock: Clock) -> None:
    person = await ask(ctx, ANNA, BLOG, first_name="Anna")
    old = await token_of(ctx, person)
    clock.move(timedelta(days=13))
    await ask_for_new_link(ctx, old)
    assert isinstance(await confirm(ctx, await token_of(ctx, person), {BLOG}), Confirmed)
    clock.move(timedelta(days=1))
    assert await erase_unconfirmed(ctx) == 1
    async with ctx.db.read() as connection:
        entries = await books.entries_of(connection, person)
    assert [(entry.act, entry.content is not None) for entry in entries] == [
        (Act.REQUESTED, False),
        (Act.REQUESTED, True),
        (Act.CONFIRMED, True),
    ]
    assert '"first_name":"Anna"' in str(entries[1].content)
    assert await states_of(ctx, person) == {BLOG: State.GIVEN}


async def test_a_no_is_remembered_after_what_was_typed_is_gone(ctx: Context, clock: Clock) -> None:
    person = await ask(ctx, ANNA, BLOG, OPENS, first_name="Annabella")
    assert isinstance(await confirm(ctx, await token_of(ctx, person), ()), Confirmed)
    await ask(ctx, "bo@example.com", BLOG)
    await withdraw_all(ctx, await person_of(ctx, "bo@example.com"), Source.PREFERENCES_PAGE)
    clock.move(TWO_WEEKS)
    assert await erase_unconfirmed(ctx) == 2
    assert await states_of(ctx, person) == {BLOG: State.REFUSED, OPENS: State.REFUSED}
    assert (await states_of(ctx, await person_of(ctx, "bo@example.com")))[BLOG] is State.WITHDRAWN
    assert "Annabella" not in await everything(ctx)
    assert await is_whole(ctx)


async def test_an_erased_stranger_may_sign_up_like_anybody(ctx: Context, clock: Clock) -> None:
    await ask(ctx, ANNA, BLOG)
    clock.move(TWO_WEEKS)
    await erase_unconfirmed(ctx)
    person = await join(ctx, ANNA, BLOG)
    assert await states_of(ctx, person) == {BLOG: State.GIVEN}
    assert await is_whole(ctx)


async def test_a_slice_is_bounded_and_the_next_one_goes_on(ctx: Context, clock: Clock) -> None:
    for number in range(SLICE + 3):
        await ask(ctx, f"p{number}@example.com", BLOG)
    clock.move(TWO_WEEKS)
    assert [await erase_unconfirmed(ctx) for _ in range(3)] == [SLICE, 3, 0]
    async with ctx.db.read() as connection:
        assert (await connection.execute(select(subscribers))).all() == []


def test_every_table_that_points_at_a_person_is_known_to_the_erasure() -> None:
    from pixel_service.storage import unconfirmed

    pointing = {
        table.name
        for table in metadata.tables.values()
        if any(key.column.table is subscribers for key in table.foreign_keys)
    }
    assert {column.table.name for column in unconfirmed._POINTING} == pointing - {"messages", "consents"}
    assert {"sign_ups", "pixels"} <= pointing


# --- one reminder -------------------------------------------------------------------------------------------------------


def reminding(ctx: Context) -> Context:
    return replace(ctx, policy=replace(ctx.policy, reminder_after=timedelta(days=3)))


async def times(ctx: Context, clock: Clock, steps: Sequence[timedelta]) -> list[int]:
    done = []
    for step in steps:
        clock.move(step)
        done.append(await remind(ctx))
    return done


async def test_nobody_is_reminded_unless_the_setting_says_so(ctx: Context, clock: Clock) -> None:
    await ask(ctx, ANNA, BLOG)
    assert await times(ctx, clock, [timedelta(days=1)] * 6) == [0] * 6
    assert await queued(ctx) == ["confirmation"]


async def test_a_person_is_reminded_once_whatever_they_asked_for(ctx: Context, clock: Clock) -> None:
    await ask(ctx, ANNA, BLOG)
    await ask(ctx, ANNA, GLASFASER)
    assert await times(reminding(ctx), clock, [timedelta(days=3) - timedelta(seconds=1)]) == [0]
    assert await times(reminding(ctx), clock, [timedelta(days=1)] * 4) == [1, 0, 0, 0]
    assert await queued(ctx) == ["confirmation"] * 3


async def test_who_answered_or_left_is_not_reminded(ctx: Context, clock: Clock) -> None:
    await join(ctx, ANNA, BLOG)
    await ask(ctx, "bo@example.com", BLOG)
    await withdraw_all(ctx, await person_of(ctx, "bo@example.com"), Source.PREFERENCES_PAGE)
    # Asked twice, answered once, by the second mail.
    await ask(ctx, "carla@example.com", BLOG)
    clock.move(timedelta(days=1, seconds=1))
    await join(ctx, "carla@example.com", BLOG)
    before = (await queued(ctx)).count("confirmation")
    await times(reminding(ctx), clock, [timedelta(days=1)] * 6)
    assert (await queued(ctx)).count("confirmation") == before
