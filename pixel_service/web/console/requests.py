"""Requests by right, for privacy officers: the open ones with their day, and everything a letter or a call may ask for (W6, R10).

An address travels in the body of a form, never in a URL. After an act the list is asked for anew, so that a reload repeats
nothing. Every look and every act is in the audit log with its reason.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import date
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from pixel_service.domain.address import parse_address
from pixel_service.domain.errors import InvalidInput
from pixel_service.domain.rights import (
    MOST_NOTE,
    NO_ADDRESS,
    RequestId,
    RightsRequest,
    RightsRequestKind,
    names_address,
)
from pixel_service.domain.signup import FIELD_LIMITS
from pixel_service.i18n import format_day
from pixel_service.usecases.evidence import Inquiry
from pixel_service.usecases.evidence_words import STATES
from pixel_service.usecases.on_behalf import Found, Right, carry_out, look_up, take_request
from pixel_service.usecases.rights_requests import OpenRequest, close_request, look_at_open
from pixel_service.web.api.models import read_id
from pixel_service.web.console.evidence import NAMES_ADDRESS
from pixel_service.web.console.login import require_officer
from pixel_service.web.language import language_of
from pixel_service.web.profile_fields import ProfileField, profile_fields
from pixel_service.web.views import Form, action, context_of, href, read_form, say, show

PAGE = "/console/requests"
LOOK, NOTE = "look", "note"
#: Below the pages of one person, see `person.py`.
PERSON = "/console/person"
CORRECTED, AS_BEFORE, MAILED = "corrected", "as-before", "mailed"

BAD_ADDRESS = "Please enter a valid e-mail address."
NO_REASON = "Please say why you need to know."
NOT_THE_SAME = "The address typed for the erasure is another one. Nothing was erased."
NO_DAY = "Please enter the day the request came in; it can not lie in the future."
UNKNOWN = "This address is not on record: nobody ever asked it for anything here, or everything was erased."
SAID: Mapping[str, str] = {
    Right.RESTRICT: "The use of this person's data is restricted.",
    Right.LIFT: "The restriction is lifted.",
    Right.OBJECT: "The objection is carried out.",
    Right.WITHDRAW: "Everything this person had agreed to is withdrawn.",
    Right.STOP_MEASURING: "The opens of this person are no longer measured; those so far are deleted.",
    Right.DELETE_OPENS: "The opens of this person are deleted.",
    Right.ERASE: "This person's data is erased.",
    CORRECTED: "The details of this person are corrected.",
    AS_BEFORE: "Nothing had to be changed.",
    MAILED: "A mail asks the new address to confirm; until then everything stays as it is.",
    NOTE: "The request is on the list.",
    "closed": "The request is closed.",
    "not-open": "This request was closed before.",
}
KINDS: Mapping[RightsRequestKind, str] = {
    RightsRequestKind.ACCESS: "Access (Art. 15)",
    RightsRequestKind.RECTIFICATION: "Rectification (Art. 16)",
    RightsRequestKind.NEW_ADDRESS: "Change of address (Art. 16)",
    RightsRequestKind.ERASURE: "Erasure (Art. 17)",
    RightsRequestKind.RESTRICTION: "Restriction (Art. 18)",
    RightsRequestKind.LIFTING: "End of a restriction (Art. 18)",
    RightsRequestKind.PORTABILITY: "Data portability (Art. 20)",
    RightsRequestKind.OBJECTION: "Objection (Art. 21)",
    RightsRequestKind.WITHDRAWAL: "Withdrawal (Art. 7(3))",
    RightsRequestKind.OPENS_ERASURE: "Deletion of opens only",
}


@require_officer
async def show_requests(request: Request) -> Response:
    """GET /console/requests"""
    return await page_of(request, said=SAID.get(request.query_params.get("was", ""), ""), tone="good")


@require_officer
async def work_on(request: Request) -> Response:
    """POST /console/requests with `act`, `address` and `reason` in the body; `again` to erase, `kind` and `received` to
    note a letter."""
    typed = await read_form(request)
    act = typed.text("act")
    if act not in {LOOK, NOTE, *Right}:
        raise InvalidInput("act", "one of " + ", ".join((LOOK, NOTE, *Right)))
    try:
        inquiry = inquiry_of(request, typed)
        if act == LOOK:
            return await _show_person(request, typed, inquiry)
        if act == NOTE:
            known = await take_request(context_of(request), inquiry, _kind(typed), _day(typed))
        else:
            _sure(act, typed, inquiry)
            known = await carry_out(context_of(request), inquiry, Right(act)) is not None
    except InvalidInput as error:
        return await page_of(request, typed, said=ERRORS.get(error.field, BAD_ADDRESS), status=422)
    return back_to(request, act) if known else await page_of(request, typed, said=UNKNOWN, status=409)


@require_officer
async def close(request: Request) -> Response:
    """POST /console/requests/{request_id} with `reason`."""
    request_id = RequestId(read_id(request.path_params["request_id"], "request"))
    typed = await read_form(request)
    try:
        reason = _reason(typed)
    except InvalidInput as error:
        return await page_of(request, said=ERRORS[error.field], status=422)
    closed = await close_request(context_of(request), request_id, by=request.state.user.email, reason=reason)
    return back_to(request, "closed" if closed else "not-open")


def back_to(request: Request, was: str) -> Response:
    return RedirectResponse(f"{href(request, PAGE, language_of(request))}&was={was}", 303)


# --- what was typed ---------------------------------------------------------------


def inquiry_of(request: Request, typed: Form) -> Inquiry:
    return Inquiry(
        address=parse_address(typed.text("address"), field="address"),
        reason=_reason(typed),
        by=request.state.user.email,
    )


def _reason(typed: Form) -> str:
    reason = typed.text("reason").strip()
    if not reason or len(reason) > MOST_NOTE:
        raise InvalidInput("reason", "missing or too long")
    if names_address(reason):
        raise InvalidInput("reason.address", NO_ADDRESS)
    return reason


def _kind(typed: Form) -> RightsRequestKind:
    try:
        return RightsRequestKind(typed.text("kind"))
    except ValueError:
        raise InvalidInput("received", "no such right") from None


def _day(typed: Form) -> date:
    try:
        return date.fromisoformat(typed.text("received"))
    except ValueError:
        raise InvalidInput("received", "not a day") from None


def _sure(act: str, typed: Form, inquiry: Inquiry) -> None:
    """There is no way back from an erasure: its address is typed twice."""
    if act == Right.ERASE and parse_address(typed.text("again"), field="again").key != inquiry.address.key:
        raise InvalidInput("again", "another address")


ERRORS: Mapping[str, str] = {
    "address": BAD_ADDRESS,
    "reason": NO_REASON,
    "reason.address": NAMES_ADDRESS,
    "received": NO_DAY,
    "again": NOT_THE_SAME,
}


# --- what is shown ----------------------------------------------------------------


async def _show_person(request: Request, typed: Form, inquiry: Inquiry) -> Response:
    found = await look_up(context_of(request), inquiry)
    if found is None:
        return await page_of(request, typed, said=UNKNOWN, status=409)
    return await page_of(request, typed, found=found)


async def page_of(
    request: Request,
    typed: Form | None = None,
    *,
    found: Found | None = None,
    errors: Mapping[str, str] | None = None,
    said: str = "",
    tone: str = "",
    status: int = 200,
) -> Response:
    language = language_of(request)
    waiting = await look_at_open(context_of(request), by=request.state.user.email, reason="list of open requests")
    return show(
        request,
        "console/requests",
        language=language,
        status=status,
        path=PAGE,
        action=action(request, PAGE),
        said=say(request, language, said) if said else "",
        tone="bad" if status >= 400 else tone,
        address=typed.text("address") if typed else "",
        reason=typed.text("reason") if typed else "",
        person=_person(request, language, found) if found else None,
        errors=errors or {},
        values=_details(found, typed) if found and typed else {},
        profile_fields=_fields(request, language),
        new=typed.text("new") if typed else "",
        actions={what: action(request, f"{PERSON}/{what}") for what in ("correct", "address", "copy")},
        kinds=[{"value": kind.value, "label": say(request, language, label)} for kind, label in KINDS.items()],
        waiting=[_waiting(request, language, one) for one in waiting],
    )


def _person(request: Request, language: str, found: Found) -> Mapping[str, object]:
    ctx = context_of(request)
    choices = [
        {"label": ctx.catalogue.label(purpose, language), "state": say(request, language, STATES[record.state])}
        for purpose, record in sorted(found.on_record.items())
    ]
    return {
        "address": found.person.address,
        "restricted": found.person.restricted_at is not None,
        "objected": found.person.objected_at is not None,
        "choices": choices,
        "requests": _requests(request, language, found.requests),
    }


def _details(found: Found, typed: Form) -> Mapping[str, str]:
    """What is on record, and over it what was typed into the form that is shown again."""
    return asdict(found.person.profile) | {name: typed.text(name) for name in FIELD_LIMITS if name in typed.fields}


def _fields(request: Request, language: str) -> list[ProfileField]:
    """Not to be filled in with the colleague's own."""
    fields = profile_fields(lambda text: say(request, language, text))
    return [replace(field, autocomplete="off") for field in fields]


def _requests(request: Request, language: str, made: Sequence[RightsRequest]) -> list[Mapping[str, object]]:
    return [_told(request, language, one) for one in made]


def _told(request: Request, language: str, one: RightsRequest) -> Mapping[str, object]:
    zone = ZoneInfo(context_of(request).policy.timezone)
    return {
        "kind": say(request, language, KINDS[one.kind]),
        "asked_at": format_day(one.asked_at, language, zone),
        "due_at": format_day(one.due_at, language, zone),
        "done_at": format_day(one.done_at, language, zone) if one.done_at else "",
        "note": one.note,
    }


def _waiting(request: Request, language: str, one: OpenRequest) -> Mapping[str, object]:
    return {
        **_told(request, language, one.request),
        "address": one.address or "",
        "overdue": one.overdue,
        "action": action(request, f"{PAGE}/{one.request.request_id}"),
    }
