"""Proofs over the whole ledger: the chain is whole, and the consent table is what the ledger says."""

from collections.abc import Callable
from dataclasses import dataclass

from pixel_service.domain.consent import Purpose, State
from pixel_service.domain.ledger import ChainCheck, Replay
from pixel_service.domain.messages import SubscriberId
from pixel_service.storage import consent, ledger
from pixel_service.storage.dialect import lock_ledger
from pixel_service.usecases.context import Context


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    entries: int
    #: Hash of the newest entry.
    head: str


async def verify(ctx: Context, on_progress: Callable[[int], object]) -> Proof:
    """Raises `LedgerBroken` at the first entry that does not verify."""
    check = ChainCheck()
    async with ctx.db.read() as connection:
        async for page in ledger.read_pages(connection):
            for entry in page:
                check.add(entry)
            on_progress(check.entries)
    return Proof(entries=check.entries, head=check.head)


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
    ]
