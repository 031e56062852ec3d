"""A load client of our own, a process by itself: keep-alive connections that ask for one path after the other.

Without `--rate` each connection asks as soon as it is answered. With it, requests start at fixed times whether or not
earlier ones were answered, and a latency counts from the time a request should have started: a server that stalls can
not slow the client down and hide it (coordinated omission).

    python -m tests.benchmarks.client HOST PORT PATHS --connections 64 --seconds 5 [--rate 1000]
"""

import argparse
import asyncio
import json
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pixel_service.web.pixel import GIF

USER_AGENTS = (
    "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)",
    "Mozilla/5.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Thunderbird/140.3.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
)


@dataclass(slots=True)
class Run:
    requests: Iterator[bytes]
    #: Seconds each answered request took.
    took: list[float] = field(default_factory=list)
    failed: int = 0
    #: Requests that wait for a connection, by the time they should have started.
    waiting: deque[float] = field(default_factory=deque)
    #: Each gets its turn: one that waits for seconds is closed by the server.
    idle: "deque[_Connection]" = field(default_factory=deque)


class _Connection(asyncio.Protocol):
    def __init__(self, run: Run, *, steady: bool) -> None:
        self.run, self.steady = run, steady
        self.transport: asyncio.Transport | None = None
        self.started_at = 0.0
        self.left = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.next()

    def ask(self, since: float) -> None:
        request = next(self.run.requests, None)
        if request is not None and self.transport is not None:
            self.started_at = since
            self.transport.write(request)

    def next(self) -> None:
        if not self.steady:
            self.ask(time.perf_counter())
        elif self.run.waiting:
            self.ask(self.run.waiting.popleft())
        else:
            self.run.idle.append(self)

    def data_received(self, data: bytes) -> None:
        self.left += data
        head, found, body = self.left.partition(b"\r\n\r\n")
        if not found or len(body) < len(GIF):
            return
        self.left = b""
        self.run.took.append(time.perf_counter() - self.started_at)
        if b" 200 " not in head[:16]:
            self.run.failed += 1
        self.next()

    def connection_lost(self, exc: Exception | None) -> None:
        self.run.failed += exc is not None


def _requests(host: str, paths: list[str], first: int) -> Iterator[bytes]:
    heads = [f" HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\nAccept: image/*\r\n\r\n" for agent in USER_AGENTS]
    for number, path in enumerate(paths[first:]):
        yield f"GET {path}{heads[number % len(heads)]}".encode()


async def _drive(asked: argparse.Namespace, run: Run) -> float:
    loop = asyncio.get_running_loop()
    connections = [
        (await loop.create_connection(lambda: _Connection(run, steady=bool(asked.rate)), asked.host, asked.port))[0]
        for _ in range(asked.connections)
    ]
    began = time.perf_counter()
    if asked.rate:
        for number in range(int(asked.rate * asked.seconds)):
            due = began + number / asked.rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            if run.idle:
                run.idle.popleft().ask(due)
            else:
                run.waiting.append(due)
        await asyncio.sleep(0.5)
        # What nobody answered has failed.
        run.failed += len(run.waiting) + len(connections) - len(run.idle)
    else:
        await asyncio.sleep(asked.seconds)
    took = asked.seconds if asked.rate else time.perf_counter() - began
    for one in connections:
        one.abort()
    return took


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("paths", type=Path)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rate", type=float, default=0)
    asked = parser.parse_args()
    run = Run(_requests(f"{asked.host}:{asked.port}", asked.paths.read_text().split(), asked.first))
    seconds = asyncio.run(_drive(asked, run))
    ordered = sorted(run.took)

    def at(share: float) -> float:
        return 1000 * ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0

    print(
        json.dumps(
            {
                "answered": len(ordered),
                "per_second": len(ordered) / seconds,
                "p50_ms": at(0.5),
                "p99_ms": at(0.99),
                "failed": run.failed,
            }
        )
    )


if __name__ == "__main__":
    main()
