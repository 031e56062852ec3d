"""Which program is calling, and whether its key may do this (A2, RFC 6750)."""

from collections.abc import Awaitable, Callable
from functools import wraps

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from pixel_service.domain.accounts import Scope
from pixel_service.usecases.api_keys import authenticate
from pixel_service.usecases.context import Context

Handler = Callable[[Request], Awaitable[Response]]


def require(scope: Scope) -> Callable[[Handler], Handler]:
    """The handler runs only for a valid key with this scope, and finds it in `request.state.api_key`.
    It is asked before the body is read."""

    def decorate(handler: Handler) -> Handler:
        @wraps(handler)
        async def checked(request: Request) -> Response:
            await _check(request, scope)
            return await handler(request)

        return checked

    return decorate


async def _check(request: Request, scope: Scope) -> None:
    ctx: Context = request.app.state.ctx
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token.strip():
        raise _challenge(401, "an API key is required: Authorization: Bearer pk_...", "")
    key = await authenticate(ctx, token.strip())
    if key is None:
        raise _challenge(401, "this API key is not valid, expired or revoked", ', error="invalid_token"')
    if scope not in key.scopes:
        raise _challenge(403, f"this API key lacks the scope {scope}", f', error="insufficient_scope", scope="{scope}"')
    request.state.api_key = key


def _challenge(status: int, detail: str, attributes: str) -> HTTPException:
    return HTTPException(status, detail, {"WWW-Authenticate": f'Bearer realm="pixel-service"{attributes}'})
