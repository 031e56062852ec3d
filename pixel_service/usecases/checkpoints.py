"""Signing the ledger's head: once a day and after every thousand entries (E3)."""

from datetime import timedelta

from pixel_service.domain.checkpoints import Checkpoint, public_key_of, sign
from pixel_service.storage import checkpoints, ledger
from pixel_service.storage.dialect import lock_ledger
from pixel_service.usecases.context import Context

EVERY = timedelta(days=1)
ENTRIES = 1000
_USE = "ledger checkpoints"


async def write_checkpoint(ctx: Context, *, most_unsigned: int = ENTRIES) -> int:
    """1 when a checkpoint was due and new entries had come since the last, else 0."""
    now = ctx.clock()
    async with ctx.db.write() as connection:
        await lock_ledger(connection)
        head, last = await ledger.head(connection), await checkpoints.newest(connection)
        new = head.seq - (last.seq if last else 0)
        if new <= 0 or (last and new < most_unsigned and now - last.at < EVERY):
            return 0
        await checkpoints.add(connection, sign_now(ctx, head))
    return 1


def sign_now(ctx: Context, head: ledger.Head) -> Checkpoint:
    return sign(ctx.tokens.secrets_for(_USE)[0], seq=head.seq, head=head.entry_hash, at=ctx.clock())


def public_keys(ctx: Context) -> tuple[str, ...]:
    """Of the newest secret key first; the others still vouch for what they signed."""
    return tuple(public_key_of(secret) for secret in ctx.tokens.secrets_for(_USE))
