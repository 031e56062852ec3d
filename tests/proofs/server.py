"""A durable PostgreSQL that can be killed and started again on the same folder."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests import postgres
from tests.postgres import Server

#: $1 folder. Waits for the end of its input, then leaves nothing behind: also when the proof itself was killed.
_GUARD = """
cat >/dev/null
kill -QUIT "$(head -n 1 "$1/data/postmaster.pid")" 2>/dev/null
sleep 1
rm -rf "$1"
"""
_OPTIONS = ("shared_buffers=64MB", "autovacuum=off", "restart_after_crash=on", "listen_addresses=127.0.0.1")
_SERVES_A_CLIENT = b"postgres: postgres "


@dataclass(slots=True)
class KillableServer:
    binaries: Path
    folder: Path
    port: int
    user: str | None
    running: "subprocess.Popen[bytes] | None" = None

    @property
    def server(self) -> Server:
        return Server(url=f"postgresql://postgres@127.0.0.1:{self.port}/postgres", folder=self.folder)

    def initialise(self) -> None:
        subprocess.run(
            [self.binaries / "initdb", "-D", "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C"],
            cwd=self.folder,
            user=self.user,
            extra_groups=[] if self.user else None,
            stdout=subprocess.DEVNULL,
            check=True,
        )

    def start(self) -> None:
        """Returns when it answers: after a crash, when it has recovered."""
        options = [part for option in (*_OPTIONS, f"port={self.port}") for part in ("-c", option)]
        with (self.folder / "log").open("ab") as log:
            self.running = subprocess.Popen(
                [self.binaries / "postgres", "-D", "data", "-c", "unix_socket_directories=", *options],
                cwd=self.folder,
                user=self.user,
                extra_groups=[] if self.user else None,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.server.wait_until_ready()

    def kill(self) -> None:
        """SIGKILL for all of it; returns when none of its processes is left."""
        postmaster = self._postmaster()
        everybody = [postmaster, *_children(postmaster)]
        for pid in everybody:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        while any(_runs(pid) for pid in everybody):
            time.sleep(0.005)
        if self.running is not None:
            self.running.wait()

    def kill_backend(self) -> bool:
        """SIGKILL for one process that serves a client; the server then restarts itself. False when there was none."""
        for pid in _children(self._postmaster()):
            with suppress(OSError):
                if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(_SERVES_A_CLIENT):
                    os.kill(pid, signal.SIGKILL)
                    return True
        return False

    def _postmaster(self) -> int:
        return int((self.folder / "data" / "postmaster.pid").read_text().split()[0])


@contextmanager
def killable_server() -> Iterator[KillableServer | None]:
    """None where PostgreSQL is not installed here: one that somebody else runs is not killed."""
    binaries = postgres._find_binaries()
    if binaries is None:
        yield None
        return
    user = postgres._unprivileged_user()
    folder = Path(tempfile.mkdtemp(prefix="pixel-postgres-"))
    if user is not None:
        shutil.chown(folder, user)
    guard = subprocess.Popen(["sh", "-c", _GUARD, "guard", folder], stdin=subprocess.PIPE, start_new_session=True)
    found = KillableServer(binaries, folder, postgres._free_port(), user)
    try:
        found.initialise()
        found.start()
        yield found
    finally:
        guard.communicate(timeout=60)
        if found.running is not None:
            found.running.wait(60)


def _children(parent: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[1]) == parent:
                found.append(int(stat.parent.name))
    return found


def _runs(pid: int) -> bool:
    """A zombie, whose parent has not looked yet, does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
