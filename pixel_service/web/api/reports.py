"""`GET /v1/campaigns/{campaign_id}/report`: a campaign's numbers as JSON (O1)."""

from starlette.requests import Request
from starlette.responses import Response

from pixel_service.domain.accounts import Scope
from pixel_service.domain.errors import NotFound
from pixel_service.web.api.auth import require


@require(Scope.REPORT)
async def show(request: Request) -> Response:
    raise NotFound("campaign")
