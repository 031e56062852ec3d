"""The whole URL space on one page, and the application it becomes.

Every path a person or a program can reach stands in `routes`; only the pixel does not: `Site` hands everything below
``/o/`` to it before anything else looks at the request. HEAD is answered wherever GET is.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from pixel_service.observability import Metrics
from pixel_service.settings import Settings
from pixel_service.usecases.context import Context
from pixel_service.usecases.links import MY_DATA, MY_DATA_REQUEST
from pixel_service.web import (
    confirm,
    download,
    embed,
    health,
    notice,
    preferences,
    privacy,
    receipts,
    rectify,
    signup,
    static,
    withdrawal,
)
from pixel_service.web.api import notice as api_notice, offers, reports as api_reports, send, sign_ups, withdrawals
from pixel_service.web.api.origins import origin_of
from pixel_service.web.console import (
    evidence as console_evidence,
    inbox,
    login,
    operation,
    person,
    reports as console_reports,
    requests,
)
from pixel_service.web.errors import answer
from pixel_service.web.pages import Pages
from pixel_service.web.security import Rules, guards

Handler = Callable[[Request], Awaitable[Response]]
_PIXELS = "/o/"


def routes() -> list[BaseRoute]:
    return [
        # What anybody may see
        _at("/", get=signup.list_offers),
        *_sign_up_pages("newsletter"),
        *_sign_up_pages("whitepaper"),
        _at("/embed/{kind}/{slug}.js", get=embed.script),
        _at("/embed/{kind}/{slug}.html", get=embed.snippet),
        _at("/privacy", get=notice.show_privacy),
        _at(MY_DATA_REQUEST, get=privacy.show_request, post=privacy.ask_link),
        _at("/imprint", get=notice.show_imprint),
        _at("/robots.txt", get=notice.robots),
        _at("/static/logo.png", get=static.logo),
        Mount("/static", static.Files()),
        # Links in mails: the token says who and what for
        _at("/c/{token}", get=confirm.show_choices, post=confirm.press),
        _at("/c/{token}/resend", post=confirm.resend),
        _at("/p/{token}", get=preferences.show_preferences, post=preferences.submit_preferences),
        _at("/p/{token}/stop-all", post=preferences.stop_all),
        _at("/p/{token}/receipt.jsonld", get=receipts.download),
        _at("/u/{token}", get=withdrawal.show_unsubscribe, post=withdrawal.unsubscribe),
        _at("/t/{token}", get=withdrawal.show_stop_tracking, post=withdrawal.stop_tracking),
        _at("/a/{token}", get=rectify.show_new_address, post=rectify.press),
        _at("/d/{token}", get=download.fetch, post=download.ask_again),
        *_pages_of_ones_own_data(),
        # JSON
        _at("/v1/offers/{kind}/{slug}", get=offers.show),
        _at("/v1/notice", get=api_notice.show),
        Route("/v1/sign-ups", sign_ups.create, methods=["POST", "OPTIONS"]),
        _at("/v1/send", post=send.create),
        _at("/v1/sends/{send_id}", get=send.show),
        _at("/v1/sends/{send_id}/results", get=send.results),
        _at("/v1/withdrawals", post=withdrawals.create),
        _at("/v1/campaigns", get=api_reports.index),
        _at("/v1/campaigns/{campaign_id}/report", get=api_reports.show),
        _at("/v1/campaigns/{campaign_id}/comparison", get=api_reports.compare),
        _at("/v1/reports/topics", get=api_reports.topics),
        _at("/v1/reports/sign-ups", get=api_reports.sign_ups),
        # Colleagues
        *_console(),
        # Machines
        _at("/health/live", get=health.live),
        _at("/health/ready", get=health.ready),
        _at("/metrics", get=health.metrics),
    ]


def _sign_up_pages(kind: str) -> tuple[BaseRoute, ...]:
    form, submit = partial(signup.show_form, kind=kind), partial(signup.submit_form, kind=kind)
    return (_at(f"/{kind}/{{slug}}", get=form, post=submit),)


def _pages_of_ones_own_data() -> tuple[BaseRoute, ...]:
    place = f"{MY_DATA}/{{token}}"
    return (
        _at(place, get=privacy.show_mine),
        *(_at(f"{place}/{what}", post=partial(privacy.withdraw, what=what)) for what in privacy.WITHDRAWALS),
        *(_at(f"{place}/{what}", post=partial(privacy.use_right, what=what)) for what in privacy.RIGHTS),
        _at(f"{place}/{privacy.ERASE}", get=privacy.show_erase, post=privacy.erase_me),
        _at(f"{place}/{rectify.CORRECT}", get=rectify.show_correct, post=rectify.save),
        _at(f"{place}/{rectify.ADDRESS}", get=rectify.show_address, post=rectify.ask_address),
        _at(f"{place}/my-data.json", post=privacy.take_json),
        _at(f"{place}/my-data.zip", post=privacy.take_tables),
    )


def _console() -> tuple[BaseRoute, ...]:
    return (
        _at("/console/login", get=login.show, post=login.log_in),
        _at("/console/logout", post=login.log_out),
        _at("/console/", get=console_reports.list_campaigns),
        _at("/console/campaigns/{campaign_id}", get=console_reports.show_campaign),
        _at("/console/inbox", get=inbox.show_inbox),
        _at("/console/inbox/{inbound_id}", post=inbox.decide),
        _at("/console/requests", get=requests.show_requests, post=requests.work_on),
        _at("/console/requests/{request_id}", post=requests.close),
        _at("/console/person/correct", post=person.correct),
        _at("/console/person/address", post=person.ask_address),
        _at("/console/person/copy", post=person.download),
        _at("/console/operation", get=operation.show_operation),
        _at("/console/evidence", get=console_evidence.show_form, post=console_evidence.show_evidence),
    )


def _at(path: str, *, get: Handler | None = None, post: Handler | None = None) -> Route:
    """One route per path, so that a wrong method is told all the right ones."""
    handlers = {method: handler for method, handler in (("GET", get), ("HEAD", get), ("POST", post)) if handler}

    async def handle(request: Request) -> Response:
        return await handlers[request.method](request)

    return Route(path, handle, methods=list(handlers))


@dataclass(frozen=True, slots=True, kw_only=True)
class WebState:
    """What handlers reach for in `request.app.state`, and the pixel beside them."""

    ctx: Context
    pages: Pages
    settings: Settings
    #: PNG, scaled for pages; None: the name stands in its place.
    logo: bytes | None
    metrics: Metrics
    #: Answers everything below ``/o/``.
    pixel: ASGIApp


class Site:
    """The hot path first: a pixel request meets no routing, no guard and no error page."""

    def __init__(self, site: ASGIApp, pixel: ASGIApp) -> None:
        self.site, self.pixel = site, pixel

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_pixel = scope["type"] == "http" and scope["path"].startswith(_PIXELS)
        await (self.pixel if is_pixel else self.site)(scope, receive, send)


def build_web(state: WebState) -> ASGIApp:
    rules = Rules(
        base_url=state.ctx.policy.base_url,
        style_hash=state.pages.style_hash,
        allowed_hosts=state.settings.allowed_hosts,
        form_origins=[origin_of(address) for address in state.settings.form_origins],
    )
    site = Starlette(routes=routes(), middleware=guards(rules), exception_handlers={HTTPException: answer})
    # A redirect would repeat the Host header (X4).
    site.router.redirect_slashes = False
    for name in ("ctx", "pages", "settings", "logo", "metrics"):
        setattr(site.state, name, getattr(state, name))
    site.state.started_at = state.ctx.clock()
    return Site(site, state.pixel)
