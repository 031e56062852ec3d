"""The list of mails that a person has to read, and the buttons that settle one; for privacy officers and admins (W6).

Looking is audited, deciding goes by POST. After a decision the list is asked for anew, so that a reload repeats nothing.
"""

from collections.abc import Mapping
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from pixel_service.domain.errors import InvalidInput
from pixel_service.i18n import format_moment, format_number
from pixel_service.storage.inbound import InboundId
from pixel_service.usecases.inbox import NobodyKnown, NotWaiting, Settle, Settled, Waiting, look, settle
from pixel_service.web.api.models import read_id
from pixel_service.web.console.login import require_officer
from pixel_service.web.language import language_of
from pixel_service.web.views import action, context_of, href, read_form, say, show

PAGE = "/console/inbox"

SETTLED = "The mail is settled."
NOT_WAITING = "This mail was settled before."
NOBODY = "No person on record has this address. The mail is still on the list."
ONE_MORE = "One more mail is waiting."
MORE = "%(number)s more mails are waiting."


@require_officer
async def show_inbox(request: Request) -> Response:
    """GET /console/inbox"""
    match request.query_params.get("was"):
        case "settled":
            return await _page(request, SETTLED, tone="good")
        case "not-waiting":
            return await _page(request, NOT_WAITING)
        case _:
            return await _page(request, "")


@require_officer
async def decide(request: Request) -> Response:
    """POST /console/inbox/{inbound_id} with `decision` and `address`, as a form."""
    inbound_id = InboundId(read_id(request.path_params["inbound_id"], "mail"))
    form = await read_form(request)
    try:
        decision = Settle(form.text("decision"))
    except ValueError:
        raise InvalidInput("decision", "one of " + ", ".join(Settle)) from None
    match await settle(context_of(request), request.state.user, inbound_id, decision, form.text("address")):
        case Settled():
            return _back(request, "settled")
        case NotWaiting():
            return _back(request, "not-waiting")
        case NobodyKnown():
            return await _page(request, NOBODY, tone="bad", status=409)


def _back(request: Request, was: str) -> Response:
    return RedirectResponse(f"{href(request, PAGE, language_of(request))}&was={was}", 303)


async def _page(request: Request, said: str, *, tone: str = "", status: int = 200) -> Response:
    language, inbox = language_of(request), await look(context_of(request), request.state.user)
    return show(
        request,
        "console/inbox",
        language=language,
        status=status,
        path=PAGE,
        said=say(request, language, said) if said else "",
        tone=tone,
        mails=[_mail(request, language, one) for one in inbox.shown],
        more=_more(request, language, inbox.waiting - len(inbox.shown)),
    )


def _mail(request: Request, language: str, one: Waiting) -> Mapping[str, object]:
    return {
        "subject": one.mail.subject,
        "sender": one.mail.sender,
        "received_at": format_moment(one.mail.received_at, language, ZoneInfo(context_of(request).policy.timezone)),
        "excerpt": one.mail.excerpt,
        "address": one.address,
        "known": one.known,
        "action": action(request, f"{PAGE}/{one.mail.inbound_id}"),
    }


def _more(request: Request, language: str, number: int) -> str:
    if number <= 0:
        return ""
    translations = context_of(request).catalogues.translations(language)
    return translations.ngettext(ONE_MORE, MORE, number) % {"number": format_number(number, language)}
