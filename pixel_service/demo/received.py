"""A received mail, read as a mail client reads it. The bytes are a stranger's: nothing here may fail on them.

Parsed with the old `compat32` policy on purpose: the modern one raises on malformed headers, this one hands them out.
"""

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from email import message_from_bytes, policy
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from email.utils import parseaddr
from html.parser import HTMLParser

#: The picture formats a mail may carry inside itself. SVG is left out: it is a document.
_PICTURES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_PARTS = 100
_HEADERS = 200
_HEADER_LENGTH = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    number: int
    received_at: datetime
    mail_from: str
    rcpt_to: str
    source: bytes = field(repr=False)
    sender: str
    subject: str
    headers: tuple[tuple[str, str], ...]
    text: str | None
    #: pictures inside the mail are already put in as data: URLs
    html: str | None
    #: how it begins, one line
    preview: str
    #: HTTPS or HTTP URI of List-Unsubscribe, and whether RFC 8058's one click is offered
    unsubscribe_uri: str | None
    one_click: bool

    @property
    def sender_name(self) -> str:
        name, address = parseaddr(self.sender)
        return name or address or self.sender


def read_mail(*, number: int, received_at: datetime, mail_from: str, rcpt_to: str, source: bytes) -> Received:
    try:
        message: Message = message_from_bytes(source, policy=policy.compat32)
        parts = list(_leaves(message))
    except RecursionError:  # thousands of nested parts; show the headers and the source
        message = message_from_bytes(source.partition(b"\r\n\r\n")[0] + b"\r\n\r\n", policy=policy.compat32)
        message.set_type("text/plain")
        parts = []
    headers = tuple((name, _header(str(value)[:_HEADER_LENGTH])) for name, value in message.items()[:_HEADERS])
    first = {name.lower(): value for name, value in reversed(headers)}
    text, html = _first_text(parts, "text/plain"), _first_text(parts, "text/html")
    beginning = text[:1000] if text else plain_text((html or "")[:20_000])
    return Received(
        number=number,
        received_at=received_at,
        mail_from=mail_from,
        rcpt_to=rcpt_to,
        source=source,
        sender=first.get("from", ""),
        subject=first.get("subject", ""),
        headers=headers,
        text=text,
        html=None if html is None else _with_pictures(html, parts),
        preview=" ".join(beginning.split())[:140],
        unsubscribe_uri=_unsubscribe_uri(first.get("list-unsubscribe", "")),
        one_click=first.get("list-unsubscribe-post", "").strip().lower() == "list-unsubscribe=one-click",
    )


def plain_text(html: str) -> str:
    """The words of a page, for a place that shows no HTML."""
    words = _Words()
    words.feed(html)
    words.close()
    return "".join(words.found).strip()


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        self._silent += tag in {"style", "script", "title"}
        if tag in {"p", "br", "div", "h1", "h2", "h3", "li", "tr"}:
            self.found.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in {"style", "script", "title"} and self._silent > 0

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.found.append(data)


def _leaves(message: Message) -> Iterator[Message]:
    for count, part in enumerate(message.walk()):
        if count == _PARTS:
            return
        if not part.is_multipart():
            yield part


def _header(raw: str) -> str:
    """Encoded words decoded, folding and control characters gone."""
    try:
        decoded = str(make_header(decode_header(raw)))
    except (HeaderParseError, LookupError, ValueError):
        decoded = raw
    decoded = re.sub(r"\r?\n[ \t]+", " ", decoded)
    return "".join(character if character.isprintable() else " " for character in decoded)


def _first_text(parts: list[Message], content_type: str) -> str | None:
    for part in parts:
        if part.get_content_type() == content_type and part.get_content_disposition() != "attachment":
            return _text(part)
    return None


def _text(part: Message) -> str:
    content = _bytes(part)
    try:
        return content.decode(part.get_content_charset() or "utf-8", "replace")
    except (LookupError, ValueError):  # a charset nobody knows
        return content.decode("utf-8", "replace")


def _bytes(part: Message) -> bytes:
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _with_pictures(html: str, parts: list[Message]) -> str:
    pictures = {}
    for part in parts:
        name = str(part.get("Content-ID", "")).strip().strip("<>")
        if name and part.get_content_type() in _PICTURES:
            data = base64.b64encode(_bytes(part)).decode()
            pictures[name] = f"data:{part.get_content_type()};base64,{data}"
    return re.sub(r"\bcid:([^\s\"'<>)]+)", lambda found: pictures.get(found[1], found[0]), html) if pictures else html


def _unsubscribe_uri(value: str) -> str | None:
    found = re.search(r"<\s*(https?://[^<>\s]+)\s*>", value, re.IGNORECASE)
    return found[1] if found else None
