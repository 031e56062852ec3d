"""The ways out that stand in a mail: unsubscribe (a page, and RFC 8058 for mail programs) and stop measuring (W1, W2, W5).

A POST with a genuine token acts, whoever sends it and whatever its body holds: no cookie, no origin, no user agent, no
question. What could not be stored is never acknowledged: `StorageUnavailable` passes through and becomes a 503.
"""

from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from pixel_service.domain.consent import TRACKING_OPENS
from pixel_service.domain.messages import SubscriberId
from pixel_service.i18n import format_moment
from pixel_service.usecases import links
from pixel_service.usecases.preferences import view
from pixel_service.usecases.withdraw import Receipt, Source, read_stop_tracking, read_unsubscribe, withdraw
from pixel_service.web.language import language_of
from pixel_service.web.views import action, context_of, link_unknown, show, token_of

#: RFC 8058 section 3.1, in either encoding; looked for in the raw body, so that no malformed form stands in the way.
_ONE_CLICK = b"list-unsubscribe"


async def show_unsubscribe(request: Request) -> Response:
    """GET /u/{token}"""
    ctx = context_of(request)
    subject = read_unsubscribe(ctx, token_of(request))
    if subject is None:
        return link_unknown(request, language_of(request))
    language = await _language(request, subject.subscriber_id)
    return show(
        request,
        "withdraw",
        language=language,
        what="mail",
        label=ctx.catalogue.label(subject.purpose, language),
        action=action(request, f"/u/{token_of(request)}"),
        preferences_href=links.preferences_url(ctx, subject.subscriber_id),
    )


async def unsubscribe(request: Request) -> Response:
    """POST /u/{token}: a receipt for a person, a short text for a mail program."""
    ctx = context_of(request)
    one_click = _ONE_CLICK in (await request.body()).lower()
    subject = read_unsubscribe(ctx, token_of(request))
    receipt = None
    if subject is not None:
        source = Source.ONE_CLICK if one_click else Source.UNSUBSCRIBE_PAGE
        receipt = await withdraw(ctx, subject.subscriber_id, {subject.purpose}, source)
    if one_click:
        # The same for every token: a mail program can do nothing with a difference.
        return PlainTextResponse("Your request was processed.\n")
    if subject is None:
        return link_unknown(request, language_of(request))
    return show_receipt(request, subject.subscriber_id, receipt)


async def show_stop_tracking(request: Request) -> Response:
    """GET /t/{token}"""
    ctx = context_of(request)
    subscriber_id = read_stop_tracking(ctx, token_of(request))
    if subscriber_id is None:
        return link_unknown(request, language_of(request))
    language = await _language(request, subscriber_id)
    return show(
        request,
        "withdraw",
        language=language,
        what="tracking",
        label=ctx.catalogue.label(TRACKING_OPENS, language),
        action=action(request, f"/t/{token_of(request)}"),
        preferences_href=links.preferences_url(ctx, subscriber_id),
    )


async def stop_tracking(request: Request) -> Response:
    """POST /t/{token}"""
    ctx = context_of(request)
    subscriber_id = read_stop_tracking(ctx, token_of(request))
    if subscriber_id is None:
        return link_unknown(request, language_of(request))
    receipt = await withdraw(ctx, subscriber_id, {TRACKING_OPENS}, Source.STOP_TRACKING_PAGE)
    return show_receipt(request, subscriber_id, receipt)


def show_receipt(
    request: Request,
    subscriber_id: SubscriberId,
    receipt: Receipt | None,
    *,
    path: str | None = None,
    mail_sent: bool = False,
) -> Response:
    """What ended and what was deleted. `receipt` is None for an erased person, of whom there was nothing left."""
    ctx = context_of(request)
    language = language_of(request, receipt.language if receipt else None)
    return show(
        request,
        "receipt",
        language=language,
        path=path,
        withdrawn=[ctx.catalogue.label(purpose, language) for purpose in receipt.withdrawn] if receipt else [],
        at=format_moment(receipt.at if receipt else ctx.clock(), language, ZoneInfo(ctx.policy.timezone)),
        opens=receipt.opens if receipt else 0,
        pixels=receipt.pixels if receipt else 0,
        mails=receipt.mails if receipt else 0,
        mail_sent=mail_sent,
        preferences_href=links.preferences_url(ctx, subscriber_id),
    )


async def _language(request: Request, subscriber_id: SubscriberId) -> str:
    found = await view(context_of(request), subscriber_id)
    return language_of(request, found.person.language if found else None)
