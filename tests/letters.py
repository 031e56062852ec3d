"""Mails as people, their programs and strangers write them, for tests of what comes in."""

from collections.abc import Sequence
from email.message import EmailMessage

ANNA = "anna@example.com"
STOP = "stop@news.example"
DOMAIN = "news.example"


def letter(
    text: str = "",
    *,
    subject: str = "",
    sender: str = ANNA,
    to: str = STOP,
    message_id: str = "one@mail.example",
    **headers: str,
) -> bytes:
    """Plain text; `in_reply_to="x"` becomes the header In-Reply-To."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = f"Anna Meier <{sender}>", to, subject
    mail["Date"], mail["Message-ID"] = "Mon, 02 Nov 2026 10:00:00 +0000", f"<{message_id}>"
    for name, value in headers.items():
        mail[name.replace("_", "-").title()] = value
    mail.set_content(text)
    return mail.as_bytes()


def raw(*lines: str, body: bytes = b"") -> bytes:
    """Headers as given, down to the octet."""
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def answer(message_id: str, text: str = "Bitte abmelden", *, subject: str = "AW: Neues", **more: str) -> bytes:
    """A reply to one of our mails."""
    ours = f"<{message_id}@{DOMAIN}>"
    return letter(text, subject=subject, in_reply_to=ours, references=f"<other@x.example> {ours}", **more)


def report(kind: str = "delivery-status") -> bytes:
    """A bounce (RFC 3464), a complaint (``feedback-report``) or a read receipt (``disposition-notification``)."""
    return raw(
        "From: MAILER-DAEMON@example.com",
        "Subject: Undelivered Mail Returned to Sender",
        f"Content-Type: multipart/report; report-type={kind}; boundary=b",
        body=b"--b\r\n\r\nunsubscribe\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nStatus: 5.1.1\r\n--b--\r\n",
    )


def many(lines: Sequence[str]) -> str:
    return "\n".join(lines)
