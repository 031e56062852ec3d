"""`serve` runs web and jobs in one process, `work` jobs alone, `migrate` brings the schema up to date."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Annotated

import structlog
import typer
import uvicorn

from pixel_service import app as composition
from pixel_service.cli.running import checked_settings, exit_on_error
from pixel_service.domain.errors import PixelServiceError
from pixel_service.jobs import run_jobs
from pixel_service.observability import Metrics, configure_logging
from pixel_service.settings import Settings

_log = structlog.get_logger()


def serve(
    jobs: Annotated[bool, typer.Option(help="Also deliver mail in this process.")] = True,
) -> None:
    """Run the service: pages, API, pixel and, unless told otherwise, the jobs."""
    settings = checked_settings()
    configure_logging(level=settings.log_level, json=settings.log_format == "json")
    with exit_on_error():
        asyncio.run(run_service(settings, with_jobs=jobs))


def work() -> None:
    """Run the jobs alone: mail delivery and audiences. Start as many as you like on PostgreSQL."""
    settings = checked_settings()
    configure_logging(level=settings.log_level, json=settings.log_format == "json")
    with exit_on_error():
        asyncio.run(_work(settings))


def migrate() -> None:
    """Bring the database's schema up to date. `serve` and `work` do so too when they start."""
    settings = checked_settings()

    async def run() -> None:
        async with composition.open_context(settings):
            return

    with exit_on_error():
        asyncio.run(run())
    typer.echo("The schema is up to date.")


async def run_service(settings: Settings, *, with_jobs: bool = True, ready: asyncio.Event | None = None) -> None:
    """Until SIGINT or SIGTERM: stop taking requests, finish those under way, store every open, finish the batch."""
    with _listen(settings) as listener:
        await _run_on(listener, settings, with_jobs, ready)


async def _run_on(listener: socket.socket, settings: Settings, with_jobs: bool, ready: asyncio.Event | None) -> None:
    async with composition.open_service(settings) as service:
        server = _Server(_uvicorn_config(service), ready)
        stop = asyncio.Event()
        running = asyncio.create_task(run_jobs(service.ctx, service.metrics, stop)) if with_jobs else None
        with _signals(server.ask_to_stop):
            await server.serve(sockets=[listener])
        stop.set()
        if running is not None:
            await running


def _listen(settings: Settings) -> socket.socket:
    """Taken before anything else, so that a taken port is one clear line."""
    host, port = settings.listen_host, settings.listen_port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise CannotListen(f"can not listen on {host}:{port}: {error.strerror}") from error


class CannotListen(PixelServiceError):
    """The port is taken, or not ours to take."""


async def _work(settings: Settings) -> None:
    stop = asyncio.Event()
    async with composition.open_context(settings) as ctx:
        with _signals(stop.set):
            _log.info("working", action="work")
            await run_jobs(ctx, Metrics(), stop)


def _uvicorn_config(service: composition.Service) -> uvicorn.Config:
    """No access log: its lines would hold tokens and IPs. No proxy headers: no address of a client is ever used."""
    return uvicorn.Config(
        service.web,
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        lifespan="off",
        timeout_keep_alive=20,
        timeout_graceful_shutdown=10,
        limit_concurrency=2000,
        h11_max_incomplete_event_size=32 * 1024,
    )


class _Server(uvicorn.Server):
    """Uvicorn, with signals left to us and a way to say that the socket is open."""

    def __init__(self, config: uvicorn.Config, ready: asyncio.Event | None) -> None:
        super().__init__(config)
        self._ready = ready

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        _log.info("serving", action="serve")
        if self._ready is not None:
            self._ready.set()

    def ask_to_stop(self) -> None:
        self.should_exit = True


@contextlib.contextmanager
def _signals(stop: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
