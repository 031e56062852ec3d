"""In which language a request is answered: asked for, remembered, preferred, default; in this order."""

from starlette.requests import Request

from pixel_service.usecases.context import Context


def language_of(request: Request, stored: str | None = None) -> str:
    """`?lang=` if we have it, else `stored` (the language of the person), else Accept-Language, else the default."""
    ctx: Context = request.app.state.ctx
    for wanted in (request.query_params.get("lang"), stored):
        if wanted in ctx.catalogues.languages:
            return wanted
    return ctx.catalogues.negotiate(request.headers.get("accept-language"), ctx.policy.default_language)
