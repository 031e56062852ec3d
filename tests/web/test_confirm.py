"""The confirm page: reading changes nothing, the button does exactly what is ticked, and no copy of a link burns it."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes
from email.policy import default as modern

import pytest
from httpx import AsyncClient

from pixel_service.domain.consent import Act, State
from pixel_service.domain.messages import SubscriberId
from pixel_service.domain.tokens import Tokens
from pixel_service.usecases.context import Context
from pixel_service.usecases.links import stop_tracking_url, unsubscribe_url
from pixel_service.usecases.withdraw import Source, withdraw
from tests.access import Clock
from tests.builders import (
    BASE_URL,
    BLOG,
    GLASFASER,
    KEY,
    OPENS,
    Relay,
    ask,
    confirm_link,
    deliver,
    dump,
    join,
    last_sign_up,
    ledger_of,
    queued,
    states_of,
    web,
    with_new_texts,
)
from tests.journeys.forms import form

ADA = "ada@example.com"


async def asked(ctx: Context, language: str = "de") -> tuple[SubscriberId, str]:
    """Somebody asked for everything; their id and their link."""
    person = await ask(ctx, ADA, GLASFASER, BLOG, OPENS, language=language)
    return person, await confirm_link(ctx, person)


async def acts_of(ctx: Context, person: SubscriberId) -> list[Act]:
    return [act for _, act, _ in await ledger_of(ctx, person) if act is not Act.REQUESTED]


# --- what is shown --------------------------------------------------------------


async def test_the_page_shows_each_choice_with_the_text_that_was_asked(visitor: AsyncClient, ctx: Context) -> None:
    _, link = await asked(ctx)
    page = await visitor.get(link)
    assert page.status_code == 200
    assert set(form(page.text).checkboxes) == {"newsletter-blog", "tracking-opens", "whitepaper-glasfaser"}
    for purpose in (BLOG, OPENS, GLASFASER):
        assert ctx.catalogue.current(purpose, "de").summary in page.text


async def test_the_page_shows_the_text_that_was_asked_although_a_newer_one_exists(ctx: Context) -> None:
    _, link = await asked(ctx)
    async with web(with_new_texts(ctx, BLOG)) as later:
        page = await later.get(link)
    assert ctx.catalogue.current(BLOG, "de").summary in page.text
    assert "Ein neuer Text." not in page.text


async def test_the_text_stays_in_the_language_it_was_asked_in(visitor: AsyncClient, ctx: Context) -> None:
    _, link = await asked(ctx)
    page = await visitor.get(f"{link}?lang=en")
    assert '<html lang="en">' in page.text
    assert ctx.catalogue.current(BLOG, "de").summary in page.text
    assert ctx.catalogue.current(BLOG, "en").summary not in page.text


async def test_the_page_is_one_request_without_script_or_refresh(visitor: AsyncClient, ctx: Context) -> None:
    _, link = await asked(ctx)
    html = (await visitor.get(link)).text
    assert re.findall(r"<(?:script|iframe|object|embed)|http-equiv|\bon\w+=", html) == []
    assert re.findall(r'(?:src|rel="stylesheet" href)="(?!data:)[^"]*"', html) == []
    assert len(html.encode()) <= 15 * 1024


async def test_the_page_speaks_the_language_of_the_sign_up(visitor: AsyncClient, ctx: Context) -> None:
    _, link = await asked(ctx, language="en")
    german_browser = {"Accept-Language": "de"}
    page = await visitor.get(link, headers=german_browser)
    assert '<html lang="en">' in page.text
    done = await visitor.post(link, data=form(page.text).values, headers=german_browser)
    assert '<html lang="en">' in done.text


async def test_a_language_that_was_asked_for_stays_after_the_press(visitor: AsyncClient, ctx: Context) -> None:
    _, link = await asked(ctx)
    page = form((await visitor.get(f"{link}?lang=en")).text)
    done = await visitor.post(page.action, data=page.values)
    assert '<html lang="en">' in done.text


# --- who acts ---------------------------------------------------------------------


async def test_reading_any_number_of_times_changes_nothing(visitor: AsyncClient, ctx: Context) -> None:
    _, link = await asked(ctx)
    before = await dump(ctx.db)
    for _ in range(3):
        assert (await visitor.get(link)).status_code == 200
        assert (await visitor.head(link)).status_code == 200
        assert (await visitor.get(f"{link}?newsletter-blog=yes&act=confirm")).status_code == 200
    assert await dump(ctx.db) == before


async def test_the_button_confirms_what_is_ticked_and_refuses_what_is_not(visitor: AsyncClient, ctx: Context) -> None:
    person, link = await asked(ctx)
    page = form((await visitor.get(link)).text)
    page.untick("tracking")
    done = await visitor.post(page.action, data=page.values)
    assert done.status_code == 200
    assert await states_of(ctx, person) == {BLOG: State.GIVEN, GLASFASER: State.GIVEN, OPENS: State.REFUSED}
    assert sorted(await queued(ctx)) == ["confirmation", "welcome", "whitepaper"]


async def test_ticks_in_the_query_count_for_nothing(visitor: AsyncClient, ctx: Context) -> None:
    person, link = await asked(ctx)
    await visitor.post(f"{link}?tracking-opens=yes", data={"newsletter-blog": "yes"})
    assert (await states_of(ctx, person))[OPENS] is State.REFUSED


async def test_a_purpose_that_was_not_asked_can_not_be_confirmed(visitor: AsyncClient, ctx: Context) -> None:
    person = await ask(ctx, ADA, BLOG)
    await visitor.post(await confirm_link(ctx, person), data={"newsletter-blog": "yes", "tracking-opens": "yes"})
    assert await states_of(ctx, person) == {BLOG: State.GIVEN}


async def test_a_press_with_every_box_unticked_is_a_no(visitor: AsyncClient, ctx: Context) -> None:
    person, link = await asked(ctx)
    done = await visitor.post(link, data={"act": "confirm"})
    assert done.status_code == 200
    assert set((await states_of(ctx, person)).values()) == {State.REFUSED}


async def test_a_post_without_the_button_decides_nothing(visitor: AsyncClient, ctx: Context) -> None:
    """As a scanner sends that submits whatever it finds."""
    _, link = await asked(ctx)
    before = await dump(ctx.db)
    for body in ({}, {"other": "yes-please"}):
        again = await visitor.post(link, data=body)
        assert again.status_code == 200
        assert "newsletter-blog" in form(again.text).checkboxes
    assert await dump(ctx.db) == before


async def test_confirming_twice_shows_success_and_records_one_act(visitor: AsyncClient, ctx: Context) -> None:
    person, link = await asked(ctx)
    page = form((await visitor.get(link)).text)
    first = await visitor.post(page.action, data=page.values)
    before = await dump(ctx.db)
    second = await visitor.post(page.action, data=page.values)
    third = await visitor.get(link)
    assert [first.status_code, second.status_code, third.status_code] == [200, 200, 200]
    assert "Bereits bestätigt" in second.text
    assert await dump(ctx.db) == before
    assert await acts_of(ctx, person) == [Act.CONFIRMED] * 3


async def test_two_presses_at_once_are_one_act(visitor: AsyncClient, ctx: Context) -> None:
    person, link = await asked(ctx)
    answers = await asyncio.gather(*(visitor.post(link, data={"newsletter-blog": "yes"}) for _ in range(4)))
    assert {answer.status_code for answer in answers} == {200}
    assert sorted(await acts_of(ctx, person)) == [Act.CONFIRMED, Act.REFUSED, Act.REFUSED]


async def test_the_confirmed_page_leads_to_the_whitepaper_itself(visitor: AsyncClient, ctx: Context) -> None:
    _, link = await asked(ctx)
    done = await visitor.post(link, data={"whitepaper-glasfaser": "yes"})
    (download,) = re.findall(r'href="([^"]+/d/[^"]+)"', done.text)
    file = await visitor.get(download)
    assert file.status_code == 200
    assert file.content.startswith(b"%PDF-")


# --- which link counts ----------------------------------------------------------


@pytest.mark.parametrize(
    "spoil", [str.upper, lambda t: t[:-2], lambda t: t[::-1], lambda t: t + "a", lambda t: t + ").."]
)
async def test_a_garbled_copy_neither_works_nor_burns_the_real_link(
    visitor: AsyncClient, ctx: Context, spoil: Callable[[str], str]
) -> None:
    person, link = await asked(ctx)
    token = link.rpartition("/")[2]
    before = await dump(ctx.db)
    for _ in range(20):
        copy = f"/c/{spoil(token)}"
        assert (await visitor.get(copy)).status_code == 404
        assert (await visitor.post(copy, data={"newsletter-blog": "yes"})).status_code == 404
    assert await dump(ctx.db) == before
    assert (await visitor.post(link, data={"newsletter-blog": "yes"})).status_code == 200
    assert (await states_of(ctx, person))[BLOG] is State.GIVEN


@pytest.mark.parametrize("trailing", [".", ")", ">"])
async def test_punctuation_that_a_mail_program_took_along_is_forgiven(
    visitor: AsyncClient, ctx: Context, trailing: str
) -> None:
    person, link = await asked(ctx)
    page = await visitor.get(link + trailing)
    assert page.status_code == 200
    assert (await visitor.post(form(page.text).action, data={"newsletter-blog": "yes"})).status_code == 200
    assert (await states_of(ctx, person))[BLOG] is State.GIVEN


@pytest.mark.parametrize("kind", ["p", "u", "t", "d"])
async def test_a_confirm_link_opens_nothing_else(visitor: AsyncClient, ctx: Context, kind: str) -> None:
    _, link = await asked(ctx)
    before = await dump(ctx.db)
    other = link.replace("/c/", f"/{kind}/")
    assert (await visitor.get(other)).status_code == 404
    await visitor.post(other)
    assert await dump(ctx.db) == before


async def test_a_link_of_another_service_is_unknown_and_a_rotated_key_still_reads(ctx: Context) -> None:
    _, link = await asked(ctx)
    async with web(replace(ctx, tokens=Tokens([b"x" * 32]))) as stranger:
        assert (await stranger.get(link)).status_code == 404
    async with web(replace(ctx, tokens=Tokens([b"x" * 32, KEY]))) as rotated:
        assert (await rotated.get(link)).status_code == 200


async def test_a_withdrawal_ends_what_waits_for_confirmation(visitor: AsyncClient, ctx: Context) -> None:
    person, link = await asked(ctx)
    await withdraw(ctx, person, {BLOG, OPENS, GLASFASER}, Source.UNSUBSCRIBE_PAGE)
    assert (await visitor.post(link, data={"newsletter-blog": "yes"})).status_code == 404
    assert (await states_of(ctx, person))[BLOG] is State.WITHDRAWN


# --- an expired link ----------------------------------------------------------------


async def test_an_expired_link_confirms_nothing_and_offers_a_new_mail(
    visitor: AsyncClient, ctx: Context, clock: Clock
) -> None:
    person, link = await asked(ctx)
    clock.move(timedelta(days=7))
    read, late = await visitor.get(link), await visitor.post(link, data={"newsletter-blog": "yes"})
    assert [read.status_code, late.status_code] == [410, 410]
    assert form(read.text).action == form(late.text).action
    assert (await states_of(ctx, person))[BLOG] is State.REQUESTED

    again = await visitor.post(form(late.text).action)
    assert again.status_code == 200
    assert await queued(ctx) == ["confirmation", "confirmation"]
    fresh = await confirm_link(ctx, person)
    assert fresh != link
    assert (await visitor.post(fresh, data={"newsletter-blog": "yes"})).status_code == 200
    assert (await states_of(ctx, person))[BLOG] is State.GIVEN


async def test_an_expired_link_that_was_confirmed_leads_nowhere_any_more(
    visitor: AsyncClient, ctx: Context, clock: Clock
) -> None:
    _, link = await asked(ctx)
    await visitor.post(link, data={"newsletter-blog": "yes"})
    clock.move(timedelta(days=7))
    before = await dump(ctx.db)
    for answer in (await visitor.get(link), await visitor.post(link, data={"newsletter-blog": "yes"})):
        assert (answer.status_code, "/p/" in answer.text) == (404, False)
    await visitor.post(f"{link}/resend")
    assert await dump(ctx.db) == before


async def test_asking_for_a_new_mail_is_limited_and_says_nothing(
    visitor: AsyncClient, ctx: Context, clock: Clock
) -> None:
    _, link = await asked(ctx)
    in_time = await visitor.post(f"{link}/resend")
    assert await queued(ctx) == ["confirmation"]
    clock.move(timedelta(days=8))
    answers = [await visitor.post(f"{link}/resend") for _ in range(8)]
    forged = await visitor.post("/c/abcdefgh/resend")
    assert len({answer.text for answer in (in_time, *answers)}) == 1
    assert {answer.status_code for answer in (in_time, forged, *answers)} == {200}
    assert await queued(ctx) == ["confirmation"] * 4


async def test_the_page_after_asking_again_offers_languages_at_an_address_that_can_be_read(
    visitor: AsyncClient, ctx: Context
) -> None:
    _, link = await asked(ctx)
    answer = await visitor.post(f"{link}/resend")
    (english,) = re.findall(r'href="([^"]+lang=en)" lang="en"', answer.text)
    assert BASE_URL + english.partition("?")[0] == link
    assert (await visitor.get(english)).status_code == 200


# --- a program that presses the button (S14) -----------------------------------------------------------------------------

HEADLESS = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "HeadlessChrome/142.0.0.0 Safari/537.36"
}
MACHINES = [HEADLESS, {"User-Agent": "Barracuda Sentinel"}, {"User-Agent": ""}, {"User-Agent": "Mozilla/5.0"}]
YES = {"newsletter-blog": "yes", "act": "confirm"}


async def mailed(ctx: Context) -> tuple[SubscriberId, str, str]:
    """Somebody asked, the relay took the mail: their id, and link and code as the mail says them."""
    person = await ask(ctx, ADA, BLOG, OPENS)
    await deliver(ctx)
    return person, await confirm_link(ctx, person), await code_of(ctx, person)


async def code_of(ctx: Context, person: SubscriberId) -> str:
    return ctx.tokens.code((await last_sign_up(ctx, person)).sign_up_id)


def another(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06}"


@pytest.mark.parametrize("machine", MACHINES)
async def test_a_program_that_presses_at_once_is_asked_for_the_code_of_the_mail(
    ctx: Context, visitor: AsyncClient, relay: Relay, clock: Clock, machine: dict[str, str]
) -> None:
    person, link, code = await mailed(ctx)
    before = await dump(ctx.db)
    clock.move(timedelta(seconds=119))
    asked = await visitor.post(link, data=YES, headers=machine)
    assert asked.status_code == 403
    assert await dump(ctx.db) == before
    shown = form(asked.text)
    assert shown.values["code"] == ""
    assert {"newsletter-blog", "tracking-opens"} & shown.values.keys() == {"newsletter-blog"}
    assert "<script" not in asked.text

    printed = message_from_bytes(relay.taken[-1].data, policy=modern)
    assert all(code in part.get_content() for part in printed.iter_parts())
    done = await visitor.post(shown.action, data=shown.values | {"code": code, "act": "confirm"}, headers=machine)
    assert done.status_code == 200
    assert await states_of(ctx, person) == {BLOG: State.GIVEN, OPENS: State.REFUSED}


async def test_a_program_that_is_faster_than_the_relays_answer_is_asked_too(visitor: AsyncClient, ctx: Context) -> None:
    person = await ask(ctx, ADA, BLOG)
    answer = await visitor.post(await confirm_link(ctx, person), data=YES, headers=HEADLESS)
    assert answer.status_code == 403
    assert await states_of(ctx, person) == {BLOG: State.REQUESTED}


async def test_people_are_never_asked_and_programs_only_at_first(
    visitor: AsyncClient, ctx: Context, clock: Clock
) -> None:
    person, link, _ = await mailed(ctx)
    assert 'name="code"' not in (await visitor.get(link, headers=HEADLESS)).text
    assert (await visitor.post(link, data=YES)).status_code == 200
    assert (await states_of(ctx, person))[BLOG] is State.GIVEN

    slow = await ask(ctx, "bo@example.com", BLOG)
    await deliver(ctx)
    clock.move(timedelta(seconds=120))
    assert (await visitor.post(await confirm_link(ctx, slow), data=YES, headers=HEADLESS)).status_code == 200
    assert await states_of(ctx, slow) == {BLOG: State.GIVEN}


async def test_five_wrong_codes_close_a_link_to_programs_until_a_new_mail(
    visitor: AsyncClient, ctx: Context, clock: Clock
) -> None:
    person, link, code = await mailed(ctx)
    for _ in range(9):
        assert (await visitor.post(link, data=YES, headers=HEADLESS)).status_code == 403
    answers = [await visitor.post(link, data=YES | {"code": another(code)}, headers=HEADLESS) for _ in range(5)]
    assert {answer.status_code for answer in answers} == {403}
    assert "Das ist nicht der Code" in answers[0].text
    assert "Zu viele falsche Codes" in answers[-1].text
    clock.move(timedelta(hours=1))
    right = await visitor.post(link, data=YES | {"code": code}, headers=HEADLESS)
    assert right.status_code == 403
    assert (await states_of(ctx, person))[BLOG] is State.REQUESTED

    await visitor.post(form(right.text).action, headers=HEADLESS)
    await deliver(ctx)
    fresh = await confirm_link(ctx, person)
    assert fresh != link
    assert await code_of(ctx, person) != code
    done = await visitor.post(fresh, data=YES | {"code": await code_of(ctx, person)}, headers=HEADLESS)
    assert done.status_code == 200
    assert (await states_of(ctx, person))[BLOG] is State.GIVEN


async def test_wrong_codes_of_a_program_do_not_burn_the_link_for_the_person(visitor: AsyncClient, ctx: Context) -> None:
    person, link, code = await mailed(ctx)
    for _ in range(6):
        await visitor.post(link, data=YES | {"code": another(code)}, headers=HEADLESS)
    assert (await visitor.post(link, data=YES)).status_code == 200
    assert (await states_of(ctx, person))[BLOG] is State.GIVEN


async def test_codes_guessed_at_once_are_all_counted(visitor: AsyncClient, ctx: Context) -> None:
    person, link, code = await mailed(ctx)
    await asyncio.gather(*(visitor.post(link, data=YES | {"code": another(code)}, headers=HEADLESS) for _ in range(8)))
    assert (await last_sign_up(ctx, person)).wrong_codes == 5


async def test_without_step_up_nobody_is_asked_and_the_mail_prints_no_code(ctx: Context, relay: Relay) -> None:
    off = replace(ctx, policy=replace(ctx.policy, step_up=False))
    person, link, code = await mailed(off)
    assert code.encode() not in relay.taken[-1].data
    async with web(off) as visitor:
        assert (await visitor.post(link, data=YES, headers=HEADLESS)).status_code == 200
    assert (await states_of(ctx, person))[BLOG] is State.GIVEN


async def test_a_withdrawal_never_asks_for_anything(visitor: AsyncClient, ctx: Context) -> None:
    person = await join(ctx, ADA, BLOG, OPENS)
    for link in (stop_tracking_url(ctx, person), unsubscribe_url(ctx, person, BLOG)):
        assert (await visitor.post(link, headers={"User-Agent": ""})).status_code == 200
    assert await states_of(ctx, person) == {BLOG: State.WITHDRAWN, OPENS: State.WITHDRAWN}
