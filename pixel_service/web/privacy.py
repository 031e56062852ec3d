"""One's own data: the form that mails the link, the page behind it, and a button for every right (R1-R9).

The link is not the one of the preferences page: that one stands in every mail, lasts for ever and may be forwarded. Reading
changes nothing; each POST acts once, in its use case, and answers with a receipt.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from pixel_service.domain.address import parse_address
from pixel_service.domain.consent import TRACKING_OPENS, Purpose, is_valid
from pixel_service.domain.errors import InvalidInput
from pixel_service.domain.messages import SubscriberId
from pixel_service.domain.personal_data import Holder
from pixel_service.domain.stored_data import STORED, DataClass
from pixel_service.i18n import format_moment
from pixel_service.usecases.context import Context
from pixel_service.usecases.erase import Erasure, erase
from pixel_service.usecases.links import MY_DATA, MY_DATA_REQUEST
from pixel_service.usecases.privacy import look, take_copy, withdraw_on_page
from pixel_service.usecases.privacy_document import document
from pixel_service.usecases.privacy_file import as_json, as_tables
from pixel_service.usecases.privacy_link import LinkExpired, mail_link, read_link
from pixel_service.usecases.rights import (
    Asked,
    RightsReceipt,
    delete_my_opens,
    lift,
    object_to_marketing,
    restrict,
)
from pixel_service.usecases.withdraw import Source
from pixel_service.web.language import language_of
from pixel_service.web.profile_fields import errors_of
from pixel_service.web.views import action, context_of, href, link_unknown, read_form, say, show, token_of
from pixel_service.web.withdrawal import show_receipt

_ASKED = Asked(source=Source.PRIVACY_PAGE)

_Right = Callable[[Context, SubscriberId, Asked], Awaitable[RightsReceipt | None]]
#: The last part of the address -> what its button does.
RIGHTS: Mapping[str, _Right] = {
    "delete-opens": delete_my_opens,
    "restrict": restrict,
    "lift": lift,
    "object": object_to_marketing,
}
#: The same for withdrawals: of measuring, or of everything.
WITHDRAWALS: Mapping[str, frozenset[Purpose] | None] = {"stop-measuring": frozenset({TRACKING_OPENS}), "withdraw": None}
FILES = ("my-data.json", "my-data.zip")
ERASE = "erase"
_Write = Callable[[Context, Holder, str], AsyncIterator[bytes]]


# --- asking for the link --------------------------------------------------------


async def show_request(request: Request) -> Response:
    """GET /privacy/request"""
    return _request_page(request)


async def ask_link(request: Request) -> Response:
    """POST /privacy/request with `address` in the body: one answer for every address, known or not (S4)."""
    language, typed = language_of(request), (await read_form(request)).text("address")
    try:
        address = parse_address(typed)
    except InvalidInput as error:
        problem = errors_of((error,), lambda text: say(request, language, text))["address"]
        return _request_page(request, address=typed, error=problem, status=422)
    await mail_link(context_of(request), address, language)
    return show(request, "my_data_mailed", language=language, path=MY_DATA_REQUEST)


def _request_page(request: Request, *, address: str = "", error: str | None = None, status: int = 200) -> Response:
    return show(
        request,
        "my_data_request",
        language=language_of(request),
        status=status,
        action=action(request, MY_DATA_REQUEST),
        address=address,
        error=error,
    )


# --- the page ---------------------------------------------------------------------


async def show_mine(request: Request) -> Response:
    """GET /privacy/me/{token}"""
    subscriber_id = await read_link(context_of(request), token_of(request))
    held = await look(context_of(request), subscriber_id) if isinstance(subscriber_id, str) else None
    if held is None:
        return no_page(request, subscriber_id)
    ctx, language = context_of(request), language_of(request, held.person.language)
    person = held.person
    return show(
        request,
        "my_data",
        language=language,
        document=document(ctx, held, language),
        actions={name: action(request, f"{_path(request)}/{name}") for name in (*RIGHTS, *WITHDRAWALS, *FILES)},
        erase_href=href(request, f"{_path(request)}/{ERASE}", language),
        measuring=any(one.purpose == TRACKING_OPENS and is_valid(one.state) for one in held.purposes),
        opens=held.counts.opens,
        correct_href=href(request, f"{_path(request)}/correct", language),
        address_href=href(request, f"{_path(request)}/address", language),
        restricted=_moment(request, person.restricted_at, language) if person.restricted_at else None,
        objected=_moment(request, person.objected_at, language) if person.objected_at else None,
    )


# --- the buttons --------------------------------------------------------------------


async def withdraw(request: Request, *, what: str) -> Response:
    """POST /privacy/me/{token}/stop-measuring, …/withdraw"""
    ctx, subscriber_id = context_of(request), await read_link(context_of(request), token_of(request))
    receipt = await withdraw_on_page(ctx, subscriber_id, WITHDRAWALS[what]) if isinstance(subscriber_id, str) else None
    if receipt is None:
        return no_page(request, subscriber_id)
    return show_receipt(request, receipt.subscriber_id, receipt, path=_path(request))


async def use_right(request: Request, *, what: str) -> Response:
    """POST /privacy/me/{token}/delete-opens, …/restrict, …/lift, …/object"""
    ctx, subscriber_id = context_of(request), await read_link(context_of(request), token_of(request))
    receipt = await RIGHTS[what](ctx, subscriber_id, _ASKED) if isinstance(subscriber_id, str) else None
    if receipt is None:
        return no_page(request, subscriber_id)
    language = language_of(request, receipt.language)
    return show(
        request,
        "right_done",
        language=language,
        path=_path(request),
        kind=receipt.kind.value,
        purposes=[ctx.catalogue.label(purpose, language) for purpose in receipt.purposes],
        at=_moment(request, receipt.at, language),
        opens=receipt.opens,
        pixels=receipt.pixels,
        mails=receipt.mails,
        back_href=href(request, _path(request), language),
    )


async def show_erase(request: Request) -> Response:
    """GET /privacy/me/{token}/erase: what goes, what stays and why, and one button."""
    subscriber_id = await read_link(context_of(request), token_of(request))
    if not isinstance(subscriber_id, str):
        return no_page(request, subscriber_id)
    held = await look(context_of(request), subscriber_id)
    if held is None:
        return no_page(request, None)
    language = language_of(request, held.person.language)
    return show(
        request,
        "my_data_erase",
        language=language,
        address=held.person.address,
        mails=held.counts.mails,
        opens=held.counts.opens,
        action=action(request, f"{_path(request)}/{ERASE}"),
        back_href=href(request, _path(request), language),
    )


async def erase_me(request: Request) -> Response:
    """POST /privacy/me/{token}/erase"""
    ctx, subscriber_id = context_of(request), await read_link(context_of(request), token_of(request))
    erasure = await erase(ctx, subscriber_id, _ASKED) if isinstance(subscriber_id, str) else None
    if erasure is None:
        return no_page(request, subscriber_id)
    language = language_of(request, erasure.language)
    return show(
        request,
        "erased",
        language=language,
        path=MY_DATA_REQUEST,
        at=_moment(request, erasure.at, language),
        rows=_by_class(ctx, erasure, language),
        sealed_until=_moment(request, erasure.sealed_until, language) if erasure.sealed_until else None,
    )


def _by_class(ctx: Context, erasure: Erasure, language: str) -> list[tuple[str, int]]:
    """Rows that went, by class of data as the notice names it. A proof that is sealed is told among what stays."""
    found: dict[str, int] = {}
    for table, rows in erasure.rows.items():
        told = {held.data: len(list(held)) for held in STORED[table] if held.data is not None}
        mostly = max(told, key=lambda data: told[data])
        found[mostly.value] = found.get(mostly.value, 0) + rows
    if erasure.sealed_until:
        found.pop(DataClass.EVIDENCE.value, None)
    return [(fact.name, found[fact.data]) for fact in ctx.catalogue.notice(language).stored if found.get(fact.data)]


# --- files --------------------------------------------------------------------------


async def take_json(request: Request) -> Response:
    """POST /privacy/me/{token}/my-data.json"""
    return await _file(request, as_json, "application/json", "my-data.json")


async def take_tables(request: Request) -> Response:
    """POST /privacy/me/{token}/my-data.zip"""
    return await _file(request, as_tables, "application/zip", "my-data.zip")


async def _file(request: Request, write: _Write, media_type: str, name: str) -> Response:
    """Noted before the first byte, then sent as it is read."""
    ctx, subscriber_id = context_of(request), await read_link(context_of(request), token_of(request))
    person = await take_copy(ctx, subscriber_id) if isinstance(subscriber_id, str) else None
    if person is None:
        return no_page(request, subscriber_id)
    language = language_of(request, person.language)
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(write(ctx, person, language), media_type=media_type, headers=headers)


# --- what they share -----------------------------------------------------------------


def no_page(request: Request, found: object) -> Response:
    """Of a link that is late: how to get a new one. Of any other: the answer for whatever was never mailed."""
    language = language_of(request)
    if isinstance(found, LinkExpired):
        return show(
            request, "my_data_expired", language=language, status=410, ask_href=href(request, MY_DATA_REQUEST, language)
        )
    return link_unknown(request, language)


def _path(request: Request) -> str:
    return f"{MY_DATA}/{token_of(request)}"


def _moment(request: Request, at: datetime, language: str) -> str:
    return format_moment(at, language, ZoneInfo(context_of(request).policy.timezone))
