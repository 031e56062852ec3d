"""One conversation with the relay: open it, hand mails over one after the other, leave.

aiosmtplib keeps the connection, TLS and AUTH; MAIL, RCPT and DATA are spoken here because its `sendmail` hides which
of them failed, rewrites the content twice with regular expressions, and can not tell "nothing was sent yet" from
"it may have arrived". A session whose reply stream is in doubt is closed, never reused. One user at a time.
"""

import asyncio
import ssl
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from aiosmtplib import SMTP, SMTPException, SMTPResponseException

from pixel_service.mail.smtp_wire import WireMail
from pixel_service.mail.transport import Accepted, Deferred, Outcome, Rejected, Withheld

#: 5xx after which another mail to another person fails just the same: out of step, or not let in.
_ABOUT_US = frozenset({503, 530, 534, 535, 538})
_REPLY_LIMIT = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpRelay:
    """The mail server that takes our mail, and how much we ask of it."""

    host: str
    port: int
    security: Literal["none", "starttls", "tls"] = "starttls"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    #: certificate authorities to trust instead of the system's (PEM)
    ca_file: str | None = None
    #: how we name ourselves in EHLO; by default this host's full name
    local_hostname: str | None = None
    #: connections open at once
    pool_size: int = 10
    #: for connecting with TLS and login, and again for handing over each mail
    timeout: timedelta = timedelta(seconds=30)
    max_messages_per_connection: int = 200
    #: a connection unused for longer is closed; servers hang up at 60 s to 5 min
    idle: timedelta = timedelta(seconds=30)


class SessionLost(Exception):
    """The session ended before the content of a mail was offered: trying that mail again can not double it."""

    def __init__(self, code: int | None, reply: str) -> None:
        super().__init__(code, reply)
        self.code = code
        self.reply = reply


