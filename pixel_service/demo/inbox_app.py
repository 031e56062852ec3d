"""The inbox in the browser: lists mails and shows one as a mail client would, remote images off until asked for.

Mails are hostile. Their HTML only ever stands in a sandboxed frame with a policy of its own; everything else is
escaped. Only loopback names are answered (DNS rebinding), and the one request it makes goes to the service alone.
"""

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import uvicorn
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from pixel_service.demo.inbox import LOOPBACK, Inbox
from pixel_service.demo.received import Received, plain_text

_HERE = Path(__file__).parent
_SHOWN = 500_000
_ANSWER = 64 * 1024
_REFRESH_SECONDS = 5

_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; frame-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_FRAME_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src {images}; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox"
)
# Each stops at the next "<", so that a mail of nothing but openings costs no more than one of text.
_REMOTE_IMAGE = re.compile(r"<img\b[^<>]*?\bsrc\s*=\s*[\"']?\s*https?:", re.IGNORECASE)
_HEAD = re.compile(r"<head\b[^<>]*>", re.IGNORECASE)
_DOCTYPE = re.compile(r"<!doctype\b[^<>]*>", re.IGNORECASE)
_LINK = re.compile(r"https?://[^\s<>\"']*[^\s<>\"'.,;:!?)\]]")


def inbox_app(inbox: Inbox, service_url: str) -> Starlette:
    """`service_url` is the only place the Unsubscribe button posts to."""
    views = _Views(inbox, service_url)
    return Starlette(
        routes=[
            Route("/", views.list_mails),
            Route("/mails/{number:int}", views.show),
            Route("/mails/{number:int}/html", views.frame),
            Route("/mails/{number:int}/source", views.source),
            Route("/mails/{number:int}/unsubscribe", views.unsubscribe, methods=["POST"]),
            Route("/inbox.css", views.style),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=[LOOPBACK, "localhost"])],
    )


