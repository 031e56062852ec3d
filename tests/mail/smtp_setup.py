"""What the tests of the SMTP transport share."""

from collections.abc import Callable
from datetime import timedelta

from pixel_service.mail.smtp import SmtpRelay, SmtpTransport
from pixel_service.mail.transport import Envelope
from tests.smtp_server import SmtpServer

CONTENT = b"From: news@example.com\r\nSubject: Hello\r\n\r\nHello there\r\n"

Open = Callable[[SmtpRelay], SmtpTransport]


def relay_to(server: SmtpServer, host: str = "127.0.0.1") -> SmtpRelay:
    return SmtpRelay(
        host=host, port=server.port, security="none", local_hostname="localhost", timeout=timedelta(seconds=5)
    )


def mail_to(rcpt_to: str = "anna@example.org", data: bytes = CONTENT) -> Envelope:
    return Envelope(mail_from="bounce+7@example.com", rcpt_to=rcpt_to, data=data)
