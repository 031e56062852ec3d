"""Checkpoints are written when they are due, and find in the database what the chain alone would not (E3)."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import delete, select, update

from pixel_service.domain.errors import LedgerBroken
from pixel_service.domain.ledger_file import check
from pixel_service.domain.tokens import Tokens
from pixel_service.storage.engine import Database
from pixel_service.storage.schema import audit_log, checkpoints, ledger
from pixel_service.usecases.checkpoints import public_keys, write_checkpoint
from pixel_service.usecases.context import Context
from pixel_service.usecases.ledger import Proof, export, verify
from tests.access import Clock
from tests.builders import BLOG, KEY, OPENS, context, join

DAY = timedelta(days=1)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def ctx(db: Database, clock: Clock) -> Context:
    """Four entries, no checkpoint."""
    made = context(db, clock)
    await join(made, "anna@example.com", BLOG, OPENS)
    return made


async def proof(ctx: Context, *also_trusted: str) -> Proof:
    return await verify(ctx, lambda _: None, also_trusted=also_trusted)


async def seqs(ctx: Context) -> list[int]:
    async with ctx.db.read() as connection:
        return list((await connection.execute(select(checkpoints.c.seq).order_by(checkpoints.c.seq))).scalars())


async def exported(ctx: Context) -> list[str]:
    lines: list[str] = []
    await export(ctx, lines.append, by="mia@example.com", reason="yearly audit")
    return lines


async def test_a_checkpoint_is_written_once_a_day_and_only_when_there_is_something_new(
    ctx: Context, clock: Clock
) -> None:
    assert [await write_checkpoint(ctx), await write_checkpoint(ctx)] == [1, 0]
    clock.move(2 * DAY)
    assert await write_checkpoint(ctx) == 0
    await join(ctx, "bo@example.com", BLOG)
    assert await write_checkpoint(ctx) == 1
    await join(ctx, "cy@example.com", BLOG)
    clock.move(DAY - timedelta(seconds=1))
    assert await write_checkpoint(ctx) == 0
    clock.move(timedelta(seconds=1))
    assert await write_checkpoint(ctx) == 1
    assert await seqs(ctx) == [4, 6, 8]
    found = await proof(ctx)
    assert found.covered is not None
    assert (found.covered.seq, found.covered.at) == (8, clock())


async def test_many_new_entries_are_signed_before_the_day_is_over(ctx: Context) -> None:
    assert await write_checkpoint(ctx) == 1
    await join(ctx, "bo@example.com", BLOG)
    assert await write_checkpoint(ctx, most_unsigned=3) == 0
    await join(ctx, "cy@example.com", BLOG)
    assert await write_checkpoint(ctx, most_unsigned=3) == 1
    assert await seqs(ctx) == [4, 8]


async def test_an_empty_ledger_gets_no_checkpoint(db: Database) -> None:
    empty = context(db)
    assert await write_checkpoint(empty) == 0
    assert (await proof(empty)).covered is None
    assert check(await exported(empty)).entries == 0


async def test_a_removed_last_entry_is_found(ctx: Context) -> None:
    await write_checkpoint(ctx)
    async with ctx.db.write() as connection:
        await connection.execute(delete(ledger).where(ledger.c.seq == 4))
    with pytest.raises(LedgerBroken, match="ledger entry 4: missing, a signed checkpoint covers 4 entries"):
        await proof(ctx)


async def test_an_act_that_nobody_knows_is_named_and_not_a_crash(ctx: Context) -> None:
    async with ctx.db.write() as connection:
        await connection.execute(update(ledger).where(ledger.c.seq == 3).values(act="invented"))
    with pytest.raises(LedgerBroken, match="ledger entry 3: act"):
        await proof(ctx)


@pytest.mark.parametrize(
    "column, value", [("seq", 3), ("head", "0" * 64), ("signature", "0" * 128), ("public_key", "0" * 64)]
)
async def test_an_altered_checkpoint_is_found(ctx: Context, column: str, value: object) -> None:
    await write_checkpoint(ctx)
    async with ctx.db.write() as connection:
        await connection.execute(update(checkpoints).values({column: value}))
    with pytest.raises(LedgerBroken):
        await proof(ctx)


async def test_checkpoints_outlive_a_change_of_secret_keys(ctx: Context) -> None:
    await write_checkpoint(ctx)
    (old,) = public_keys(ctx)
    rotated = replace(ctx, tokens=Tokens([b"n" * 32, KEY]))
    assert (await proof(rotated)).public_keys[1] == old
    forgotten = replace(ctx, tokens=Tokens([b"n" * 32]))
    with pytest.raises(LedgerBroken, match=f"signed by a stranger, {old}"):
        await proof(forgotten)
    assert (await proof(forgotten, old)).entries == 4


async def test_an_export_holds_everything_and_verifies_without_the_database(ctx: Context, clock: Clock) -> None:
    await write_checkpoint(ctx)
    await join(ctx, "bo@example.com", BLOG)
    lines = await exported(ctx)
    found = check(lines, trusted=public_keys(ctx))
    assert (found.entries, found.head) == (6, (await proof(ctx)).head)
    assert found.signed is not None
    assert (found.signed.seq, found.signed.at) == (6, clock())
    assert await seqs(ctx) == [4]
    with pytest.raises(LedgerBroken, match="ledger entry 6: missing"):
        check(lines[:-1])


async def test_an_export_signed_at_its_head_holds_that_checkpoint_once(ctx: Context) -> None:
    await write_checkpoint(ctx)
    kinds = [line.partition(",")[0] for line in await exported(ctx)]
    assert kinds == ['{"kind": "heading"', '{"kind": "checkpoint"', *['{"kind": "entry"'] * 4]


async def test_who_exports_the_ledger_is_on_record(ctx: Context) -> None:
    await exported(ctx)
    async with ctx.db.read() as connection:
        (row,) = (await connection.execute(select(audit_log))).all()
    assert (row.who, row.act, row.subject, row.reason) == (
        "mia@example.com",
        "ledger export",
        "everybody",
        "yearly audit",
    )
