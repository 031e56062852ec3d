"""Headers, hosts, sizes and forms of other sites: every branch of the guards, on an app of two routes."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from httpx import ASGITransport, AsyncClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from pixel_service.web.security import Rules, content_security_policy, guards
from tests.access import BASE_URL, Clock, catalogues_in, context_of, equip

STYLE = "sha256-abc="


async def echo(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


async def embeddable(request: Request) -> Response:
    policy = content_security_policy(style_hash=STYLE, frame_ancestors="https://shop.example")
    return PlainTextResponse("", headers={"Content-Security-Policy": policy, "Cache-Control": "public, max-age=60"})


async def chat(socket: WebSocket) -> None:
    await socket.accept()
    await socket.close()


METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]


def _app(tmp_path: Path, rules: Rules) -> Starlette:
    routes = [
        Route("/embed", embeddable),
        WebSocketRoute("/chat", chat),
        Route("/{path:path}", echo, methods=METHODS),
    ]
    ctx = context_of(None, Clock(), catalogues=catalogues_in(tmp_path, {}), base_url=rules.base_url)
    return equip(Starlette(routes=routes, middleware=guards(rules)), ctx)


def _client(tmp_path: Path, rules: Rules) -> AsyncClient:
    return AsyncClient(transport=ASGITransport(_app(tmp_path, rules)), base_url=rules.base_url)


@pytest.fixture
def app(tmp_path: Path) -> Starlette:
    return _app(tmp_path, Rules(base_url=BASE_URL, style_hash=STYLE, allowed_hosts=("internal:8000",)))


@pytest.fixture
async def client(app: Starlette) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(transport=ASGITransport(app), base_url=BASE_URL) as client:
        yield client


# --- headers ----------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/v1/anything", "/c/token"])
async def test_every_answer_carries_the_headers(client: AsyncClient, path: str) -> None:
    headers = (await client.get(path)).headers
    assert headers["content-security-policy"] == (
        f"default-src 'none'; style-src 'self' '{STYLE}'; img-src 'self' data:; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    )
    assert headers["strict-transport-security"] == "max-age=63072000"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert "camera=()" in headers["permissions-policy"]
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize("status, host", [(421, "evil.example"), (400, "")])
async def test_refusals_carry_them_too(client: AsyncClient, status: int, host: str) -> None:
    answer = await client.get("/", headers={"Host": host} if host else [(b"Host", b"a"), (b"Host", b"b")])
    assert answer.status_code == status
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_what_a_page_sets_itself_stays(client: AsyncClient) -> None:
    headers = (await client.get("/embed")).headers
    assert headers["content-security-policy"].endswith("frame-ancestors https://shop.example")
    assert headers["cache-control"] == "public, max-age=60"


async def test_without_https_nothing_is_promised_about_it(tmp_path: Path) -> None:
    rules = Rules(base_url="http://localhost:8000", style_hash=STYLE)
    assert "strict-transport-security" not in (await _client(tmp_path, rules).get("/")).headers


async def test_the_console_lets_its_own_forms_name_their_origin(client: AsyncClient) -> None:
    assert (await client.get("/console/")).headers["referrer-policy"] == "same-origin"


# --- hosts ------------------------------------------------------------------


@pytest.mark.parametrize("host", ["news.example", "NEWS.example:443", "internal:8000"])
async def test_known_hosts_are_answered(client: AsyncClient, host: str) -> None:
    assert (await client.get("/", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "news.example.evil.example", "news.example:8443", "internal", ""])
async def test_other_hosts_are_misdirected(client: AsyncClient, host: str) -> None:
    answer = await client.get("/", headers={"Host": host})
    assert answer.status_code == 421
    assert "evil" not in answer.text


async def test_two_host_headers_or_none_are_refused(app: Starlette) -> None:
    for hosts in ([], [(b"host", b"news.example"), (b"host", b"news.example")]):
        assert (await _raw(app, hosts))["status"] == 400


async def _raw(app: Starlette, headers: list[tuple[bytes, bytes]]) -> dict[str, int]:
    """A request as a client library would not write it."""
    seen: dict[str, int] = {}

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: object) -> None:
        assert isinstance(message, dict)
        if message["type"] == "http.response.start":
            seen["status"] = message["status"]

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "raw_path": b"/",
        "root_path": "",
        "query_string": b"",
        "headers": headers,
        "scheme": "https",
        "server": ("news.example", 443),
        "http_version": "1.1",
        "asgi": {"version": "3.0"},
    }
    await app(scope, receive, send)
    return seen


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/metrics"])
async def test_probes_may_call_by_any_name(client: AsyncClient, path: str) -> None:
    assert (await client.get(path, headers={"Host": "10.0.0.7:8000"})).status_code == 200


# --- sizes ------------------------------------------------------------------


@pytest.mark.parametrize(
    "path, limit", [("/c/token", 64 * 1024), ("/v1/sign-ups", 64 * 1024), ("/v1/send", 16 * 1024**2)]
)
async def test_a_body_may_be_as_long_as_its_path_allows_and_no_longer(
    client: AsyncClient, path: str, limit: int
) -> None:
    assert (await client.post(path, content=b"x" * limit)).text == str(limit)
    assert (await client.post(path, content=b"x" * (limit + 1))).status_code == 413


async def test_a_streamed_body_is_counted(app: Starlette) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1024
            yield b"x" * 1024

    async with AsyncClient(transport=ASGITransport(app), base_url=BASE_URL) as client:
        answer = await client.post("/c/token", content=endless())
    assert answer.status_code == 413
    assert sent == 65 * 1024


async def test_a_refused_body_ends_the_connection(client: AsyncClient) -> None:
    assert (await client.post("/", content=b"x" * 70000)).headers["connection"] == "close"


async def test_an_announced_length_is_enough_to_refuse(app: Starlette) -> None:
    host = (b"host", b"news.example")
    assert (await _raw(app, [host, (b"content-length", b"70000")]))["status"] == 413
    assert (await _raw(app, [host, (b"content-length", b"9" * 5000)]))["status"] == 413


@pytest.mark.parametrize("length", [b"-1", b"abc", b"", "\u00b2".encode("latin-1")])
async def test_a_length_that_is_no_number_is_refused(app: Starlette, length: bytes) -> None:
    assert (await _raw(app, [(b"host", b"news.example"), (b"content-length", length)]))["status"] == 400


# --- forms of other sites ---------------------------------------------------

OURS, OTHER = BASE_URL, "https://evil.example"


@pytest.mark.parametrize(
    "path, headers, status",
    [
        pytest.param("/c/t", {"Sec-Fetch-Site": "same-origin"}, 200, id="our page"),
        pytest.param("/c/t", {"Sec-Fetch-Site": "none"}, 200, id="the person themselves"),
        pytest.param("/c/t", {"Sec-Fetch-Site": "cross-site"}, 403, id="another site"),
        pytest.param("/c/t", {"Sec-Fetch-Site": "same-site"}, 403, id="a neighbour under the same domain"),
        pytest.param("/c/t", {"Sec-Fetch-Site": "nonsense"}, 403, id="a value nobody knows"),
        pytest.param("/c/t", {"Sec-Fetch-Site": "cross-site", "Origin": OURS}, 403, id="what the browser says wins"),
        pytest.param("/c/t", {"Sec-Fetch-Site": "same-origin", "Origin": "null"}, 200, id="our page, no-referrer"),
        pytest.param("/c/t", {"Origin": OURS}, 200, id="an old browser, our page"),
        pytest.param("/c/t", {"Origin": OTHER}, 403, id="an old browser, another site"),
        pytest.param("/c/t", {"Origin": "http://news.example"}, 403, id="an old browser, our name without https"),
        pytest.param("/c/t", {"Origin": OURS + ".evil.example"}, 403, id="an origin that begins like ours"),
        pytest.param("/c/t", {"Origin": "null"}, 200, id="an old browser, link page with no-referrer"),
        pytest.param("/console/login", {"Origin": "null"}, 403, id="an old browser, sandboxed, against the cookie"),
        pytest.param("/console/login", {"Origin": OURS}, 200, id="an old browser, our console"),
        pytest.param("/console/login", {"Sec-Fetch-Site": "cross-site"}, 403, id="log-in by another site"),
        pytest.param("/console/logout", {"Origin": OTHER}, 403, id="log-out by another site"),
        pytest.param("/c/t", {}, 200, id="no browser"),
        pytest.param("/u/t", {}, 200, id="one-click by a provider"),
        pytest.param("/u/t", {"Sec-Fetch-Site": "cross-site", "Origin": OTHER}, 200, id="one-click by a webmail page"),
        pytest.param("/v1/sign-ups", {"Sec-Fetch-Site": "cross-site", "Origin": OTHER}, 200, id="embedded form"),
    ],
)
async def test_who_may_submit_a_form(client: AsyncClient, path: str, headers: dict[str, str], status: int) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert (await client.request(method, path, headers=headers)).status_code == status


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_reading_from_anywhere_is_allowed(client: AsyncClient, method: str) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Origin": OTHER}
    assert (await client.request(method, "/c/t", headers=headers)).status_code == 200


@pytest.mark.parametrize("base_url", ["http://localhost:8000", "http://localhost:80", "https://news.example:443"])
async def test_the_origin_is_the_one_a_browser_writes(tmp_path: Path, base_url: str) -> None:
    rules = Rules(base_url=base_url, style_hash=STYLE)
    browsers = {
        "http://localhost:8000": "http://localhost:8000",
        "http://localhost:80": "http://localhost",
        "https://news.example:443": "https://news.example",
    }
    answer = await _client(tmp_path, rules).post("/c/t", headers={"Origin": browsers[base_url]})
    assert answer.status_code == 200


async def test_other_protocols_pass_the_guards_untouched(app: Starlette) -> None:
    seen: list[str] = []

    async def receive() -> dict[str, object]:
        return {"type": "websocket.connect"}

    async def send(message: object) -> None:
        assert isinstance(message, dict)
        seen.append(message["type"])

    scope = {"type": "websocket", "path": "/chat", "query_string": b"", "headers": [], "subprotocols": []}
    await app(scope, receive, send)
    assert seen == ["websocket.accept", "websocket.close"]