@contextlib.asynccontextmanager
async def serve_inbox(
    *, smtp_port: int, web_port: int, service_url: str, clock: Callable[[], datetime]
) -> AsyncIterator[tuple[Inbox, str]]:
    """Run both servers in this event loop; yields the inbox and the address to open. OSError when a port is taken."""
    with socket.create_server((LOOPBACK, web_port)) as listener:
        inbox = Inbox(clock, smtp_port)
        await inbox.start()
        config = uvicorn.Config(
            inbox_app(inbox, service_url),
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=2,
        )
        server = _Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield inbox, f"http://{LOOPBACK}:{listener.getsockname()[1]}/"
        finally:
            server.should_exit = True
            await serving
            await inbox.stop()


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Ctrl-C belongs to whoever runs the event loop."""
        yield


class _Views:
    def __init__(self, inbox: Inbox, service_url: str) -> None:
        self._inbox = inbox
        self._service = _origin(service_url)
        self._style = (_HERE / "inbox.css").read_text(encoding="utf-8")
        self._pages = Environment(
            loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )
        self._pages.filters["linked"] = _linked
        self._pages.filters["clock_time"] = lambda at: f"{at.astimezone():%H:%M}"
        self._pages.filters["date_time"] = lambda at: f"{at.astimezone():%d %B %Y, %H:%M:%S}"

    async def list_mails(self, request: Request) -> Response:
        paused = request.query_params.get("refresh") == "off"
        return self._page("inbox_list", paused=paused, refresh=None if paused else _REFRESH_SECONDS)

    async def show(self, request: Request) -> Response:
        mail = self._mail(request)
        if request.method == "GET":
            self._inbox.mark_read(mail.number)
        return self._show(request, mail, answer=None)

    async def frame(self, request: Request) -> Response:
        """The mail's own page. It has no script, no form, no plugin, and without `images=on` nothing from outside."""
        mail = self._mail(request)
        images = "data: http: https:" if _images_on(request) else "data:"
        headers = _PAGE_HEADERS | {
            "Content-Security-Policy": _FRAME_POLICY.format(images=images),
            "X-DNS-Prefetch-Control": "off",
        }
        return HTMLResponse(_links_open_outside(mail.html or ""), headers=headers)

    async def source(self, request: Request) -> Response:
        mail = self._mail(request)
        headers = _PAGE_HEADERS | {"Content-Disposition": f'attachment; filename="mail-{mail.number}.eml"'}
        return Response(mail.source, media_type="message/rfc822", headers=headers)

    async def unsubscribe(self, request: Request) -> Response:
        """What a mail provider does behind its own button (RFC 8058): a POST without cookies, from its server."""
        if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
            raise HTTPException(403)
        mail = self._mail(request)
        if mail.unsubscribe_uri is None or not self._can_unsubscribe(mail):
            raise HTTPException(404)
        return self._show(request, mail, answer=await _post_one_click(mail.unsubscribe_uri))

    async def style(self, request: Request) -> Response:
        del request
        return Response(self._style, media_type="text/css", headers=_PAGE_HEADERS)

    def _show(self, request: Request, mail: Received, answer: tuple[str, str] | None) -> Response:
        views = [view for view, there in (("html", mail.html), ("text", mail.text)) if there is not None] + ["source"]
        wanted = request.query_params.get("view")
        return self._page(
            "inbox_mail",
            mail=mail,
            views=views,
            view=wanted if wanted in views else views[0],
            images=_images_on(request),
            remote_images=len(_REMOTE_IMAGE.findall(mail.html or "")),
            source=mail.source[:_SHOWN].decode("utf-8", "replace"),
            text=(mail.text or "")[:_SHOWN],
            can_unsubscribe=self._can_unsubscribe(mail),
            answer=answer,
        )

    def _mail(self, request: Request) -> Received:
        mail = self._inbox.get(request.path_params["number"])
        if mail is None:
            raise HTTPException(404)
        return mail

    def _can_unsubscribe(self, mail: Received) -> bool:
        return mail.one_click and mail.unsubscribe_uri is not None and _origin(mail.unsubscribe_uri) == self._service

    def _page(self, name: str, **values: object) -> Response:
        mails = self._inbox.mails()
        html = self._pages.get_template(f"{name}.html.j2").render(
            {"mail": None, "refresh": None} | values,
            mails=mails,
            is_unread=self._inbox.is_unread,
            unread=sum(self._inbox.is_unread(mail.number) for mail in mails),
        )
        return HTMLResponse(html, headers=_PAGE_HEADERS)


async def _post_one_click(uri: str) -> tuple[str, str]:
    """The answer's status line and its words."""
    body = {"List-Unsubscribe": "One-Click"}
    try:
        async with (
            httpx.AsyncClient(timeout=10, trust_env=False, follow_redirects=False) as client,
            client.stream("POST", uri, data=body) as response,
        ):
            read = b""
            async for chunk in response.aiter_bytes():
                read += chunk
                if len(read) > _ANSWER:
                    break
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return "No answer", str(error) or type(error).__name__
    words = read[:_ANSWER].decode("utf-8", "replace")
    if "html" in response.headers.get("content-type", ""):
        words = plain_text(words)
    return f"{response.status_code} {response.reason_phrase}", re.sub(r"\s*\n\s*", "\n", words)[:2000]


def _origin(url: str) -> tuple[str, str | None, int | None] | None:
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return None
    return parts.scheme, parts.hostname, port


def _images_on(request: Request) -> bool:
    return request.query_params.get("images") == "on"


def _links_open_outside(html: str) -> str:
    """A `base` element where the browser looks for it; before the doctype it would switch to quirks mode."""
    found = _HEAD.search(html) or _DOCTYPE.search(html)
    at = found.end() if found else 0
    return f'{html[:at]}<base target="_blank">{html[at:]}'


def _linked(text: str) -> Markup:
    shown, at = Markup(), 0
    for found in _LINK.finditer(text):
        shown += escape(text[at : found.start()])
        shown += Markup('<a href="{0}" target="_blank" rel="noopener noreferrer">{0}</a>').format(found[0])
        at = found.end()
    return shown + escape(text[at:])
