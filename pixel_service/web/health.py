"""What machines ask: is the process alive, can it work, what does it measure. No answer names a person or a secret."""

import hmac

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from pixel_service.domain.errors import StorageUnavailable
from pixel_service.observability import Metrics
from pixel_service.settings import Settings
from pixel_service.storage.migrations import is_current
from pixel_service.web.views import context_of

_log = structlog.get_logger(__name__)


async def live(_request: Request) -> Response:
    """GET /health/live: the process answers. Restarting it would not bring a database back, so none is asked."""
    return PlainTextResponse("alive\n")


async def ready(request: Request) -> Response:
    """GET /health/ready: the database is reachable and has exactly this version's schema."""
    try:
        if await is_current(context_of(request).db):
            return PlainTextResponse("ready\n")
        reason = "schema"
    except StorageUnavailable:
        reason = "database"
    _log.warning("not ready", action="ready", reason=reason)
    return PlainTextResponse(f"not ready: {reason}\n", 503)


async def metrics(request: Request) -> Response:
    """GET /metrics, Prometheus text format. A stranger who may read it before and after loading an image is told by the counters
    what its token is worth (P1): without `metrics_token` there is no such page."""
    metrics: Metrics = request.app.state.metrics
    settings: Settings = request.app.state.settings
    if settings.metrics_token is None:
        raise HTTPException(404)
    expected = f"Bearer {settings.metrics_token.get_secret_value()}"
    if not hmac.compare_digest(request.headers.get("authorization", "").encode(), expected.encode()):
        return PlainTextResponse("unauthorized\n", 401, headers={"WWW-Authenticate": "Bearer"})
    return Response(metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")
