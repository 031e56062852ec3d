"""An operator's hand on a running campaign: pause, resume, cancel (D8). Named as the pipeline named it."""

from pixel_service.domain.errors import InvalidInput, NotFound
from pixel_service.domain.messages import CampaignId
from pixel_service.storage import sends
from pixel_service.storage.engine import Connection
from pixel_service.usecases.context import Context


async def pause(ctx: Context, name: str) -> None:
    """Mails under way finish; the others wait until `resume`. Raises `NotFound`."""
    async with ctx.db.write() as connection:
        await sends.set_paused(connection, await _named(connection, name), at=ctx.clock())


async def resume(ctx: Context, name: str) -> None:
    async with ctx.db.write() as connection:
        await sends.set_paused(connection, await _named(connection, name), at=None)


async def cancel(ctx: Context, name: str) -> int:
    """For good: nothing more of it is sent or taken. Returns the waiting mails that were removed."""
    async with ctx.db.write() as connection:
        campaign_id = await _named(connection, name)
        return await sends.cancel(connection, campaign_id, at=ctx.clock())


async def _named(connection: Connection, name: str) -> CampaignId:
    found = await sends.find_campaign(connection, name)
    if found is None:
        raise NotFound("campaign")
    if found.cancelled_at is not None:
        raise InvalidInput("campaign", "was cancelled")
    await sends.hold(connection, found.campaign_id)
    return found.campaign_id
