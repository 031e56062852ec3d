"""Takes mails from the local mail server by LMTP (RFC 2033). Answered with 250 means handled, in a committed transaction.

What is not handled is refused for now (451), so that the mail server keeps it and tries again; only what is too large is
refused for good. It listens on loopback unless told otherwise and believes whoever connects, as LMTP does. Nothing is
relayed: every recipient is ours. Its log lines name no address.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, AnyStr

import structlog
from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import Envelope as SmtpEnvelope

_log = structlog.get_logger()

#: The largest mail taken in; of it only the first megabyte is read (mail/parse.py).
MAX_MAIL = 10 * 1024 * 1024
MAX_CONNECTIONS = 10
MAX_RECIPIENTS = 30
#: Seconds of silence after which a connection is closed.
_PATIENCE = 60.0


#: Handles one mail (content, sender, recipients) in a committed transaction, or raises when it must come again.
Take = Callable[[bytes, str, tuple[str, ...]], Awaitable[object]]


class LmtpServer:
    """`start` and `stop` run in the caller's event loop. Port 0 takes a free one; `port` then names it."""

    def __init__(self, take: Take, host: str, port: int) -> None:
        self.host, self.port = host, port
        self._take = take
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()
        self._under_way: set[asyncio.Future[object]] = set()

    async def start(self) -> None:
        """Raises OSError when the port is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._protocol, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Mails under way are handled to their end; whose answer was cut off comes again and is known then."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        await asyncio.gather(*(connection.end() for connection in list(self._connections)), return_exceptions=True)
        await asyncio.gather(*self._under_way, return_exceptions=True)

    def _protocol(self) -> asyncio.Protocol:
        return _Connection(self) if len(self._connections) < MAX_CONNECTIONS else _Full()

    def join(self, connection: "_Connection") -> None:
        self._connections.add(connection)

    def leave(self, connection: "_Connection") -> None:
        self._connections.discard(connection)

    async def handle_RCPT(self, *arguments: Any) -> str:  # noqa: N802  aiosmtpd's name
        _, _, envelope, address, _ = arguments
        if len(envelope.rcpt_tos) >= MAX_RECIPIENTS:
            return "452 4.5.3 too many recipients"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server: Any, session: Any, envelope: SmtpEnvelope) -> str:  # noqa: N802  aiosmtpd's name
        del server, session
        content, sender = envelope.original_content or b"", (envelope.mail_from or "").removeprefix("<>")
        taking = asyncio.ensure_future(self._take(content, sender, tuple(envelope.rcpt_tos)))
        self._under_way.add(taking)
        taking.add_done_callback(self._under_way.discard)
        # Waiting is not holding: a mail server that hangs up does not undo half of what it handed over.
        await asyncio.wait({taking})
        error = taking.exception()
        if error is None:
            return "250 2.0.0 Ok: handled"
        # Whatever went wrong, the mail is not lost: the mail server keeps it.
        _log.error("mail_not_handled", action="receive", exc_info=(type(error), error, None))
        return "451 4.3.0 not handled, try again later"

    async def handle_exception(self, error: Exception) -> str:
        """Of aiosmtpd itself, over a command that it does not understand."""
        _log.error("lmtp_failed", action="receive", exc_info=(type(error), error, None))
        return "451 4.3.0 not understood, try again later"


class _Full(asyncio.Protocol):
    """There are enough connections; the mail server waits and tries again."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(b"421 4.3.2 too many connections, try again later\r\n")
        transport.close()


class _Connection(LMTP):
    """aiosmtpd's, with one answer per recipient after the content (RFC 2033 section 4.2), and bounds."""

    #: Broken programs write lines beyond RFC 5321's 998; their senders' wish counts none the less.
    line_length_limit = 64 * 1024

    def __init__(self, owner: LmtpServer) -> None:
        self._owner = owner
        self._answers_due = 0
        super().__init__(
            owner,
            hostname="localhost",
            ident="LMTP",
            data_size_limit=MAX_MAIL,
            enable_SMTPUTF8=True,
            auth_exclude_mechanism=["LOGIN", "PLAIN"],
            timeout=_PATIENCE,
            loop=asyncio.get_running_loop(),
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._owner.join(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._owner.leave(self)
        super().connection_lost(error)

    async def push(self, status: AnyStr) -> None:
        line = _text(status)
        if line.startswith("354"):
            assert self.envelope is not None
            self._answers_due = len(self.envelope.rcpt_tos)
        elif self._answers_due:
            line = "\r\n".join([line] * self._answers_due)
            self._answers_due = 0
        await super().push(line)

    async def end(self) -> None:
        conversation = self._handler_coroutine
        if isinstance(self.transport, asyncio.Transport):
            self.transport.abort()
        if conversation is not None:
            conversation.cancel()
            await conversation


def _text(status: str | bytes) -> str:
    return status if isinstance(status, str) else status.decode()
