"""A real SMTP server for tests, on a loopback port of its own and in a thread of its own.

The thread is what makes it robust: a test that blocks its event loop (a browser, a subprocess) still gets its mail
taken. Change `behaviour` at any time, also between two mails of one connection.
"""

import asyncio
import ssl
import threading
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Any, AnyStr, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope as SmtpdEnvelope, LoginPassword

from tests.smtp_behaviour import Behaviour, Protection, ReceivedMail, Stage

__all__ = ["Behaviour", "Protection", "ReceivedMail", "SmtpServer", "Stage"]


class SmtpServer:
    """`with` and `async with` both start and stop it; `start`/`stop` do the same by hand."""

    def __init__(self, behaviour: Behaviour | None = None, protection: Protection | None = None) -> None:
        self.behaviour = behaviour or Behaviour()
        self.protection = protection or Protection()
        self.host = "127.0.0.1"
        self.port = 0
        #: accepted mails, oldest first
        self.mails: list[ReceivedMail] = []
        #: connections made so far, open now, and the most at one time
        self.connections = self.open_connections = self.most_connections = 0
        #: what clients came to, oldest first
        self.stages: list[Stage] = []
        #: times `behaviour.mute_at` took hold
        self.muted = 0
        self._sessions: set[_Session] = set()
        self._changed = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="smtp-server", daemon=True)
        self._server: asyncio.Server | None = None

    def start(self, port: int = 0) -> None:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(port), self._loop).result(10)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._hush(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def hang_up_all(self) -> None:
        """Close every open connection, as a server does with idle ones; returns when the sockets are closed."""
        cut = asyncio.run_coroutine_threadsafe(self._cut_sessions(), self._loop).result(10)
        self._wait_until(lambda: not cut & self._sessions, 10, "connections to be cut")

    def wait_for(self, count: int, seconds: float = 10) -> list[ReceivedMail]:
        """Block until `count` mails are in."""
        self._wait_until(lambda: len(self.mails) >= count, seconds, f"{count} mails")
        return list(self.mails)

    async def received(self, count: int, seconds: float = 10) -> list[ReceivedMail]:
        return await asyncio.to_thread(self.wait_for, count, seconds)

    async def until_open(self, connections: int, seconds: float = 10) -> None:
        """Until just so many connections are open."""
        what = f"{connections} open connections"
        await asyncio.to_thread(self._wait_until, lambda: self.open_connections == connections, seconds, what)

    async def until_muted(self, seconds: float = 10) -> None:
        """Until `behaviour.mute_at` has taken hold of a connection."""
        await asyncio.to_thread(self._wait_until, lambda: self.muted > 0, seconds, "a muted connection")

    def _wait_until(self, holds: Callable[[], bool], seconds: float, what: str) -> None:
        with self._changed:
            if not self._changed.wait_for(holds, seconds):
                raise TimeoutError(
                    f"waited {seconds} s for {what}: {len(self.mails)} mails came, {self.open_connections} open"
                )

    def note(self, change: Callable[[], None]) -> None:
        with self._changed:
            change()
            self._changed.notify_all()

    def mute(self) -> None:
        def count() -> None:
            self.muted += 1

        self.note(count)

    def joined(self, session: "_Session") -> int:
        def count() -> None:
            self._sessions.add(session)
            self.connections += 1
            self.open_connections += 1
            self.most_connections = max(self.most_connections, self.open_connections)

        self.note(count)
        return self.connections

    def left(self, session: "_Session") -> None:
        def count() -> None:
            if session in self._sessions:
                self._sessions.discard(session)
                self.open_connections -= 1

        self.note(count)

    async def _listen(self, port: int) -> None:
        protection = self.protection
        context = protection.certificate.server_context() if protection.certificate else None
        self._server = await self._loop.create_server(
            lambda: _Session(self, None if protection.implicit else context),
            self.host,
            port,
            ssl=context if protection.implicit else None,
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def _cut_sessions(self) -> "set[_Session]":
        cut = set(self._sessions)
        for session in cut:
            session.cut()
        return cut

    async def _hush(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._cut_sessions()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.stop)


class _Session(SMTP):
    """aiosmtpd's server side of one connection, with the faults put in."""

    def __init__(self, owner: SmtpServer, context: ssl.SSLContext | None) -> None:
        self._owner = owner
        self._mails = 0
        self._connection = 0
        protection = owner.protection
        super().__init__(
            self,
            hostname="localhost",
            loop=owner._loop,
            data_size_limit=protection.size_limit,
            enable_SMTPUTF8=protection.smtputf8,
            tls_context=context,
            require_starttls=context is not None,
            auth_require_tls=context is not None or not protection.offers_login,
            authenticator=self._check_login,
        )
        self._auth_required = protection.credentials is not None  # as an argument it warns, rightly, without TLS

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not self._connection:
            self._connection = self._owner.joined(self)
            self._socket = transport
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._owner.left(self)
        super().connection_lost(error)

    def eof_received(self) -> bool:
        super().eof_received()
        return False  # close at once, also where a muted stage would leave the connection half open

    def cut(self) -> None:
        transport = self.transport or self._socket
        assert isinstance(transport, asyncio.Transport)
        transport.abort()

    async def push(self, status: AnyStr) -> None:
        """Every reply passes here, the greeting too, which no hook of aiosmtpd's sees."""
        if str(status).startswith("220 localhost"):
            await self._stage("connect")
        await super().push(status)

    async def handle_exception(self, error: Exception) -> str:
        return f"500 {type(error).__name__}"

    async def handle_MAIL(self, *arguments: Any) -> str:  # noqa: N802  aiosmtpd finds it by this name
        _, _, envelope, address, options = arguments
        behaviour = self._owner.behaviour
        await self._stage("mail")
        if behaviour.hang_up_after is not None and self._mails >= behaviour.hang_up_after:
            await self.push("421 4.7.0 localhost closing connection")
            self.cut()
            raise asyncio.CancelledError
        if behaviour.mail_reply is not None:
            return behaviour.mail_reply
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 Ok"

    async def handle_RCPT(self, *arguments: Any) -> str:  # noqa: N802  aiosmtpd finds it by this name
        _, _, envelope, address, _ = arguments
        await self._stage("rcpt")
        reply = self._owner.behaviour.rcpt_replies.get(address)
        if reply is not None:
            return reply
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802  aiosmtpd finds it by this name
        await self._stage("data")
        if self._owner.behaviour.data_reply is not None:
            await self.push(self._owner.behaviour.data_reply)
            return
        await super().smtp_DATA(arg)

    async def handle_DATA(self, *arguments: Any) -> str:  # noqa: N802  aiosmtpd finds it by this name
        envelope: SmtpdEnvelope = arguments[2]
        await self._stage("content")
        if self._owner.behaviour.delay:
            await asyncio.sleep(self._owner.behaviour.delay)
        for recipient in envelope.rcpt_tos:
            reply = self._owner.behaviour.content_replies.get(recipient)
            if reply is not None:
                return reply
        self._mails += 1
        for recipient in envelope.rcpt_tos:
            mail = ReceivedMail(
                mail_from=envelope.mail_from or "",
                rcpt_to=recipient,
                data=envelope.original_content or b"",
                options=tuple(envelope.mail_options),
                connection=self._connection,
            )
            self._owner.note(partial(self._owner.mails.append, mail))
        return f"250 2.0.0 Ok: queued as {self._connection:04X}{self._mails:04X}"

    async def _stage(self, stage: Stage) -> None:
        self._owner.stages.append(stage)
        if self._owner.behaviour.drop_at == stage:
            self.cut()
            raise asyncio.CancelledError
        if self._owner.behaviour.mute_at == stage:
            self._owner.mute()
            await asyncio.Event().wait()

    def _check_login(self, *arguments: Any) -> AuthResult:
        data = arguments[4]
        assert isinstance(data, LoginPassword)
        wanted = self._owner.protection.credentials
        success = wanted is None or (data.login.decode(), data.password.decode()) == wanted
        return AuthResult(success=success, handled=False)
