"""The page behind the confirmation mail and its one button (S8, S9).

GET and HEAD read. A press acts on exactly the boxes that were ticked. A POST that neither ticks a box nor comes from the
button refuses nothing: it is what a mail scanner sends, and a person could not take it back.
"""

from collections.abc import Collection, Mapping
from typing import assert_never
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response

from pixel_service.domain.consent import TRACKING_OPENS, Purpose, kind_of, slug_of
from pixel_service.domain.opens import MACHINE, Verdict
from pixel_service.domain.signup import AskedPurpose, PendingSignUp
from pixel_service.domain.user_agents import judge
from pixel_service.i18n import format_moment
from pixel_service.usecases import links
from pixel_service.usecases.confirm import (
    AlreadyConfirmed,
    Client,
    CodeNeeded,
    Confirmed,
    Found,
    LinkExpired,
    LinkUnknown,
    Waiting,
    ask_for_new_link,
    confirm,
    look_up,
)
from pixel_service.usecases.own_mails import wording_text
from pixel_service.web.language import language_of
from pixel_service.web.views import action, context_of, field_of, link_unknown, read_form, show, token_of

#: What no person's browser calls itself.
_MACHINES = MACHINE | {Verdict.PROXY_OPEN, Verdict.PREVIEW}


async def show_choices(request: Request) -> Response:
    """GET /c/{token}"""
    return _answer(request, await look_up(context_of(request), token_of(request)))


async def press(request: Request) -> Response:
    """POST /c/{token}"""
    ctx, token, form = context_of(request), token_of(request), await read_form(request)
    ticked = frozenset(form.all_ticked())
    pressed = bool(ticked) or form.text("act") == "confirm"
    if not pressed:
        return _answer(request, await look_up(ctx, token))
    client = Client(machine_like=_is_machine_like(request), code=form.text("code").strip())
    done = await confirm(ctx, token, ticked, client)
    return _ask_for_code(request, done, ticked) if isinstance(done, CodeNeeded) else _answer(request, done)


def _is_machine_like(request: Request) -> bool:
    """By the tables that judge opens: scanners, bots, headless browsers, mail proxies, or no name at all."""
    agent = request.headers.get("user-agent", "").strip()
    return not agent or judge(agent).verdict in _MACHINES


def _ask_for_code(request: Request, needed: CodeNeeded, ticked: Collection[Purpose]) -> Response:
    pending, token = needed.pending, token_of(request)
    if pending.is_locked:
        again = action(request, f"{_path(token)}/resend")
        return show(request, "code_locked", language=language_of(request, pending.language), status=403, action=again)
    return _choices(request, pending, ticked=ticked, code="wrong" if needed.wrong else "asked")


async def resend(request: Request) -> Response:
    """POST /c/{token}/resend: one answer, whether or not there was something to send."""
    ctx, token = context_of(request), token_of(request)
    found = await look_up(ctx, token)
    await ask_for_new_link(ctx, token)
    stored = found.language if isinstance(found, LinkExpired) else None
    # The link of the page after a form opens no page of its own.
    path = "/" if isinstance(found, LinkUnknown) else _path(token)
    return show(request, "mail_sent", language=language_of(request, stored), path=path)


def _path(token: str) -> str:
    return f"/c/{token}"


def _answer(request: Request, found: Found | Confirmed) -> Response:
    match found:
        case Waiting(pending):
            return _choices(request, pending)
        case Confirmed():
            return _confirmed(request, found)
        case AlreadyConfirmed(subscriber_id, stored):
            preferences = links.preferences_url(context_of(request), subscriber_id)
            language = language_of(request, stored)
            return show(request, "already_confirmed", language=language, preferences_href=preferences)
        case LinkExpired(stored):
            # Without a language the sign-up is gone too: there is nothing left to send again.
            again = action(request, f"{_path(token_of(request))}/resend") if stored else None
            return show(request, "link_expired", language=language_of(request, stored), status=410, action=again)
        case LinkUnknown():
            return link_unknown(request, language_of(request))
    assert_never(found)


def _choices(
    request: Request, pending: PendingSignUp, *, ticked: Collection[Purpose] | None = None, code: str = ""
) -> Response:
    """`ticked`: what was ticked when a code was asked for; at first everything that the form asked. `code` says why
    the page asks for it: ``asked``, ``wrong``, or not at all."""
    ctx, language = context_of(request), language_of(request, pending.language)
    waiting = sorted(pending.waiting(), key=_measuring)
    return show(
        request,
        "confirm",
        language=language,
        status=403 if code else 200,
        code=code,
        choices=[
            {**_choice(request, pending, asked, language), "checked": ticked is None or asked.purpose in ticked}
            for asked in waiting
        ],
        requested_at=format_moment(pending.created_at, language, ZoneInfo(ctx.policy.timezone)),
        action=action(request, _path(token_of(request))),
    )


def _measuring(asked: AskedPurpose) -> bool:
    """What a person came for stands first."""
    return asked.purpose == TRACKING_OPENS


def _choice(request: Request, pending: PendingSignUp, asked: AskedPurpose, language: str) -> Mapping[str, object]:
    """The text stays in the language it was asked in: that one is agreed to, whatever the page speaks."""
    ctx = context_of(request)
    text = wording_text(ctx, asked.purpose, asked.wording_version, pending.language)
    return {
        "name": field_of(asked.purpose),
        "label": ctx.catalogue.label(asked.purpose, language),
        "text": text,
        "summary": text.partition("\n\n")[0],
    }


def _confirmed(request: Request, done: Confirmed) -> Response:
    ctx, language = context_of(request), language_of(request, done.pending.language)
    return show(
        request,
        "confirmed",
        language=language,
        confirmed=[ctx.catalogue.label(purpose, language) for purpose in done.accepted],
        refused=[ctx.catalogue.label(purpose, language) for purpose in done.refused],
        downloads=[
            _download(request, done.pending, purpose) for purpose in done.accepted if kind_of(purpose) == "whitepaper"
        ],
        preferences_href=links.preferences_url(ctx, done.pending.subscriber_id),
    )


def _download(request: Request, pending: PendingSignUp, purpose: Purpose) -> Mapping[str, str]:
    ctx = context_of(request)
    subject = links.DownloadSubject(pending.subscriber_id, slug_of(purpose), pending.language)
    return {
        "title": ctx.catalogue.label(purpose, pending.language),
        "href": links.download_url(ctx, subject, ctx.clock() + ctx.policy.download_within),
    }
