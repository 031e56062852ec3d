"""Proofs over the whole ledger: the chain is whole, and the consent table is what the ledger says."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from pixel_service.domain.checkpoints import Checkpoint, LedgerCheck
from pixel_service.domain.consent import Purpose, State
from pixel_service.domain.ledger import Replay
from pixel_service.domain.ledger_file import checkpoint_line, entry_line, heading
from pixel_service.domain.messages import SubscriberId
from pixel_service.storage import audit, checkpoints, consent, ledger
from pixel_service.storage.audit import Look
from pixel_service.storage.dialect import lock_ledger
from pixel_service.usecases.checkpoints import public_keys, sign_now
from pixel_service.usecases.context import Context

#: In the audit log.
EXPORT, EVERYBODY = "ledger export", "everybody"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    entries: int
    #: Hash of the newest entry.
    head: str
    #: The newest signed checkpoint; None before the first.
    covered: Checkpoint | None
    #: What checkpoints verify under, newest first.
    public_keys: tuple[str, ...]


async def verify(ctx: Context, on_progress: Callable[[int], object], *, also_trusted: Collection[str] = ()) -> Proof:
    """Raises `LedgerBroken` at the first entry that does not verify. `also_trusted`: public keys of secret keys that are
    no longer in the settings."""
    keys = public_keys(ctx)
    async with ctx.db.read() as connection:
        found = LedgerCheck(await checkpoints.read_all(connection), {*keys, *also_trusted})
        async for page in ledger.read_pages(connection):
            for entry in page:
                found.add(entry)
            on_progress(found.entries)
    found.finish()
    return Proof(entries=found.entries, head=found.head, covered=found.covered, public_keys=keys)


async def export(ctx: Context, write: Callable[[str], object], *, by: str, reason: str) -> int:
    """Hands `write` the lines of a file that verifies by itself; returns how many entries are in it. They hold what
    people typed, so the look is on record before the first of them is read."""
    async with ctx.db.write() as connection:
        await audit.record(connection, Look(at=ctx.clock(), who=by, act=EXPORT, subject=EVERYBODY, reason=reason))
    async with ctx.db.read() as connection:
        head = await ledger.head(connection)
        write(heading(public_keys(ctx)))
        for checkpoint in await checkpoints.read_all(connection):
            if checkpoint.seq < head.seq:
                write(checkpoint_line(checkpoint))
        if head.seq:
            write(checkpoint_line(sign_now(ctx, head)))
        async for page in ledger.read_pages(connection):
            for entry in page:
                if entry.seq <= head.seq:
                    write(entry_line(entry))
            if page[-1].seq >= head.seq:
                break
    return head.seq


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    subscriber_id: SubscriberId
    purpose: Purpose
    table: State
    ledger: State


async def replay(ctx: Context) -> list[Difference]:
    """Every person and purpose where the table and the ledger disagree; empty is the promise."""
    told = Replay()
    async with ctx.db.write() as connection:
        await lock_ledger(connection)
        async for page in ledger.read_pages(connection):
            for entry in page:
                told.add(entry)
        table = await consent.all_states(connection)
    return [
        Difference(
            subscriber_id=key[0],
            purpose=key[1],
            table=table.get(key, State.UNKNOWN),
            ledger=told.states.get(key, State.UNKNOWN),
        )
        for key in sorted(table.keys() | told.states.keys())
        if table.get(key, State.UNKNOWN) is not told.states.get(key, State.UNKNOWN)
        # A request that lapsed takes the row of a person who never confirmed anything with it (S12).
        # Of evidence that ended only hashes are left, and the consents go with the person (T1).
        and not (key not in table and (told.states[key] is State.EXPIRED or key in told.dropped))
    ]
