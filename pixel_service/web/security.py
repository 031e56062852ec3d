"""What holds for every page and endpoint, as pure ASGI middlewares (X1, X2, X4, X6).

They refuse by raising `HTTPException`; `errors.Answers`, which stands outside of them, says it in HTML or JSON.
The pixel is not behind them: its path is mounted outside and has its own headers.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pixel_service.web.errors import Answers

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
KILOBYTE = 1024


def content_security_policy(*, style_hash: str, frame_ancestors: str = "'none'") -> str:
    """For a page that loads its own styles and images and posts its own forms: no script at all, nothing foreign."""
    return (
        f"default-src 'none'; style-src 'self' '{style_hash}'; img-src 'self' data:; form-action 'self'; "
        f"base-uri 'none'; frame-ancestors {frame_ancestors}"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the guards go by; everything comes from settings, nothing from a request."""

    #: Scheme, host and port under which people reach the service.
    base_url: str
    #: `Pages.style_hash`.
    style_hash: str
    #: Further values of the Host header to accept, e.g. of a proxy that does not pass it on; with port if it has one.
    allowed_hosts: Sequence[str] = ()
    #: Answer under any host: probes call by IP address.
    any_host: Sequence[str] = ("/health/", "/metrics")
    #: Longest body in bytes by beginning of the path; the first match counts.
    body_limits: Mapping[str, int] = field(default_factory=lambda: {"/v1/send": 16 * KILOBYTE * KILOBYTE})
    body_limit: int = 64 * KILOBYTE
    #: See `CrossSite`.
    cross_site: Sequence[str] = ("/v1/", "/u/")
    #: Where the forms of the allow-list may post to, and that list as browsers name the sites.
    forms: Sequence[str] = ("/newsletter/", "/whitepaper/")
    form_origins: Sequence[str] = ()
    #: Pages that work with a cookie, and whose addresses are no secret.
    cookie_pages: str = "/console"

    @property
    def is_https(self) -> bool:
        return urlsplit(self.base_url).scheme == "https"

    @property
    def origin(self) -> str:
        return f"{urlsplit(self.base_url).scheme}://{self.authority(urlsplit(self.base_url).netloc)}"

    def authority(self, host: str) -> str:
        """One spelling of host and port, as browsers write it: without the port that the scheme implies."""
        return host.lower().removesuffix(":443" if self.is_https else ":80")

    def limit_of(self, path: str) -> int:
        return next((limit for start, limit in self.body_limits.items() if path.startswith(start)), self.body_limit)


class SecurityHeaders:
    """Adds to every answer what it does not set itself: a page that may be embedded states its own policy."""

    def __init__(self, app: ASGIApp, rules: Rules) -> None:
        self.app, self.rules = app, rules
        self._defaults = {
            "Content-Security-Policy": content_security_policy(style_hash=rules.style_hash),
            "X-Content-Type-Options": "nosniff",
            # Addresses of link pages hold tokens, which must not reach the log of any server, ours included.
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
            "Cache-Control": "no-store",
        }
        if rules.is_https:
            self._defaults["Strict-Transport-Security"] = "max-age=63072000"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._for(scope["path"]).items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, send_with_headers)

    def _for(self, path: str) -> dict[str, str]:
        if path.startswith(self.rules.cookie_pages):
            # With no-referrer a browser names the origin of a form "null"; `CrossSite` wants to read it here.
            return self._defaults | {"Referrer-Policy": "same-origin"}
        return self._defaults


class KnownHost:
    """Refuses requests that were meant for another host: a page must not be reachable under a stranger's name."""

    def __init__(self, app: ASGIApp, rules: Rules) -> None:
        self.app, self.rules = app, rules
        names = (urlsplit(rules.base_url).netloc, *rules.allowed_hosts)
        self._known = frozenset(map(rules.authority, names))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not _starts(scope["path"], self.rules.any_host):
            hosts = Headers(scope=scope).getlist("host")
            if len(hosts) != 1:
                raise HTTPException(400, "exactly one Host header is required")
            if self.rules.authority(hosts[0]) not in self._known:
                raise HTTPException(421, "this service does not answer for this host")
        await self.app(scope, receive, send)


class BodyLimit:
    """Refuses long bodies, announced or streamed, before anybody collects them."""

    def __init__(self, app: ASGIApp, rules: Rules) -> None:
        self.app, self.rules = app, rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit, received = self.rules.limit_of(scope["path"]), 0
        announced = Headers(scope=scope).get("content-length", "0")
        if not (announced.isascii() and announced.isdigit()):
            raise HTTPException(400, "Content-Length is not a number")
        # The length of the digits first: int() of a megabyte of them is work.
        if len(announced) > 19 or int(announced) > limit:
            raise _too_long(limit)

        async def receive_counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise _too_long(limit)
            return message

        await self.app(scope, receive_counted, send)


class CrossSite:
    """Refuses forms that another site submits with a visitor's browser (CSRF), by what browsers say of themselves.

    The branches, for methods that act:

    1. `/v1/*`: passes. An API key or an allow-list of origins decides there, no cookie is read.
    2. `/u/*`: passes. RFC 8058 section 3.1: mail providers and mail programs POST there, from wherever they run; the token in
       the path is the authority, and an unsubscribe that is refused is worse than one that was forged.
    `/newsletter/*`, `/whitepaper/*` with the `Origin` of a site of the allow-list: passes. Its page holds a copy of our form.
    3. `Sec-Fetch-Site` is there (every browser since 2023, on https and localhost): `same-origin` and `none` (the person
       themselves, e.g. by reload) pass, everything else is refused. It can not be set by a page.
    4. Else `Origin` is there: ours passes, any other is refused. `null` passes outside the console: it is what a browser
       without `Sec-Fetch-Site` says on a page with `Referrer-Policy: no-referrer`, as our link pages are. Their authority is the
       token in the path, which no other site knows; the console, which has a cookie, states its origin (`SecurityHeaders`).
    5. Neither is there: passes. No browser, so nobody's cookies; it may be a provider or a script of the person.
    """

    def __init__(self, app: ASGIApp, rules: Rules) -> None:
        self.app, self.rules = app, rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] not in SAFE_METHODS and not self._passes(scope):
            raise HTTPException(403, "this form was sent by another site")
        await self.app(scope, receive, send)

    def _passes(self, scope: Scope) -> bool:
        path, headers = scope["path"], Headers(scope=scope)
        if _starts(path, self.rules.cross_site):
            return True
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        if _starts(path, self.rules.forms) and origin in self.rules.form_origins:
            return True
        if site is not None:
            return site in {"same-origin", "none"}
        if origin == "null":
            return not path.startswith(self.rules.cookie_pages)
        return origin is None or origin == self.rules.origin


def _starts(path: str, beginnings: Iterable[str]) -> bool:
    return path.startswith(tuple(beginnings))


def _too_long(limit: int) -> HTTPException:
    # The rest of the body is on its way: this connection is of no further use.
    return HTTPException(413, f"at most {limit} bytes are accepted here", {"Connection": "close"})


def guards(rules: Rules) -> list[Middleware]:
    """All of them in order, outermost first, with the edge that answers what they raise."""
    return [
        Middleware(SecurityHeaders, rules=rules),
        Middleware(Answers),
        Middleware(KnownHost, rules=rules),
        Middleware(BodyLimit, rules=rules),
        Middleware(CrossSite, rules=rules),
    ]
