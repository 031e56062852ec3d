"""Pages: a template's name and its values become HTML.

Every page is one answer: the stylesheet stands in the page, allowed by its hash (`style_hash`), so that a
confirmation opens with a single request. No page holds a script, a style attribute or a foreign address.
Each language has its own environment, so rendering in two languages at once can not mix them.
What a status or a header is, this module does not know.
"""

import re
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pixel_service.domain.wordings import Company
from pixel_service.i18n import Catalogues, format_moment, format_number, language_name
from pixel_service.web.bars import chart
from pixel_service.web.palette import palette

_PACKAGE = Path(__file__).parents[1]
PAGES = _PACKAGE / "pages"
STATIC = _PACKAGE / "static"


class Pages:
    """Renders the templates of `pixel_service/pages` in every language we have."""

    def __init__(
        self,
        catalogues: Catalogues,
        company: Company,
        base_url: str,
        timezone: ZoneInfo,
        logo_href: str | None = None,
    ) -> None:
        self._style = palette(company.brand_colour).css() + compact((STATIC / "pages.css").read_text(encoding="utf-8"))
        #: for the policy of every page: `style-src 'self' '<style_hash>'`
        self.style_hash = f"sha256-{b64encode(sha256(self._style.encode()).digest()).decode()}"
        shared: dict[str, object] = {
            "company": company,
            "base_url": base_url.rstrip("/"),
            # Links inside the service start here: right behind any name that leads to it, and never from a header.
            "root": urlsplit(base_url).path.rstrip("/"),
            "style": self._style,
            # For a page that is kept as a file.
            "console_style": compact((STATIC / "console.css").read_text(encoding="utf-8")),
            "logo_href": logo_href,
            "chart": chart,
        }
        self._environments = {
            language: _environment(catalogues, language, timezone, shared) for language in catalogues.languages
        }

    def render(self, name: str, /, *, language: str, path: str, **context: object) -> str:
        """The page `name` ("confirm", "console/login"); `path` is where its language links lead."""
        spoken = language if language in self._environments else next(iter(self._environments))
        template = self._environments[spoken].get_template(f"{name}.html.j2")
        return template.render({**context, "language": spoken, "languages": self._links(spoken, path)})

    def _links(self, spoken: str, path: str) -> list[Mapping[str, object]]:
        # One leading slash only: "//name" in a link would lead to another host.
        place = "/" + quote(path.lstrip("/\\"), safe="/%:@")
        return [
            {"code": code, "name": language_name(code), "href": f"{place}?lang={code}", "current": code == spoken}
            for code in self._environments
        ]


def compact(css: str) -> str:
    """A stylesheet without its comments and line breaks."""
    bare = re.sub(r"\s+", " ", re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL))
    return re.sub(r";}", "}", re.sub(r"\s*([{};,])\s*", r"\1", bare)).strip()


def paragraphs(text: str) -> list[str]:
    """The paragraphs of a plain text, which blank lines separate."""
    return [" ".join(part.split()) for part in re.split(r"\n\s*\n", text.replace("\r\n", "\n")) if part.strip()]


def _environment(
    catalogues: Catalogues, language: str, timezone: ZoneInfo, shared: Mapping[str, object]
) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(PAGES),
        autoescape=True,
        auto_reload=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.install_gettext_translations(  # type: ignore[attr-defined]  # added by the extension
        catalogues.translations(language), newstyle=True
    )
    environment.globals.update(shared)
    environment.globals["format_moment"] = lambda at: format_moment(at, language, timezone)
    environment.filters["paragraphs"] = paragraphs
    environment.filters["number"] = lambda value: value if isinstance(value, str) else format_number(value, language)
    return environment
