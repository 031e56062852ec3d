"""The sign-up form for other sites: a script that keeps itself current, and plain HTML to copy (S1).

Both are the same for every visitor and lead to the same use case as the hosted form. Who may use them is decided where
they post to, by the allow-list of origins. A copy whose texts are outdated gets the hosted form, typed values kept.
"""

import json
from collections.abc import Iterable

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from pixel_service.domain.consent import Purpose
from pixel_service.domain.errors import NotFound
from pixel_service.domain.wordings import Offer
from pixel_service.web.language import language_of
from pixel_service.web.pages import STATIC
from pixel_service.web.views import YES, context_of, field_of, say

_SCRIPT = (STATIC / "embed.js").read_text(encoding="utf-8").strip()
_KEEP = {"Cache-Control": "public, max-age=3600", "Cross-Origin-Resource-Policy": "cross-origin"}
_WORDS = {
    "address": "E-mail address",
    "newsletter": "Subscribe",
    "whitepaper": "Request whitepaper",
    "outdated": "The wording has changed.",
    "again": "Please look at the choices again and tick what you want. What you typed is still there.",
    "done": "Thank you. Please check your mail and confirm there.",
    "failed": "That did not work. Please check what you entered.",
    "notice": 'How we handle your data is described in our <a href="%(href)s">privacy notice</a>.',
}


async def script(request: Request) -> Response:
    """GET /embed/{kind}/{slug}.js"""
    kind, offer = _offer(request)
    ctx = context_of(request)
    what = {
        "base": ctx.policy.base_url,
        "kind": kind,
        "slug": offer.slug,
        "language": ctx.policy.default_language,
        "words": {
            language: {name: say(request, language, text) for name, text in _WORDS.items()}
            for language in ctx.catalogue.languages
            if language in ctx.catalogues.languages
        },
    }
    return Response(f"({_SCRIPT})({json.dumps(what)});\n", media_type="text/javascript", headers=_KEEP)


async def snippet(request: Request) -> Response:
    """GET /embed/{kind}/{slug}.html, in the language of `?lang=`: as text, to be read and copied."""
    kind, offer = _offer(request)
    ctx = context_of(request)
    language = ctx.catalogue.language(language_of(request))
    lines = [
        Markup('<form method="post" action="{}/{}/{}" target="_blank" lang="{}">').format(
            ctx.policy.base_url, kind, offer.slug, language
        ),
        Markup(
            '<p><label>{}<br><input type="email" name="address" maxlength="254" autocomplete="email" required></label></p>'
        ).format(say(request, language, _WORDS["address"])),
        *_boxes(request, ctx.catalogue.choices(offer), language),
        Markup('<input type="hidden" name="notice_version" value="{}">').format(ctx.catalogue.notice_version),
        Markup('<input type="hidden" name="language" value="{}">').format(language),
        Markup("<p><button>{}</button></p>").format(say(request, language, _WORDS[kind])),
        Markup("<p>{}</p>").format(_notice(request, language)),
        Markup("</form>"),
    ]
    return Response("\n".join(lines) + "\n", media_type="text/plain")


def _notice(request: Request, language: str) -> Markup:
    # The sentence is ours, from the catalogue, and holds the link.
    sentence = Markup(say(request, language, _WORDS["notice"]))  # noqa: S704
    return sentence % {"href": f"{context_of(request).policy.base_url}/privacy?lang={language}"}


def _boxes(request: Request, purposes: Iterable[Purpose], language: str) -> Iterable[Markup]:
    """Each choice on its own, unticked, with the text it stands for and that text's version (S2, S5)."""
    catalogue = context_of(request).catalogue
    for purpose in purposes:
        wording, name = catalogue.current(purpose, language), field_of(purpose)
        yield Markup('<p><label><input type="checkbox" name="{}" value="{}"> {}</label></p>').format(
            name, YES, catalogue.label(purpose, language)
        )
        yield from (Markup("<p>{}</p>").format(paragraph) for paragraph in wording.text.split("\n\n"))
        yield Markup('<input type="hidden" name="{}_version" value="{}">').format(name, wording.version)


def _offer(request: Request) -> tuple[str, Offer]:
    kind: str = request.path_params["kind"]
    offer = context_of(request).catalogue.offer(kind, request.path_params["slug"])
    if offer is None:
        raise NotFound("offer")
    return kind, offer
