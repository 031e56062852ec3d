"""What is raised becomes an answer that tells the caller enough and a stranger nothing."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog
from httpx import ASGITransport, AsyncClient
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from pixel_service.domain import errors
from pixel_service.domain.errors import InvalidFields, InvalidInput
from pixel_service.web.errors import OTHER_PAGE_TEXT, PAGE_TEXTS, answer
from pixel_service.web.security import Rules, guards
from tests.access import BASE_URL, Clock, catalogues_in, context_of, equip

PRIVATE = "ada@nordlicht.de"
GERMAN = {
    "This page does not exist": "Diese Seite gibt es nicht",
    "Please try again in a moment": "Bitte versuchen Sie es gleich noch einmal",
    "Nothing was saved, because our service is busy. Please try again shortly.": "Es wurde nichts gespeichert.",
}


class Raised:
    """What the app's one handler raises next."""

    error: Exception = RuntimeError()


@pytest.fixture
def raised() -> Raised:
    return Raised()


@pytest.fixture
async def client(tmp_path: Path, raised: Raised) -> AsyncIterator[AsyncClient]:
    async def fail(request: Request) -> Response:
        raise raised.error

    async def fail_half_way(request: Request) -> Response:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"some"
            raise ValueError(PRIVATE)

        return StreamingResponse(chunks())

    async def fine(request: Request) -> Response:
        return PlainTextResponse("fine")

    app = Starlette(
        routes=[
            Route("/v1/fail", fail),
            Route("/c/{token}", fail),
            Route("/half", fail_half_way),
            Route("/v1/fine", fine),
            Route("/fine", fine),
        ],
        middleware=guards(Rules(base_url=BASE_URL, style_hash="sha256-x=")),
        exception_handlers={HTTPException: answer},
    )
    ctx = context_of(None, Clock(), catalogues=catalogues_in(tmp_path, GERMAN))
    async with AsyncClient(transport=ASGITransport(equip(app, ctx)), base_url=BASE_URL) as client:
        yield client


CASES = [
    (HTTPException(401, "who?", {"WWW-Authenticate": "Bearer"}), 401, "about:blank"),
    (InvalidInput("address", "is required"), 422, "urn:problem-type:pixel-service:invalid-input"),
    (InvalidFields((InvalidInput("a", "is required"),)), 422, "urn:problem-type:pixel-service:invalid-input"),
    (errors.WordingOutdated(("newsletter:blog",)), 409, "urn:problem-type:pixel-service:wording-outdated"),
    (errors.IdempotencyConflict(), 409, "urn:problem-type:pixel-service:idempotency-conflict"),
    (errors.NotFound("campaign"), 404, "urn:problem-type:pixel-service:not-found"),
    (errors.StorageUnavailable("OperationalError"), 503, "about:blank"),
    (errors.LedgerBroken(3, PRIVATE), 500, "about:blank"),
    (ValueError(PRIVATE), 500, "about:blank"),
]


@pytest.mark.parametrize("error, status, kind", CASES)
async def test_programs_get_a_problem_document(
    client: AsyncClient, raised: Raised, error: Exception, status: int, kind: str
) -> None:
    raised.error = error
    answer = await client.get("/v1/fail")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert (document["status"], document["type"]) == (status, kind)
    assert document["title"]
    assert document["detail"]
    assert PRIVATE not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("error, status, kind", CASES)
async def test_people_get_a_page(client: AsyncClient, raised: Raised, error: Exception, status: int, kind: str) -> None:
    raised.error = error
    answer = await client.get("/c/token?lang=en")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    title, _ = PAGE_TEXTS.get(status, OTHER_PAGE_TEXT)
    assert f"<h1>{title}</h1>" in answer.text
    assert PRIVATE not in answer.text


async def test_every_wrong_field_is_named(client: AsyncClient, raised: Raised) -> None:
    raised.error = InvalidFields(tuple(InvalidInput(f"recipients[{n}].address", "is required") for n in range(5)))
    document = (await client.get("/v1/fail")).json()
    assert document["errors"][4] == {"field": "recipients[4].address", "detail": "is required"}
    assert document["detail"].endswith("recipients[2].address: is required; and 2 more")


