"""The real service as processes of its own: `serve` and `work` on any database, mailing into a test's SMTP server."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default as modern
from pathlib import Path

import httpx

from pixel_service.settings import Settings, load_settings
from tests.smtp_server import ReceivedMail

SECRET = "a-secret-of-tests-long-enough-to-be-one"
METRICS_TOKEN = "a-token-of-prometheus"
AS_PROMETHEUS = {"Authorization": f"Bearer {METRICS_TOKEN}"}
#: How the environment's own command is started; a wheel's is given instead.
HERE: Sequence[str] = (sys.executable, "-m", "pixel_service")


def environment(database_url: str, *, port: int, smtp_port: int, **changes: str) -> dict[str, str]:
    """All settings an operator must give, and no canaries, as environment variables."""
    values = {
        "base_url": f"http://127.0.0.1:{port}",
        "listen_port": str(port),
        "secret_keys": SECRET,
        "database_url": database_url,
        "smtp_host": "127.0.0.1",
        "smtp_port": str(smtp_port),
        "smtp_security": "none",
        "from_name": "Nordlicht Telekom",
        "from_address": "newsletter@nordlicht-telekom.example",
        "unsubscribe_address": "abmelden@nordlicht-telekom.example",
        "mail_domain": "nordlicht-telekom.example",
        "metrics_token": METRICS_TOKEN,
        # A second of work at every start, and locks while it lasts: where they are meant, they are asked for.
        "canary_every_minutes": "0",
        "company_name": "Nordlicht Telekom GmbH",
        "company_street": "Speicherstraße 12",
        "company_postal_code": "20457",
        "company_city": "Hamburg",
        "company_country": "Deutschland",
        "company_managing_directors": "Dr. Anna Petersen",
        "company_register_entry": "Amtsgericht Hamburg, HRB 123456",
        "company_email": "info@nordlicht-telekom.example",
        "company_phone": "+49 40 1234567",
        "company_privacy_email": "datenschutz@nordlicht-telekom.example",
        "company_data_protection_officer": "Dr. Mara Lindt",
        "company_supervisory_authority": "Der Hamburgische Beauftragte für Datenschutz und Informationsfreiheit",
    }
    return {f"PIXEL_{name.upper()}": value for name, value in (values | changes).items()}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@dataclass(slots=True)
class Process:
    """A started service. `kill` is SIGKILL, `stop` is what an operator does."""

    base_url: str
    settings: Settings
    variables: Mapping[str, str]
    running: "subprocess.Popen[bytes]"
    log: Path
    command: Sequence[str] = field(default=HERE)

    def kill(self) -> None:
        self.running.send_signal(signal.SIGKILL)
        self.running.wait(10)

    def stop(self) -> int:
        self.running.send_signal(signal.SIGTERM)
        return self.running.wait(20)

    def run(self, *arguments: str, given: str = "") -> str:
        """Another command beside it, with the same settings; returns its output."""
        done = subprocess.run(
            [*self.command, *arguments],
            env={**os.environ, **self.variables},
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@contextmanager
def process(variables: Mapping[str, str], *arguments: str, command: Sequence[str] = HERE) -> Iterator[Process]:
    """Start `pixel-service ARGUMENTS` in an empty folder; it is gone when the block ends."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with log.open("wb") as errors:
            running = subprocess.Popen(
                [*command, *arguments], env={**os.environ, **variables}, cwd=folder, stderr=errors, stdout=errors
            )
        settings = load_settings(variables)
        started = Process(settings.base_url, settings, variables, running, log, command)
        try:
            yield started
        except BaseException:
            sys.stderr.write(log.read_text(errors="replace"))
            raise
        finally:
            if running.poll() is None:
                running.kill()
                running.wait(10)


@asynccontextmanager
async def serving(
    database_url: str,
    *,
    smtp_port: int,
    port: int | None = None,
    arguments: Sequence[str] = ("serve",),
    command: Sequence[str] = HERE,
    **changes: str,
) -> AsyncIterator[Process]:
    """A service that answers. Give `port` to start it again at the same address."""
    variables = environment(database_url, port=port or free_port(), smtp_port=smtp_port, **changes)
    with process(variables, *arguments, command=command) as started:
        await until_ready(started)
        yield started


async def until_ready(started: Process, seconds: float = 30) -> None:
    async with asyncio.timeout(seconds), httpx.AsyncClient(base_url=started.base_url) as client:
        while True:
            if started.running.poll() is not None:
                raise AssertionError(started.log.read_text())
            try:
                if (await client.get("/health/ready")).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.05)


def parsed(mail: ReceivedMail) -> EmailMessage:
    message = BytesParser(policy=modern).parsebytes(mail.data)
    assert isinstance(message, EmailMessage)
    return message


def html_of(mail: ReceivedMail) -> str:
    part = parsed(mail).get_body(("html",))
    assert part is not None
    return str(part.get_content())


def text_of(mail: ReceivedMail) -> str:
    part = parsed(mail).get_body(("plain",))
    assert part is not None
    return str(part.get_content())
