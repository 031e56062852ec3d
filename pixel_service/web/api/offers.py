"""`GET /v1/offers/{kind}/{slug}`: what a form of one's own has to show, in the current wording (S1, S5, S6)."""

from collections.abc import Iterable, Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from pixel_service.domain.consent import Purpose
from pixel_service.domain.errors import NotFound
from pixel_service.usecases.context import Context
from pixel_service.web.api.origins import open_to_forms
from pixel_service.web.language import language_of


@open_to_forms
async def show(request: Request) -> Response:
    """Language as everywhere: `?lang=`, else Accept-Language, else the default; the answer names it."""
    ctx: Context = request.app.state.ctx
    offer = ctx.catalogue.offer(request.path_params["kind"], request.path_params["slug"])
    if offer is None:
        raise NotFound("offer")
    language = ctx.catalogue.language(language_of(request))
    return JSONResponse(
        {
            "kind": request.path_params["kind"],
            "slug": offer.slug,
            "language": language,
            "languages": [one for one in ctx.catalogue.languages if one in ctx.catalogues.languages],
            "title": offer.titles[language],
            "description": offer.descriptions[language],
            **current_texts(ctx, ctx.catalogue.choices(offer), language),
        }
    )


def current_texts(ctx: Context, purposes: Iterable[Purpose], language: str) -> Mapping[str, object]:
    """The texts a form has to show and the versions it has to send along. Every box starts unticked (S2)."""
    wordings = [ctx.catalogue.current(purpose, language) for purpose in purposes]
    notice = ctx.catalogue.notice(language)
    return {
        "choices": [
            {
                "purpose": wording.purpose,
                "label": ctx.catalogue.label(wording.purpose, language),
                "text": wording.text,
                "version": wording.version,
            }
            for wording in wordings
        ],
        "notice": {"version": notice.version, "url": f"{ctx.policy.base_url}/privacy?lang={notice.language}"},
    }
