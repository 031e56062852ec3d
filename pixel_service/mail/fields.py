"""The header fields of a mail: who writes to whom, when, about what. Nothing a value holds can start a new field."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime

from pixel_service.mail import mime
from pixel_service.mail.errors import ContentInvalid
from pixel_service.mail.markup import names

#: Written here or in compose.py; a caller can not add a second one.
_OURS = names(
    "from to cc bcc subject date message-id reply-to sender return-path received"
    " mime-version content-type content-transfer-encoding content-language content-disposition"
)
_MESSAGE_ID = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,128}@[A-Za-z0-9.-]{1,253}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    from_name: str
    from_address: str
    reply_to: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """One mail to one person. Its repr names nobody, for it may end up in a traceback."""

    address: str = field(repr=False)
    display_name: str | None = field(default=None, repr=False)
    #: plain texts by name: those the content asks for, the person's own and the mail's links
    variables: Mapping[str, str] = field(repr=False)
    #: given exactly when the mail is prepared as tracked
    pixel_url: str | None = field(default=None, repr=False)
    #: without angle brackets; the same for every repetition of this mail
    message_id: str
    sent_at: datetime
    #: List-Unsubscribe and the like
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


def fields_of(recipient: Recipient) -> bytes:
    """Everything of the recipient but the subject. Raises `ContentInvalid`."""
    if recipient.sent_at.tzinfo is None:
        raise ValueError("sent_at has no time zone")
    if not _MESSAGE_ID.fullmatch(recipient.message_id):
        raise ContentInvalid("headers", "the Message-ID is not of the form id@host")
    try:
        to = mime.folded("To", mime.mailbox(recipient.display_name, recipient.address))
    except ValueError as error:
        raise ContentInvalid("address", str(error)) from error
    made = f"Date: {format_datetime(recipient.sent_at)}\r\nMessage-ID: <{recipient.message_id}>\r\n"
    return b"".join((to, made.encode("ascii"), *_extra(recipient.headers)))


def _extra(headers: Mapping[str, str]) -> list[bytes]:
    lowered = {name.lower() for name in headers}
    if len(lowered) < len(headers) or not _OURS.isdisjoint(lowered):
        raise ContentInvalid("headers", "a header is given twice, or is one that the composer writes")
    try:
        return [mime.header(name, value) for name, value in headers.items()]
    except ValueError as error:
        raise ContentInvalid("headers", str(error)) from error
