"""`POST /v1/sign-ups`: a form on somebody's own site signs people up, by the same path as the hosted one (S1, S4, S5)."""

from datetime import UTC

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from pixel_service.domain.address import parse_address
from pixel_service.domain.errors import InvalidInput, WordingOutdated
from pixel_service.usecases.context import Context
from pixel_service.usecases.sign_up import SignUp, sign_up
from pixel_service.web.api.models import SignUpRequest
from pixel_service.web.api.offers import current_texts
from pixel_service.web.api.origins import demand_known, demand_own_page, open_to_forms
from pixel_service.web.api.problems import read_body
from pixel_service.web.errors import describe
from pixel_service.web.language import language_of


@open_to_forms
async def create(request: Request) -> Response:
    """202 for every address alike. 409 with the current wordings when the form showed others."""
    demand_known(request)
    ctx: Context = request.app.state.ctx
    typed = await read_body(request, SignUpRequest)
    demand_own_page(request, typed.form_url)
    language = _language(request, typed.language)
    command = SignUp(
        address=parse_address(typed.address),
        language=language,
        choices=typed.chosen(),
        profile=typed.profile(),
        form_url=typed.form_url,
        notice_version=typed.notice_version,
    )
    try:
        received = await sign_up(ctx, command)
    except WordingOutdated as error:
        return _outdated(ctx, command, error)
    before = received.confirm_before.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return JSONResponse({"status": "check_your_mail", "confirm_before": before}, 202)


def _language(request: Request, asked: str | None) -> str:
    """The language of the texts that were shown: the ledger keeps their hash."""
    ctx: Context = request.app.state.ctx
    if asked is None:
        return ctx.catalogue.language(language_of(request))
    known = [one for one in ctx.catalogue.languages if one in ctx.catalogues.languages]
    if asked not in known:
        raise InvalidInput("language", f"must be one of: {', '.join(known)}")
    return asked


def _outdated(ctx: Context, command: SignUp, error: WordingOutdated) -> Response:
    """The problem as everywhere, and beside it what the form needs to ask again."""
    problem = describe(error)
    offered = [choice.purpose for choice in command.choices if choice.purpose in ctx.catalogue.current_versions]
    document = problem.document() | {"language": command.language, **current_texts(ctx, offered, command.language)}
    return JSONResponse(document, problem.status, media_type="application/problem+json")
