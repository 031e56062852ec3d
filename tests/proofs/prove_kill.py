"""SIGKILL under load loses no answered open and counts none twice, and figures equal rows after every restart.

    python -m tests.proofs.prove_kill [--kills 100] [--seed 7]

Three proofs: the service on SQLite, and where it is installed the service on PostgreSQL, and PostgreSQL itself below a living
service.
"""

import argparse
import asyncio
import random
import sys
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager

from pixel_service.storage.engine import Database
from pixel_service.storage.migrations import migrate
from tests import postgres
from tests.benchmarks.database import databases
from tests.proofs.killing import Killed, kill_server, kill_service
from tests.proofs.server import KillableServer, killable_server


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--only", choices=["SQLite", "PostgreSQL", "server"])
    asked = parser.parse_args()

    def chance() -> random.Random:
        return random.Random(asked.seed)

    good = []
    with databases() as found:
        for name, new in found.items():
            if asked.only not in {None, name}:
                continue
            proof = kill_service(new(), kills=asked.kills, chance=chance(), on_kill=_progress)
            good.append(_told(f"the service on {name}", proof))
    with killable_database() as ours:
        if ours is not None and asked.only in {None, "server"}:
            proof = kill_server(*ours, kills=asked.kills, chance=chance(), on_kill=_progress)
            good.append(_told("PostgreSQL, one of its processes, or it and the service", proof))
    if not good:
        sys.exit(postgres.INSTALL)
    sys.exit(not all(good))


@contextmanager
def killable_database() -> Iterator[tuple[KillableServer, str] | None]:
    with killable_server() as server:
        if server is None:
            yield None
            return
        url = server.server.url_of(server.server.create())
        postgres.in_thread(_migrate(url))
        yield server, url


def _progress(kills: int) -> None:
    if kills % 10 == 0:
        print(f"  {kills} kills so far", file=sys.stderr, flush=True)


def _told(what: str, proof: Coroutine[object, object, Killed]) -> bool:
    began = time.monotonic()
    found = asyncio.run(proof)
    print(
        f"{found.kills} times SIGKILL for {what}: {found.answered:,} answers ({found.repeats:,} to repeats), {found.promised:,}"
        f" opens answered in time, {found.rows:,} rows, {time.monotonic() - began:,.0f} s: {'WRONG' if found.wrong else 'ok'}",
        flush=True,
    )
    for wrong in found.wrong:
        print(f"  {wrong}")
    return not found.wrong


async def _migrate(url: str) -> None:
    database = Database(url)
    await migrate(database)
    await database.close()


if __name__ == "__main__":
    main()
