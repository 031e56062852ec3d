"""What the handlers of the pages share: the right language, addresses below the public root, and bounded forms.

An address is built from settings and the path, never from the Host header (X4). Nothing here acts.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse

from pixel_service.domain.accounts import OPERATES, SEES_PERSONS, User
from pixel_service.domain.consent import Purpose
from pixel_service.usecases.context import Context
from pixel_service.web.pages import Pages

#: Far more than any form of ours has; browser extensions add a few.
MAX_FIELDS = 100
MAX_FIELD_BYTES = 8 * 1024
#: What a ticked box of our pages sends.
YES = "yes"


def context_of(request: Request) -> Context:
    ctx: Context = request.app.state.ctx
    return ctx


def token_of(request: Request) -> str:
    token: str = request.path_params["token"]
    return token


def show(
    request: Request, name: str, /, *, language: str, status: int = 200, path: str | None = None, **values: object
) -> HTMLResponse:
    """The page `name`; its language links lead to `path`, which must be one that GET answers."""
    pages: Pages = request.app.state.pages
    place = root(request) + (path or request.url.path)
    user: User | None = getattr(request.state, "user", None)
    may = {
        "sees_persons": user is not None and user.role in SEES_PERSONS,
        "operates": user is not None and user.role in OPERATES,
    }
    return HTMLResponse(pages.render(name, language=language, path=place, **may, **values), status)


def root(request: Request) -> str:
    """Where the service begins under its public address, e.g. ``/mail`` behind a proxy that strips it."""
    return urlsplit(context_of(request).policy.base_url).path.rstrip("/")


def href(request: Request, path: str, language: str) -> str:
    """A link to another page of ours that stays in this language."""
    return f"{root(request)}{quote(path)}?lang={language}"


def action(request: Request, path: str) -> str:
    """Where a form posts to. A language that was asked for stays; everything the act goes by is in the body (S8)."""
    asked = request.query_params.get("lang")
    kept = f"?lang={asked}" if asked in context_of(request).catalogues.languages else ""
    return f"{root(request)}{quote(path)}{kept}"


def say(request: Request, language: str, text: str) -> str:
    """`text`, a msgid, in the language of the page."""
    return context_of(request).catalogues.translations(language).gettext(text)


def link_unknown(request: Request, language: str) -> HTMLResponse:
    """One answer for forged, garbled and foreign links, and for people who are no longer known."""
    return show(request, "link_unknown", language=language, status=404)


# --- forms ------------------------------------------------------------------


def field_of(purpose: Purpose) -> str:
    """The name of a purpose's box: ``newsletter:blog`` -> ``newsletter-blog``. The version it shows is posted as
    ``newsletter-blog_version``."""
    return purpose.replace(":", "-", 1)


def purpose_of(field: str) -> Purpose:
    """The opposite of `field_of`; of any other field, a purpose that nobody asked for."""
    return Purpose(field.replace("-", ":", 1))


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of a posted form. A field that is missing, a file, or posted twice with two answers says nothing."""

    fields: FormData

    def text(self, name: str) -> str:
        values = set(self.fields.getlist(name))
        value = values.pop() if len(values) == 1 else ""
        return value if isinstance(value, str) else ""

    def ticked(self, purpose: Purpose) -> bool:
        return self.text(field_of(purpose)) == YES

    def all_ticked(self) -> Iterator[Purpose]:
        return (purpose_of(name) for name in self.fields if self.text(name) == YES)

    def version(self, purpose: Purpose) -> str | None:
        """Of the wording that stood beside the box; None when the form did not have the box at all."""
        name = f"{field_of(purpose)}_version"
        return self.text(name) if name in self.fields else None


async def read_form(request: Request) -> Form:
    """The body only, never the query. How long it may be is bounded before (`security.BodyLimit`)."""
    async with request.form(max_files=0, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD_BYTES) as fields:
        return Form(fields)
