"""The whitepaper behind its personal link, and a new link for an expired one (S13). No download is counted."""

from typing import assert_never
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from pixel_service.usecases.download import Expired, Ready, Unknown, look_up, request_download_again
from pixel_service.web.language import language_of
from pixel_service.web.views import action, context_of, link_unknown, show, token_of


async def fetch(request: Request) -> Response:
    """GET /d/{token}"""
    found = await look_up(context_of(request), token_of(request))
    match found:
        case Ready():
            return _file(found)
        case Expired(stored):
            again = action(request, f"/d/{token_of(request)}")
            return show(request, "download_expired", language=language_of(request, stored), status=410, action=again)
        case Unknown():
            return link_unknown(request, language_of(request))
    assert_never(found)


async def ask_again(request: Request) -> Response:
    """POST /d/{token}: one answer, whether or not there was something to send."""
    ctx, token = context_of(request), token_of(request)
    found = await look_up(ctx, token)
    await request_download_again(ctx, token)
    stored = found.language if isinstance(found, Expired) else None
    return show(request, "mail_sent", language=language_of(request, stored))


def _file(ready: Ready) -> Response:
    """RFC 6266: a plain name for old programs, the title for all others."""
    titled = quote(f"{ready.title}.pdf", safe="")
    names = f"filename=\"{ready.slug}.pdf\"; filename*=UTF-8''{titled}"
    headers = {"Content-Disposition": f"attachment; {names}", "Content-Language": ready.language}
    return Response(ready.content, media_type="application/pdf", headers=headers)
