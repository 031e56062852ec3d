"""Log in, log out, and the gate before every other page of the console.

The session's cookie is never readable by a script, never sent by a form of another site, and under https bound to this
one host (`__Host-`). After log-in people are only ever sent to pages of the console.
"""

import re
from collections.abc import Awaitable, Callable
from functools import wraps
from urllib.parse import quote, urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from pixel_service.domain.accounts import OPERATES, SEES_PERSONS, SESSION_LIFE, Role, User
from pixel_service.usecases import accounts
from pixel_service.usecases.context import Context
from pixel_service.web.language import language_of
from pixel_service.web.pages import Pages

Handler = Callable[[Request], Awaitable[Response]]

HOME = "/console/"
LOGIN = "/console/login"
#: No dot and no backslash: nothing a browser would resolve to somewhere else.
_CONSOLE_PAGE = re.compile(r"/console/(?!login|logout)[A-Za-z0-9_/-]*(\?[A-Za-z0-9_=&%+-]*)?")

WRONG = "This user name and password do not belong together."
TOO_MANY = "Too many tries. Please wait a quarter of an hour."


async def show(request: Request) -> Response:
    """GET /console/login"""
    return _page(request, safe_next(request.query_params.get("next", "")), None)


async def log_in(request: Request) -> Response:
    """POST /console/login with `name`, `password` and `next` in the body, as a form."""
    ctx: Context = request.app.state.ctx
    async with request.form(max_files=0, max_fields=10) as form:
        name, password, wanted = (_text(form.get(field)) for field in ("name", "password", "next"))
    target = safe_next(wanted)
    match await accounts.log_in(ctx, name, password):
        case accounts.LoggedIn(session=session):
            response: Response = RedirectResponse(_root(request) + target, 303)
            _set_cookie(request, response, session)
            return response
        case accounts.WrongCredentials():
            return _page(request, target, WRONG, status=403)
        case accounts.TooManyTries(retry_after=wait):
            response = _page(request, target, TOO_MANY, status=429)
            response.headers["Retry-After"] = str(int(wait.total_seconds()))
            return response


async def log_out(request: Request) -> Response:
    """POST /console/logout"""
    if session := request.cookies.get(_cookie_name(request)):
        await accounts.log_out(request.app.state.ctx, session)
    response = RedirectResponse(_root(request) + LOGIN, 303)
    secure = _is_https(request)
    response.delete_cookie(_cookie_name(request), path="/", secure=secure, httponly=True, samesite="lax")
    return response


def require_user(handler: Handler) -> Handler:
    """The handler runs only for someone logged in, and finds them in `request.state.user`."""

    @wraps(handler)
    async def checked(request: Request) -> Response:
        user = await current_user(request)
        if user is None:
            return RedirectResponse(_root(request) + LOGIN + _way_back(request), 303)
        request.state.user = user
        return await handler(request)

    return checked


def require_officer(handler: Handler) -> Handler:
    """As `require_user`, and only for those who may see persons."""
    return _require(SEES_PERSONS, "this page is for privacy officers", handler)


def require_admin(handler: Handler) -> Handler:
    """As `require_user`, and only for those who look after the service."""
    return _require(OPERATES, "this page is for admins", handler)


def _require(roles: frozenset[Role], refusal: str, handler: Handler) -> Handler:
    @wraps(handler)
    async def checked(request: Request) -> Response:
        if request.state.user.role not in roles:
            raise HTTPException(403, refusal)
        return await handler(request)

    return require_user(checked)


async def current_user(request: Request) -> User | None:
    session = request.cookies.get(_cookie_name(request))
    return await accounts.session_of(request.app.state.ctx, session) if session else None


def safe_next(wanted: str) -> str:
    """`wanted` when it is a page of the console, else the console's first page."""
    return wanted if len(wanted) <= 500 and _CONSOLE_PAGE.fullmatch(wanted) else HOME


def _way_back(request: Request) -> str:
    """Only what was asked for by GET can be asked for again after log-in."""
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    known = request.method == "GET" and path != HOME and safe_next(path) == path
    return f"?next={quote(path, safe='/')}" if known else ""


def _page(request: Request, target: str, error: str | None, *, status: int = 200) -> Response:
    ctx: Context = request.app.state.ctx
    pages: Pages = request.app.state.pages
    language = language_of(request)
    said = ctx.catalogues.translations(language).gettext(error) if error else None
    html = pages.render("console/login", language=language, path=LOGIN, error=said, next=target)
    return HTMLResponse(html, status)


def _set_cookie(request: Request, response: Response, session: str) -> None:
    response.set_cookie(
        _cookie_name(request),
        session,
        max_age=int(SESSION_LIFE.total_seconds()),
        path="/",
        secure=_is_https(request),
        httponly=True,
        samesite="lax",
    )


def _cookie_name(request: Request) -> str:
    return "__Host-session" if _is_https(request) else "session"


def _is_https(request: Request) -> bool:
    ctx: Context = request.app.state.ctx
    return urlsplit(ctx.policy.base_url).scheme == "https"


def _root(request: Request) -> str:
    """Where the service begins under its public address, e.g. ``/mail`` behind a proxy that strips it."""
    ctx: Context = request.app.state.ctx
    return urlsplit(ctx.policy.base_url).path.rstrip("/")


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
