"""The preferences page: one place to end anything, and never a way to lose what was not touched (W1, W5, S15)."""

import re
from dataclasses import replace

import pytest
from httpx import AsyncClient

from pixel_service.domain.consent import Act, State
from pixel_service.domain.messages import SubscriberId
from pixel_service.usecases.context import Context
from pixel_service.usecases.links import preferences_url
from pixel_service.usecases.rights import Asked, restrict
from pixel_service.usecases.withdraw import Source, withdraw
from tests.builders import (
    BLOG,
    GLASFASER,
    OPENS,
    ask,
    confirm_link,
    dump,
    join,
    ledger_of,
    queued,
    states_of,
    web,
    with_new_texts,
)
from tests.journeys.forms import form, forms

ADA = "ada@example.com"


@pytest.fixture
async def person(ctx: Context) -> SubscriberId:
    """Agreed to the newsletter and to measuring, and asked for the whitepaper."""
    return await join(ctx, ADA, BLOG, GLASFASER, OPENS, last_name="Beispiel")


@pytest.fixture
async def link(ctx: Context, person: SubscriberId) -> str:
    return preferences_url(ctx, person)


async def test_reading_any_number_of_times_changes_nothing(visitor: AsyncClient, ctx: Context, link: str) -> None:
    before = await dump(ctx.db)
    for _ in range(3):
        assert (await visitor.get(link)).status_code == 200
        assert (await visitor.head(link)).status_code == 200
        assert (await visitor.get(f"{link}/stop-all")).status_code == 405
    assert await dump(ctx.db) == before


async def test_the_page_shows_what_is_active_and_names_nobody(visitor: AsyncClient, link: str) -> None:
    html = (await visitor.get(link)).text
    page = form(html)
    assert set(page.checkboxes) == {"newsletter-blog", "whitepaper-glasfaser", "tracking-opens"} <= set(page.values)
    assert ADA not in html
    assert "Beispiel" not in html


async def test_saving_without_a_change_changes_nothing(visitor: AsyncClient, ctx: Context, link: str) -> None:
    before = await dump(ctx.db)
    page = form((await visitor.get(link)).text)
    saved = await visitor.post(page.action, data=page.values)
    assert saved.status_code == 200
    assert "Ihre Einstellungen sind gespeichert." in saved.text
    assert await dump(ctx.db) == before


async def test_what_is_unticked_ends_at_once_with_a_receipt(
    visitor: AsyncClient, ctx: Context, person: SubscriberId, link: str
) -> None:
    page = form((await visitor.get(link)).text)
    page.untick("tracking")
    saved = await visitor.post(page.action, data=page.values)
    assert saved.status_code == 200
    assert "Ihre Einwilligung ist widerrufen" in saved.text
    assert ctx.catalogue.label(OPENS, "de") in saved.text
    assert await states_of(ctx, person) == {BLOG: State.GIVEN, GLASFASER: State.GIVEN, OPENS: State.WITHDRAWN}
    assert (await ledger_of(ctx, person))[-1] == (OPENS, Act.WITHDRAWN, {"source": "preferences_page"})


async def test_a_choice_the_page_did_not_show_is_left_alone(
    visitor: AsyncClient, ctx: Context, person: SubscriberId, link: str
) -> None:
    page = form((await visitor.get(link)).text)
    only_the_newsletter = {"newsletter-blog_version": page.values["newsletter-blog_version"]}
    await visitor.post(page.action, data=only_the_newsletter | {"newsletter-blog": "yes"})
    assert set((await states_of(ctx, person)).values()) == {State.GIVEN}
    await visitor.post(page.action, data={})
    assert set((await states_of(ctx, person)).values()) == {State.GIVEN}


async def test_what_is_ticked_anew_waits_for_a_confirmation_by_mail(
    visitor: AsyncClient, ctx: Context, person: SubscriberId, link: str
) -> None:
    """The link may sit in a forwarded mail: it can take consent away, never give it."""
    await withdraw(ctx, person, {OPENS}, Source.STOP_TRACKING_PAGE)
    have = len(await queued(ctx))
    page = form((await visitor.get(link)).text)
    page.tick("tracking")
    saved = await visitor.post(page.action, data=page.values)
    assert "Nur noch ein Schritt." in saved.text
    assert (await states_of(ctx, person))[OPENS] is State.WITHDRAWN
    assert (await queued(ctx))[have:] == ["confirmation"]
    await visitor.post(await confirm_link(ctx, person), data={"tracking-opens": "yes"})
    assert set((await states_of(ctx, person)).values()) == {State.GIVEN}


async def test_one_save_can_end_one_choice_and_ask_for_another(
    visitor: AsyncClient, ctx: Context, person: SubscriberId, link: str
) -> None:
    await withdraw(ctx, person, {OPENS}, Source.STOP_TRACKING_PAGE)
    page = form((await visitor.get(link)).text)
    page.tick("tracking")
    page.untick("whitepaper")
    saved = await visitor.post(page.action, data=page.values)
    assert "Ihre Einwilligung ist widerrufen" in saved.text
    assert "Nur noch ein Schritt." in saved.text
    assert await states_of(ctx, person) == {BLOG: State.GIVEN, GLASFASER: State.WITHDRAWN, OPENS: State.WITHDRAWN}


