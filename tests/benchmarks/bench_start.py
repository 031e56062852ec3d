"""How long until a started service answers, beside a bare uvicorn app; on a database that is up to date."""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

import httpx

from tests.benchmarks.database import databases
from tests.benchmarks.table import Line, show
from tests.journeys.service import environment, free_port, process

_ROUNDS = 5


def _ours(url: str) -> float:
    port = free_port()
    began = time.perf_counter()
    with process(environment(url, port=port, smtp_port=9), "serve"):
        return _until_it_answers(port) - began


def _bare() -> float:
    port = free_port()
    began = time.perf_counter()
    running = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "tests.benchmarks.peers:bare", "--port", str(port), "--log-level", "error"]
    )
    try:
        return _until_it_answers(port) - began
    finally:
        running.kill()
        running.wait()


def _until_it_answers(port: int) -> float:
    deadline = time.monotonic() + 30
    while True:
        try:
            httpx.get(f"http://127.0.0.1:{port}/o/x.gif")
            return time.perf_counter()
        except httpx.TransportError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)


def _median(start: Callable[[], float]) -> float:
    return statistics.median(start() for _ in range(_ROUNDS))


def main() -> None:
    bare = _median(_bare)
    lines = []
    with databases() as found:
        for name, new_database in found.items():
            url = new_database()
            took = _median(partial(_ours, url))
            lines.append(
                Line(
                    what=f"{name}: seconds until the pixel answers",
                    ours=f"{took:.2f} s",
                    peer=f"{bare:.2f} s",
                    ratio=took / bare,
                )
            )
    show("Start", lines)


if __name__ == "__main__":
    main()
