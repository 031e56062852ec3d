"""A running service: the listening socket, uvicorn with our signals, the jobs beside it, and a stop that loses nothing."""

import asyncio
import contextlib
import gc
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta

import structlog
import uvicorn

from pixel_service import app as composition
from pixel_service.domain.errors import PixelServiceError
from pixel_service.jobs import canary_steps, run_jobs, steps
from pixel_service.observability import Metrics
from pixel_service.settings import Settings
from pixel_service.web.patience import BoundedProtocol

_log = structlog.get_logger()

#: After which a thread that waits for the interpreter gets it. At Python's default of 5 ms the one that stores opens on SQLite
#: stood still while requests were answered: 6,100 opens a second instead of 7,500.
_SWITCH_SECONDS = 0.0005


class CannotListen(PixelServiceError):
    """The port is taken, or not ours to take."""


async def run_service(
    settings: Settings, *, with_jobs: bool = True, when_ready: Callable[[], None] = lambda: None
) -> None:
    """Until SIGINT or SIGTERM: stop taking requests, finish those under way, store every open, finish the batch."""
    with _listen(settings) as listener:
        async with composition.open_service(settings) as service:
            # What start-up made stays: walking it, a full collection would stop every request for 60 ms.
            gc.collect()
            gc.freeze()
            sys.setswitchinterval(_SWITCH_SECONDS)
            server = _Server(_uvicorn_config(service), when_ready)
            stop = asyncio.Event()
            every = timedelta(minutes=settings.canary_every_minutes)
            to_do = canary_steps(service.run_canaries, service.metrics, every)
            if with_jobs:
                to_do += steps(service.ctx, service.metrics)
            running = asyncio.create_task(run_jobs(to_do, service.metrics, stop))
            async with _taking_mail(settings, service):
                with _signals(server.ask_to_stop):
                    await server.serve(sockets=[listener])
            stop.set()
            await running


async def run_worker(settings: Settings) -> None:
    """The jobs alone, until SIGINT or SIGTERM; the batch under way is finished."""
    stop = asyncio.Event()
    async with composition.open_context(settings) as ctx:
        with _signals(stop.set):
            _log.info("working", action="work")
            metrics = Metrics()
            await run_jobs(steps(ctx, metrics), metrics, stop)


async def bring_up_to_date(settings: Settings) -> None:
    async with composition.open_context(settings):
        return


@contextlib.asynccontextmanager
async def _taking_mail(settings: Settings, service: composition.Service) -> AsyncIterator[None]:
    """Where the local mail server hands over incoming mail, if there is to be such a place."""
    if not settings.lmtp_port:
        yield
        return
    lmtp = composition.lmtp_server(settings, service)
    try:
        await lmtp.start()
    except OSError as error:
        raise CannotListen(f"can not listen on {lmtp.host}:{lmtp.port}: {error.strerror}") from error
    try:
        yield
    finally:
        await lmtp.stop()


def _listen(settings: Settings) -> socket.socket:
    """Taken before anything else, so that a taken port is one clear line."""
    host, port = settings.listen_host, settings.listen_port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise CannotListen(f"can not listen on {host}:{port}: {error.strerror}") from error
    # Connections inherit it. asyncio sets it only on sockets it made: an answer in two writes would wait 40 ms for an ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _uvicorn_config(service: composition.Service) -> uvicorn.Config:
    """No access log: its lines would hold tokens and IPs. No proxy headers: only the pixel looks at an address.
    No limit of concurrency: uvicorn would answer 503, also to a pixel and to a withdrawal."""
    return uvicorn.Config(
        service.web,
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        lifespan="off",
        timeout_keep_alive=20,
        timeout_graceful_shutdown=10,
        http=BoundedProtocol,
    )


class _Server(uvicorn.Server):
    """Uvicorn, with signals left to us and a way to say that the socket is open."""

    def __init__(self, config: uvicorn.Config, when_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._when_ready = when_ready

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        _log.info("serving", action="serve")
        self._when_ready()

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
