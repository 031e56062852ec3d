"""Who may use the endpoints of forms on other sites: the origins of an allow-list, by the Fetch standard's CORS protocol.

The list names sites, not people: it keeps strangers' pages from signing up their visitors, and is no protection against
programs, which can claim any origin. No cookie is read here and none is allowed along.
"""

from collections.abc import Awaitable, Callable
from functools import wraps
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from pixel_service.domain.errors import InvalidInput, PixelServiceError
from pixel_service.settings import Settings
from pixel_service.web.errors import answer

Handler = Callable[[Request], Awaitable[Response]]
#: How long a browser may remember a preflight.
_SECONDS = "600"


def open_to_forms(handler: Handler) -> Handler:
    """Answers a preflight, and lets a page of the allow-list read what is answered, refusals included."""

    @wraps(handler)
    async def shared(request: Request) -> Response:
        try:
            response = _preflight(request) if request.method == "OPTIONS" else await handler(request)
        except (PixelServiceError, HTTPException) as error:
            response = answer(request, error)
        response.headers.add_vary_header("Origin")
        origin = request.headers.get("origin")
        if origin is not None and is_known(request, origin):
            response.headers["Access-Control-Allow-Origin"] = origin
        return response

    return shared


def demand_known(request: Request) -> None:
    """Raises `HTTPException` 403 unless the request names an origin that may do this; programs must name one too."""
    origin = request.headers.get("origin")
    if origin is None or not is_known(request, origin):
        raise HTTPException(403, "the Origin of this request is not one whose forms may sign people up")


def demand_own_page(request: Request, form_url: str) -> None:
    """Evidence names the page a form stood on: a page of the origin that sent it. Raises `InvalidInput`."""
    if origin_of(form_url) != request.headers.get("origin"):
        raise InvalidInput("form_url", "must be a page of the origin that sends the form")


def is_known(request: Request, origin: str) -> bool:
    settings: Settings = request.app.state.settings
    return origin in {origin_of(address) for address in (settings.base_url, *settings.form_origins)}


def is_foreign_form(request: Request, origin: str) -> bool:
    """Whether this is another site of the allow-list."""
    settings: Settings = request.app.state.settings
    return origin in {origin_of(address) for address in settings.form_origins} - {origin_of(settings.base_url)}


def origin_of(address: str) -> str:
    """As a browser writes it: lower case, without the port that the scheme implies, without a path."""
    parts = urlsplit(address.lower())
    return f"{parts.scheme}://{parts.netloc.removesuffix({'https': ':443', 'http': ':80'}[parts.scheme])}"


def _preflight(request: Request) -> Response:
    demand_known(request)
    return Response(
        status_code=204,
        headers={
            "Access-Control-Allow-Methods": "POST",
            "Access-Control-Allow-Headers": "Content-Type",
            "Access-Control-Max-Age": _SECONDS,
        },
    )
