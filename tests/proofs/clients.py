"""A client that knows when it asked and when it was answered: one keep-alive connection, one request at a time."""

import asyncio
import socket
import time
from dataclasses import dataclass
from typing import Self

from pixel_service.web.pixel import GIF

#: Bytes of the answer's body.
_BODY = len(GIF)


@dataclass(frozen=True, slots=True)
class Answer:
    #: Of `time.perf_counter`.
    asked_at: float
    answered_at: float
    head: bytes
    body: bytes

    @property
    def took(self) -> float:
        return self.answered_at - self.asked_at


def request(path: str, user_agent: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: {user_agent}\r\nAccept: image/*\r\n\r\n".encode()


class Blocking:
    """Waits in the kernel, without an event loop: the least noise of its own. It asks for pixels only."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask(self, asked: bytes) -> Answer:
        asked_at = time.perf_counter()
        self._socket.sendall(asked)
        read = self._socket.recv(4096)
        answered_at = time.perf_counter()
        while len((found := read.partition(b"\r\n\r\n"))[2]) < _BODY:
            read += self._more()
            answered_at = time.perf_counter()
        return Answer(asked_at, answered_at, found[0], found[2])

    def _more(self) -> bytes:
        read = self._socket.recv(4096)
        if not read:
            raise ConnectionError("the service hung up")
        return read


class Waiting(asyncio.Protocol):
    """The same for many at once. `ask` raises `ConnectionError` when the service is gone."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._read = b""
        self._asked_at = 0.0
        self._answer: asyncio.Future[Answer] | None = None

    @classmethod
    async def connect(cls, port: int) -> "Waiting":
        return (await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port))[1]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    async def ask(self, asked: bytes) -> Answer:
        if self._transport is None:
            raise ConnectionError("the service is gone")
        self._answer = asyncio.get_running_loop().create_future()
        self._read = b""
        self._asked_at = time.perf_counter()
        self._transport.write(asked)
        return await self._answer

    def data_received(self, data: bytes) -> None:
        self._read += data
        head, _, body = self._read.partition(b"\r\n\r\n")
        if len(body) >= _BODY and self._answer is not None and not self._answer.done():
            self._answer.set_result(Answer(self._asked_at, time.perf_counter(), head, body))

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionError("the service hung up"))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()