async def test_outdated_wordings_are_named_by_purpose(client: AsyncClient, raised: Raised) -> None:
    raised.error = errors.WordingOutdated(("newsletter:blog", "tracking:opens"))
    named = [error["field"] for error in (await client.get("/v1/fail")).json()["errors"]]
    assert named == ["newsletter:blog", "tracking:opens"]


@pytest.mark.parametrize("path", ["/v1/fail", "/c/token"])
async def test_what_could_not_be_stored_is_to_be_tried_again(client: AsyncClient, raised: Raised, path: str) -> None:
    raised.error = errors.StorageUnavailable()
    answer = await client.get(path)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


async def test_headers_of_an_error_are_kept(client: AsyncClient, raised: Raised) -> None:
    raised.error = HTTPException(401, headers={"WWW-Authenticate": "Bearer"})
    assert (await client.get("/v1/fail")).headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "method, path, status, kind",
    [
        ("GET", "/v1/nothing", 404, "application/problem+json"),
        ("POST", "/v1/fine", 405, "application/problem+json"),
        ("GET", "/nothing", 404, "text/html; charset=utf-8"),
        ("POST", "/fine", 405, "text/html; charset=utf-8"),
    ],
)
async def test_unknown_paths_and_methods_are_answered_alike(
    client: AsyncClient, method: str, path: str, status: int, kind: str
) -> None:
    answer = await client.request(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, kind)
    assert ("GET" in answer.headers.get("allow", "")) == (status == 405)


@pytest.mark.parametrize(
    "query, accepted, title",
    [
        ("?lang=de", "en", "Diese Seite gibt es nicht"),
        ("?lang=en", "de", "This page does not exist"),
        ("", "fr, en;q=0.8", "This page does not exist"),
        ("?lang=xx", "", "Diese Seite gibt es nicht"),
    ],
)
async def test_the_page_speaks_the_language_of_the_reader(
    client: AsyncClient, query: str, accepted: str, title: str
) -> None:
    assert f"<h1>{title}</h1>" in (await client.get(f"/nothing{query}", headers={"Accept-Language": accepted})).text


@pytest.mark.parametrize("path", ["/nothing/<script>alert(1)</script>", "//evil.example/x", "/%22onload=x"])
async def test_an_error_page_repeats_nothing_that_could_act(client: AsyncClient, path: str) -> None:
    answer = await client.get(BASE_URL + path)
    assert answer.status_code == 404
    assert "<script" not in answer.text
    assert '"//' not in answer.text
    assert '"onload' not in answer.text


@pytest.mark.parametrize("path", ["/v1/fail", "/c/sometoken"])
async def test_the_log_says_what_failed_and_where_but_no_value(client: AsyncClient, raised: Raised, path: str) -> None:
    raised.error = ValueError(PRIVATE)
    raised.error.__cause__ = KeyError(PRIVATE)
    with structlog.testing.capture_logs() as logs:
        await client.get(path, params={"email": PRIVATE})
    (line,) = logs
    assert (line["action"], line["status"], line["error"], line["cause"]) == ("answer", 500, "ValueError", "KeyError")
    assert line["place"].startswith("fail:")
    assert PRIVATE not in repr(line)
    assert "sometoken" not in repr(line)


async def test_expected_refusals_are_not_logged_as_failures(client: AsyncClient, raised: Raised) -> None:
    raised.error = InvalidInput("address", "is required")
    with structlog.testing.capture_logs() as logs:
        await client.get("/v1/fail")
        await client.get("/nothing")
    assert logs == []


async def test_a_failure_after_the_answer_began_is_logged_without_its_values(client: AsyncClient) -> None:
    with structlog.testing.capture_logs() as logs, pytest.raises(AssertionError):
        await client.get("/half")  # the client misses the end of the answer: that is how it learns
    assert [line["error"] for line in logs] == ["ValueError"]
    assert PRIVATE not in repr(logs)


async def test_a_client_that_went_away_is_no_failure(client: AsyncClient, raised: Raised) -> None:
    raised.error = ClientDisconnect()
    with structlog.testing.capture_logs() as logs, pytest.raises(AssertionError):
        await client.get("/v1/fail")  # the client misses an answer: there is nobody to give one to
    assert logs == []
