"""What the service is measured against: the least work that answers a pixel request with the same bytes."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pixel_service.web.pixel import GIF, HEADERS

_START = {"type": "http.response.start", "status": 200, "headers": list(HEADERS)}
_BODY = {"type": "http.response.body", "body": GIF}


async def bare(
    scope: MutableMapping[str, Any],
    _receive: object,
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
) -> None:
    """An ASGI application that does nothing else."""
    if scope["type"] == "http":
        await send(_START)
        await send(_BODY)


async def _pixel(_request: Request) -> Response:
    return Response(GIF, headers={name.decode(): value.decode() for name, value in HEADERS})


#: What most tracking services are: one route of a framework.
route = Starlette(routes=[Route("/o/{token}", _pixel)])
