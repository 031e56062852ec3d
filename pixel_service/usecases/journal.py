"""Noting withdrawals beside the database, so that a restored backup can be told of them (Q5).

Called by every use case by which a person takes something away, inside its transaction: what can not be noted is not done.
Which journal a database writes to is on record in it: a second host with a file of its own would note where nobody looks.
"""

import asyncio
from collections.abc import Collection

from pixel_service.domain.address import Address
from pixel_service.domain.consent import Purpose
from pixel_service.domain.errors import JournalBroken
from pixel_service.domain.journal import Note, Noted
from pixel_service.domain.messages import SubscriberId
from pixel_service.storage import journals, ledger
from pixel_service.storage.dialect import lock_ledger
from pixel_service.storage.engine import Connection
from pixel_service.storage.journal import Journal
from pixel_service.usecases.context import Context
from pixel_service.usecases.erased_addresses import address_hashes

_UNNAMED = "this database keeps a journal of withdrawals, name its file in PIXEL_JOURNAL_PATH"
#: What an operator can do.
_REMEDY = (
    "Name the right file in PIXEL_JOURNAL_PATH, or begin a new one with `pixel-service journal renew`: "
    "earlier backups can then be restored only without what was withdrawn since."
)


async def note(
    ctx: Context,
    connection: Connection,
    act: Noted,
    subscriber_id: SubscriberId,
    purposes: Collection[Purpose] = (),
    address: Address | None = None,
) -> None:
    """Last before the commit. The lock makes the journal's order that of the ledger, and lets a backup know exactly
    which lines it holds. `address`: the one that no import may bring back after a restore. Nothing where no journal is
    kept."""
    await lock_ledger(connection)
    bound = await journals.bound(connection)
    if bound is None:
        return
    if ctx.journal is None:
        raise JournalBroken(_UNNAMED)
    head = await ledger.head(connection)
    line = Note(
        at=ctx.clock(),
        act=act,
        subscriber_id=subscriber_id,
        purposes=tuple(sorted(purposes)),
        seq=head.seq,
        address_hash=address_hashes(ctx, address)[0] if address else None,
    )
    await asyncio.to_thread(ctx.journal.append, bound, line)


async def bind(ctx: Context) -> None:
    """At start: this process must note where all others do. Makes the journal of a database that never had one."""
    async with ctx.db.read() as connection:
        bound = await journals.bound(connection)
    if bound is None and ctx.journal is not None:
        bound = await _bind_first(ctx)
    if bound is None:
        return
    if ctx.journal is None:
        raise JournalBroken(_UNNAMED)
    if await asyncio.to_thread(_identity, ctx.journal) != bound:
        raise JournalBroken(f"{ctx.journal.path} is not the journal of this database. {_REMEDY}")


def _identity(journal: Journal) -> str | None:
    try:
        return journal.identity()
    except OSError as error:
        raise JournalBroken(f"{journal.path}: {error.strerror}") from error


async def _bind_first(ctx: Context) -> str | None:
    """Of several processes that start at once, one makes it."""
    async with ctx.db.write() as connection:
        await lock_ledger(connection)
        bound = await journals.bound(connection)
        if bound is None:
            await _begin(ctx, connection)
        return bound or await journals.bound(connection)


async def renew(ctx: Context) -> bool:
    """From now on the file in the settings is the journal; without one, none is kept. True when there is one."""
    async with ctx.db.write() as connection:
        await lock_ledger(connection)
        await _begin(ctx, connection)
    return ctx.journal is not None


async def _begin(ctx: Context, connection: Connection) -> None:
    journal_id = None if ctx.journal is None else await asyncio.to_thread(_identity_or_new, ctx.journal, ctx.ids())
    await journals.bind(connection, journal_id, at=ctx.clock())


def _identity_or_new(journal: Journal, journal_id: str) -> str:
    found = journal.identity()
    if found is None:
        journal.begin(journal_id)
    return found or journal_id


async def prune(ctx: Context) -> int:
    """Lines that no backup needs any more; returns how many."""
    if ctx.journal is None:
        return 0
    return await asyncio.to_thread(ctx.journal.prune, ctx.clock() - ctx.policy.keep_journal)
