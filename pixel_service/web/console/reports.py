"""The list of campaigns and the page of one, for colleagues who are logged in (O1)."""

from starlette.requests import Request
from starlette.responses import Response

from pixel_service.domain.errors import NotFound
from pixel_service.web.console.login import require_user


@require_user
async def list_campaigns(request: Request) -> Response:
    raise NotFound("campaign")


@require_user
async def show_campaign(request: Request) -> Response:
    raise NotFound("campaign")
