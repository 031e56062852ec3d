"""Reports as JSON, for keys with the scope `report`: the same numbers as on the console's pages (O1, O2).

Shares and coverage are numbers from 0 to 1, differences from -1 to 1, both null where there is nothing, or too little, to
divide by; times are UTC, durations whole seconds. Names of fields are those of the dataclasses in `domain`, where each is
explained, but for `lasts_seconds`.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from pixel_service.domain.accounts import Scope
from pixel_service.domain.comparison import MOST_TAGGED
from pixel_service.domain.consent import Purpose
from pixel_service.domain.errors import InvalidInput, NotFound
from pixel_service.domain.funnel import Asked, period
from pixel_service.domain.messages import CampaignId
from pixel_service.domain.reports import CampaignReport
from pixel_service.domain.timing import Point, best_hours, is_young
from pixel_service.storage import reports
from pixel_service.storage.funnel import funnel
from pixel_service.web.api.auth import require
from pixel_service.web.api.models import read_id
from pixel_service.web.api.query import day_of, number_of, read_query
from pixel_service.web.views import context_of

#: Campaigns on a page.
_USUAL, _MOST = 50, 200
_NO_CAMPAIGN = "is no campaign; take next_before of the page before"
_PURPOSE = re.compile(r"newsletter:[a-z0-9-]{1,40}|service")


@require(Scope.REPORT)
async def index(request: Request) -> Response:
    """GET /v1/campaigns?limit=50&before=CAMPAIGN_ID: newest first."""
    query = read_query(request, ("limit", "before"))
    limit = number_of(query, "limit", default=_USUAL, most=_MOST)
    before = _before(query)
    ctx = context_of(request)
    whole_since = ctx.policy.keep.whole_since(ctx.clock())
    async with ctx.db.snapshot() as connection:
        if before is not None and not await reports.is_campaign(connection, before):
            raise InvalidInput("before", _NO_CAMPAIGN)
        found = await reports.list_campaigns(connection, whole_since=whole_since, limit=limit, before=before)
    following = found[-1].campaign_id if len(found) == limit else None
    return JSONResponse({"campaigns": [_plain(asdict(one)) for one in found], "next_before": following})


def _before(query: Mapping[str, str]) -> CampaignId | None:
    try:
        return CampaignId(read_id(query["before"], "campaign")) if "before" in query else None
    except NotFound:
        raise InvalidInput("before", _NO_CAMPAIGN) from None


@require(Scope.REPORT)
async def show(request: Request) -> Response:
    """GET /v1/campaigns/{campaign_id}/report"""
    read_query(request)
    ctx, campaign_id = context_of(request), _campaign_id(request)
    now = ctx.clock()
    async with ctx.db.snapshot() as connection:
        report = await reports.campaign_report(connection, campaign_id, whole_since=ctx.policy.keep.whole_since(now))
    if report is None:
        raise NotFound("campaign")
    return JSONResponse(_told(report, now, ctx.policy.timezone))


@require(Scope.REPORT)
async def compare(request: Request) -> Response:
    """GET /v1/campaigns/{campaign_id}/comparison: with earlier ones of its purpose, at its present age."""
    read_query(request)
    ctx, campaign_id = context_of(request), _campaign_id(request)
    now = ctx.clock()
    async with ctx.db.snapshot() as connection:
        found = await reports.comparison(connection, campaign_id, now=now, whole_since=ctx.policy.keep.whole_since(now))
    if found is None:
        raise NotFound("campaign")
    return JSONResponse({"campaign_id": campaign_id, **_plain(asdict(found))})


@require(Scope.REPORT)
async def topics(request: Request) -> Response:
    """GET /v1/reports/topics?purpose=newsletter:blog: what goes along with each tag."""
    query = read_query(request, ("purpose",))
    purpose = query.get("purpose", "")
    if not _PURPOSE.fullmatch(purpose):
        raise InvalidInput("purpose", "is required, such as newsletter:blog")
    ctx = context_of(request)
    now = ctx.clock()
    async with ctx.db.snapshot() as connection:
        found = await reports.effects_of_tags(
            connection, Purpose(purpose), now=now, whole_since=ctx.policy.keep.whole_since(now)
        )
    told = [_plain(asdict(one)) for one in found]
    return JSONResponse({"purpose": purpose, "most_campaigns": MOST_TAGGED, "tags": told})


@require(Scope.REPORT)
async def sign_ups(request: Request) -> Response:
    """GET /v1/reports/sign-ups?from=2026-10-01&until=2026-10-31: the funnel of each offer, both days included."""
    query = read_query(request, ("from", "until"))
    ctx = context_of(request)
    zone = ZoneInfo(ctx.policy.timezone)
    chosen = period(day_of(query, "from"), day_of(query, "until"), today=ctx.clock().astimezone(zone).date(), zone=zone)
    async with ctx.db.snapshot() as connection:
        found = await funnel(connection, chosen)
    return JSONResponse(
        {
            "from": chosen.first_day.isoformat(),
            "until": chosen.last_day.isoformat(),
            "timezone": ctx.policy.timezone,
            "offers": [_offer(one) for one in found],
        }
    )


def _campaign_id(request: Request) -> CampaignId:
    return CampaignId(read_id(request.path_params["campaign_id"], "campaign"))


def _told(report: CampaignReport, now: datetime, timezone: str) -> Mapping[str, object]:
    told = asdict(replace(report, opens_by_hour=()))  # thousands of pairs, not worth a copy
    del told["opens_by_hour"]
    cells = best_hours(report.opens_by_hour, now=now, zone=ZoneInfo(timezone))
    return _plain(told) | {
        "as_of": _moment(now),
        "is_young": is_young(report.first_sent_at, now),
        "timeline": [_point(point) for point in report.timeline],
        "clients": [{**asdict(client), "family": client.family or None} for client in report.clients],
        "best_hours": {"timezone": timezone, "cells": [asdict(cell) for cell in cells]},
    }


def _point(point: Point) -> Mapping[str, object]:
    return {
        "starts_at": _moment(point.starts_at),
        "lasts_seconds": int(point.lasts.total_seconds()),
        "opens": point.opens,
        "machine": point.machine,
        "unknown": point.unknown,
    }


def _offer(one: Asked) -> Mapping[str, object]:
    rate = one.confirmed_share
    return {
        **asdict(one),
        "not_mailed": one.not_mailed,
        "confirmed_share": None if rate is None else asdict(rate),
    }


def _plain(value: Mapping[str, object]) -> dict[str, object]:
    return {name: _json(one) for name, one in value.items()}


def _json(value: object) -> object:
    match value:
        case datetime():
            return _moment(value)
        case timedelta():
            return int(value.total_seconds())
        case dict():
            return _plain(value)
        case list() | tuple():
            return [_json(one) for one in value]
        case _:
            return value


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