async def test_an_outdated_text_is_shown_anew_and_what_was_unticked_ends_all_the_same(
    visitor: AsyncClient, ctx: Context, person: SubscriberId, link: str
) -> None:
    await withdraw(ctx, person, {OPENS}, Source.STOP_TRACKING_PAGE)
    page = form((await visitor.get(link)).text)
    page.tick("tracking")
    page.untick("whitepaper")
    mails = await queued(ctx)
    async with web(with_new_texts(ctx, OPENS)) as later:
        answer = await later.post(page.action, data=page.values)
    assert answer.status_code == 409
    assert "Ein neuer Text." in answer.text
    assert "tracking-opens" not in form(answer.text).values
    assert (await states_of(ctx, person))[GLASFASER] is State.WITHDRAWN
    assert await queued(ctx) == mails


async def test_a_newer_text_does_not_stop_anybody_from_keeping_what_they_have(
    visitor: AsyncClient, ctx: Context, person: SubscriberId, link: str
) -> None:
    page = form((await visitor.get(link)).text)
    async with web(with_new_texts(ctx, BLOG, OPENS)) as later:
        assert (await later.post(page.action, data=page.values)).status_code == 200
    assert set((await states_of(ctx, person)).values()) == {State.GIVEN}


async def test_what_is_no_longer_on_offer_can_be_ended_and_not_begun(
    ctx: Context, person: SubscriberId, link: str
) -> None:
    current = {purpose: one for purpose, one in ctx.catalogue.current_versions.items() if purpose != GLASFASER}
    retired = replace(ctx, catalogue=replace(ctx.catalogue, whitepapers={}, current_versions=current))
    async with web(retired) as later:
        page = form((await later.get(link)).text)
        page.untick("whitepaper")
        assert (await later.post(page.action, data=page.values)).status_code == 200
        assert (await states_of(ctx, person))[GLASFASER] is State.WITHDRAWN
        mails = await queued(ctx)
        page.tick("whitepaper")
        assert (await later.post(page.action, data=page.values)).status_code == 409
    assert await queued(ctx) == mails


async def test_stopping_everything_is_one_press(
    visitor: AsyncClient, ctx: Context, person: SubscriberId, link: str
) -> None:
    everything = forms((await visitor.get(link)).text)[1]
    done = await visitor.post(everything.action)
    assert done.status_code == 200
    assert "Ihre Einwilligung ist widerrufen" in done.text
    assert set((await states_of(ctx, person)).values()) == {State.WITHDRAWN}
    (english,) = re.findall(r'href="([^"]+lang=en)" lang="en"', done.text)
    assert (await visitor.get(english)).status_code == 200


async def test_a_forged_link_finds_and_changes_nothing(
    visitor: AsyncClient, ctx: Context, person: SubscriberId
) -> None:
    before = await dump(ctx.db)
    for path in ("/p/abcdefgh", "/p/abcdefgh/stop-all"):
        assert (await visitor.post(path, data={"newsletter-blog_version": "2026-11"})).status_code == 404
    assert (await visitor.get("/p/abcdefgh")).status_code == 404
    assert await dump(ctx.db) == before


async def test_the_ledger_keeps_no_key_to_the_page(
    visitor: AsyncClient, ctx: Context, person: SubscriberId, link: str
) -> None:
    await withdraw(ctx, person, {OPENS}, Source.STOP_TRACKING_PAGE)
    page = form((await visitor.get(link)).text)
    page.tick("tracking")
    await visitor.post(page.action, data=page.values)
    assert (await ledger_of(ctx, person))[-1][2]["form_url"] == "https://news.example/p"


async def test_somebody_who_never_confirmed_can_stop_everything_too(visitor: AsyncClient, ctx: Context) -> None:
    person = await ask(ctx, ADA, BLOG)
    confirm = await confirm_link(ctx, person)
    link = preferences_url(ctx, person)
    assert (await visitor.post(f"{link}/stop-all")).status_code == 200
    assert (await visitor.post(confirm, data={"newsletter-blog": "yes"})).status_code == 404
    assert (await states_of(ctx, person))[BLOG] is State.WITHDRAWN


async def test_a_restricted_person_is_told_so_and_no_mail_is_promised(
    visitor: AsyncClient, ctx: Context, person: SubscriberId, link: str
) -> None:
    assert "eingeschränkt" not in (await visitor.get(link)).text
    await restrict(ctx, person, Asked(source=Source.PRIVACY_PAGE))
    shown = await visitor.get(link)
    assert "Sie haben die Nutzung Ihrer Daten eingeschränkt" in shown.text
    waiting = await queued(ctx)
    page = form(shown.text)
    page.tick("newsletter")
    saved = await visitor.post(page.action, data=page.values)
    assert "Wir haben Ihnen eine E-Mail" not in saved.text
    assert await queued(ctx) == waiting
    assert (await states_of(ctx, person))[BLOG] is State.RESTRICTED
