"""`GET /v1/notice`: the privacy notice for a site of one's own, whole and in its parts (N1, S6)."""

from collections.abc import Mapping
from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from pixel_service.domain.wordings import Catalogue, Company, Language
from pixel_service.usecases.context import Context
from pixel_service.web.api.origins import open_to_forms
from pixel_service.web.language import language_of


@open_to_forms
async def show(request: Request) -> Response:
    """`text` is Markdown made of headings, paragraphs and lists; whoever shows the parts shows all of them."""
    ctx: Context = request.app.state.ctx
    notice = ctx.catalogue.notice(language_of(request))
    return JSONResponse(
        {
            "version": notice.version,
            "language": notice.language,
            "languages": [one for one in ctx.catalogue.languages if one in ctx.catalogues.languages],
            "url": f"{ctx.policy.base_url}/privacy?lang={notice.language}",
            "text": notice.text,
            "text_hash": notice.hash,
            "controller": _controller(ctx.company),
            "stored": [asdict(fact) for fact in notice.stored],
            "processors": _processors(ctx.catalogue, notice.language),
        }
    )


def _controller(company: Company) -> Mapping[str, str]:
    return {
        "name": company.name,
        "address": company.address,
        "email": company.email,
        "phone": company.phone,
        "privacy_email": company.privacy_email,
        "data_protection_officer": company.data_protection_officer,
        "supervisory_authority": company.supervisory_authority,
    }


def _processors(catalogue: Catalogue, language: Language) -> list[Mapping[str, str]]:
    return [
        {
            "name": one.name,
            "role": one.roles[language],
            "country": one.countries[language],
            "safeguard": one.safeguards.get(language, ""),
        }
        for one in catalogue.processors
    ]
