"""The URL space as a whole: methods, headers, cross-site posts, and that reading a link never acts (S8, X1, X2, X4)."""

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from httpx import AsyncClient
from sqlalchemy import select
from starlette.routing import Mount, Route

from pixel_service.domain.address import parse_address
from pixel_service.domain.messages import SignUpId, SubscriberId
from pixel_service.storage import subscribers
from pixel_service.storage.engine import Database
from pixel_service.storage.schema import address_changes
from pixel_service.usecases import links
from pixel_service.usecases.context import Context
from pixel_service.usecases.rectify import ask_new_address
from pixel_service.usecases.rights_requests import Asked
from pixel_service.usecases.withdraw import Source
from pixel_service.web.routes import routes
from tests.access import Clock
from tests.builders import BASE_URL, BLOG, GLASFASER, OPENS, ask, confirm_link, dump, join, settings, web
from tests.journeys.service import AS_PROMETHEUS, METRICS_TOKEN

ROUTES = [route for route in routes() if isinstance(route, Route)]
EXAMPLES = {
    "slug": "blog",
    "token": "abcdefgh",
    "kind": "newsletter",
    "send_id": "a" * 26,
    "campaign_id": "a" * 26,
    "inbound_id": "a" * 26,
    "request_id": "a" * 26,
}
PAGES = ("/", "/newsletter/blog", "/privacy", "/imprint", "/c/abcdefgh", "/p/abcdefgh", "/u/abcdefgh", "/nowhere")


def example(route: Route) -> str:
    return route.path.format_map(EXAMPLES)


def answering(method: str) -> list[Route]:
    return [route for route in ROUTES if method in (route.methods or ())]


# --- methods ---------------------------------------------------------------------


def test_there_is_one_route_per_path() -> None:
    paths = [route.path for route in ROUTES]
    assert sorted(set(paths)) == sorted(paths)
    assert [route.path for route in routes() if isinstance(route, Mount)] == ["/static"]


def test_every_path_that_is_read_answers_head_too() -> None:
    assert {route.path for route in answering("GET")} == {route.path for route in answering("HEAD")}


async def test_head_answers_as_get_does(visitor: AsyncClient) -> None:
    for route in answering("GET"):
        read, asked = await visitor.get(example(route)), await visitor.head(example(route))
        assert asked.status_code == read.status_code, route.path
        assert asked.headers.get("content-type") == read.headers.get("content-type"), route.path


async def test_a_wrong_method_is_told_the_right_ones(visitor: AsyncClient) -> None:
    for route in ROUTES:
        answer = await visitor.request("DELETE", example(route))
        assert answer.status_code == 405, route.path
        assert set(answer.headers["allow"].replace(" ", "").split(",")) == route.methods


# --- reading never acts -------------------------------------------------------------


async def test_get_and_head_on_every_link_of_a_mail_change_nothing(
    visitor: AsyncClient, ctx: Context, clock: Clock
) -> None:
    person = await join(ctx, "ada@example.com", BLOG, GLASFASER, OPENS)
    waiting = await confirm_link(ctx, await ask(ctx, "bo@example.com", BLOG, OPENS))
    subject, soon = links.DownloadSubject(person, "glasfaser", "de"), ctx.clock() + timedelta(days=30)
    async with ctx.db.read() as connection:
        known = await subscribers.get(connection, person)
    assert known is not None
    mine = links.my_data_url(ctx, known, ctx.clock() + timedelta(hours=24))
    # What a link answers at first, and after 40 days.
    answers = {
        waiting: (200, 410),
        waiting[:-2]: (404, 404),
        await confirm_link(ctx, person): (200, 404),
        links.confirm_url(ctx, SignUpId("a" * 26), soon): (404, 410),
        links.preferences_url(ctx, person): (200, 200),
        links.unsubscribe_url(ctx, person, BLOG): (200, 200),
        links.stop_tracking_url(ctx, person): (200, 200),
        links.download_url(ctx, subject, soon): (200, 410),
        mine: (200, 410),
        **{f"{mine}/{what}": (200, 410) for what in ("erase", "correct", "address")},
        await new_address_link(ctx, person): (200, 410),
    }
    before = await dump(ctx.db)
    for number, days in enumerate((0, 40)):
        clock.move(timedelta(days=days))
        for link, expected in answers.items():
            acting = f"{link}?lang=en&act=confirm&newsletter-blog=yes&List-Unsubscribe=One-Click"
            for method, address in (("GET", link), ("HEAD", link), ("GET", acting), ("HEAD", acting)) * 2:
                assert (await visitor.request(method, address)).status_code == expected[number], (method, address)
    assert await dump(ctx.db) == before


async def new_address_link(ctx: Context, person: SubscriberId) -> str:
    """As the mail to a new address has it."""
    await ask_new_address(ctx, person, parse_address("new@example.com"), Asked(source=Source.PRIVACY_PAGE))
    async with ctx.db.read() as connection:
        change_id = (await connection.execute(select(address_changes.c.change_id))).scalar_one()
    return links.new_address_url(ctx, change_id, ctx.clock() + timedelta(hours=48))


