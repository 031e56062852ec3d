"""A million interleavings of opens and withdrawals leave no row and no figure of whoever withdrew, and figures equal rows.

    python -m tests.proofs.prove_interleavings [--interleavings 1000000] [--seed 7]

Half of them on SQLite, as tasks of one process; half on PostgreSQL, spread over two processes. A seed makes the same
people, batches and order of beginning every time; which of two transactions that run at once wins is the machine's.
"""

import argparse
import asyncio
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path

from pixel_service.storage.engine import Database
from pixel_service.storage.migrations import migrate
from tests import postgres
from tests.proofs import arena
from tests.proofs.arena import Tally

#: People of one round.
SIZE = 3000
#: Rounds that share two processes; interleavings between two lines of progress.
_STRETCH = 10
_TOLD_EVERY = 50_000


async def prove(url: str, *, seed: int, first: int, rounds: int, size: int) -> Tally:
    """`url` is migrated and empty; of an SQLite file only copies are used."""
    numbers = range(first, first + rounds)
    if url.startswith("sqlite"):
        return await arena.on_sqlite(Path(url.removeprefix("sqlite:///")), seed, numbers, size)
    return await arena.on_postgresql(url, seed, numbers, size)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--interleavings", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--only", choices=["SQLite", "PostgreSQL"])
    asked = parser.parse_args()
    with _databases() as urls, ProcessPoolExecutor(len(urls), multiprocessing.get_context("spawn")) as pool:
        chosen = {name: url for name, url in urls.items() if asked.only in {None, name}}
        if not chosen:
            sys.exit(postgres.INSTALL)
        each = asked.interleavings // len(chosen)
        # At once: neither keeps two processors busy by itself.
        proofs = [pool.submit(_prove_at_length, name, url, asked.seed, each) for name, url in chosen.items()]
        good = [one.result() for one in as_completed(proofs)]
    sys.exit(not all(good))


def _prove_at_length(name: str, url: str, seed: int, interleavings: int) -> bool:
    total, began, told = Tally(), time.monotonic(), 0
    while total.interleavings < interleavings and not total.wrong:
        total += asyncio.run(prove(url, seed=seed, first=total.rounds, rounds=_STRETCH, size=SIZE))
        if total.interleavings >= told + _TOLD_EVERY:
            told = total.interleavings
            print(f"  {name}: {told:,} so far, {time.monotonic() - began:,.0f} s", file=sys.stderr, flush=True)
    print(_summary(name, total, time.monotonic() - began, seed), flush=True)
    return not total.wrong


def _summary(name: str, total: Tally, took: float, seed: int) -> str:
    number = total.interleavings
    opens = ", ".join(f"{count:,} {what}" for what, count in sorted(total.outcomes.items()))
    wrong = [f"  {one}" for one in total.wrong]
    first = f"{name}: {number:,} interleavings of seed {seed} in {total.transactions:,} transactions, "
    lines = [
        first + f"{took:,.0f} s, {number / took:,.0f}/s: {'WRONG' if wrong else 'ok'}",
        f"  in {total.met / max(number, 1):.0%} of them a transaction with an open ran at the same time; opens: {opens}",
        *(wrong or ["  nothing of anybody who withdrew is left, figures equal rows"]),
    ]
    return "\n".join(lines)


@contextmanager
def _databases() -> Iterator[dict[str, str]]:
    """Not durable: what is proven here is the order of transactions, not what a crash leaves."""
    memory = Path("/dev/shm")
    with (
        tempfile.TemporaryDirectory(prefix="pixel-prove-", dir=memory if memory.is_dir() else None) as folder,
        postgres.start_server() as server,
    ):
        urls = {"SQLite": f"sqlite:///{folder}/template.db"}
        if server is None:
            print(f"PostgreSQL is left out. {postgres.INSTALL}")
        else:
            server.wait_until_ready()
            urls["PostgreSQL"] = server.url_of(server.create())
        for url in urls.values():
            postgres.in_thread(_migrate(url))
        yield urls


async def _migrate(url: str) -> None:
    database = Database(url)
    await migrate(database)
    await database.close()


if __name__ == "__main__":
    main()