class SmtpSession:
    """`open_session` makes it. After any trouble `is_open` is false and the session is of no more use."""

    def __init__(self, client: SMTP, timeout: timedelta) -> None:
        self._client = client
        self._timeout = timeout.total_seconds()
        self._needs_reset = False
        self._content_offered = False
        self.mails = 0
        #: `loop.time()` of the moment it went back into the pool
        self.idle_since = 0.0

    @property
    def is_open(self) -> bool:
        return self._client.is_connected

    async def hand_over(self, mail: WireMail) -> Outcome:
        """Raises SessionLost as long as nothing was offered; afterwards a loss is `Deferred`."""
        refusal = self._beyond_server(mail)
        if refusal is not None:
            return refusal
        self.mails += 1
        self._content_offered = False
        try:
            async with asyncio.timeout(self._timeout):
                outcome = await self._transaction(mail)
        except TimeoutError:
            self.abort()
            return Deferred(None, "the relay did not answer in time")
        except (SMTPException, OSError) as error:
            self.abort()
            lost = _lost(error)
            if not self._content_offered:
                raise lost from error
            return Deferred(lost.code, lost.reply)
        except BaseException:
            self.abort()
            raise
        self._needs_reset = not isinstance(outcome, Accepted)
        return outcome

    def _beyond_server(self, mail: WireMail) -> Rejected | None:
        if mail.utf8 and not self._client.supports_extension("smtputf8"):
            return Rejected(553, "5.6.7 The relay does not offer SMTPUTF8, which this address needs")
        if mail.eight_bit and not self._client.supports_extension("8bitmime"):
            return Rejected(554, "5.6.3 The relay does not offer 8BITMIME, which this mail needs")
        return None

    async def _transaction(self, mail: WireMail) -> Outcome:
        if self._needs_reset:
            # Only after a refusal; sent now rather than then, so that its failure can not cost a known outcome.
            await self._command(b"RSET")
        code, reply = await self._command(b"MAIL", b"FROM:" + mail.sender, *self._mail_options(mail))
        if code != 250:
            # A refused sender is ours to repair, so the mail waits. A mail over the SIZE limit never gets smaller.
            return Rejected(code, reply) if code == 552 else self._deferred(code, reply)
        code, reply = await self._command(b"RCPT", b"TO:" + mail.recipient)
        if code not in {250, 251}:
            return self._refusal(code, reply)
        if not await mail.still_wanted():
            return Withheld()
        self._content_offered = True
        code, reply = await self._write(b"DATA\r\n")
        if code != 354:
            return self._refusal(code, reply)
        code, reply = await self._write(mail.content)
        return Accepted(f"{code} {reply}") if code == 250 else self._refusal(code, reply)

    def _mail_options(self, mail: WireMail) -> list[bytes]:
        options = []
        if self._client.supports_extension("size"):
            options.append(b"SIZE=%d" % mail.size)
        if mail.eight_bit:
            options.append(b"BODY=8BITMIME")
        if mail.utf8:
            options.append(b"SMTPUTF8")
        return options

    def _refusal(self, code: int, reply: str) -> Deferred | Rejected:
        if 500 <= code <= 599 and code not in _ABOUT_US:
            return Rejected(code, reply)
        return self._deferred(code, reply)

    def _deferred(self, code: int, reply: str) -> Deferred:
        if not 400 <= code <= 599 or code in {421, 503}:
            self.abort()  # leaving, or out of step: what it says next can not be trusted
        return Deferred(code, reply)

    async def _command(self, *words: bytes) -> tuple[int, str]:
        """A 421 before the content is the server hanging up, not a verdict on the mail."""
        code, reply = await self._client.execute_command(*words, timeout=None)
        if code == 421:
            raise SessionLost(code, _printable(reply))
        return code, _printable(reply)

    async def _write(self, data: bytes) -> tuple[int, str]:
        protocol = self._client.protocol
        if protocol is None:
            raise ConnectionResetError("connection lost")
        protocol.write(data)
        code, reply = await protocol.read_response(timeout=None)
        return code, _printable(reply)

    def abort(self) -> None:
        self._client.close()

    async def leave(self, patience: timedelta) -> None:
        """Say QUIT, wait no longer than `patience` for the answer, close."""
        try:
            async with asyncio.timeout(patience.total_seconds()):
                await self._client.quit(timeout=None)
        except (SMTPException, OSError):
            pass
        finally:
            self.abort()


async def open_session(relay: SmtpRelay, trust: ssl.SSLContext | None) -> SmtpSession:
    """Connect, secure, log in. Raises SessionLost with the reason; it never names the password."""
    client = SMTP(
        hostname=relay.host,
        port=relay.port,
        username=relay.username,
        password=relay.password,
        local_hostname=relay.local_hostname,
        use_tls=relay.security == "tls",
        start_tls=relay.security == "starttls",
        tls_context=trust,
        timeout=None,  # one deadline for the whole of it, below: a server that drips bytes meets it too
    )
    try:
        async with asyncio.timeout(relay.timeout.total_seconds()):
            await client.connect()
            if client.is_ehlo_or_helo_needed:
                await client.ehlo()
    except TimeoutError as error:
        client.close()
        raise SessionLost(None, f"no connection to {relay.host}:{relay.port} in time") from error
    except (SMTPException, OSError, UnicodeError) as error:
        client.close()
        raise _lost(error) from error
    except BaseException:
        client.close()
        raise
    return SmtpSession(client, relay.timeout)


def _lost(error: Exception) -> SessionLost:
    if isinstance(error, SMTPResponseException):
        # aiosmtplib's code for gibberish is -1
        return SessionLost(error.code if error.code > 0 else None, _printable(error.message))
    return SessionLost(None, _printable(str(error)) or type(error).__name__)


def _printable(reply: str) -> str:
    """Control characters and broken UTF-8 (surrogates) have no place in a log line or a database text."""
    if not reply.isprintable():
        reply = "".join(character if character.isprintable() else " " for character in reply)
    return reply.strip()[:_REPLY_LIMIT]
