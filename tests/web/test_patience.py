"""Slow and endless clients, over real sockets."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from pixel_service.web import patience
from pixel_service.web.patience import BoundedProtocol


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads the body, then says OK."""
    more = True
    while more:
        message = await receive()
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"OK"})


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    monkeypatch.setattr(patience, "HEAD_SECONDS", 0.3)
    monkeypatch.setattr(patience, "BODY_SECONDS", 0.3)
    monkeypatch.setattr(patience, "LOOK_SECONDS", 0.1)
    config = uvicorn.Config(answer, port=0, http=BoundedProtocol, lifespan="off", log_config=None, access_log=False)
    server = _Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110  uvicorn says it by an attribute
        await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await serving


async def ask(port: int, *parts: bytes) -> bytes:
    """What comes back until the server hangs up; b"" when it does without a word."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(10):
            for part in parts:
                writer.write(part)
                await writer.drain()
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def test_a_whole_request_is_answered(port: int) -> None:
    assert (await ask(port, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).endswith(b"OK")


@pytest.mark.parametrize(
    "start", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n", b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n123"]
)
async def test_a_half_sent_request_is_let_go(port: int, start: bytes) -> None:
    assert await ask(port, start) == b""


async def test_a_head_without_end_is_let_go_before_it_fills_the_memory(port: int) -> None:
    line = b"X-Filler: " + b"x" * 1000 + b"\r\n"
    assert await ask(port, b"GET / HTTP/1.1\r\nHost: x\r\n", *[line] * 100) == b""


async def test_a_large_body_is_no_long_head(port: int) -> None:
    body = b"x" * 200_000
    head = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
    assert (await ask(port, head + body)).endswith(b"OK")
