"""Correcting, moving and telling one person for whom a letter or a call came in, for privacy officers (W6, R1, R2).

The forms stand on the page of requests, below the person who was looked up there; nothing here is read with GET.
"""

from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from pixel_service.domain.address import parse_address
from pixel_service.domain.errors import InvalidFields, InvalidInput
from pixel_service.domain.signup import FIELD_LIMITS
from pixel_service.usecases.evidence import Inquiry
from pixel_service.usecases.on_behalf import correct_details, look_up, move_to, take_copy
from pixel_service.usecases.privacy_file import as_json
from pixel_service.web.console.login import require_officer
from pixel_service.web.console.requests import (
    AS_BEFORE,
    BAD_ADDRESS,
    CORRECTED,
    ERRORS,
    MAILED,
    UNKNOWN,
    back_to,
    inquiry_of,
    page_of,
)
from pixel_service.web.language import language_of
from pixel_service.web.profile_fields import errors_of
from pixel_service.web.views import Form, context_of, read_form, say

#: None: this address is not on record.
_Act = Callable[[Request, Form, Inquiry], Awaitable[Response | None]]


@require_officer
async def correct(request: Request) -> Response:
    """POST /console/person/correct with `address`, `reason` and the details; one that is missing stays as it is."""
    return await _answer(request, _correct)


@require_officer
async def ask_address(request: Request) -> Response:
    """POST /console/person/address with `address`, `reason` and the address `new`."""
    return await _answer(request, _ask_address)


@require_officer
async def download(request: Request) -> Response:
    """POST /console/person/copy with `address` and `reason`: every stored row, as `person show --json` prints it."""
    return await _answer(request, _download)


async def _answer(request: Request, act: _Act) -> Response:
    typed = await read_form(request)
    try:
        inquiry = inquiry_of(request, typed)
    except InvalidInput as error:
        return await page_of(request, typed, said=ERRORS.get(error.field, BAD_ADDRESS), status=422)
    done = await act(request, typed, inquiry)
    return done or await page_of(request, typed, said=UNKNOWN, status=409)


async def _correct(request: Request, typed: Form, inquiry: Inquiry) -> Response | None:
    details = {name: typed.text(name) for name in FIELD_LIMITS if name in typed.fields}
    try:
        done = await correct_details(context_of(request), inquiry, details)
    except InvalidFields as error:
        return await _again(request, typed, inquiry, _errors(request, *error.problems))
    if done is None:
        return None
    return back_to(request, CORRECTED if done.changed else AS_BEFORE)


async def _ask_address(request: Request, typed: Form, inquiry: Inquiry) -> Response | None:
    try:
        asked = await move_to(context_of(request), inquiry, parse_address(typed.text("new")))
    except InvalidInput as error:
        return await _again(request, typed, inquiry, {"new": _errors(request, error)["address"]})
    return back_to(request, MAILED) if asked else None


async def _download(request: Request, _typed: Form, inquiry: Inquiry) -> Response | None:
    """Noted before the first byte, then sent as it is read; in the language of the person, whose it is."""
    ctx = context_of(request)
    person = await take_copy(ctx, inquiry)
    if person is None:
        return None
    language = person.language or ctx.policy.default_language
    headers = {"Content-Disposition": 'attachment; filename="person.json"'}
    return StreamingResponse(as_json(ctx, person, language), media_type="application/json", headers=headers)


async def _again(request: Request, typed: Form, inquiry: Inquiry, errors: Mapping[str, str]) -> Response | None:
    found = await look_up(context_of(request), inquiry)
    return await page_of(request, typed, found=found, errors=errors, status=422) if found else None


def _errors(request: Request, *problems: InvalidInput) -> Mapping[str, str]:
    language = language_of(request)
    return errors_of(problems, lambda text: say(request, language, text))
