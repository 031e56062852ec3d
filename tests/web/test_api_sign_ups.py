"""`POST /v1/sign-ups` as a form on another site uses it: origins, one answer for every address, current texts (S1-S6)."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from httpx import ASGITransport, AsyncClient, Response
from sqlalchemy import select

from pixel_service.domain.consent import State
from pixel_service.observability import Metrics
from pixel_service.storage.engine import Database
from pixel_service.storage.schema import ledger, messages, sign_ups
from pixel_service.usecases.context import Context
from pixel_service.usecases.withdraw import Source, withdraw
from pixel_service.web.pages import Pages
from pixel_service.web.routes import WebState, build_web
from tests.builders import (
    BASE_URL,
    BLOG,
    GLASFASER,
    OPENS,
    ask,
    context,
    dump,
    join,
    no_pixel,
    settings,
    states_of,
    with_new_texts,
)

SHOP = "https://www.shop.example"
FORM = f"{SHOP}/kontakt?von=start"


def site(ctx: Context, origin: str | None = SHOP) -> AsyncClient:
    """A page of the allow-list (or another one) in a browser, or a program when `origin` is None."""
    with_origins = settings(form_origins=f"{SHOP} https://Forms.example:443")
    pages = Pages(ctx.catalogues, ctx.company, ctx.policy.base_url, with_origins.zone)
    state = WebState(ctx=ctx, pages=pages, settings=with_origins, logo=None, metrics=Metrics(), pixel=no_pixel)
    client = AsyncClient(transport=ASGITransport(build_web(state)), base_url=BASE_URL)
    if origin is not None:
        client.headers["Origin"] = origin
    return client


@pytest.fixture
def ctx(db: Database) -> Context:
    return context(db)


@pytest.fixture
async def form(ctx: Context) -> AsyncIterator[AsyncClient]:
    async with site(ctx) as client:
        yield client


def typed(ctx: Context, address: str = "anna@example.com", **changes: Any) -> dict[str, Any]:
    """A filled-in form; a change to None leaves the field out."""
    version = ctx.catalogue.current(BLOG, "en").version
    body = {
        "address": address,
        "language": "en",
        "choices": [{"purpose": BLOG, "wording_version": version}],
        "notice_version": ctx.catalogue.notice_version,
        "form_url": FORM,
        **changes,
    }
    return {name: value for name, value in body.items() if value is not None}


async def post(form: AsyncClient, body: object) -> Response:
    return await form.post("/v1/sign-ups", json=body)


# --- the one answer ---------------------------------------------------------------------------------------------------


async def test_a_sign_up_is_kept_with_everything_that_was_shown_and_typed(ctx: Context, form: AsyncClient) -> None:
    version = ctx.catalogue.current(OPENS, "en").version
    choices = [{"purpose": one, "wording_version": version} for one in (BLOG, OPENS)]
    answer = await post(form, typed(ctx, choices=choices, first_name=" Anna ", salutation="ms"))
    assert answer.status_code == 202
    before = (ctx.clock() + ctx.policy.confirm_within).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert answer.json() == {"status": "check_your_mail", "confirm_before": before}
    async with ctx.db.read() as connection:
        stored = (await connection.execute(select(sign_ups))).one()
        mail = (await connection.execute(select(messages))).one()
        entries = (await connection.execute(select(ledger.c.content))).scalars().all()
    assert (stored.language, stored.profile) == ("en", {"first_name": "Anna", "salutation": "ms"})
    assert (mail.template, mail.language) == ("confirmation", "en")
    assert len(entries) == 2
    assert all(f'"form_url":"{FORM}"' in str(entry) for entry in entries)


async def test_every_address_gets_the_same_answer(ctx: Context, form: AsyncClient) -> None:
    await ask(ctx, "pending@example.com", BLOG)
    await join(ctx, "confirmed@example.com", BLOG, OPENS)
    gone = await join(ctx, "gone@example.com", BLOG)
    await withdraw(ctx, gone, (BLOG,), Source.PREFERENCES_PAGE)
    names = ("new", "pending", "confirmed", "gone")
    answers = [await post(form, typed(ctx, f"{name}@example.com")) for name in names]
    assert {(one.status_code, one.content, str(one.headers)) for one in answers} == {
        (202, answers[0].content, str(answers[0].headers))
    }
    assert (await states_of(ctx, gone))[BLOG] is State.WITHDRAWN


async def test_without_a_language_the_one_of_the_browser_counts(ctx: Context, form: AsyncClient) -> None:
    form.headers["Accept-Language"] = "en-GB,en;q=0.9"
    assert (await post(form, typed(ctx, language=None))).status_code == 202
    async with ctx.db.read() as connection:
        assert (await connection.execute(select(sign_ups.c.language))).scalar_one() == "en"


# --- origins ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("origin", [SHOP, "https://forms.example", BASE_URL])
async def test_a_page_of_the_allow_list_may_sign_people_up_and_read_the_answer(ctx: Context, origin: str) -> None:
    async with site(ctx, origin) as form:
        for body, status in ((typed(ctx) | {"form_url": f"{origin}/contact"}, 202), ({}, 422)):
            answer = await post(form, body)
            assert answer.status_code == status
            assert answer.headers["access-control-allow-origin"] == origin
            assert "Origin" in answer.headers["vary"]
            assert "access-control-allow-credentials" not in answer.headers


async def test_evidence_names_a_page_of_the_origin_that_sent_the_form(ctx: Context) -> None:
    async with site(ctx, SHOP) as form:
        answer = await post(form, typed(ctx) | {"form_url": "https://elsewhere.example/form"})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "form_url")


@pytest.mark.parametrize(
    "origin", [None, "null", "https://evil.example", f"{SHOP}.evil.example", "http://www.shop.example", f"{SHOP}:8443"]
)
async def test_anybody_else_is_refused_and_nothing_is_stored(ctx: Context, origin: str | None) -> None:
    before = await dump(ctx.db)
    async with site(ctx, origin) as form:
        answer = await post(form, typed(ctx))
        preflight = await form.options("/v1/sign-ups", headers={"Access-Control-Request-Method": "POST"})
    for refusal in (answer, preflight):
        assert refusal.status_code == 403
        assert refusal.headers["content-type"] == "application/problem+json"
        assert "access-control-allow-origin" not in refusal.headers
    assert await dump(ctx.db) == before


async def test_a_preflight_allows_json_and_nothing_more(form: AsyncClient) -> None:
    answer = await form.options(
        "/v1/sign-ups",
        headers={"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"},
    )
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == SHOP
    assert answer.headers["access-control-allow-methods"] == "POST"
    assert answer.headers["access-control-allow-headers"] == "Content-Type"


async def test_a_simple_request_without_preflight_signs_nobody_up(ctx: Context, form: AsyncClient) -> None:
    before = await dump(ctx.db)
    answer = await form.post("/v1/sign-ups", content=b"{}", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 415
    assert await dump(ctx.db) == before


# --- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes, named",
    [
        ({"address": None}, ["address"]),
        ({"address": "no address"}, ["address"]),
        ({"address": "x" * 321}, ["address"]),
        ({"language": "fr"}, ["language"]),
        ({"language": "deutsch!"}, ["language"]),
        ({"choices": []}, ["choices"]),
        ({"choices": None}, ["choices"]),
        ({"choices": [{"purpose": "newsletter:blog"}]}, ["choices[0].wording_version"]),
        ({"choices": [{"purpose": "newsletter:blog", "wording_version": "1"}] * 2}, ["choices[1].purpose"]),
        ({"choices": [{"purpose": "newsletter:blog", "wording_version": "1"}] * 21}, ["choices"]),
        ({"notice_version": None}, ["notice_version"]),
        ({"form_url": None}, ["form_url"]),
        ({"form_url": "javascript:alert(1)"}, ["form_url"]),
        ({"form_url": "https://"}, ["form_url"]),
        ({"form_url": "https://[broken"}, ["form_url"]),
        ({"form_url": "https://shop.example/" + "x" * 500}, ["form_url"]),
        ({"first_name": "Anna\r\nBcc: all@example.com"}, ["first_name"]),
        ({"last_name": "x" * 81, "salutation": "Dr"}, ["salutation", "last_name"]),
        ({"first_name": 7}, ["first_name"]),
        ({"newsletter": True}, ["newsletter"]),
    ],
    ids=str,
)
async def test_what_breaks_a_bound_is_named_and_nothing_is_stored(
    new_sqlite: Any, changes: dict[str, Any], named: list[str]
) -> None:
    database = Database(new_sqlite())
    ctx = context(database)
    before = await dump(database)
    async with site(ctx) as form:
        answer = await post(form, typed(ctx, **changes))
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == named
    assert await dump(database) == before
    await database.close()


async def test_tracking_alone_is_nothing_to_sign_up_for(ctx: Context, form: AsyncClient) -> None:
    version = ctx.catalogue.current(OPENS, "en").version
    answer = await post(form, typed(ctx, choices=[{"purpose": OPENS, "wording_version": version}]))
    assert answer.status_code == 422


async def test_an_outdated_wording_is_refused_with_the_current_texts(ctx: Context) -> None:
    shown = typed(ctx)
    newer = with_new_texts(ctx, BLOG)
    before = await dump(ctx.db)
    async with site(newer) as form:
        answer = await post(form, shown)
        assert answer.status_code == 409
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["access-control-allow-origin"] == SHOP
        problem = answer.json()
        assert problem["type"].endswith(":wording-outdated")
        assert [error["field"] for error in problem["errors"]] == [BLOG]
        (choice,) = problem["choices"]
        assert choice == {
            "purpose": BLOG,
            "label": "Network Blog",
            "text": newer.catalogue.current(BLOG, "en").text,
            "version": "2099-01",
        }
        assert problem["notice"]["version"] == newer.catalogue.notice_version
        assert await dump(ctx.db) == before
        # With what it was told, the form can ask again.
        again = shown | {"choices": [{"purpose": choice["purpose"], "wording_version": choice["version"]}]}
        assert (await post(form, again)).status_code == 202


@pytest.mark.parametrize(
    "changes", [{"notice_version": "2000-01"}, {"choices": [{"purpose": "newsletter:none", "wording_version": "1"}]}]
)
async def test_an_unknown_notice_or_offer_is_outdated_too(
    ctx: Context, form: AsyncClient, changes: dict[str, Any]
) -> None:
    answer = await post(form, typed(ctx, **changes))
    assert answer.status_code == 409
    assert answer.json()["notice"]["version"] == ctx.catalogue.notice_version


async def test_a_whitepaper_needs_no_newsletter(ctx: Context, form: AsyncClient) -> None:
    version = ctx.catalogue.current(GLASFASER, "en").version
    choices = [{"purpose": GLASFASER, "wording_version": version}]
    assert (await post(form, typed(ctx, choices=choices))).status_code == 202


async def test_confirm_before_moves_with_the_clock(ctx: Context, form: AsyncClient) -> None:
    first = (await post(form, typed(ctx))).json()["confirm_before"]
    ctx.clock.move(timedelta(minutes=5))  # type: ignore[attr-defined]  # the builders' clock
    assert (await post(form, typed(ctx, "bo@example.com"))).json()["confirm_before"] > first
