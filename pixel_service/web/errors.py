"""The only place that turns exceptions into answers: problem documents (RFC 9457) under `/v1/`, pages elsewhere.

What must hold: an answer repeats nothing that was sent, a log line holds neither values nor addresses nor tokens, and
nothing that was not stored is acknowledged. Starlette's own answer to an unexpected exception is never reached, because
it would be sent without security headers and logged with everything the exception quotes.
"""

import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pixel_service.domain.errors import (
    IdempotencyConflict,
    InvalidFields,
    InvalidInput,
    NotFound,
    StorageUnavailable,
    WordingOutdated,
)
from pixel_service.usecases.context import Context
from pixel_service.web.language import language_of
from pixel_service.web.pages import Pages

_log = structlog.get_logger(__name__)

#: Seconds; a restarted database or a lifted lock is usually back by then.
RETRY_AFTER = 5
#: Paths that are answered in JSON.
API = "/v1/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """An error as it is told to a program; `slug` is None where the status says everything."""

    status: int
    detail: str
    slug: str | None = None
    title: str = ""
    errors: tuple[InvalidInput, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, object]:
        document: dict[str, object] = {
            "type": f"urn:problem-type:pixel-service:{self.slug}" if self.slug else "about:blank",
            "title": self.title or HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            document["errors"] = [{"field": error.field, "detail": error.detail} for error in self.errors]
        return document


def describe(error: Exception) -> Problem:
    match error:
        case HTTPException():
            return Problem(status=error.status_code, detail=error.detail, headers=error.headers or {})
        case InvalidInput():
            return _invalid((error,))
        case InvalidFields():
            return _invalid(error.problems)
        case WordingOutdated() | IdempotencyConflict():
            return _conflict(error)
        case NotFound():
            return Problem(status=404, slug="not-found", title="Not found", detail=f"There is {error}.")
        case _:
            return _failure(error)


def _invalid(errors: tuple[InvalidInput, ...]) -> Problem:
    detail = "; ".join(f"{error.field}: {error.detail}" for error in errors[:3])
    more = f"; and {len(errors) - 3} more" if len(errors) > 3 else ""
    return Problem(status=422, slug="invalid-input", title="Invalid input", detail=detail + more, errors=errors)


def _conflict(error: WordingOutdated | IdempotencyConflict) -> Problem:
    if isinstance(error, IdempotencyConflict):
        detail = "This idempotency key was used before with another body."
        return Problem(status=409, slug="idempotency-conflict", title="Idempotency conflict", detail=detail)
    stale = tuple(InvalidInput(purpose, "this version is not the current one") for purpose in error.purposes)
    detail = "Show the current wordings and let the person choose again."
    return Problem(status=409, slug="wording-outdated", title="Wording outdated", detail=detail, errors=stale)


def _failure(error: Exception) -> Problem:
    if isinstance(error, StorageUnavailable):
        headers = {"Retry-After": str(RETRY_AFTER)}
        return Problem(status=503, detail="Nothing was stored. Try again in a few seconds.", headers=headers)
    return Problem(status=500, detail="The service failed to answer this request.")


# --- pages ------------------------------------------------------------------

#: Title and text by status, in the source language of the catalogues.
PAGE_TEXTS: Mapping[int, tuple[str, str]] = {
    403: ("This form was not sent from our page", "Please open the page again and press the button there."),
    404: ("This page does not exist", "Please check the address, or begin at our start page."),
    405: ("This page can not be used that way", "Please open the page again and press the button there."),
    413: ("That was too much at once", "Please shorten what you entered and try again."),
    421: ("This address is not ours", "Please use the address of our start page."),
    422: ("Some entries need another look", "Please go back, check what you entered and try again."),
    429: ("Too many tries", "Please wait a while and try again."),
    500: ("Something went wrong on our side", "We are sorry. Please try again later."),
    503: ("Please try again in a moment", "Nothing was saved, because our service is busy. Please try again shortly."),
}
OTHER_PAGE_TEXT = ("This request could not be understood", "Please open the page again and try once more.")


def _page(request: Request, problem: Problem) -> Response:
    ctx: Context = request.app.state.ctx
    pages: Pages = request.app.state.pages
    language = language_of(request)
    say = ctx.catalogues.translations(language).gettext
    title, detail = PAGE_TEXTS.get(problem.status, OTHER_PAGE_TEXT)
    html = pages.render(
        "error",
        language=language,
        path=request.url.path,
        status=problem.status,
        title=say(title),
        detail=say(detail),
    )
    return HTMLResponse(html, problem.status, headers=problem.headers)


# --- answering --------------------------------------------------------------


def answer(request: Request, error: Exception) -> Response:
    """Also the handler to register for `HTTPException`, so that Starlette's plain text is not used."""
    problem = describe(error)
    if problem.status >= 500:
        _report(error, problem.status)
    if request.url.path.startswith(API):
        return JSONResponse(
            problem.document(), problem.status, headers=problem.headers, media_type="application/problem+json"
        )
    return _page(request, problem)


def _report(error: Exception, status: int) -> None:
    """Type and place only: the text of a foreign exception may quote what it failed on."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].name}:{frames[-1].lineno}" if frames else "unknown"
    cause = type(error.__cause__).__name__ if error.__cause__ else None
    _log.error("request failed", action="answer", status=status, error=type(error).__name__, cause=cause, place=place)


class Answers:
    """The edge: whatever is raised inside becomes an answer here, so it stands outside of everything that raises."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def send_and_see(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, send_and_see)
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001  # the ASGI edge; logged by `answer` or here
            if started:
                # Too late for a status: the server sees an unfinished answer and cuts the connection.
                _report(error, 500)
                return
            await answer(Request(scope), error)(scope, receive, send)
