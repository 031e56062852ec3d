"""A mail from outside, as far as it can be read: never an exception, never much time or memory, whatever the bytes are.

Only the first `MAX_READ` bytes are looked at. The standard library's parser is handed nothing that makes it slow (deep
nesting, thousands of parts, endless headers): such mails are read without their parts and marked as broken. What could
not be decoded marks a mail as broken too, for its words prove nothing then.
"""

import binascii
import codecs
import re
from collections.abc import Iterator, Sequence
from email.errors import MessageError
from email.header import decode_header
from email.message import Message
from email.parser import BytesHeaderParser, BytesParser
from email.policy import Compat32
from email.utils import getaddresses
from itertools import islice

from pixel_service.domain.inbound import MAX_SUBJECT, Kind, Parsed
from pixel_service.mail.reader_text import text_of_html

MAX_READ = 1024 * 1024
#: Nested multiparts and forwarded mails, and parts altogether; people's mails have a handful.
MAX_NESTED, MAX_PARTS = 20, 300
#: Characters of one header, lines of the mail's headers, and headers of all parts together.
MAX_HEADER, MAX_HEAD, MAX_HEADERS = 2000, 1000, 3000
#: Characters of text that are kept: what a person wrote, and some of what they quoted.
MAX_TEXT = 16_000
_MAX_HTML = 200_000
_MAX_IDS = 30
_MAX_ADDRESS = 254

#: What the standard library raises over malformed mails, by its documentation and by fuzzing.
_MALFORMED = (LookupError, ValueError, TypeError, AttributeError, RecursionError, MessageError, binascii.Error)
#: Codecs that are no charset of any mail program, and slow or worse on purpose-made input.
_NO_CHARSETS = frozenset({"punycode", "idna", "unicode_escape", "raw_unicode_escape", "utf_7", "undefined", "mbcs"})
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u0080-\u009f\ud800-\udfff]")
_HEADER_LINE = re.compile(rb"^[!-9;-~]+:", re.MULTILINE)
_MESSAGE_ID = re.compile(r"<([^<>\s]{1,200})>")
_AUTO_RESPONDERS = ("List-Id", "X-Autoreply", "X-Autorespond", "X-Autoresponder", "X-Auto-Reply")


class _Bounded(Compat32):
    """Headers are cut before anything looks into them, in every part."""

    def header_source_parse(self, sourcelines: Sequence[str]) -> tuple[str, str]:
        name, value = super().header_source_parse(list(sourcelines))
        return name, value[:MAX_HEADER]


_POLICY = _Bounded()


def parse(raw: bytes, envelope_from: str | None, envelope_to: Sequence[str]) -> Parsed:
    """`envelope_from` is empty for a mail that must not be answered, None when whoever hands it over does not know."""
    message, whole = _structure(raw[:MAX_READ])
    text, readable = _text(message) if whole else ("", False)
    subject, subject_readable = _header(message, "Subject")
    return_path = envelope_from if envelope_from is not None else message.get("Return-Path")
    return Parsed(
        message_id=next(_ids(message, "Message-ID"), ""),
        sender=next(_addresses(_raw(message, "From")), "")[:_MAX_ADDRESS],
        subject=" ".join(_clean(subject).split())[:MAX_SUBJECT],
        date=_clean(_raw(message, "Date")),
        text=text,
        recipients=tuple(_recipients(message, envelope_to)),
        references=tuple(_references(message)),
        kind=_kind(message),
        auto_submitted=_raw(message, "Auto-Submitted").partition(";")[0].strip().lower(),
        precedence=_raw(message, "Precedence").strip().lower(),
        has_machine_header=any(name in message for name in _AUTO_RESPONDERS),
        has_empty_return_path=return_path is not None and str(return_path).strip() in {"", "<>"},
        broken=not (whole and readable and subject_readable),
    )


def _structure(raw: bytes) -> tuple[Message, bool]:
    """The mail with its parts, or its headers alone and False."""
    lowered, head = raw.lower(), re.split(rb"\r?\n\r?\n", raw, maxsplit=1)[0].split(b"\n", MAX_HEAD)
    nested = lowered.count(b"boundary") + lowered.count(b"message/")
    few = nested <= MAX_NESTED and raw.count(b"\n--") <= MAX_PARTS and len(head) <= MAX_HEAD
    if few and not any(islice(_HEADER_LINE.finditer(raw), MAX_HEADERS, None)):
        try:
            return BytesParser(policy=_POLICY).parsebytes(raw), True
        except _MALFORMED:
            pass
    try:
        return BytesHeaderParser(policy=_POLICY).parsebytes(b"\n".join(head[:MAX_HEAD])), False
    except _MALFORMED:
        return Message(policy=_POLICY), False