# --- what every answer carries --------------------------------------------------------


async def test_every_page_is_private_and_loads_nothing_foreign(visitor: AsyncClient) -> None:
    for path in PAGES:
        page = await visitor.get(path)
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["referrer-policy"] == "no-referrer"
        assert page.headers["x-content-type-options"] == "nosniff"
        policy = page.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'self' 'sha256-")
        assert "unsafe" not in policy
        assert "set-cookie" not in page.headers
        assert re.findall(r'(?:src|action)="(?:https?:)?//', page.text) == []


async def test_a_form_on_another_site_acts_nowhere_but_where_mail_programs_post(visitor: AsyncClient) -> None:
    allowed = set()
    for route in answering("POST"):
        answer = await visitor.post(
            example(route), headers={"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
        )
        if answer.status_code != 403:
            allowed.add(route.path)
    assert allowed == {"/u/{token}", "/v1/send", "/v1/withdrawals"}


async def test_the_host_header_leads_nowhere(visitor: AsyncClient) -> None:
    assert (await visitor.get("/newsletter/blog", headers={"Host": "evil.example"})).status_code == 421
    slash = await visitor.get("/newsletter/blog/")
    assert (slash.status_code, "location" in slash.headers) == (404, False)


async def test_a_page_that_does_not_exist_says_so_in_the_language_of_the_reader(visitor: AsyncClient) -> None:
    page = await visitor.get("/nowhere?lang=en")
    assert page.status_code == 404
    assert "This page does not exist" in page.text


async def test_the_api_answers_in_json(visitor: AsyncClient) -> None:
    answer = await visitor.get("/v1/nowhere")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


# --- the pixel stands before all of it --------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
async def test_the_pixel_is_asked_before_any_guard(visitor: AsyncClient, method: str) -> None:
    answer = await visitor.request(
        method, "/o/abc.gif", headers={"Host": "evil.example", "Sec-Fetch-Site": "cross-site"}
    )
    assert answer.headers["x-pixel"] == "asked"
    assert "content-security-policy" not in answer.headers


# --- files ------------------------------------------------------------------------------


async def test_the_packages_own_files_are_served_and_kept(visitor: AsyncClient) -> None:
    answer = await visitor.get("/static/console.css")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/css")
    assert answer.headers["cache-control"] == "public, max-age=3600"


@pytest.mark.parametrize(
    "name",
    ["", "nothing.css", "../web/routes.py", "..%2fweb%2froutes.py", "%2e%2e/__init__.py", "/etc/passwd", "a%00.css"],
)
async def test_nothing_outside_the_folder_is_served(visitor: AsyncClient, name: str) -> None:
    assert (await visitor.get(f"/static/{name}")).status_code == 404


async def test_the_logo_is_served_when_there_is_one(ctx: Context, visitor: AsyncClient) -> None:
    assert (await visitor.get("/static/logo.png")).status_code == 404
    async with web(ctx, logo=b"\x89PNG") as branded:
        answer = await branded.get("/static/logo.png")
    assert (answer.content, answer.headers["content-type"]) == (b"\x89PNG", "image/png")


# --- machines ---------------------------------------------------------------------------


async def test_a_service_with_its_database_is_alive_and_ready(visitor: AsyncClient) -> None:
    probe = {"Host": "10.0.0.7:8000"}
    assert (await visitor.get("/health/live", headers=probe)).status_code == 200
    assert (await visitor.get("/health/ready", headers=probe)).status_code == 200
    assert (await visitor.get("/metrics", headers=probe)).status_code == 404


async def test_figures_are_for_whoever_knows_the_token(ctx: Context) -> None:
    async with web(ctx, known=settings(metrics_token=METRICS_TOKEN)) as probe:
        for given in ({}, {"Authorization": METRICS_TOKEN}, {"Authorization": f"Bearer {METRICS_TOKEN}x"}):
            answer = await probe.get("/metrics", headers=given)
            assert (answer.status_code, answer.text) == (401, "unauthorized\n")
        assert "pixel_up 1.0\n" in (await probe.get("/metrics", headers=AS_PROMETHEUS)).text


async def test_a_service_without_its_database_is_alive_and_not_ready(ctx: Context) -> None:
    gone = Database("sqlite:////nowhere/at/all/pixel.db")
    async with web(replace(ctx, db=gone)) as visitor:
        assert (await visitor.get("/health/live")).status_code == 200
        answer = await visitor.get("/health/ready")
    assert (answer.status_code, answer.text) == (503, "not ready: database\n")
    await gone.close()


async def test_a_service_with_another_schema_is_not_ready(ctx: Context, tmp_path: Path) -> None:
    empty = Database(f"sqlite:///{tmp_path}/empty.db")
    async with web(replace(ctx, db=empty)) as visitor:
        answer = await visitor.get("/health/ready")
    assert (answer.status_code, answer.text) == (503, "not ready: schema\n")
    await empty.close()


async def test_addresses_are_built_from_settings(ctx: Context) -> None:
    person = await ask(ctx, "ada@example.com", BLOG)
    assert (await confirm_link(ctx, person)).startswith(f"{BASE_URL}/c/")
