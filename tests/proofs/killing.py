"""Killing under load: the service on either database, and PostgreSQL below it; what must hold after every restart."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Self

from sqlalchemy import func, select

from pixel_service.domain.messages import MessageId
from pixel_service.storage.engine import Database
from pixel_service.storage.schema import opens
from tests.benchmarks.seed import seed
from tests.figures import differences
from tests.journeys.seed import Sent
from tests.journeys.service import Process, environment, free_port, process, until_ready
from tests.opened_mail import count_anew
from tests.proofs.load import Load, Opening
from tests.proofs.server import KillableServer

#: Mails for one round on average.
_MAILS = 700
#: Answers after which a round kills.
_FEWEST, _MOST = 20, 300
_LONGEST_RECOVERY = 600.0


@dataclass(slots=True)
class Killed:
    """What a proof found."""

    kills: int = 0
    answered: int = 0
    #: Of these, before the deadline: they had to be on disk at once.
    promised: int = 0
    repeats: int = 0
    rows: int = 0
    wrong: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Service:
    """Starts again at the same address."""

    url: str
    port: int = field(default_factory=free_port)
    running: Process | None = None
    _stack: ExitStack = field(default_factory=ExitStack)

    async def start(self) -> None:
        variables = environment(self.url, port=self.port, smtp_port=1)
        self.running = self._stack.enter_context(process(variables, "serve", "--no-jobs"))
        await until_ready(self.running, _LONGEST_RECOVERY)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        if self.running is not None:
            self.running.kill()
        self._stack.close()
        self.running = None


async def kill_service(
    url: str, *, kills: int, chance: random.Random, on_kill: Callable[[int], object] = int
) -> Killed:
    """SIGKILL for the serving process, again and again. `url` is migrated and empty."""
    found = Killed()
    with _Service(url) as service:
        load = await _prepare(url, service.port, kills, chance)
        await service.start()
        for _ in range(kills):
            loading = asyncio.create_task(load.run())
            await load.wait_for(chance.randint(_FEWEST, _MOST))
            await asyncio.sleep(chance.uniform(0, 0.03))
            service.kill()
            await loading
            found.kills += 1
            on_kill(found.kills)
            await service.start()
            found.wrong += await _faults(url, load, load.promised)
            if found.wrong:
                break
    return await _sum_up(url, load, found)


async def kill_server(
    server: KillableServer, url: str, *, kills: int, chance: random.Random, on_kill: Callable[[int], object] = int
) -> Killed:
    """SIGKILL for PostgreSQL: all of its processes, one that serves a client, or all of them and the service.

    As long as the service lives, what it answered at its deadline is stored too, once the database is back."""
    found = Killed()
    with _Service(url) as service:
        load = await _prepare(url, service.port, kills, chance)
        lost: set[Opening] = set()
        for number in range(kills):
            how = ("server", "backend", "server and service")[number % 3]
            if service.running is None:
                await service.start()
            loading = asyncio.create_task(load.run())
            await load.wait_for(chance.randint(_FEWEST, _MOST))
            await asyncio.sleep(chance.uniform(0, 0.03))
            if how == "backend":
                await asyncio.to_thread(server.kill_backend)
                await asyncio.to_thread(server.server.wait_until_ready)
                await load.wait_for(_FEWEST)
            else:
                await asyncio.to_thread(server.kill)
                if how == "server and service":
                    service.kill()
                    lost |= load.answered - load.promised
                await asyncio.sleep(chance.uniform(0, 0.5))
                await asyncio.to_thread(server.start)
            load.stop()
            await loading
            found.kills += 1
            on_kill(found.kills)
            if service.running is None:
                await service.start()
            owed = load.promised | (load.answered - lost)
            await _until_stored(url, owed)
            found.wrong += [f"{how}: {one}" for one in await _faults(url, load, owed)]
            if found.wrong:
                break
    return await _sum_up(url, load, found)


async def _prepare(url: str, port: int, kills: int, chance: random.Random) -> Load:
    mails = await asyncio.to_thread(seed, url, kills * _MAILS)
    async with _opened(url) as database, database.write() as connection:
        await count_anew(connection)
    pairs = zip(mails.message_ids, mails.paths, strict=True)
    return Load(port, iter([Sent(MessageId(message_id), path) for message_id, path in pairs]), chance)


async def _until_stored(url: str, owed: set[Opening]) -> None:
    """Or until it has taken too long; who looks next finds what is missing."""
    until = asyncio.get_running_loop().time() + _LONGEST_RECOVERY
    while asyncio.get_running_loop().time() < until:
        if owed <= (await _stored(url)).keys():
            return
        await asyncio.sleep(0.1)


async def _stored(url: str) -> dict[Opening, int]:
    query = select(opens.c.message_id, opens.c.client_family, func.count().label("number"))
    async with _opened(url) as database, database.read() as connection:
        rows = await connection.execute(query.group_by(opens.c.message_id, opens.c.client_family))
        return {(row.message_id, row.client_family): row.number for row in rows}


async def _faults(url: str, load: Load, owed: set[Opening]) -> list[str]:
    stored = await _stored(url)
    wrong = []
    if missing := owed - stored.keys():
        wrong.append(f"{len(missing)} of {len(owed)} answered opens are lost")
    if twice := [one for one, number in stored.items() if number > 1]:
        wrong.append(f"{len(twice)} opens are stored twice")
    if strange := stored.keys() - load.asked.keys():
        wrong.append(f"{len(strange)} opens are stored that nobody made")
    async with _opened(url) as database:
        off = await differences(database)
    if off:
        wrong.append(f"{len(off)} figures differ from the rows: {off[0]}")
    return wrong


async def _sum_up(url: str, load: Load, found: Killed) -> Killed:
    found.answered, found.promised, found.repeats = load.answers, len(load.promised), load.repeats
    found.rows = len(await _stored(url))
    return found


@asynccontextmanager
async def _opened(url: str) -> AsyncIterator[Database]:
    """Anew for each look: connections to a killed server are dead."""
    database = Database(url)
    try:
        yield database
    finally:
        await database.close()
