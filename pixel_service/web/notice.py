"""What anybody may read: the privacy notice, the imprint, and what search engines are told."""

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from pixel_service.web.language import language_of
from pixel_service.web.pages import paragraphs
from pixel_service.web.views import context_of, show

#: Offers and legal pages may be found; addresses with a token in them never.
_ROBOTS = """User-agent: *
Allow: /$
Allow: /newsletter/
Allow: /whitepaper/
Allow: /privacy
Allow: /imprint
Disallow: /
"""


async def show_privacy(request: Request) -> Response:
    """GET /privacy"""
    language = language_of(request)
    notice = context_of(request).catalogue.notice(language)
    return show(request, "privacy", language=language, version=notice.version, notice=sections(notice.text))


async def show_imprint(request: Request) -> Response:
    """GET /imprint"""
    return show(request, "imprint", language=language_of(request))


async def robots(_request: Request) -> Response:
    """GET /robots.txt"""
    return PlainTextResponse(_ROBOTS)


def sections(text: str) -> list[tuple[str, list[str]]]:
    """Heading -> its paragraphs. The title is the page's own; what stands before the first heading has none."""
    found: list[tuple[str, list[str]]] = [("", [])]
    for paragraph in paragraphs(text):
        if paragraph.startswith("# "):
            continue
        if paragraph.startswith("## "):
            found.append((paragraph.removeprefix("## "), []))
        else:
            found[-1][1].append(paragraph)
    return [section for section in found if any(section)]
