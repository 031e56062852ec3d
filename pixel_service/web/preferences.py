"""The preferences page, reached by a link in every mail: see each choice, end any, ask for more (W1, S15).

What the page did not show is left alone. What was unticked ends at once, also when something else on the page went wrong.
"""

from collections.abc import Mapping
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response

from pixel_service.domain.consent import Purpose
from pixel_service.domain.errors import NotFound
from pixel_service.domain.messages import SubscriberId
from pixel_service.domain.signup import Choice
from pixel_service.domain.wordings import Wording
from pixel_service.i18n import format_moment
from pixel_service.usecases.links import MY_DATA_REQUEST
from pixel_service.usecases.preferences import Preferences, Save, read_link, save, view
from pixel_service.usecases.withdraw import Source, withdraw_all
from pixel_service.web.language import language_of
from pixel_service.web.receipts import FILE as RECEIPT_FILE
from pixel_service.web.views import (
    Form,
    action,
    context_of,
    field_of,
    href,
    link_unknown,
    read_form,
    root,
    show,
    token_of,
)
from pixel_service.web.withdrawal import show_receipt


async def show_preferences(request: Request) -> Response:
    """GET /p/{token}"""
    found = await _find(request)
    return _page(request, found) if found else link_unknown(request, language_of(request))


async def submit_preferences(request: Request) -> Response:
    """POST /p/{token}: a receipt when something ended, else the page again."""
    ctx, form, before = context_of(request), await read_form(request), await _find(request)
    if before is None:
        return link_unknown(request, language_of(request))
    language = language_of(request, before.person.language)
    shown, wanted, stale = _read(request, form, before)
    saved = await save(
        ctx,
        Save(
            subscriber_id=before.person.subscriber_id,
            shown=shown,
            wanted=wanted,
            language=language,
            # Without the token: the ledger is no place for keys.
            form_url=f"{ctx.policy.base_url}/p",
        ),
    )
    after = await _find(request)
    if saved is None or after is None:
        return link_unknown(request, language)
    if stale:
        return _page(request, after, saved=saved.receipt is not None, outdated=True, status=409)
    if saved.receipt is not None:
        return show_receipt(
            request, before.person.subscriber_id, saved.receipt, path=_path(request), mail_sent=bool(saved.asked)
        )
    return _page(request, after, saved=True, mail_sent=bool(saved.asked))


async def stop_all(request: Request) -> Response:
    """POST /p/{token}/stop-all"""
    ctx = context_of(request)
    subscriber_id = read_link(ctx, token_of(request))
    if subscriber_id is None:
        return link_unknown(request, language_of(request))
    receipt = await withdraw_all(ctx, subscriber_id, Source.PREFERENCES_PAGE)
    return show_receipt(request, subscriber_id, receipt, path=_path(request))


async def _find(request: Request) -> Preferences | None:
    ctx = context_of(request)
    subscriber_id: SubscriberId | None = read_link(ctx, token_of(request))
    return await view(ctx, subscriber_id) if subscriber_id else None


def _path(request: Request) -> str:
    return f"/p/{token_of(request)}"


def _read(
    request: Request, form: Form, before: Preferences
) -> tuple[frozenset[Purpose], tuple[Choice, ...], frozenset[Purpose]]:
    """What the page showed, what is wanted, and what is newly wanted under a text that is not the current one."""
    catalogue = context_of(request).catalogue
    shown = {purpose: version for purpose in before.shown if (version := form.version(purpose)) is not None}
    ticked = {purpose: version for purpose, version in shown.items() if form.ticked(purpose)}
    stale = frozenset(
        purpose
        for purpose, version in ticked.items()
        if not before.active(purpose) and not catalogue.is_current(purpose, version)
    )
    wanted = tuple(
        Choice(purpose=purpose, wording_version=version) for purpose, version in ticked.items() if purpose not in stale
    )
    return frozenset(shown), wanted, stale


def _page(
    request: Request,
    found: Preferences,
    *,
    saved: bool = False,
    mail_sent: bool = False,
    outdated: bool = False,
    status: int = 200,
) -> Response:
    language = language_of(request, found.person.language)
    return show(
        request,
        "preferences",
        language=language,
        status=status,
        path=_path(request),
        choices=[_choice(request, found, purpose, language) for purpose in found.shown],
        action=action(request, _path(request)),
        stop_all_action=action(request, f"{_path(request)}/stop-all"),
        # Before the first choice there is nothing to prove.
        receipt_href=f"{root(request)}{_path(request)}/{RECEIPT_FILE}" if found.on_record else None,
        my_data_href=href(request, MY_DATA_REQUEST, language),
        saved=saved,
        mail_sent=mail_sent,
        outdated=outdated,
        restricted=found.person.restricted_at is not None,
    )


def _choice(request: Request, found: Preferences, purpose: Purpose, language: str) -> Mapping[str, object]:
    ctx = context_of(request)
    wording, record, label = _wording(request, purpose, language), found.on_record.get(purpose), ctx.catalogue.label
    active = found.active(purpose)
    since = format_moment(record.decided_at, language, ZoneInfo(ctx.policy.timezone)) if record and active else None
    return {
        "name": field_of(purpose),
        "label": label(purpose, language),
        "text": wording.text if wording else label(purpose, language),
        "version": wording.version if wording else "",
        "active": active,
        "since": since,
    }


def _wording(request: Request, purpose: Purpose, language: str) -> Wording | None:
    """None for what is on record but no longer on offer: it can be ended, not begun."""
    try:
        return context_of(request).catalogue.current(purpose, language)
    except NotFound:
        return None
