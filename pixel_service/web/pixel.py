"""``/o/<token>.gif``: one answer for everything, whatever the token is worth and whether or not it was recorded (P1).

Raw ASGI, because it is the hot path: no routing, no request or response object, no exception for the outside.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pixel_service.domain.networks import network_of
from pixel_service.domain.opens import Fetch
from pixel_service.domain.tokens import Tokens
from pixel_service.domain.user_agents import judge
from pixel_service.usecases.record_opens import Outcome, Recorder

#: GIF89a, 1x1, transparent, complete: shorter variants lack the trailer or the LZW end code.
GIF = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")
#: Gmail shows repeated opens only with no-cache and max-age=0; new Outlook shows images only if cross-origin is allowed.
HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-type", b"image/gif"),
    (b"content-length", b"%d" % len(GIF)),
    (b"cache-control", b"private, no-store, no-cache, max-age=0, must-revalidate"),
    (b"pragma", b"no-cache"),
    (b"expires", b"0"),
    (b"cross-origin-resource-policy", b"cross-origin"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-robots-tag", b"noindex"),
)
_MAIL_PROGRAM = b"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.0"
_NOT_ALLOWED = ((b"allow", b"GET, HEAD"), (b"content-length", b"0"), (b"cache-control", b"no-store"))

#: Remembered; where everybody is trusted, more would be visitors.
_MOST_PROXIES = 100
#: A proxy may add the port: ``192.0.2.1:5060``, ``[2001:db8::1]:5060``.
_WITH_PORT = re.compile(r"\[(?P<v6>[^]]*)](?::\d+)?|(?P<v4>[\d.]+):\d+")

_log = structlog.get_logger(__name__)


class PixelEndpoint:
    """An ASGI application for every path under ``/o/``; the last segment is the token."""

    def __init__(
        self,
        tokens: Tokens,
        recorder: Recorder,
        clock: Callable[[], datetime],
        event_ids: Callable[[datetime], bytes],
        *,
        honour_gpc: bool = True,
        trusted_proxies: Sequence[IPv4Network | IPv6Network] = (),
    ) -> None:
        self._tokens = tokens
        self._recorder = recorder
        self._clock = clock
        self._event_ids = event_ids
        self._honour_gpc = honour_gpc
        self._trusted_proxies = trusted_proxies
        #: Addresses of our own machines only.
        self._known_proxies: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = scope["method"]
        if method == "GET":
            await self._record(scope)
            await _answer(send, 200, HEADERS, GIF)
        elif method == "HEAD":
            self._recorder.count(Outcome.HEAD, 1)
            await _answer(send, 200, HEADERS, b"")
        else:
            await _answer(send, 405, _NOT_ALLOWED, b"")

    async def _record(self, scope: Scope) -> None:
        try:
            if fetch := self._fetch(scope):
                await self._recorder.record(fetch)
        except Exception as error:  # noqa: BLE001  the edge: nothing that goes wrong here may show in the answer
            _log.error("open not recorded", action="record_opens", error=type(error).__name__)

    def _fetch(self, scope: Scope) -> Fetch | None:
        """None for whoever asked not to be measured."""
        user_agent, purpose, forwarded, opted_out = _read(scope["headers"])
        if opted_out and self._honour_gpc:
            self._recorder.count(Outcome.OPTED_OUT, 1)
            return None
        at = self._clock()
        return Fetch(
            open_id=self._event_ids(at),
            pixel_id=self._tokens.read_pixel(_token(scope["path"])),
            at=at,
            judgement=judge(user_agent, purpose),
            network=network_of(self._peer(scope.get("client"), forwarded)),
        )

    def _peer(self, client: tuple[str, int] | None, forwarded: str) -> str:
        """Who asked, for `network_of` and nothing else: not kept, not logged. Without an address it came by a Unix socket."""
        address = client[0] if client else ""
        if forwarded and (not address or self._is_proxy(address)):
            last = forwarded.rpartition(",")[2].strip()  # what stands before, the client may have written itself
            found = _WITH_PORT.fullmatch(last)
            return last if found is None else found["v6"] or found["v4"] or ""
        return address

    def _is_proxy(self, address: str) -> bool:
        if address in self._known_proxies:
            return True
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped:
            parsed = parsed.ipv4_mapped
        if not any(parsed in network for network in self._trusted_proxies):
            return False
        if len(self._known_proxies) < _MOST_PROXIES:
            self._known_proxies.add(address)
        return True


def _token(path: str) -> str:
    return path[path.rfind("/") + 1 :].removesuffix(".gif")


def _read(headers: Iterable[tuple[bytes, bytes]]) -> tuple[str, str, str, bool]:
    """User agent, purpose, X-Forwarded-For, and whether Sec-GPC or DNT is set. A header sent twice counts if either does."""
    user_agent, purpose, forwarded, opted_out = b"", b"", b"", False
    for name, value in headers:
        if name == b"user-agent":
            user_agent = value
        elif name == b"x-forwarded-for":
            forwarded = value
        elif name in (b"sec-purpose", b"purpose"):
            purpose += value
        elif name in (b"sec-gpc", b"dnt"):
            opted_out = opted_out or value.strip() == b"1"
    return user_agent.decode("latin-1"), purpose.decode("latin-1"), forwarded.decode("latin-1"), opted_out


async def _answer(send: Send, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> None:
    # A fresh list: middleware may add to it.
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": body})


async def look_at(pixel: ASGIApp, path: str) -> None:
    """Load an image as a mail program would, without a network between (P10)."""

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_message: Message) -> None:
        return

    headers = [(b"user-agent", _MAIL_PROGRAM)]
    await pixel({"type": "http", "method": "GET", "path": path, "headers": headers, "client": None}, receive, send)
