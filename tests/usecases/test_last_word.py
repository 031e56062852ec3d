"""Two links, two answers: the last word counts, and nobody is asked again after a no (S9, W7, E1)."""

import asyncio
from dataclasses import replace
from datetime import timedelta

from pixel_service.domain.consent import Purpose, State
from pixel_service.storage.engine import Database
from pixel_service.usecases.confirm import AlreadyConfirmed, Confirmed, LinkUnknown, confirm, look_up
from pixel_service.usecases.context import Context
from tests.builders import BLOG, OPENS, ask, confirm_link, context, person_of, states_of

ANNA = "anna@example.com"


async def token_for(ctx: Context, *purposes: Purpose) -> str:
    """Of the confirm link in the mail a new sign-up makes."""
    return (await confirm_link(ctx, await ask(ctx, ANNA, *purposes))).rpartition("/")[2]


async def test_unticking_on_a_later_link_takes_away_what_an_earlier_one_gave(db: Database) -> None:
    ctx = context(db)
    first = await token_for(ctx, BLOG, OPENS)
    second = await token_for(ctx, BLOG, OPENS)
    await confirm(ctx, first, {BLOG, OPENS})
    said = await confirm(ctx, second, {BLOG})
    assert isinstance(said, Confirmed)
    assert said.refused == (OPENS,)
    assert (await states_of(ctx, await person_of(ctx, ANNA)))[OPENS] is State.WITHDRAWN


async def test_a_no_on_one_link_is_not_asked_again_by_another(db: Database) -> None:
    ctx = context(db)
    first = await token_for(ctx, BLOG, OPENS)
    second = await token_for(ctx, BLOG, OPENS)
    await confirm(ctx, second, {BLOG})
    await confirm(ctx, first, {BLOG, OPENS})
    assert (await states_of(ctx, await person_of(ctx, ANNA)))[OPENS] is State.REFUSED


async def test_refusing_everything_shows_the_same_page_again(db: Database) -> None:
    ctx = context(db)
    link = await token_for(ctx, BLOG)
    first, second = await confirm(ctx, link, ()), await confirm(ctx, link, ())
    assert isinstance(first, Confirmed)
    assert isinstance(second, Confirmed)
    assert first.refused == second.refused == (BLOG,)


async def test_an_old_link_hands_out_nothing_even_if_it_was_confirmed(db: Database) -> None:
    ctx = context(db)
    link = await token_for(ctx, BLOG)
    await confirm(ctx, link, {BLOG})
    assert isinstance(await look_up(ctx, link), AlreadyConfirmed)
    later = ctx.clock() + timedelta(days=30)
    assert isinstance(await look_up(replace(ctx, clock=lambda: later), link), LinkUnknown)


async def test_everybody_waits_as_long_for_the_answer_to_a_sign_up(db: Database) -> None:
    ctx = context(db)
    slow = replace(ctx, policy=replace(ctx.policy, sign_up_takes=timedelta(milliseconds=200)))
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await ask(slow, ANNA, BLOG)
    assert loop.time() - begun >= 0.2
