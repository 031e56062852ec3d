"""Stylesheet and logo as files. Nothing here differs per person, so browsers may keep it for a while."""

import os

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from pixel_service.web.pages import STATIC

_KEEP = {"Cache-Control": "public, max-age=3600"}


async def logo(request: Request) -> Response:
    """GET /static/logo.png, as the company set it."""
    content: bytes | None = request.app.state.logo
    if content is None:
        raise HTTPException(404)
    return Response(content, media_type="image/png", headers=_KEEP)


class Files(StaticFiles):
    """The package's own files, and nothing outside of their folder."""

    def __init__(self) -> None:
        super().__init__(directory=STATIC)

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers.update(Headers(_KEEP))
        return response
