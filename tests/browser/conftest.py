"""One real service per file of browser tests, on SQLite, mailing into a real SMTP server; every test brings its own people."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import httpx
import pytest

from tests.journeys.people import Person, Pipeline
from tests.journeys.service import Process, environment, free_port, process, until_ready
from tests.smtp_server import SmtpServer

ADMIN, PASSWORD = "admin@example.com", "a long sentence as a password"


@dataclass(frozen=True, slots=True)
class House:
    """The running service, and what surrounds it."""

    service: Process
    smtp: SmtpServer
    client: httpx.AsyncClient
    pipeline: Pipeline

    @property
    def url(self) -> str:
        return self.service.base_url

    def person(self, address: str) -> Person:
        return Person(address, self.client, self.smtp)


@pytest.fixture(scope="module")
def smtp() -> Iterator[SmtpServer]:
    with SmtpServer() as server:
        yield server


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, smtp: SmtpServer) -> Iterator[Process]:
    database_url = f"sqlite:///{tmp_path_factory.mktemp('browser') / 'pixel.db'}"
    with process(
        environment(database_url, port=free_port(), smtp_port=smtp.port, canary_every_minutes="60"), "serve"
    ) as started:
        asyncio.run(until_ready(started))
        yield started
        assert started.stop() == 0


@pytest.fixture(scope="module")
def api_key(service: Process) -> str:
    return service.run("key", "create", "--name", "pipeline", "--scope", "send", "--scope", "report").strip()


@pytest.fixture(scope="module")
def admin(service: Process) -> tuple[str, str]:
    """User name and password of a colleague."""
    service.run("user", "create", "--email", ADMIN, "--role", "admin", "--password-stdin", given=f"{PASSWORD}\n")
    return ADMIN, PASSWORD


@pytest.fixture
async def house(service: Process, smtp: SmtpServer, api_key: str) -> AsyncIterator[House]:
    async with httpx.AsyncClient(base_url=service.base_url, timeout=30) as client:
        yield House(service, smtp, client, Pipeline(client, api_key))
