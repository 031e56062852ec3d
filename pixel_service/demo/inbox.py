"""The local inbox: an SMTP server on loopback that takes every mail and keeps the newest in memory.

It shows what a subscriber would see, without a mail account; `inbox_app` is its window. Nothing is relayed or stored.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope as SmtpEnvelope

from pixel_service.demo.received import Received, read_mail

LOOPBACK = "127.0.0.1"
MAX_MAIL = 10 * 1024 * 1024
_MAX_MAILS = 500
_MAX_BYTES = 100 * 1024 * 1024


class Inbox:
    """`start` and `stop` run in the caller's event loop. Port 0 takes a free one; `smtp_port` then names it."""

    def __init__(self, clock: Callable[[], datetime], smtp_port: int = 0, *, max_bytes: int = _MAX_BYTES) -> None:
        self.smtp_port = smtp_port
        self._clock = clock
        self._mails: dict[int, Received] = {}
        self._kept_bytes = 0
        self._max_bytes = max_bytes
        self._last_number = 0
        self._read: set[int] = set()
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()

    async def start(self) -> None:
        """Raises OSError when the port is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self, self._connections), LOOPBACK, self.smtp_port)
        self.smtp_port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await asyncio.gather(*(connection.end() for connection in list(self._connections)), return_exceptions=True)
            self._server = None

    def mails(self) -> list[Received]:
        """Newest first."""
        return list(reversed(self._mails.values()))

    def get(self, number: int) -> Received | None:
        return self._mails.get(number)

    def is_unread(self, number: int) -> bool:
        return number not in self._read

    def mark_read(self, number: int) -> None:
        self._read.add(number)

    def take(self, mail_from: str, rcpt_to: str, source: bytes) -> Received:
        self._last_number += 1
        mail = read_mail(
            number=self._last_number,
            received_at=self._clock(),
            mail_from=mail_from,
            rcpt_to=rcpt_to,
            source=source,
        )
        self._mails[mail.number] = mail
        self._kept_bytes += len(source)
        while len(self._mails) > _MAX_MAILS or self._kept_bytes > self._max_bytes:
            oldest = self._mails.pop(next(iter(self._mails)))
            self._kept_bytes -= len(oldest.source)
            self._read.discard(oldest.number)
        return mail

    async def handle_DATA(self, server: SMTP, session: Any, envelope: SmtpEnvelope) -> str:  # noqa: N802  aiosmtpd's name
        del server, session
        for recipient in envelope.rcpt_tos:
            self.take(envelope.mail_from or "", recipient, envelope.original_content or b"")
        return f"250 2.0.0 Ok: in the local inbox as {self._last_number}"


class _Connection(SMTP):
    """aiosmtpd's, known to the inbox, so that stopping can end it and wait for its end."""

    def __init__(self, inbox: Inbox, connections: "set[_Connection]") -> None:
        self._connections = connections
        super().__init__(
            inbox,
            hostname="localhost",
            ident="Local inbox",
            data_size_limit=MAX_MAIL,
            enable_SMTPUTF8=True,
            auth_exclude_mechanism=["LOGIN", "PLAIN"],
            loop=asyncio.get_running_loop(),
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._connections.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._connections.discard(self)
        super().connection_lost(error)

    async def end(self) -> None:
        conversation = self._handler_coroutine
        if isinstance(self.transport, asyncio.Transport):
            self.transport.abort()
        if conversation is not None:
            conversation.cancel()
            await conversation
