"""Response times do not tell valid, withdrawn, forged and garbled pixel tokens apart, and the answers are the same bytes.

    python -m tests.proofs.prove_timing [--each 20000] [--seed 7]

Against the real service on both databases, asked by one connection, by eight, and, a quarter as many, together with 31
pixels that are withdrawn.
"""

import argparse
import asyncio
import random
import statistics
import sys
import time

from rich.console import Console
from rich.table import Table

from tests.benchmarks.database import databases
from tests.proofs.telling_apart import Comparison, compare
from tests.proofs.timing import Timed, Way, measure

#: Of each kind, per one of what is asked for. With decoys each is 32 requests.
_SHARES = {Way.ALONE: 1.0, Way.TOGETHER: 1.0, Way.AMONG_DECOYS: 0.25}
_SHUFFLES = 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--only", choices=["SQLite", "PostgreSQL"])
    asked = parser.parse_args()
    each = {way: int(share * asked.each) for way, share in _SHARES.items()}
    good = []
    with databases() as found:
        for name, new in found.items():
            if asked.only in {None, name}:
                chance, began = random.Random(asked.seed), time.monotonic()
                measured = asyncio.run(measure(new(), each, chance))
                for way, timed in measured.items():
                    comparison = compare(timed.times, chance, shuffles=_SHUFFLES)
                    _show(f"{name}, {way}, {each[way]:,} of each kind", timed, comparison)
                    good.append(comparison.is_like_chance and len(timed.answers) == 1)
                print(f"{time.monotonic() - began:,.0f} s", flush=True)
    sys.exit(not all(good))


def _show(title: str, timed: Timed, comparison: Comparison) -> None:
    table = Table(title=title, title_justify="left")
    for head in ("told apart", "by a threshold", "by learned ranges", ""):
        table.add_column(head)
    for pair in comparison.pairs:
        is_like_chance = (
            pair.threshold <= comparison.threshold_by_chance and pair.learned <= comparison.learned_by_chance
        )
        table.add_row(
            f"{pair.one} | {pair.other}",
            f"{pair.threshold:.2%}",
            f"{pair.learned:.2%}",
            "as by chance" if is_like_chance else "TOLD APART",
        )
    table.add_row("by chance, at most", f"{comparison.threshold_by_chance:.2%}", f"{comparison.learned_by_chance:.2%}")
    console = Console(width=100)
    console.print(table)
    medians = ", ".join(f"{kind} {1000 * statistics.median(took):.3f}" for kind, took in sorted(timed.times.items()))
    same = "the same bytes" if len(timed.answers) == 1 else f"{len(timed.answers)} DIFFERENT ANSWERS"
    console.print(f"medians in ms: {medians}; all answers but for their Date: {same}")


if __name__ == "__main__":
    main()
