"""Rounds of interleavings, one after the other: on SQLite as tasks of one process, each round in a file of its own; on
PostgreSQL by two processes, which make the same plan and take turns in its list of transactions.
"""

import asyncio
import multiprocessing
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection as Pipe
from pathlib import Path

import asyncpg

from pixel_service.storage.engine import Database
from pixel_service.storage.schema import metadata
from pixel_service.usecases.context import Context
from tests.access import Clock
from tests.builders import context
from tests.journeys.seed import an_id
from tests.proofs import race
from tests.proofs.plan import SAID, Fate, Round, Step, plan

#: Transactions begun at once: on PostgreSQL by each process.
_AT_ONCE = 5
_TASKS = 12
#: Wrong things told of a round.
_MOST_TOLD = 5


@dataclass(slots=True)
class Tally:
    interleavings: int = 0
    rounds: int = 0
    transactions: int = 0
    #: Of the interleavings, those whose transactions ran at the same time.
    met: int = 0
    fates: Counter[str] = field(default_factory=Counter)
    #: Opens, by what became of them; `erased` are of those recorded.
    outcomes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def note(self, number: int, round_: Round, ran: race.Ran, wrong: list[str]) -> None:
        self.interleavings += sum(one.fate is not Fate.STAYS for one in round_.people)
        self.rounds += 1
        self.transactions += len(round_.steps)
        self.met += race.met(round_, ran.times)
        self.fates.update(one.fate.value for one in round_.people)
        self.outcomes.update(ran.outcomes)
        self.wrong += [f"round {number}: {one}" for one in wrong[:_MOST_TOLD]]

    def __iadd__(self, other: "Tally") -> "Tally":
        self.interleavings += other.interleavings
        self.rounds += other.rounds
        self.transactions += other.transactions
        self.met += other.met
        self.fates += other.fates
        self.outcomes += other.outcomes
        self.wrong += other.wrong
        return self


def context_of(db: Database) -> Context:
    return replace(context(db, Clock(SAID)), ids=an_id)


# --- SQLite -----------------------------------------------------------------------------------------------------------


async def on_sqlite(template: Path, seed: int, numbers: range, size: int) -> Tally:
    tally = Tally()
    path = template.with_name(f"{seed}-{numbers.start}.db")
    for number in numbers:
        round_ = plan(seed, number, size)
        shutil.copyfile(template, path)
        url = f"sqlite:///{path}"
        race.seed(url, round_)
        database = Database(url)
        try:
            ran = await race.run(context_of(database), dict(enumerate(round_.steps)), at_once=_TASKS)
            tally.note(number, round_, ran, await race.check(database, round_, ran.times))
        finally:
            await database.close()
            for file in path.parent.glob(f"{path.name}*"):
                file.unlink()
        if tally.wrong:
            break
    return tally


# --- PostgreSQL -------------------------------------------------------------------------------------------------------


async def on_postgresql(url: str, seed: int, numbers: range, size: int) -> Tally:
    here, there = multiprocessing.get_context("spawn").Pipe()
    second = multiprocessing.get_context("spawn").Process(target=_run_second, args=(there, url, seed, size))
    second.start()
    there.close()
    tally = Tally()
    database = Database(url)
    try:
        for number in numbers:
            round_ = plan(seed, number, size)
            await _empty(url)
            await asyncio.to_thread(race.seed, url, round_)
            here.send(number)
            ran = await race.run(context_of(database), _share(round_, 0), at_once=_AT_ONCE)
            other: race.Ran | str = await asyncio.to_thread(here.recv)
            if isinstance(other, str):
                tally.wrong.append(f"round {number}: {other}")
                break
            ran.times |= other.times
            ran.outcomes += other.outcomes
            tally.note(number, round_, ran, await race.check(database, round_, ran.times))
            if tally.wrong:
                break
        here.send(None)
    finally:
        here.close()
        await database.close()
        await asyncio.to_thread(second.join)
    return tally


def _share(round_: Round, process: int) -> Mapping[int, Step]:
    return {place: step for place, step in enumerate(round_.steps) if place % 2 == process}


def _run_second(pipe: Pipe, url: str, seed: int, size: int) -> None:
    asyncio.run(_second(pipe, url, seed, size))


async def _second(pipe: Pipe, url: str, seed: int, size: int) -> None:
    database = Database(url)
    try:
        while (number := await asyncio.to_thread(_next, pipe)) is not None:
            try:
                ran: race.Ran | str = await race.run(
                    context_of(database), _share(plan(seed, number, size), 1), at_once=_AT_ONCE
                )
            except ExceptionGroup as failed:
                ran = repr(failed.exceptions)
            pipe.send(ran)
    finally:
        await database.close()


def _next(pipe: Pipe) -> int | None:
    """None also when the first process is gone."""
    try:
        number: int | None = pipe.recv()
    except EOFError:
        return None
    return number


async def _empty(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(f"TRUNCATE {', '.join(metadata.tables)}")
    await connection.close()
