"""A restored backup is told what it does not know: every withdrawal, objection, restriction and erasure since (Q5).

Works on a copy nobody else can reach yet (`storage/restoring.py`). Each noted act goes through the use case it went
through at first, so the ledger records it anew. An interrupted restore begins anew; nothing here needs to be resumed.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from pixel_service.domain.backup import Manifest, expect_journal
from pixel_service.domain.errors import BackupUnusable, LedgerBroken
from pixel_service.domain.journal import Line, Note, Noted
from pixel_service.domain.messages import SubscriberId
from pixel_service.storage import erasure, journals, ledger, restoring, scrub, subscribers, webhooks
from pixel_service.storage.dialect import lock_ledger
from pixel_service.storage.engine import Connection
from pixel_service.storage.journal import Journal
from pixel_service.storage.migrations import is_known
from pixel_service.usecases import erase, rights, withdraw
from pixel_service.usecases.context import Context
from pixel_service.usecases.erased_addresses import address_hashes
from pixel_service.usecases.ledger import Proof, replay, verify
from pixel_service.usecases.rights_requests import Asked
from pixel_service.usecases.withdraw import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    #: Noted acts that were applied, by kind.
    applied: Mapping[Noted, int]
    #: Acts of people the backup does not know: they came and went after it, and no import brings them back.
    strangers: int
    #: Webhook endpoints that were disabled, because they may have been since.
    endpoints: int
    #: Mails that waited in the backup and were not sent again.
    cancelled: int
    proof: Proof


def examine(manifest: Manifest, *, is_sqlite: bool, journal: Journal | None) -> None:
    """Before anything is touched. Raises `BackupUnusable` or `JournalBroken`."""
    wanted = "sqlite" if is_sqlite else "postgresql"
    if manifest.database != wanted:
        raise BackupUnusable(f"this is a backup of {manifest.database}, and PIXEL_DATABASE_URL names {wanted}")
    if not is_known(manifest.revision):
        raise BackupUnusable("this backup was made by a newer version of the service")
    if journal is not None:
        expect_journal(manifest, journal.heading(), journal.position())
        # To its end, so that a line that does not read is found now.
        for _ in journal.lines(after=manifest.journal.number):
            pass


async def bring_up_to_date(
    ctx: Context, manifest: Manifest, lines: Iterable[Line], *, also_trusted: Collection[str] = ()
) -> Restored:
    """Raises `LedgerBroken` or `BackupUnusable` when the outcome is not what the ledger says."""
    await _expect_head(ctx, manifest)
    # What is applied stands in the journal already.
    async with ctx.db.write() as connection:
        await journals.bind(connection, None, at=ctx.clock())
        endpoints = await _disable_endpoints(ctx, connection)
    applied: Counter[Noted] = Counter()
    strangers = 0
    for line in _moved_last(lines):
        if await _APPLY[line.note.act](ctx, line):
            applied[line.note.act] += 1
        else:
            strangers += 1
        await _keep_out(ctx, line.note)
    async with ctx.db.write() as connection:
        await lock_ledger(connection)
        await journals.bind(connection, manifest.journal.journal_id, at=ctx.clock())
        cancelled = await restoring.calm(connection, at=ctx.clock())
        await scrub.ask(connection, scrub.Scope.PERSON)
    proof = await verify(ctx, lambda _: None, also_trusted=also_trusted)
    if await replay(ctx):
        raise BackupUnusable("after the restore the consent table is not what the ledger says")
    return Restored(applied=applied, strangers=strangers, endpoints=endpoints, cancelled=cancelled, proof=proof)


def _moved_last(lines: Iterable[Line]) -> Iterator[Line]:
    """Whoever has moved is restricted whatever else they did: mail to the address in the backup may reach a stranger, and
    what is no longer right must not be used (GDPR Art. 18(1)(a))."""
    moved = []
    for line in lines:
        if line.note.act is Noted.MOVED:
            moved.append(line)
        else:
            yield line
    yield from moved


async def _expect_head(ctx: Context, manifest: Manifest) -> None:
    async with ctx.db.read() as connection:
        head = await ledger.head(connection)
    if (head.seq, head.entry_hash) != (manifest.seq, manifest.head):
        raise LedgerBroken(head.seq, f"not the entry that ended the ledger when the backup was made, {manifest.seq}")


async def _disable_endpoints(ctx: Context, connection: Connection) -> int:
    """Nobody learns addresses from a backup who may no longer learn them; and what is repeated was told when it happened."""
    enabled = [one.endpoint_id for one in await webhooks.all_endpoints(connection) if one.disabled_at is None]
    for endpoint_id in enabled:
        await webhooks.disable(connection, endpoint_id, at=ctx.clock())
    return len(enabled)


async def _keep_out(ctx: Context, note: Note) -> None:
    """No import brings an address back that the backup does not know, of newcomers or after a move; the person's own
    sign-up does. Anybody on record is protected by what is on record."""
    if note.address_hash is None:
        return
    async with ctx.db.write() as connection:
        if note.address_hash not in await _hashes_on_record(ctx, connection, note.subscriber_id):
            await erasure.note_address(connection, note.address_hash, at=note.at)


async def _hashes_on_record(ctx: Context, connection: Connection, subscriber_id: SubscriberId) -> tuple[str, ...]:
    if await subscribers.get(connection, subscriber_id) is None:
        return ()
    return address_hashes(ctx, await erasure.address_of(connection, subscriber_id))


# --- each act through its own use case ------------------------------------------------------------------------------


async def _withdraw(ctx: Context, line: Line) -> bool:
    said = {"noted_at": line.note.at.isoformat()}
    async with ctx.db.write() as connection:
        purposes = line.note.purposes
        ended = await withdraw.end(ctx, connection, line.note.subscriber_id, purposes, Source.RESTORE, said)
    return ended is not None


def _by_right(
    act: Callable[[Context, SubscriberId, Asked], Awaitable[object | None]],
) -> Callable[[Context, Line], Awaitable[bool]]:
    async def apply(ctx: Context, line: Line) -> bool:
        asked = Asked(source=Source.RESTORE, note=f"noted at {line.note.at.isoformat()}")
        return await act(ctx, line.note.subscriber_id, asked) is not None

    return apply


_APPLY: Mapping[Noted, Callable[[Context, Line], Awaitable[bool]]] = {
    Noted.WITHDRAWN: _withdraw,
    Noted.OBJECTED: _by_right(rights.object_to_marketing),
    Noted.RESTRICTED: _by_right(rights.restrict),
    Noted.LIFTED: _by_right(rights.lift),
    Noted.OPENS_DELETED: _by_right(rights.delete_my_opens),
    Noted.ERASED: _by_right(erase.erase),
    Noted.MOVED: _by_right(rights.restrict),
}
