"""Correcting one's details, asking for a new address, and the page behind the mail to that address (R2).

The two forms belong to the page of one's own data and open with its link. GET and HEAD read; a new address counts only by
the button behind the mail that went there, and a POST that does not come from that button is a mail scanner's.
"""

from dataclasses import asdict
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response

from pixel_service.domain.address import parse_address
from pixel_service.domain.errors import InvalidFields, InvalidInput
from pixel_service.domain.messages import SubscriberId
from pixel_service.domain.signup import FIELD_LIMITS, parse_profile
from pixel_service.i18n import format_moment
from pixel_service.storage import subscribers
from pixel_service.storage.subscribers import Subscriber
from pixel_service.usecases.links import MY_DATA, MY_DATA_REQUEST
from pixel_service.usecases.privacy_link import read_link
from pixel_service.usecases.rectify import (
    Correction,
    Found,
    LinkExpired,
    LinkUnknown,
    Taken,
    Waiting,
    ask_new_address,
    confirm_new_address,
    correct,
    look_up,
)
from pixel_service.usecases.rights_requests import Asked
from pixel_service.usecases.withdraw import Source
from pixel_service.web.language import language_of
from pixel_service.web.privacy import no_page
from pixel_service.web.profile_fields import errors_of, profile_fields
from pixel_service.web.views import action, context_of, href, link_unknown, read_form, say, show, token_of

_ASKED = Asked(source=Source.PRIVACY_PAGE)
#: Below the page of one's own data.
CORRECT, ADDRESS = "correct", "address"


# --- details ------------------------------------------------------------------------------------------------------------


async def show_correct(request: Request) -> Response:
    """GET /privacy/me/{token}/correct"""
    person = await _person(request)
    if not isinstance(person, Subscriber):
        return no_page(request, person)
    return _correct_page(request, language_of(request, person.language), asdict(person.profile))


async def save(request: Request) -> Response:
    """POST /privacy/me/{token}/correct with every field of the form in the body; one that is missing stays as it is."""
    person = await _person(request)
    if not isinstance(person, Subscriber):
        return no_page(request, person)
    language, form = language_of(request, person.language), await read_form(request)
    typed = asdict(person.profile) | {name: form.text(name) for name in FIELD_LIMITS if name in form.fields}
    try:
        done = await correct(context_of(request), person.subscriber_id, parse_profile(typed), _ASKED)
    except InvalidFields as error:
        errors = errors_of(error.problems, lambda text: say(request, language, text))
        return _correct_page(request, language, typed, errors=errors, status=422)
    return _corrected(request, language, done) if done else no_page(request, None)


def _correct_page(
    request: Request,
    language: str,
    values: dict[str, str],
    *,
    errors: dict[str, str] | None = None,
    status: int = 200,
) -> Response:
    return show(
        request,
        "my_data_correct",
        language=language,
        status=status,
        values=values,
        errors=errors or {},
        profile_fields=profile_fields(lambda text: say(request, language, text)),
        action=action(request, f"{_mine(request)}/{CORRECT}"),
        back_href=href(request, _mine(request), language),
    )


def _corrected(request: Request, language: str, done: Correction) -> Response:
    fields = profile_fields(lambda text: say(request, language, text))
    return show(
        request,
        "my_data_corrected",
        language=language,
        path=_mine(request),
        at=format_moment(done.at, language, ZoneInfo(context_of(request).policy.timezone)),
        changed=[
            (field.label, dict(field.options).get(done.changed[field.name], done.changed[field.name]))
            for field in fields
            if field.name in done.changed
        ],
        back_href=href(request, _mine(request), language),
    )


# --- a new address ------------------------------------------------------------------------------------------------------


async def show_address(request: Request) -> Response:
    """GET /privacy/me/{token}/address"""
    person = await _person(request)
    return _address_page(request, person) if isinstance(person, Subscriber) else no_page(request, person)


async def ask_address(request: Request) -> Response:
    """POST /privacy/me/{token}/address with `address` in the body: one answer for every address (S4)."""
    person = await _person(request)
    if not isinstance(person, Subscriber):
        return no_page(request, person)
    language, typed = language_of(request, person.language), (await read_form(request)).text("address")
    try:
        asked = await ask_new_address(context_of(request), person.subscriber_id, parse_address(typed), _ASKED)
    except InvalidInput as error:
        problem = errors_of((error,), lambda text: say(request, language, text))["address"]
        return _address_page(request, person, address=typed, error=problem, status=422)
    if not asked:
        return no_page(request, None)
    back = href(request, _mine(request), language)
    return show(request, "my_data_address_mailed", language=language, path=_mine(request), back_href=back)


def _address_page(
    request: Request, person: Subscriber, *, address: str = "", error: str | None = None, status: int = 200
) -> Response:
    language = language_of(request, person.language)
    return show(
        request,
        "my_data_address",
        language=language,
        status=status,
        current=person.address,
        address=address,
        error=error,
        action=action(request, f"{_mine(request)}/{ADDRESS}"),
        back_href=href(request, _mine(request), language),
    )


async def show_new_address(request: Request) -> Response:
    """GET /a/{token}"""
    return _answer(request, await look_up(context_of(request), token_of(request)))


async def press(request: Request) -> Response:
    """POST /a/{token}"""
    ctx, token, form = context_of(request), token_of(request), await read_form(request)
    pressed = form.text("act") == "confirm"
    return _answer(request, await (confirm_new_address if pressed else look_up)(ctx, token))


def _answer(request: Request, found: Found) -> Response:
    if isinstance(found, LinkUnknown):
        return link_unknown(request, language_of(request))
    if isinstance(found, Waiting):
        return show(
            request,
            "new_address",
            language=language_of(request, found.language),
            address=found.address,
            action=action(request, f"/a/{token_of(request)}"),
        )
    if isinstance(found, LinkExpired):
        return _ended(request, "expired", language_of(request), status=410)
    language = language_of(request, found.language)
    if isinstance(found, Taken):
        return _ended(request, "taken", language, status=409)
    return _ended(request, "changed", language, address=found.address)


def _ended(request: Request, outcome: str, language: str, *, address: str = "", status: int = 200) -> Response:
    return show(
        request,
        "new_address_ended",
        language=language,
        status=status,
        outcome=outcome,
        address=address,
        ask_href=href(request, MY_DATA_REQUEST, language),
    )


# --- what they share ----------------------------------------------------------------------------------------------------


async def _person(request: Request) -> Subscriber | object:
    """Whose link it is; otherwise what `no_page` makes an answer of."""
    ctx, found = context_of(request), await read_link(context_of(request), token_of(request))
    if not isinstance(found, str):
        return found
    async with ctx.db.read() as connection:
        return await subscribers.get(connection, SubscriberId(found))


def _mine(request: Request) -> str:
    return f"{MY_DATA}/{token_of(request)}"
