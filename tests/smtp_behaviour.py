"""How the test SMTP server behaves, and what it hands out."""

from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Literal

from tests.certificates import Certificate

Stage = Literal["connect", "mail", "rcpt", "data", "content"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedMail:
    mail_from: str
    rcpt_to: str
    #: as sent, without dot-stuffing
    data: bytes
    #: ESMTP parameters of MAIL, upper case
    options: tuple[str, ...]
    #: number of the connection it came by, from 1
    connection: int

    @property
    def message(self) -> EmailMessage:
        return message_from_bytes(self.data, policy=policy.default)


@dataclass(slots=True, kw_only=True)
class Behaviour:
    """What the server does wrong. A reply is a whole line: ``450 4.2.1 try later``."""

    #: recipient -> reply to its RCPT
    rcpt_replies: dict[str, str] = field(default_factory=dict)
    #: recipient -> reply to its content
    content_replies: dict[str, str] = field(default_factory=dict)
    mail_reply: str | None = None
    #: reply to the DATA command itself
    data_reply: str | None = None
    #: answers 421 and hangs up at the MAIL that follows so many mails of one connection
    hang_up_after: int | None = None
    #: cuts the connection when this stage comes; "content": after it came in whole
    drop_at: Stage | None = None
    #: says nothing more from this stage on
    mute_at: Stage | None = None
    #: seconds before each reply to content
    delay: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """STARTTLS (demanded) or TLS from the first byte, and a login."""

    certificate: Certificate | None = None
    implicit: bool = False
    credentials: tuple[str, str] | None = None
    #: whether AUTH is offered at all
    offers_login: bool = True
    smtputf8: bool = True
    size_limit: int = 2**25
