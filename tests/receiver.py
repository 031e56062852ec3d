"""A processor's web server, real and on this machine: it keeps what is posted, and answers what it is told to."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

OK = b"HTTP/1.1 204 No Content\r\n\r\n"


def status(code: int, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {code} X", "Content-Length: 0", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Posted:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


async def _at_once() -> None:
    return


@dataclass(slots=True)
class Receiver:
    url: str = ""
    taken: list[Posted] = field(default_factory=list)
    #: For the next requests; empty bytes: hang up.
    answers: list[bytes] = field(default_factory=list)
    #: Called when a request was read, before it is answered.
    before_answer: Callable[[], Awaitable[None]] = _at_once
    _visits: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, to its end or to that of the server."""
        visit = asyncio.create_task(self._serve(reader, writer))
        self._visits.add(visit)
        await asyncio.wait([visit])

    async def close(self) -> None:
        for visit in self._visits:
            visit.cancel()
        await asyncio.gather(*self._visits, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.taken.append(await self._read(head.decode("latin-1"), reader))
                await self.before_answer()
                answer = self.answers.pop(0) if self.answers else OK
                writer.write(answer)
                await writer.drain()
                if not answer or b"Connection: close" in answer:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    async def _read(self, head: str, reader: asyncio.StreamReader) -> Posted:
        request, *lines = head.split("\r\n")[:-2]
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        method, path, _ = request.split(" ")
        assert method == "POST"
        return Posted(path, headers, await reader.readexactly(int(headers["content-length"])))


@asynccontextmanager
async def receiving(tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    receiver.url = f"http{'s' if tls else ''}://127.0.0.1:{port}/hook"
    try:
        yield receiver
    finally:
        server.close()
        await receiver.close()
