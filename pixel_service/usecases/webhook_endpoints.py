"""Endpoints of processors: named, given a new secret, and told again, by the operator (R11)."""

from collections.abc import Collection
from dataclasses import replace

import httpx

from pixel_service.domain.errors import InvalidInput, NotFound
from pixel_service.domain.tokens import id_bytes
from pixel_service.domain.webhooks import (
    ROTATION,
    DeliveryStatus,
    EndpointId,
    WebhookEvent,
    WebhookId,
    parse_endpoint_url,
    say_secret,
)
from pixel_service.storage import webhooks
from pixel_service.storage.webhooks import Endpoint
from pixel_service.usecases.context import Context
from pixel_service.usecases.webhooks import disable, signing_secrets


async def add_endpoint(ctx: Context, url: str, events: Collection[WebhookEvent]) -> tuple[EndpointId, str]:
    """Its id, and the secret to verify our signatures with, which can not be shown again. Raises `InvalidInput`."""
    if not events:
        raise InvalidInput("events", "at least one")
    endpoint_id, raw = EndpointId(ctx.ids()), _new_secret(ctx)
    new = Endpoint(
        endpoint_id=endpoint_id,
        url=_reachable(parse_endpoint_url(url)),
        events=frozenset(events),
        secret=signing_secrets(ctx).seal(raw, endpoint_id),
        old_secret=None,
        old_secret_until=None,
        created_at=ctx.clock(),
        disabled_at=None,
    )
    async with ctx.db.write() as connection:
        await webhooks.add_endpoint(connection, new)
    return endpoint_id, say_secret(raw)


async def rotate_secret(ctx: Context, endpoint_id: EndpointId) -> str:
    """The new secret. The old one goes on signing for a while, so that the processor can change over. Raises `NotFound`."""
    raw = _new_secret(ctx)
    async with ctx.db.write() as connection:
        known = await webhooks.get_endpoint(connection, endpoint_id)
        if known is None:
            raise NotFound("endpoint")
        changed = replace(
            known,
            secret=signing_secrets(ctx).seal(raw, endpoint_id),
            old_secret=known.secret,
            old_secret_until=ctx.clock() + ROTATION,
        )
        await webhooks.set_secret(connection, changed)
    return say_secret(raw)


async def disable_endpoint(ctx: Context, endpoint_id: EndpointId) -> int:
    """For good; returns how many waiting notices were given up. Raises `NotFound`."""
    async with ctx.db.write() as connection:
        known = await webhooks.get_endpoint(connection, endpoint_id)
    if known is None:
        raise NotFound("endpoint")
    return await disable(ctx, endpoint_id)


async def retry(ctx: Context, webhook_id: WebhookId) -> None:
    """Send a waiting notice now, with all its tries before it. Raises `NotFound`, and `InvalidInput` for one that ended: what
    it said is gone."""
    async with ctx.db.write() as connection:
        status = await webhooks.bring_forward(connection, webhook_id, now=ctx.clock())
    if status is None:
        raise NotFound("notice")
    if status is not DeliveryStatus.WAITING:
        raise InvalidInput("id", f"it is {status.value.replace('_', ' ')}, and its content is deleted")


def _reachable(url: str) -> str:
    """What the sender makes a request of; it refuses numbers and A-labels (RFC 5891) that look right and are not."""
    try:
        httpx.Request("POST", url)
    except (httpx.InvalidURL, ValueError):
        raise InvalidInput("url", "the host is not one that can be reached") from None
    return url


def _new_secret(ctx: Context) -> bytes:
    """256 random bits."""
    return id_bytes(ctx.ids()) + id_bytes(ctx.ids())
