"""Who has an address, for a colleague who acts on a letter or a call: the look is on record before anything happens (A1, W6)."""

from pixel_service.domain.messages import SubscriberId
from pixel_service.storage import audit
from pixel_service.storage.audit import Look
from pixel_service.usecases.context import Context
from pixel_service.usecases.evidence import Inquiry, keyed_hash, whose


async def identify(ctx: Context, inquiry: Inquiry, *, act: str) -> SubscriberId | None:
    """None for an address that nobody has or had; that somebody asked is on record all the same. `act` is what the
    colleague is about to do, as the audit log names it."""
    async with ctx.db.write() as connection:
        known = await whose(connection, inquiry.address)
        subject = known or keyed_hash(ctx, inquiry.address)
        look = Look(at=ctx.clock(), who=inquiry.by, act=act, subject=subject, reason=inquiry.reason)
        await audit.record(connection, look)
    return known
