"""What anybody may read: the privacy notice in any version, the imprint, and what search engines are told."""

import re

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from pixel_service.domain.errors import NotFound
from pixel_service.domain.wordings import Language
from pixel_service.storage import texts
from pixel_service.usecases.context import Context
from pixel_service.web.language import language_of
from pixel_service.web.pages import paragraphs
from pixel_service.web.views import context_of, href, show

#: Offers and legal pages may be found; addresses with a token in them never.
_ROBOTS = """User-agent: *
Allow: /$
Allow: /newsletter/
Allow: /whitepaper/
Allow: /privacy$
Allow: /privacy?
Allow: /privacy/request
Allow: /imprint
Disallow: /
"""
_VERSION = re.compile(r"[0-9a-z-]{1,20}")
_HEADING = re.compile(r"(#{2,3}) (.+)")
_NAMED = re.compile(r"\*\*(.+?):\*\* (.+)")

#: ``h2``, ``h3``, ``p``: a text; ``ul``: texts; ``dl``: names and texts.
Block = tuple[str, str | list[str] | list[tuple[str, str]]]


async def show_privacy(request: Request) -> Response:
    """GET /privacy, of today; `?version=` shows what a person read earlier."""
    ctx, language = context_of(request), language_of(request)
    notice = ctx.catalogue.notice(language)
    version, text = request.query_params.get("version", notice.version), notice.text
    if version != notice.version:
        text = await _kept(ctx, version, notice.language)
    return show(
        request,
        "privacy",
        language=language,
        version=version,
        notice=blocks(text),
        current_href=None if version == notice.version else href(request, "/privacy", language),
    )


async def _kept(ctx: Context, version: str, language: Language) -> str:
    """As it was shown. Raises `NotFound`."""
    async with ctx.db.read() as connection:
        known = _VERSION.fullmatch(version) is not None
        text = await texts.find(connection, texts.NOTICE, version, language) if known else None
    if text is None:
        raise NotFound("version")
    return text


async def show_imprint(request: Request) -> Response:
    """GET /imprint"""
    return show(request, "imprint", language=language_of(request))


async def robots(_request: Request) -> Response:
    """GET /robots.txt"""
    return PlainTextResponse(_ROBOTS)


def blocks(text: str) -> list[Block]:
    """The Markdown of notices: headings, paragraphs and lists. The title is the page's own."""
    parts = [part.strip() for part in re.split(r"\n\s*\n", text)]
    return [_block(part) for part in parts if part and not part.startswith("# ")]


def _block(part: str) -> Block:
    if heading := _HEADING.fullmatch(part):
        return f"h{len(heading[1])}", heading[2]
    if not part.startswith("- "):
        return "p", " ".join(paragraphs(part))
    entries = [" ".join(entry.split()) for entry in part.removeprefix("- ").split("\n- ")]
    named = [_NAMED.fullmatch(entry) for entry in entries]
    pairs = [(found[1], found[2]) for found in named if found]
    return ("dl", pairs) if len(pairs) == len(entries) else ("ul", entries)
