"""When things break: a withdrawal that can not be stored is never acknowledged, the pixel always answers, no mail is lost.

The database is taken from a running service, the relay from a worker with a clock of its own.
"""

import asyncio
import resource
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import asyncpg
import httpx
import pytest
from sqlalchemy import select

from pixel_service.mail.smtp import SmtpRelay, SmtpTransport
from pixel_service.storage.engine import Database
from pixel_service.storage.schema import consents, messages
from pixel_service.usecases.context import Context
from pixel_service.web.pixel import GIF
from tests.access import Clock
from tests.builders import ask, context, deliver
from tests.conftest import NewDatabase
from tests.journeys.people import MAIL_CLIENT, Person, Pipeline, link, pixels
from tests.journeys.service import Process, serving
from tests.smtp_server import Behaviour, SmtpServer, Stage

#: Seconds the service waits for a database that is locked.
PATIENCE = 1
#: Seconds within which the pixel answers whatever happens; it tries to store for a quarter of one.
SOON = 2.0

Fault = Callable[[Process, str], AbstractAsyncContextManager[None]]


# --- faults of a database -------------------------------------------------------------------------------------------


def file_of(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///").partition("?")[0])


def size_of(path: Path) -> int:
    return path.stat().st_size


@asynccontextmanager
async def locked(_service: Process, url: str) -> AsyncIterator[None]:
    """Another process has it for itself."""
    stranger = sqlite3.connect(file_of(url), isolation_level=None, timeout=10)
    stranger.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        stranger.close()


@asynccontextmanager
async def full(service: Process, url: str) -> AsyncIterator[None]:
    """No file of the service may grow beyond what it has; its log is far smaller than the database's."""
    room = 64 * 1024
    assert size_of(Path(f"{file_of(url)}-wal")) > room > size_of(service.log)
    before = resource.prlimit(service.running.pid, resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        resource.prlimit(service.running.pid, resource.RLIMIT_FSIZE, before)


@asynccontextmanager
async def removed(_service: Process, url: str) -> AsyncIterator[None]:
    path = file_of(url)
    elsewhere = path.rename(path.with_suffix(".elsewhere"))
    try:
        yield
    finally:
        assert not path.exists(), "an empty database stands where the backup belongs"
        elsewhere.rename(path)


@asynccontextmanager
async def cut_off(_service: Process, url: str) -> AsyncIterator[None]:
    """The server takes no connection to this database and has ended those it had."""
    server, _, name = url.partition("?")[0].rpartition("/")
    admin = await asyncpg.connect(f"{server}/postgres")
    await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
    try:
        yield
    finally:
        await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        await admin.close()


# --- a running service with one reader ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Story:
    """Anna agreed to everything and has a newsletter with a pixel, not opened yet."""

    service: Process
    client: httpx.AsyncClient
    pipeline: Pipeline
    campaign_id: str
    stop_tracking: str
    unsubscribe: str
    pixel: str
    url: str

    async def opens(self) -> object:
        return (await self.pipeline.report(self.campaign_id))["unique_opens"]

    async def states(self) -> dict[str, str]:
        database = Database(self.url)
        async with database.read() as connection:
            rows = await connection.execute(select(consents.c.purpose, consents.c.state))
            states = {row.purpose: row.state for row in rows}
        await database.close()
        return states


@asynccontextmanager
async def story(url: str) -> AsyncIterator[Story]:
    with SmtpServer() as smtp:
        async with (
            serving(f"{url}?timeout={PATIENCE}", smtp_port=smtp.port) as service,
            httpx.AsyncClient(base_url=service.base_url, timeout=30) as client,
        ):
            anna = Person("anna@example.com", client, smtp)
            have = await anna.join("newsletter", "tracking")
            key = service.run("key", "create", "--name", "p", "--scope", "send", "--scope", "report").strip()
            pipeline = Pipeline(client, key)
            answer = await pipeline.send("November")
            mail = await anna.next_mail(have + 1)
            await pipeline.delivered(answer.json()["send_id"], 1)
            yield Story(
                service=service,
                client=client,
                pipeline=pipeline,
                campaign_id=answer.json()["campaign_id"],
                stop_tracking=link(mail, "t"),
                unsubscribe=link(mail, "u"),
                pixel=pixels(mail)[0],
                url=url,
            )
            assert service.stop() == 0
            assert "anna@example.com" not in service.log.read_text()


async def tell(url: str, fault: Fault, *, readable: bool) -> None:
    """The same story for every fault. `readable`: what is stored can still be read."""
    async with story(url) as told:
        async with fault(told.service, url):
            await assert_nothing_is_acknowledged(told)
            assert (await told.client.get("/health/live")).status_code == 200
            ready = await told.client.get("/health/ready")
            assert ready.status_code == (200 if readable else 503)
        await until(told, opens=1)
        assert await told.states() == {"newsletter:blog": "given", "tracking:opens": "given"}
        assert (await told.client.post(told.stop_tracking)).status_code == 200
        assert await told.states() == {"newsletter:blog": "given", "tracking:opens": "withdrawn"}
        assert await told.opens() == 0
        one_click = await told.client.post(told.unsubscribe, data={"List-Unsubscribe": "One-Click"})
        assert one_click.status_code == 200
        assert (await told.states())["newsletter:blog"] == "withdrawn"


async def assert_nothing_is_acknowledged(told: Story) -> None:
    """Two ways out and the pixel, all at once, as they come."""
    leaving = asyncio.gather(
        told.client.post(told.stop_tracking),
        told.client.post(told.unsubscribe, data={"List-Unsubscribe": "One-Click"}),
    )
    started = time.monotonic()
    seen = await told.client.get(told.pixel, headers={"User-Agent": MAIL_CLIENT})
    assert (seen.status_code, seen.content) == (200, GIF)
    assert time.monotonic() - started < SOON
    for answer in await leaving:
        assert answer.status_code == 503
        assert "Retry-After" in answer.headers


async def until(told: Story, *, opens: int, seconds: float = 20) -> None:
    """The service finds back by itself; a first request may still meet a connection that is gone."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if await told.opens() == opens:
                return
        except AssertionError:
            pass
        await asyncio.sleep(0.1)
    raise TimeoutError(f"the open that was answered while the database was away did not come in: {await told.opens()}")


@pytest.mark.slow
async def test_a_locked_database_costs_no_open_and_lies_to_nobody(new_sqlite: NewDatabase) -> None:
    await tell(new_sqlite(), locked, readable=True)


@pytest.mark.slow
async def test_a_full_disk_costs_no_open_and_lies_to_nobody(new_sqlite: NewDatabase) -> None:
    await tell(new_sqlite(), full, readable=True)


@pytest.mark.slow
async def test_a_removed_database_costs_no_open_and_lies_to_nobody(new_sqlite: NewDatabase) -> None:
    await tell(new_sqlite(), removed, readable=False)


@pytest.mark.slow
async def test_a_server_that_is_away_costs_no_open_and_lies_to_nobody(new_postgres: NewDatabase) -> None:
    await tell(new_postgres(), cut_off, readable=False)


@pytest.mark.slow
async def test_a_table_that_is_locked_keeps_the_person_waiting_and_the_pixel_answering(
    new_postgres: NewDatabase,
) -> None:
    async with story(new_postgres()) as told:
        stranger = await asyncpg.connect(told.url)
        lock = stranger.transaction()
        await lock.start()
        await stranger.execute("LOCK TABLE consents IN ACCESS EXCLUSIVE MODE")
        leaving = asyncio.create_task(told.client.post(told.stop_tracking))
        started = time.monotonic()
        seen = await told.client.get(told.pixel)
        assert (seen.status_code, seen.content) == (200, GIF)
        assert time.monotonic() - started < SOON
        assert not leaving.done()
        await lock.rollback()
        await stranger.close()
        assert (await leaving).status_code == 200
        assert (await told.states())["tracking:opens"] == "withdrawn"
        assert await told.opens() == 0


# --- faults of a relay ----------------------------------------------------------------------------------------------

PEOPLE = tuple(f"{name}@example.com" for name in ("anna", "bo", "carla", "dora", "emil"))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@asynccontextmanager
async def waiting_mails(db: Database, clock: Clock, port: int, patience: int = 1) -> AsyncIterator[Context]:
    """Everybody asked for the newsletter; nobody has their confirmation mail yet."""
    transport = SmtpTransport(
        SmtpRelay(host="127.0.0.1", port=port, security="none", pool_size=2, timeout=timedelta(seconds=patience))
    )
    ctx = replace(context(db, clock), transport=transport)
    for address in PEOPLE:
        await ask(ctx, address, *ctx.catalogue.current_versions)
    try:
        yield ctx
    finally:
        await transport.close()


async def outbox(ctx: Context) -> dict[str, int]:
    async with ctx.db.read() as connection:
        statuses = (await connection.execute(select(messages.c.status))).scalars().all()
    return {status: statuses.count(status) for status in statuses}


def received(smtp: SmtpServer) -> list[str]:
    return sorted(mail.rcpt_to for mail in smtp.mails)


def identities(smtp: SmtpServer) -> set[tuple[str, str]]:
    return {(mail.rcpt_to, str(mail.message["Message-ID"])) for mail in smtp.mails}


async def test_mails_wait_for_a_relay_that_is_down(db: Database, clock: Clock) -> None:
    smtp = SmtpServer()
    with smtp:
        port = smtp.port
    async with waiting_mails(db, clock, port) as ctx:
        for _ in range(3):
            await deliver(ctx)
            assert await outbox(ctx) == {"queued": 5}
            clock.move(timedelta(hours=1))
        back = SmtpServer()
        back.start(port)
        await deliver(ctx)
        assert received(back) == sorted(PEOPLE)
        assert await outbox(ctx) == {"sent": 5}
        back.stop()


async def test_a_relay_that_refuses_one_person_serves_the_others(db: Database, clock: Clock) -> None:
    behaviour = Behaviour(rcpt_replies={PEOPLE[0]: "550 5.1.1 nobody here", PEOPLE[1]: "450 4.2.1 mailbox busy"})
    with SmtpServer(behaviour) as smtp:
        async with waiting_mails(db, clock, smtp.port) as ctx:
            await deliver(ctx)
            assert received(smtp) == sorted(PEOPLE[2:])
            assert await outbox(ctx) == {"sent": 3, "failed": 1, "queued": 1}
            behaviour.rcpt_replies.clear()
            clock.move(timedelta(minutes=1))
            await deliver(ctx)
            assert received(smtp) == sorted(PEOPLE[1:])
            assert await outbox(ctx) == {"sent": 4, "failed": 1}


async def test_a_slow_relay_gets_every_mail_once(db: Database, clock: Clock) -> None:
    with SmtpServer(Behaviour(delay=0.2)) as smtp:
        async with waiting_mails(db, clock, smtp.port, patience=20) as ctx:
            await deliver(ctx)
            assert received(smtp) == sorted(PEOPLE)
            assert await outbox(ctx) == {"sent": 5}


@pytest.mark.parametrize(
    "trouble",
    [{"mute_at": "content"}, {"drop_at": "content"}, {"drop_at": "connect"}, {"mute_at": "rcpt"}],
    ids=["silent after the mail", "cut after the mail", "cut at once", "silent at the recipient"],
)
async def test_a_relay_that_falls_silent_or_hangs_up_gets_the_same_mails_again_later(
    db: Database, clock: Clock, trouble: dict[str, Stage]
) -> None:
    behaviour = Behaviour(mute_at=trouble.get("mute_at"), drop_at=trouble.get("drop_at"))
    with SmtpServer(behaviour) as smtp:
        async with waiting_mails(db, clock, smtp.port) as ctx:
            await deliver(ctx)
            assert await outbox(ctx) == {"queued": 5}
            behaviour.mute_at = behaviour.drop_at = None
            clock.move(timedelta(minutes=1))
            await deliver(ctx)
            assert await outbox(ctx) == {"sent": 5}
            assert sorted(address for address, _ in identities(smtp)) == sorted(PEOPLE)
