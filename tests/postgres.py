"""A PostgreSQL server for the tests, and databases cloned from a migrated template.

The server is the one `PIXEL_TEST_POSTGRES` names (a URL whose user may create databases), or one started here from the
installed binaries: as an unprivileged user, in a temporary folder, on a free loopback port. It ends with the process
that started it, also when that process is killed: its shell waits on a pipe that only the starter holds open.
"""

import asyncio
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg

T = TypeVar("T")

INSTALL = "PostgreSQL is missing: install Debian's package postgresql, or name a server in PIXEL_TEST_POSTGRES"
START_SECONDS = 60.0

#: $1 binaries, $2 folder, $3 port, the rest: options. Waits for the end of its input, then leaves nothing behind.
_SCRIPT = """
bin=$1 folder=$2 port=$3; shift 3
cd "$folder"
if "$bin/initdb" -D data -U postgres -A trust -E UTF8 --locale=C --no-sync >log 2>&1; then
  "$bin/postgres" -D data -c listen_addresses=127.0.0.1 -c port="$port" -c unix_socket_directories= "$@" >>log 2>&1 &
else
  touch failed
fi
cat >/dev/null
kill -QUIT $! 2>/dev/null
wait
rm -rf "$folder"
"""
_FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
_ALWAYS = ("max_connections=300", "shared_buffers=64MB", "autovacuum=off")


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """`url` names a database to connect to for creating others; `folder` is None when the server is not ours."""

    url: str
    folder: Path | None = None

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                return in_thread(_execute(self.url, "SELECT 1"))
            except (OSError, asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError) as error:
                failed = self.folder is not None and (self.folder / "failed").exists()
                if self.folder is None or failed or time.monotonic() > deadline:
                    log = (self.folder / "log").read_text() if self.folder else ""
                    raise RuntimeError(f"PostgreSQL did not start: {error}\n{log}") from error
            time.sleep(0.05)

    def create(self, *, template: str | None = None) -> str:
        """The name of a new database, a copy of `template`."""
        name = f"pixel_test_{uuid4().hex}"
        in_thread(_execute(self.url, f"CREATE DATABASE {name}" + (f" TEMPLATE {template}" if template else "")))
        return name

    def drop(self, name: str) -> None:
        in_thread(_execute(self.url, f"DROP DATABASE {name} WITH (FORCE)"))

    def url_of(self, name: str) -> str:
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))


@contextmanager
def start_server(*, durable: bool = False) -> Iterator[Server | None]:
    """Yields at once, while the server is still starting; None when there is none. `durable` keeps fsync on."""
    if given := os.environ.get("PIXEL_TEST_POSTGRES"):
        yield Server(url=given)
        return
    binaries = _find_binaries()
    if binaries is None:
        yield None
        return
    user = _unprivileged_user()
    folder = Path(tempfile.mkdtemp(prefix="pixel-postgres-"))
    if user is not None:
        shutil.chown(folder, user)
    port = _free_port()
    options = [part for option in (*_ALWAYS, *(() if durable else _FAST)) for part in ("-c", option)]
    process = subprocess.Popen(
        ["sh", "-c", _SCRIPT, "postgres", str(binaries), str(folder), str(port), *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        user=user,
        extra_groups=[] if user else None,
        start_new_session=True,  # Ctrl-C at the terminal reaches the tests only; they end the server
    )
    try:
        yield Server(url=f"postgresql://postgres@127.0.0.1:{port}/postgres", folder=folder)
    finally:
        process.communicate(timeout=30)


def in_thread(work: Coroutine[object, object, T]) -> T:
    """Run to the end from anywhere: a fixture, a test, or code below a running event loop."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(asyncio.run, work).result()


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url, timeout=10)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _find_binaries() -> Path | None:
    """Debian's folders, newest first; then whatever the path holds."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/postgres")]
    if found:
        return max(found, key=lambda path: float(path.parent.name))
    on_path = shutil.which("postgres")
    return Path(on_path).resolve().parent if on_path else None


def _unprivileged_user() -> str | None:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    return "postgres" if Path("~postgres").expanduser() != Path("~postgres") else "nobody"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
