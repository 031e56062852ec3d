"""A backup of a running service: one moment of the database, and how far the journal had come at that very moment (Q5)."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from pixel_service.domain.backup import Manifest
from pixel_service.domain.errors import BackupUnusable
from pixel_service.storage import archive, journals, ledger
from pixel_service.storage.copies import snapshot
from pixel_service.storage.dialect import lock_ledger
from pixel_service.storage.journal import Journal
from pixel_service.storage.migrations import revision_of
from pixel_service.usecases.context import Context

#: Keys of the manifest are made for it alone.
USE = "backups"


async def take(ctx: Context, file: Path) -> Manifest:
    """Writes `file`, which must not exist. Raises `BackupUnusable` where nothing is noted for a restore."""
    if ctx.journal is None:
        raise BackupUnusable(
            "without a journal a restored backup would bring back what was withdrawn: name a file in PIXEL_JOURNAL_PATH"
        )
    with TemporaryDirectory(prefix=f".{file.name}-", dir=file.parent) as folder:
        copy = Path(folder) / "database"
        manifest = await _copy(ctx, ctx.journal, copy)
        return await asyncio.to_thread(archive.write, file, manifest, copy, ctx.tokens.secrets_for(USE)[0])


async def _copy(ctx: Context, journal: Journal, copy: Path) -> Manifest:
    async with AsyncExitStack() as stack:
        async with ctx.db.write() as connection:
            # Whoever notes holds this lock until its commit: the lines so far are in the snapshot, and no other.
            await lock_ledger(connection)
            position = await asyncio.to_thread(journal.position)
            if position.journal_id != await journals.bound(connection):
                raise BackupUnusable(f"{journal.path} is not the journal of this database")
            head = await ledger.head(connection)
            copy_to = await stack.enter_async_context(snapshot(ctx.db))
        await copy_to(copy)
    return Manifest(
        database="sqlite" if ctx.db.is_sqlite else "postgresql",
        revision=str(await revision_of(ctx.db)),
        seq=head.seq,
        head=head.entry_hash,
        taken_at=ctx.clock(),
        journal=position,
        sha256="",
    )
