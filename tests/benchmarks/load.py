"""Driving load: wrk where it is installed, else our own client; and what a process costs while it lasts."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.client import USER_AGENTS

#: One thread asks for one path after the other, beginning at the place it is told; a path is asked for once.
_SCRIPT = """
local paths, agents, at = {}, { %s }, 0
function init(args)
  at = tonumber(args[2])
  for line in io.lines(args[1]) do paths[#paths + 1] = line end
end
function request()
  at = at + 1
  wrk.headers["User-Agent"] = agents[at %% #agents + 1]
  return wrk.format("GET", paths[at])
end
"""
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    answered: int
    per_second: float
    p50_ms: float
    p99_ms: float
    #: Requests without an answer of 200.
    failed: int


def flat_out(port: int, paths: Path, *, first: int, seconds: int, connections: int = 64) -> Load:
    """As many requests as `connections` get answered, from the path with number `first` on."""
    if not shutil.which("wrk"):
        return _own_client(port, paths, first=first, seconds=seconds, connections=connections)
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(_SCRIPT % ", ".join(json.dumps(agent) for agent in USER_AGENTS))
        script.flush()
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", script.name]
        done = subprocess.run(
            [*command, f"http://127.0.0.1:{port}", "--", str(paths), str(first)],
            capture_output=True,
            text=True,
            check=True,
        )
    return _read_wrk(done.stdout)


def steadily(port: int, paths: Path, *, first: int, seconds: int, rate: int, connections: int = 64) -> Load:
    """`rate` requests a second, whatever the server does; wrk can not."""
    return _own_client(port, paths, first=first, seconds=seconds, connections=connections, rate=rate)


def _own_client(port: int, paths: Path, *, first: int, seconds: int, connections: int, rate: int = 0) -> Load:
    command = [sys.executable, "-m", "tests.benchmarks.client", "127.0.0.1", str(port), str(paths)]
    options = {"first": first, "seconds": seconds, "connections": connections, "rate": rate}
    done = subprocess.run(
        [*command, *(word for name, value in options.items() for word in (f"--{name}", str(value)))],
        capture_output=True,
        text=True,
        check=True,
    )
    return Load(**json.loads(done.stdout))


def _read_wrk(told: str) -> Load:
    found = re.search(r"(\d+) requests in", told)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", told)
    assert found, told
    assert rate, told
    errors = [
        int(number) for line in re.findall(r"(?:Socket errors|Non-2xx).*", told) for number in re.findall(r"\d+", line)
    ]
    return Load(
        answered=int(found[1]),
        per_second=float(rate[1]),
        p50_ms=_wrk_latency(told, "50%"),
        p99_ms=_wrk_latency(told, "99%"),
        failed=sum(errors),
    )


def _wrk_latency(told: str, share: str) -> float:
    found = re.search(rf"{share}\s+([\d.]+)(us|ms|s)", told)
    assert found, told
    return float(found[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[found[2]]


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory_mb(pid: int) -> float:
    """Resident set."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) / 1024
