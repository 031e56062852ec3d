"""The transport over SMTP: a bounded pool of persistent connections to one relay.

What must hold: no more than `pool_size` connections; a mail whose content was offered is never offered again by
this class, so only the outbox decides about a possible double; no path, cancellation included, leaks a connection.
"""

import asyncio
import ssl
from datetime import timedelta

from pixel_service.mail.smtp_session import SessionLost, SmtpRelay, SmtpSession, open_session
from pixel_service.mail.smtp_wire import WireMail, put_on_wire
from pixel_service.mail.transport import Deferred, Envelope, Outcome, Rejected

__all__ = ["SmtpRelay", "SmtpTransport"]

#: How long a server may take to say goodbye.
_PATIENCE = timedelta(seconds=2)


class SmtpTransport:
    """Made and used in one event loop. Raises OSError at once when the CA file can not be read."""

    def __init__(self, relay: SmtpRelay) -> None:
        self._relay = relay
        self._trust = None if relay.security == "none" else ssl.create_default_context(cafile=relay.ca_file)
        self._slots = asyncio.Semaphore(relay.pool_size)
        #: most recently used last: a quiet spell lets the others run out
        self._idle: list[SmtpSession] = []
        self._sweep: asyncio.TimerHandle | None = None
        self._farewells: set[asyncio.Task[None]] = set()
        self._closed = False

    async def send(self, envelope: Envelope) -> Outcome:
        mail = put_on_wire(envelope)
        if isinstance(mail, Rejected):
            return mail
        self._refuse_when_closed()
        async with self._slots:
            self._refuse_when_closed()
            session = await self._take()
            if session is not None:
                try:
                    return await self._hand_over(session, mail)
                except SessionLost:
                    pass  # the server had hung up while it lay in the pool; nothing was offered, so once more, afresh
            try:
                session = await open_session(self._relay, self._trust)
                return await self._hand_over(session, mail)
            except SessionLost as lost:
                return Deferred(lost.code, lost.reply)

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._sweep is not None:
            self._sweep.cancel()
        try:
            for _ in range(self._relay.pool_size):
                await self._slots.acquire()  # each slot comes free when the mail in it is through
            await asyncio.gather(*self._farewells, *(session.leave(_PATIENCE) for session in self._idle))
        finally:
            for session in self._idle:
                session.abort()
            self._idle.clear()

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise RuntimeError("the transport is closed")

    async def _hand_over(self, session: SmtpSession, mail: WireMail) -> Outcome:
        try:
            return await session.hand_over(mail)
        finally:
            if session.is_open:
                self._give_back(session)

    async def _take(self) -> SmtpSession | None:
        while self._idle:
            session = self._idle.pop()
            if session.mails >= self._relay.max_messages_per_connection:
                # Here and not after its last mail: waiting there, a cancellation could lose that mail's outcome.
                await session.leave(_PATIENCE)
            elif session.is_open:
                return session
        return None

    def _give_back(self, session: SmtpSession) -> None:
        loop = asyncio.get_running_loop()
        session.idle_since = loop.time()
        self._idle.append(session)
        if self._sweep is None and not self._closed:
            self._sweep = loop.call_later(self._relay.idle.total_seconds(), self._sweep_idle)

    def _sweep_idle(self) -> None:
        """The list is in order of use, so those that ran out stand first."""
        loop = asyncio.get_running_loop()
        idle = self._relay.idle.total_seconds()
        # A timer may fire a clock tick early: what is due within a millisecond is due.
        while self._idle and self._idle[0].idle_since + idle <= loop.time() + 0.001:
            farewell = loop.create_task(self._idle.pop(0).leave(_PATIENCE))
            self._farewells.add(farewell)
            farewell.add_done_callback(self._farewells.discard)
        self._sweep = loop.call_at(self._idle[0].idle_since + idle, self._sweep_idle) if self._idle else None
