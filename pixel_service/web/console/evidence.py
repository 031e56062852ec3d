"""The proof of consent for one address, for privacy officers: asked for with a reason, shown once, on record (E5, A1).

The address travels in the body of a form, never in a URL: URLs end up in histories and logs.
"""

from starlette.requests import Request
from starlette.responses import Response

from pixel_service.domain.accounts import SEES_PERSONS
from pixel_service.domain.address import parse_address
from pixel_service.domain.errors import InvalidInput
from pixel_service.domain.rights import names_address
from pixel_service.usecases.evidence import Inquiry, gather
from pixel_service.usecases.evidence_document import document
from pixel_service.web.console.login import require_user
from pixel_service.web.language import language_of
from pixel_service.web.views import Form, action, context_of, read_form, say, show

PATH = "/console/evidence"
_MOST_REASON = 500
BAD_ADDRESS = "Please enter a valid e-mail address."
NO_REASON = "Please say why you need to know."
NAMES_ADDRESS = "Please name no address in the reason; the person is noted by number."


@require_user
async def show_form(request: Request) -> Response:
    """GET /console/evidence"""
    return _form(request) if _may(request) else _not_allowed(request)


@require_user
async def show_evidence(request: Request) -> Response:
    """POST /console/evidence with `address` and `reason` in the body."""
    if not _may(request):
        return _not_allowed(request)
    ctx, language, typed = context_of(request), language_of(request), await read_form(request)
    try:
        address = parse_address(typed.text("address"))
    except InvalidInput:
        return _form(request, typed, error=BAD_ADDRESS, status=422)
    reason = typed.text("reason").strip()
    if not reason or len(reason) > _MOST_REASON:
        return _form(request, typed, error=NO_REASON, status=422)
    if names_address(reason):
        return _form(request, typed, error=NAMES_ADDRESS, status=422)
    found = await gather(ctx, Inquiry(address=address, reason=reason, by=request.state.user.email))
    if found is None:
        return _form(request, typed, unknown=True)
    return show(request, "console/evidence_shown", language=language, document=document(ctx, found, language))


def _may(request: Request) -> bool:
    return request.state.user.role in SEES_PERSONS


def _not_allowed(request: Request) -> Response:
    return _form(request, allowed=False, status=403)


def _form(
    request: Request,
    typed: Form | None = None,
    *,
    error: str | None = None,
    unknown: bool = False,
    allowed: bool = True,
    status: int = 200,
) -> Response:
    language = language_of(request)
    return show(
        request,
        "console/evidence",
        language=language,
        status=status,
        action=action(request, PATH),
        allowed=allowed,
        unknown=unknown,
        error=say(request, language, error) if error else None,
        address=typed.text("address") if typed else "",
        reason=typed.text("reason") if typed else "",
    )
