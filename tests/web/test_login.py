"""The way into the console and out of it, and the gate before its pages."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from httpx import ASGITransport, AsyncClient, Response as Answer
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from pixel_service.domain.accounts import Role
from pixel_service.storage.engine import Database
from pixel_service.usecases.accounts import TRIES, NewUser, create_user, disable_user
from pixel_service.usecases.context import Context
from pixel_service.web.console import login
from pixel_service.web.console.login import WRONG, require_user, safe_next
from pixel_service.web.errors import answer
from pixel_service.web.security import Rules, guards
from tests.access import BASE_URL, Clock, catalogues_in, context_of, equip

ADA, PASSWORD = "ada@nordlicht.de", "correct horse battery"


@require_user
async def campaigns(request: Request) -> Response:
    return PlainTextResponse(f"hello {request.state.user.email}")


@pytest.fixture
def clock() -> Clock:
    return Clock()


def _context(db: Database, clock: Clock, tmp_path: Path, base_url: str) -> Context:
    german = {WRONG: "Benutzername und Passwort passen nicht zusammen."}
    return context_of(db, clock, catalogues=catalogues_in(tmp_path / "locales", german), base_url=base_url)


def _app(ctx: Context) -> Starlette:
    app = Starlette(
        routes=[
            Route("/console/login", login.show),
            Route("/console/login", login.log_in, methods=["POST"]),
            Route("/console/logout", login.log_out, methods=["POST"]),
            Route("/console/{rest:path}", campaigns, methods=["GET", "POST"]),
        ],
        middleware=guards(Rules(base_url=ctx.policy.base_url, style_hash="sha256-x=")),
        exception_handlers={HTTPException: answer},
    )
    return equip(app, ctx)


@pytest.fixture
async def ctx(db: Database, clock: Clock, tmp_path: Path) -> Context:
    ctx = _context(db, clock, tmp_path, BASE_URL)
    await create_user(ctx, NewUser(email=ADA, role=Role.VIEWER, password=PASSWORD))
    return ctx


@pytest.fixture
async def client(ctx: Context) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(transport=ASGITransport(_app(ctx)), base_url=BASE_URL) as client:
        yield client


async def _log_in(client: AsyncClient, password: str = PASSWORD, **more: str) -> Answer:
    return await client.post("/console/login", data={"name": ADA, "password": password, **more})


async def test_the_page_asks_for_name_and_password(client: AsyncClient) -> None:
    answer = await client.get("/console/login?next=/console/campaigns/x")
    assert answer.status_code == 200
    assert 'value="/console/campaigns/x"' in answer.text
    assert 'role="alert"' not in answer.text


async def test_logging_in_opens_the_console(client: AsyncClient) -> None:
    assert (await client.get("/console/")).headers["location"] == "/console/login"
    answer = await _log_in(client)
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/")
    assert (await client.get("/console/")).text == f"hello {ADA}"


async def test_the_cookie_is_bound_to_the_host_and_out_of_reach(client: AsyncClient) -> None:
    cookie = (await _log_in(client)).headers["set-cookie"]
    name, _, attributes = cookie.partition("=")
    assert name == "__Host-session"
    parts = {part.strip().lower() for part in attributes.split(";")[1:]}
    assert {"httponly", "secure", "samesite=lax", "path=/", "max-age=43200"} <= parts
    assert not any(part.startswith("domain") for part in parts)


async def test_without_https_the_cookie_goes_by_a_name_browsers_accept(
    db: Database, clock: Clock, tmp_path: Path
) -> None:
    plain = _context(db, clock, tmp_path, "http://localhost:8000")
    await create_user(plain, NewUser(email=ADA, role=Role.VIEWER, password=PASSWORD))
    async with AsyncClient(transport=ASGITransport(_app(plain)), base_url="http://localhost:8000") as client:
        cookie = (await _log_in(client)).headers["set-cookie"]
        assert cookie.startswith("session=")
        assert "secure" not in cookie.lower()
        assert (await client.get("/console/")).status_code == 200


@pytest.mark.parametrize("name", [ADA, "nobody@nordlicht.de", "", "x\x00"])
async def test_a_wrong_password_and_an_unknown_user_get_the_same_page(client: AsyncClient, name: str) -> None:
    answer = await client.post("/console/login?lang=de", data={"name": name, "password": "wrong", "next": "/console/x"})
    assert answer.status_code == 403
    assert "Benutzername und Passwort passen nicht zusammen." in answer.text
    assert 'value="/console/x"' in answer.text
    assert "set-cookie" not in answer.headers
    assert "nobody" not in answer.text


async def test_name_and_password_in_the_address_are_ignored(client: AsyncClient) -> None:
    answer = await client.post("/console/login", params={"name": ADA, "password": PASSWORD})
    assert answer.status_code == 403


async def test_a_file_as_password_is_refused(client: AsyncClient) -> None:
    answer = await client.post("/console/login", data={"name": ADA}, files={"password": ("p.txt", PASSWORD.encode())})
    assert answer.status_code in {400, 403}
    assert "set-cookie" not in answer.headers


async def test_guessing_is_answered_with_a_wait(client: AsyncClient) -> None:
    for _ in range(TRIES.tries):
        assert (await _log_in(client, "wrong")).status_code == 403
    answer = await _log_in(client)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "900")


async def test_logging_out_ends_the_session_and_removes_the_cookie(client: AsyncClient) -> None:
    session = (await _log_in(client)).cookies["__Host-session"]
    answer = await client.post("/console/logout")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/login")
    assert "max-age=0" in answer.headers["set-cookie"].lower()
    client.cookies.clear()
    answer = await client.get("/console/", headers={"Cookie": f"__Host-session={session}"})
    assert answer.status_code == 303


async def test_logging_out_without_a_session_is_fine(client: AsyncClient) -> None:
    assert (await client.post("/console/logout")).status_code == 303


async def test_an_expired_session_and_a_disabled_user_stand_before_the_gate(
    client: AsyncClient, ctx: Context, clock: Clock
) -> None:
    await _log_in(client)
    cookies = {"Cookie": f"__Host-session={client.cookies['__Host-session']}"}
    clock.move(timedelta(hours=12))
    assert (await client.get("/console/", headers=cookies)).status_code == 303
    clock.move(timedelta(hours=-12))
    assert (await client.get("/console/", headers=cookies)).status_code == 200
    await disable_user(ctx, ADA)
    assert (await client.get("/console/", headers=cookies)).status_code == 303


async def test_after_logging_in_people_are_where_they_wanted_to_be(client: AsyncClient) -> None:
    gate = await client.get("/console/campaigns/abc?days=7")
    assert gate.headers["location"] == "/console/login?next=/console/campaigns/abc%3Fdays%3D7"
    page = await client.get(gate.headers["location"])
    assert 'value="/console/campaigns/abc?days=7"' in page.text
    answer = await _log_in(client, next="/console/campaigns/abc?days=7")
    assert answer.headers["location"] == "/console/campaigns/abc?days=7"


async def test_a_form_that_met_the_gate_is_not_repeated(client: AsyncClient) -> None:
    assert (await client.post("/console/campaigns/abc")).headers["location"] == "/console/login"


@pytest.mark.parametrize(
    "wanted",
    [
        "",
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "/console/\\evil.example",
        "/console//../..//evil.example",
        "/console/../u/token",
        "/console/%2e%2e/u/token",
        "/console/x\r\nLocation: https://evil.example",
        "/console/x#y",
        "/console/login",
        "/console/logout",
        "/u/token",
        "console/",
        "/console/" + "x" * 600,
        "javascript:alert(1)",
        "/console/x\n",
    ],
)
async def test_nobody_is_sent_anywhere_else(client: AsyncClient, wanted: str) -> None:
    assert safe_next(wanted) == "/console/"
    assert (await _log_in(client, next=wanted)).headers["location"] == "/console/"


async def test_behind_a_proxy_with_a_path_people_stay_under_it(db: Database, clock: Clock, tmp_path: Path) -> None:
    ctx = _context(db, clock, tmp_path, BASE_URL + "/mail")
    await create_user(ctx, NewUser(email=ADA, role=Role.VIEWER, password=PASSWORD))
    async with AsyncClient(transport=ASGITransport(_app(ctx)), base_url=BASE_URL) as client:
        assert (await client.get("/console/")).headers["location"] == "/mail/console/login"
        assert (await _log_in(client)).headers["location"] == "/mail/console/"


async def test_a_log_in_submitted_by_another_site_is_refused(client: AsyncClient) -> None:
    answer = await client.post(
        "/console/login", data={"name": ADA, "password": PASSWORD}, headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
