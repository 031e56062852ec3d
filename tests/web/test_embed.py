"""Forms on other sites: plain HTML to copy and a script, one code path with the hosted form, only for the allow-list (S1)."""

import json
from collections.abc import AsyncIterator

import pytest
from httpx import ASGITransport, AsyncClient

from pixel_service.domain.consent import State
from pixel_service.observability import Metrics
from pixel_service.usecases.context import Context
from pixel_service.web.pages import Pages
from pixel_service.web.routes import WebState, build_web
from tests.builders import (
    BASE_URL,
    BLOG,
    GLASFASER,
    OPENS,
    dump,
    ledger_of,
    no_pixel,
    person_of,
    queued,
    settings,
    states_of,
    with_new_texts,
)
from tests.journeys.forms import form
from tests.journeys.people import BROWSER

SHOP = "https://www.shop.example"
ADA = "ada@example.com"
FROM_SHOP = {"Origin": SHOP, "Sec-Fetch-Site": "cross-site"}


def service(ctx: Context) -> AsyncClient:
    known = settings(form_origins=f"{SHOP}/ https://Forms.example:443")
    pages = Pages(ctx.catalogues, ctx.company, ctx.policy.base_url, known.zone)
    state = WebState(ctx=ctx, pages=pages, settings=known, logo=None, metrics=Metrics(), pixel=no_pixel)
    return AsyncClient(transport=ASGITransport(build_web(state)), base_url=BASE_URL, headers=BROWSER)


@pytest.fixture
async def site(ctx: Context) -> AsyncIterator[AsyncClient]:
    async with service(ctx) as client:
        yield client


async def copied(site: AsyncClient, path: str = "/embed/newsletter/blog.html") -> str:
    answer = await site.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    return answer.text


# --- plain HTML -------------------------------------------------------------------------------------------------------


async def test_a_copied_form_signs_up_like_the_hosted_one_and_names_its_site(site: AsyncClient, ctx: Context) -> None:
    there = form(await copied(site))
    assert set(there.checkboxes) == {"newsletter-blog", "tracking-opens"}
    assert not set(there.checkboxes) & set(there.values)
    there.tick("newsletter")
    answer = await site.post(there.action, data=there.values | {"address": ADA}, headers=FROM_SHOP)
    assert answer.status_code == 200
    person = await person_of(ctx, ADA)
    assert await states_of(ctx, person) == {BLOG: State.REQUESTED}
    assert await queued(ctx) == ["confirmation"]
    ((_, _, content),) = await ledger_of(ctx, person)
    assert content["form_url"] == SHOP


async def test_the_hosted_form_names_itself_whatever_it_says_of_its_origin(site: AsyncClient, ctx: Context) -> None:
    page = form((await site.get("/newsletter/blog")).text)
    page.tick("newsletter")
    for number, origin in enumerate([{}, {"Origin": BASE_URL}, {"Origin": "null", "Sec-Fetch-Site": "same-origin"}]):
        address = f"p{number}@example.com"
        await site.post(page.action, data=page.values | {"address": address}, headers=origin)
        ((_, _, content),) = await ledger_of(ctx, await person_of(ctx, address))
        assert content["form_url"] == f"{BASE_URL}/newsletter/blog"


async def test_a_copied_form_shows_every_text_in_full_and_in_its_language(site: AsyncClient, ctx: Context) -> None:
    english = await copied(site, "/embed/whitepaper/glasfaser.html?lang=en")
    assert 'lang="en"' in english
    assert f"{BASE_URL}/privacy?lang=en" in english
    for purpose in (GLASFASER, BLOG, OPENS):
        for paragraph in ctx.catalogue.current(purpose, "en").text.split("\n\n"):
            assert paragraph.replace("'", "&#39;") in english


async def test_an_outdated_copy_gets_the_hosted_form_with_what_was_typed(ctx: Context) -> None:
    async with service(ctx) as before:
        there = form(await copied(before))
    there.tick("newsletter")
    async with service(with_new_texts(ctx, BLOG)) as site:
        answer = await site.post(there.action, data=there.values | {"address": ADA}, headers=FROM_SHOP)
        assert answer.status_code == 409
        again = form(answer.text)
        assert again.values["address"] == ADA
        assert "newsletter-blog" not in again.values
        assert again.values["newsletter-blog_version"] == "2099-01"
        assert await queued(ctx) == []
        again.tick("newsletter")
        here = {"Sec-Fetch-Site": "same-origin", "Origin": "null"}
        assert (await site.post(again.action, data=again.values, headers=here)).status_code == 200
    assert await queued(ctx) == ["confirmation"]


@pytest.mark.parametrize(
    "origin", ["https://evil.example", f"{SHOP}.evil.example", "http://www.shop.example", "null", "", f"{SHOP}/"]
)
async def test_a_form_on_a_site_that_is_not_listed_is_refused(site: AsyncClient, ctx: Context, origin: str) -> None:
    there = form(await copied(site))
    there.tick("newsletter")
    before = await dump(ctx.db)
    headers = {"Origin": origin, "Sec-Fetch-Site": "cross-site"}
    answer = await site.post(there.action, data=there.values | {"address": ADA}, headers=headers)
    assert answer.status_code == 403
    assert await dump(ctx.db) == before


@pytest.mark.parametrize("path", ["/c/abcdefgh", "/p/abcdefgh", "/console/login"])
async def test_a_listed_site_may_post_to_the_forms_and_nowhere_else(site: AsyncClient, path: str) -> None:
    assert (await site.post(path, headers=FROM_SHOP)).status_code == 403


# --- the script -------------------------------------------------------------------------------------------------------


async def test_the_script_is_the_same_for_everybody_and_says_nothing_of_anybody(site: AsyncClient) -> None:
    answers = [
        await site.get("/embed/newsletter/blog.js", headers=headers)
        for headers in ({}, FROM_SHOP, {"Accept-Language": "en"}, {"Origin": "https://evil.example"})
    ]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert answers[0].headers["content-type"] == "text/javascript; charset=utf-8"
    assert "set-cookie" not in answers[0].headers
    offer = json.loads(answers[0].text.rpartition("})(")[2].rstrip(");\n"))
    assert (offer["base"], offer["kind"], offer["slug"]) == (BASE_URL, "newsletter", "blog")
    assert set(offer["words"]) == {"de", "en"}
    for forbidden in ("innerHTML", "cookie", "localStorage", "sessionStorage", "eval("):
        assert forbidden not in answers[0].text


@pytest.mark.parametrize("path", ["/embed/newsletter/none.js", "/embed/other/blog.js", "/embed/whitepaper/blog.html"])
async def test_what_is_not_offered_can_not_be_embedded(site: AsyncClient, path: str) -> None:
    assert (await site.get(path)).status_code == 404