# --- headers ------------------------------------------------------------------


def _raw(message: Message, name: str) -> str:
    return str(message.get(name, ""))


def _header(message: Message, name: str) -> tuple[str, bool]:
    """With its encoded words decoded, and whether they could be."""
    value, readable, parts = _raw(message, name), True, []
    try:
        found = decode_header(value)
    except _MALFORMED:
        return value, False
    for part, charset in found:
        if isinstance(part, str):
            parts.append(part)
        else:
            text, fine = _decoded(part, charset or "us-ascii")
            parts.append(text)
            readable = readable and fine
    return "".join(parts), readable


def _ids(message: Message, *names: str) -> Iterator[str]:
    for name in names:
        yield from (_clean(found) for found in _MESSAGE_ID.findall(_raw(message, name)))


def _references(message: Message) -> Iterator[str]:
    """In-Reply-To names the mail that is answered; References ends with it and goes back from there."""
    yield from list(_ids(message, "In-Reply-To"))[:_MAX_IDS]
    yield from list(_ids(message, "References"))[::-1][:_MAX_IDS]


def _recipients(message: Message, envelope_to: Sequence[str]) -> Iterator[str]:
    yield from (_clean(address).strip("<>").lower()[:MAX_HEADER] for address in envelope_to[:_MAX_IDS])
    for name in ("Delivered-To", "X-Original-To", "To", "Cc"):
        yield from (address.lower() for address in _addresses(_raw(message, name)))


def _addresses(value: str) -> Iterator[str]:
    try:
        found = getaddresses([value])[:_MAX_IDS]
    except _MALFORMED:
        return
    yield from (_clean(address) for _, address in found if address)


def _kind(message: Message) -> Kind:
    if message.get_content_type() != "multipart/report":
        return Kind.LETTER
    try:
        of_what = str(message.get_param("report-type", "")).lower()
    except _MALFORMED:
        of_what = ""
    return Kind.READ_RECEIPT if of_what == "disposition-notification" else Kind.REPORT


# --- text ---------------------------------------------------------------------


def _text(message: Message) -> tuple[str, bool]:
    """The first plain text, else the first HTML as a reader would see it."""
    for wanted in ("text/plain", "text/html"):
        for part in _parts(message):
            if part.get_content_type() == wanted and not _is_attachment(part):
                text, readable = _content(part)
                shown = text_of_html(text[:_MAX_HTML]) if wanted == "text/html" else text
                return _clean(shown.replace("\r\n", "\n").replace("\r", "\n"))[:MAX_TEXT], readable
    return "", True


def _parts(message: Message) -> Iterator[Message]:
    """Not those of a forwarded mail: they are somebody else's words."""
    if not message.is_multipart():
        yield message
    elif message.get_content_maintype() == "multipart":
        for part in message.get_payload():
            if isinstance(part, Message):
                yield from _parts(part)


def _is_attachment(part: Message) -> bool:
    return _raw(part, "Content-Disposition").strip().lower().startswith("attachment")


def _content(part: Message) -> tuple[str, bool]:
    try:
        payload = part.get_payload(decode=True)
        charset = str(part.get_param("charset", "us-ascii"))
    except _MALFORMED:
        return "", False
    text, readable = _decoded(payload if isinstance(payload, bytes) else b"", charset)
    return text, readable and not part.defects


def _decoded(octets: bytes, charset: str) -> tuple[str, bool]:
    """Text that claims to be ASCII and is UTF-8 is read as what it is; anything else that does not fit is not believed."""
    try:
        name = codecs.lookup(charset.strip().strip("'\"")).name
        if name.replace("-", "_") not in _NO_CHARSETS:
            return octets.decode("utf-8" if name == "ascii" else name), True
    except _MALFORMED:
        pass
    return octets.decode("utf-8", errors="replace"), False


def _clean(text: str) -> str:
    """Without what a database refuses or a terminal obeys."""
    return _CONTROL.sub("", text)
