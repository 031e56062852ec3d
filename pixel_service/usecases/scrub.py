"""What was deleted leaves the files too (W4): soon after a quiet time, and never more often than the period allows."""

from pixel_service.storage import scrub as files
from pixel_service.usecases.context import Context


async def scrub(ctx: Context) -> int:
    """1 when the files were written anew, 0 when nothing is asked for, it is too early, or somebody was in the way."""
    async with ctx.db.read() as connection:
        due = await files.due(connection)
    if due is None:
        return 0
    if due.last_done_at is not None and ctx.clock() < due.last_done_at + ctx.policy.scrub_every:
        return 0
    if not await files.rewrite(ctx.db, due.scope):
        return 0
    async with ctx.db.write() as connection:
        await files.note_done(connection, due.ids, at=ctx.clock())
    return 1
