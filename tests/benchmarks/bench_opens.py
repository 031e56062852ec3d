"""Recorded, consent-checked, durable opens per second beside a bare uvicorn app, a Starlette route and nginx; latency at a steady
1,000 a second; CPU and memory per open.

First a second to warm up, then the steady rate, before the long floods; then as fast as 64 and 256 connections ask. Rounds
alternate between ours and the peers, so that a busy machine slows all of them. Every open is of another message, and what
the database holds afterwards is counted: an answer that recorded nothing would be no figure.
"""

import asyncio
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from sqlalchemy import func, select

from pixel_service.storage.engine import Database
from pixel_service.storage.schema import opens
from tests.benchmarks.database import databases
from tests.benchmarks.load import Load, cpu_seconds, flat_out, memory_mb, steadily
from tests.benchmarks.seed import seed
from tests.benchmarks.table import Line, show
from tests.journeys.service import environment, free_port, process

_ROUNDS = 4
_CONNECTIONS = (64, 256)
#: Options of uvicorn.
_PURE_PYTHON = "--loop", "asyncio", "--http", "h11"
_SECONDS = 3
_STEADY_SECONDS = 10
_STEADY_RATE = 1000
_PEOPLE = 400_000
_NGINX = """
daemon off; master_process off; error_log stderr error; pid {folder}/pid; worker_processes 1; events {{}}
http {{ access_log off; server {{ listen 127.0.0.1:{port}; location /o/ {{ empty_gif; }} }} }}
"""


@dataclass(slots=True)
class Server:
    pid: int
    port: int
    #: Place of the next path nobody has asked for.
    next_path: int = 0
    #: By the number of connections.
    rounds: defaultdict[int, list[Load]] = field(default_factory=lambda: defaultdict(list))
    cpu_us: defaultdict[int, list[float]] = field(default_factory=lambda: defaultdict(list))

    def measure(self, paths: Path, connections: int) -> None:
        before = cpu_seconds(self.pid)
        load = flat_out(self.port, paths, first=self.next_path, seconds=_SECONDS, connections=connections)
        self.next_path += load.answered + 2 * connections
        self.rounds[connections].append(load)
        self.cpu_us[connections].append(1e6 * (cpu_seconds(self.pid) - before) / load.answered)

    def per_second(self, connections: int) -> float:
        return statistics.median(load.per_second for load in self.rounds[connections])

    def told(self, connections: int) -> str:
        p50, p99 = (
            statistics.median(values)
            for values in zip(*((one.p50_ms, one.p99_ms) for one in self.rounds[connections]), strict=True)
        )
        cpu = statistics.median(self.cpu_us[connections])
        return f"{self.per_second(connections):,.0f}/s, p50 {p50:.1f} ms, p99 {p99:.1f} ms, {cpu:.0f} µs CPU each"

    def loads(self) -> Iterator[Load]:
        for loads in self.rounds.values():
            yield from loads


@contextmanager
def _command(*words: str, port: int) -> Iterator[Server]:
    running = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    try:
        _until_it_answers(port)
        yield Server(pid=running.pid, port=port)
    finally:
        running.terminate()
        running.wait(10)


def _uvicorn(name: str, *more: str) -> AbstractContextManager[Server]:
    port = free_port()
    options = (
        *more,
        "--port",
        str(port),
        "--no-access-log",
        "--log-level",
        "error",
        "--lifespan",
        "off",
        "--no-server-header",
    )
    return _command(sys.executable, "-m", "uvicorn", f"tests.benchmarks.peers:{name}", *options, port=port)


@contextmanager
def _nginx() -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        settings = Path(folder) / "nginx.conf"
        settings.write_text(_NGINX.format(folder=folder, port=port))
        with _command("nginx", "-p", folder, "-c", str(settings), port=port) as server:
            yield server


@contextmanager
def _ours(url: str) -> Iterator[Server]:
    port = free_port()
    with process(environment(url, port=port, smtp_port=9), "serve") as started:
        _until_it_answers(port)
        yield Server(pid=started.running.pid, port=port)


def _until_it_answers(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            httpx.get(f"http://127.0.0.1:{port}/o/x.gif")
            return
        except httpx.TransportError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


async def _recorded(url: str) -> int:
    database = Database(url)
    async with database.read() as connection:
        count = (await connection.execute(select(func.count()).select_from(opens))).scalar_one()
    await database.close()
    return int(count)


def measure(name: str, url: str) -> list[Line]:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        paths = Path(folder) / "paths"
        paths.write_text("\n".join(seed(url, _PEOPLE).paths))
        peers = {
            "a bare uvicorn app": (stack.enter_context(_uvicorn("bare")), 0.65),
            "a Starlette route": (stack.enter_context(_uvicorn("route")), 1.0),
            "a bare uvicorn app on asyncio and h11": (stack.enter_context(_uvicorn("bare", *_PURE_PYTHON)), None),
            "a Starlette route on asyncio and h11": (stack.enter_context(_uvicorn("route", *_PURE_PYTHON)), None),
        }
        if shutil.which("nginx"):
            peers["nginx empty_gif (records nothing)"] = stack.enter_context(_nginx()), None
        ours = stack.enter_context(_ours(url))
        empty = memory_mb(ours.pid)
        servers = [ours, *[peer for peer, _ in peers.values()]]
        warm = {one.port: flat_out(one.port, paths, first=_PEOPLE - 30_000, seconds=1) for one in servers}
        bare, _ = peers["a bare uvicorn app"]
        steady, steady_bare = (
            steadily(one.port, paths, first=0, seconds=_STEADY_SECONDS, rate=_STEADY_RATE) for one in (ours, bare)
        )
        ours.next_path = steady.answered + 500
        for _ in range(_ROUNDS):
            for connections in _CONNECTIONS:
                for one in servers:
                    one.next_path = ours.next_path if one is not ours else one.next_path
                    one.measure(paths, connections)
        full = memory_mb(ours.pid)
        answered = sum(load.answered for load in (*ours.loads(), warm[ours.port], steady))
    recorded = asyncio.run(_recorded(url))
    failed = sum(load.failed for load in (*ours.loads(), steady))
    return [
        *[
            Line(
                what=f"{name}: recorded opens, {connections} connections, beside {what}",
                ours=ours.told(connections),
                peer=peer.told(connections),
                ratio=ours.per_second(connections) / peer.per_second(connections),
                at_least=target,
            )
            for what, (peer, target) in peers.items()
            for connections in _CONNECTIONS
        ],
        Line(
            what=f"{name}: p99 in ms at {_STEADY_RATE:,}/s",
            ours=f"p50 {steady.p50_ms:.1f} ms, p99 {steady.p99_ms:.1f} ms",
            peer=f"bare uvicorn p99 {steady_bare.p99_ms:.1f} ms",
            ratio=steady.p99_ms,
            at_most=10,
        ),
        Line(what=f"{name}: memory", ours=f"{empty:.0f} MB before, {full:.0f} MB after {answered:,} opens"),
        Line(
            what=f"{name}: rows for {answered:,} answers, and for what was under way when a run ended",
            ours=f"{recorded:,} rows, {failed} failed",
            ratio=recorded / answered,
            at_least=1.0,
        ),
    ]


def main() -> None:
    lines: list[Line] = []
    with databases() as found:
        for name, new_database in found.items():
            lines += measure(name, new_database())
    show("Opens", lines)


if __name__ == "__main__":
    main()
