"""`GET /v1/campaigns/{campaign_id}/report`: a campaign's numbers as JSON, the same ones the console shows (O1)."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from pixel_service.domain.accounts import Scope
from pixel_service.domain.errors import NotFound
from pixel_service.domain.messages import CampaignId
from pixel_service.domain.reports import CampaignReport, Client, Point
from pixel_service.storage.reports import campaign_report
from pixel_service.usecases.context import Context
from pixel_service.web.api.auth import require
from pixel_service.web.api.models import read_id


@require(Scope.REPORT)
async def show(request: Request) -> Response:
    ctx: Context = request.app.state.ctx
    campaign_id = CampaignId(read_id(request.path_params["campaign_id"], "campaign"))
    async with ctx.db.read() as connection:
        report = await campaign_report(connection, campaign_id)
    if report is None:
        raise NotFound("campaign")
    return JSONResponse(_told(report))


def _told(report: CampaignReport) -> Mapping[str, object]:
    """Rates and coverage are shares from 0 to 1; null where there is nothing, or too little, to divide by."""
    return asdict(report) | {
        "created_at": _moment(report.created_at),
        "first_sent_at": _moment(report.first_sent_at) if report.first_sent_at else None,
        "timeline": [_point(point) for point in report.timeline],
        "clients": [_client(client) for client in report.clients],
    }


def _point(point: Point) -> Mapping[str, object]:
    return {
        "starts_at": _moment(point.starts_at),
        "lasts_seconds": int(point.lasts.total_seconds()),
        "opens": point.opens,
        "machine": point.machine,
        "unknown": point.unknown,
    }


def _client(client: Client) -> Mapping[str, object]:
    return {"family": client.family or None, "unique": client.unique, "total": client.total}


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
