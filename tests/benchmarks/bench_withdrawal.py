"""Withdrawing everything with ten thousand, a million and ten million opens stored, each person with as many own ones (W3).

Withdrawals are the use case's own: ledger, opens, pixels, figures, goodbye mail, journal and the wish to rewrite the files.
Rounds alternate between the sizes, so that a busy machine slows all of them. Afterwards nothing of those who withdrew may be
left: otherwise there is no figure.

    python -m tests.benchmarks.bench_withdrawal [--sizes 10000 100000]
"""

import argparse
import asyncio
import random
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import ColumnElement, Select, func, select

from pixel_service.app import open_context
from pixel_service.domain.consent import TRACKING_OPENS, newsletter
from pixel_service.domain.figures import Kind
from pixel_service.domain.messages import SubscriberId, Tracking
from pixel_service.settings import load_settings
from pixel_service.storage.engine import Connection
from pixel_service.storage.figures_check import take_time
from pixel_service.storage.schema import campaign_figures, message_opens, messages, opens, pixels
from pixel_service.usecases.context import Context
from pixel_service.usecases.withdraw import Source, withdraw_all
from tests.benchmarks.database import NewDatabase, databases
from tests.benchmarks.seed_opens import OPENS_PER_MAIL, seed_opens
from tests.benchmarks.table import Line, show
from tests.benchmarks.timings import Timings
from tests.figures import differences
from tests.journeys.service import environment

_SIZES = (10_000, 1_000_000, 10_000_000)
#: Mails that each person got, `OPENS_PER_MAIL` times as many opens.
_MAILS = 20
_WARM_UP, _ROUNDS = 5, 60
#: Counting every row anew takes minutes above it.
_CHECKED_WHOLE = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    ctx: Context
    #: Opens before anybody withdrew.
    size: int
    #: In the order in which they will withdraw.
    people: Sequence[SubscriberId]
    timings: Timings = field(default_factory=Timings)

    async def withdraw(self, place: int) -> None:
        with self.timings.one():
            receipt = await withdraw_all(self.ctx, self.people[place], Source.ONE_CLICK)
        assert receipt is not None
        assert receipt.withdrawn == (newsletter("blog"), TRACKING_OPENS)
        assert (receipt.opens, receipt.pixels) == (_MAILS * OPENS_PER_MAIL, _MAILS)


@asynccontextmanager
async def _stored(url: str, size: int) -> AsyncIterator[Stored]:
    seeded = seed_opens(url, size, campaigns=_MAILS)
    people = random.Random(size).sample(seeded.subscriber_ids, _WARM_UP + _ROUNDS)
    with tempfile.TemporaryDirectory() as folder:
        journal = str(Path(folder) / "withdrawals")
        settings = load_settings(environment(url, port=8000, smtp_port=9, journal_path=journal))
        async with open_context(settings) as ctx:
            yield Stored(ctx=ctx, size=size, people=[SubscriberId(one) for one in people])


# --- what may not be left ------------------------------------------------------------------------------------------------


async def _check(stored: Stored) -> None:
    async with stored.ctx.db.snapshot() as connection:
        await take_time(connection)
        left = await _left(connection, messages.c.subscriber_id.in_(stored.people))
        assert not any(left.values()), f"left of {len(stored.people)} people who withdrew: {left}"
        figures, rows = await _figures(connection), await _rows(connection, stored)
    assert figures == rows, f"the figures add up to {figures}, the rows to {rows}"
    if stored.size <= _CHECKED_WHOLE:
        assert not await differences(stored.ctx.db), "the figures are not what the rows say"


async def _left(connection: Connection, theirs: ColumnElement[bool]) -> dict[str, int]:
    mails = select(messages.c.message_id).where(theirs)
    return {
        table.name: await _count(connection, select(func.count()).where(table.c.message_id.in_(mails)))
        for table in (opens, message_opens, pixels)
    }


async def _figures(connection: Connection) -> Mapping[tuple[str, str], int]:
    """Of all campaigns, by kind; messages by what became of their tracking, too."""
    figure = campaign_figures.c
    kinds = (Kind.MESSAGE, Kind.OPENS, Kind.VERDICT, Kind.STANDING)
    rows = await connection.execute(
        select(figure.kind, figure.name, func.sum(figure.amount))
        .where(figure.kind.in_([kind.value for kind in kinds]))
        .group_by(figure.kind, figure.name)
    )
    found: dict[tuple[str, str], int] = {}
    for kind, name, amount in rows:
        key = kind, name if kind == Kind.MESSAGE else ""
        found[key] = found.get(key, 0) + int(amount)
    return found


async def _rows(connection: Connection, stored: Stored) -> Mapping[tuple[str, str], int]:
    """The same, counted."""
    fetched = await _count(connection, select(func.count()).select_from(opens))
    known = await _count(connection, select(func.count()).select_from(message_opens))
    withdrawn = _MAILS * len(stored.people)
    return {
        (Kind.MESSAGE, Tracking.TRACKED): stored.size // OPENS_PER_MAIL - withdrawn,
        (Kind.MESSAGE, Tracking.WITHDRAWN): withdrawn,
        (Kind.OPENS, ""): fetched,
        (Kind.VERDICT, ""): fetched,
        (Kind.STANDING, ""): known,
    }


async def _count(connection: Connection, query: Select[int]) -> int:
    return (await connection.execute(query)).scalar_one()


async def _measure(name: str, new_database: NewDatabase, sizes: Sequence[int]) -> list[Line]:
    async with AsyncExitStack() as stack:
        all_stored = [await stack.enter_async_context(_stored(new_database(), size)) for size in sizes]
        for place in range(_WARM_UP + _ROUNDS):
            for stored in all_stored:
                await stored.withdraw(place)
        for stored in all_stored:
            await _check(stored)
            del stored.timings.seconds[:_WARM_UP]
    smallest = all_stored[0].timings
    return [
        Line(
            what=f"{name}: withdrawal with {stored.size:,} opens stored",
            ours=stored.timings.told(),
            ratio=stored.timings.median / smallest.median,
            at_most=None if stored.timings is smallest else 1.5,
        )
        for stored in all_stored
    ]


def measure(name: str, new_database: NewDatabase, sizes: Sequence[int]) -> list[Line]:
    return asyncio.run(_measure(name, new_database, sizes))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", type=int, nargs="+", default=_SIZES)
    sizes = sorted(parser.parse_args().sizes)
    lines: list[Line] = []
    with databases() as found:
        for name, new_database in found.items():
            lines += measure(name, new_database, sizes)
    show(f"Withdrawal of {_MAILS} mails with {_MAILS * OPENS_PER_MAIL} opens, ratio to {sizes[0]:,} stored", lines)


if __name__ == "__main__":
    main()
