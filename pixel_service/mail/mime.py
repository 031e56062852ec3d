"""Bytes of a mail: header fields (RFC 5322, RFC 2047) and quoted-printable text (RFC 2045 section 6.7).

The result is 7-bit, every line ends in CRLF and none is longer than 76 characters (a header line that can not be folded:
998). No CR, LF or NUL of a value survives, and no body line begins with a dot or "From ", so there is nothing an SMTP
server could take for the end of the mail. Encoded pieces of a body may be joined in any number: each begins at the
start of a line.
"""

import base64
import re
from email.utils import quote

from email_validator import EmailNotValidError, validate_email

_LINE = 76
_LONGEST_HEADER_LINE = 998
#: RFC 5321 4.5.3.1.3
_LONGEST_ADDRESS = 254

_SAFE = frozenset(range(33, 127)) - {ord("=")} | {ord(" "), ord("\t")}
_ENCODED = {octet: f"={octet:02X}" for octet in range(256) if octet not in _SAFE}
_NEEDS_NO_ENCODING = re.compile(r"[A-Za-z0-9/:,!?+_@-][A-Za-z0-9/:.,!?+_@ -]{0,69}(?<! )")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_CONTROL_BUT_LINES = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff]")
_LINE_ENDS = re.compile(r"\r\n|[\r\n\x85\u2028\u2029]")

_FIELD_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,75}")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_ADDRESS = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?"
)
_Q_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")
_Q_ENCODED = {octet: f"={octet:02X}" for octet in range(256) if octet not in _Q_SAFE} | {ord(" "): "_"}
#: RFC 2047 section 2 allows 75 with ``=?utf-8?q?`` and ``?=``, in lines of 76: this leaves room for ``Subject: `` too.
_IN_ENCODED_WORD = 52


def one_line(value: str) -> str:
    """`value` without control characters and line ends: each becomes a space."""
    return _CONTROL.sub(" ", value)


def clean_lines(value: str) -> str:
    """Line ends become LF, other control characters but tab a space."""
    return _CONTROL_BUT_LINES.sub(" ", _LINE_ENDS.sub("\n", value))


def quoted_printable(text: str) -> bytes:
    """A piece of a body: begins at the start of a line and leaves the next piece there, by a soft break if need be."""
    if _NEEDS_NO_ENCODING.fullmatch(text) and not text.startswith("From "):
        return f"{text}=\r\n".encode("ascii")
    *lines, last = clean_lines(text).split("\n")
    encoded = [
        *(_encoded_line(line) + "\r\n" for line in lines),
        f"{_encoded_line(last, ends=False)}=\r\n" if last else "",
    ]
    return "".join(encoded).encode("ascii")


def _encoded_line(line: str, *, ends: bool = True) -> str:
    encoded = line.encode().decode("latin-1").translate(_ENCODED)
    if ends and encoded[-1:] in {" ", "\t"}:
        encoded = f"{encoded[:-1]}={ord(encoded[-1]):02X}"
    parts: list[str] = []
    position = 0
    while True:
        start = _at_line_start(encoded[position : position + 1])
        # One character is kept for the equals sign of a soft break.
        room = _LINE - len(start)
        if len(encoded) - position <= room:
            return "".join([*parts, start, encoded[position + 1 :]])
        end = position + room
        # An encoded octet is not split.
        end -= 1 if encoded[end - 1] == "=" else 2 if encoded[end - 2] == "=" else 0
        parts += (start, encoded[position + 1 : end], "=\r\n")
        position = end


def _at_line_start(token: str) -> str:
    # A dot could end the mail for a sloppy server, "From " begins a mail in an mbox file.
    return f"={ord(token):02X}" if token in {".", "F"} else token


def header(name: str, value: str) -> bytes:
    """One header field. Raises ValueError for a name or a value that can not stand in one."""
    if not _FIELD_NAME.fullmatch(name):
        raise ValueError("not a header name")
    if _CONTROL.search(value):
        raise ValueError(f"the header {name} holds a control character")
    return folded(name, encoded_words(value))


def folded(name: str, value: str) -> bytes:
    """Breaks only at spaces; `value` is ASCII without control characters."""
    lines: list[str] = []
    line = f"{name}:"
    for word in value.split(" "):
        if len(line) + 1 + len(word) > _LINE and line.strip() and line != f"{name}:":
            lines.append(line)
            line = ""
        line = f"{line} {word}"
    lines.append(line)
    if any(len(line) > _LONGEST_HEADER_LINE for line in lines):
        raise ValueError(f"the header {name} has a part that is too long for a line")
    return ("\r\n".join(lines) + "\r\n").encode("ascii")


def encoded_words(value: str) -> str:
    """ASCII for any text: from the first word that needs it to the last, RFC 2047 encoded; runs of blanks become one."""
    words = value.split()
    needing = [at for at, word in enumerate(words) if not word.isascii() or "=?" in word]
    if not needing:
        return " ".join(words)
    first, last = needing[0], needing[-1] + 1
    return " ".join([*words[:first], *_encode(" ".join(words[first:last])), *words[last:]])


def subject(value: str) -> str:
    """As `encoded_words`; a word too long for a line is encoded, for an encoded one can be split."""
    words = one_line(value).split()
    if any(len(word) > _LINE - len("Subject: ") for word in words):
        return " ".join(_encode(" ".join(words)))
    return encoded_words(" ".join(words))


def mailbox(name: str | None, address: str) -> str:
    """``Name <address>`` for From, To and Reply-To. Raises ValueError as `ascii_address` does."""
    address = ascii_address(address)
    shown = " ".join(one_line(name or "").split())
    if not shown:
        return address
    if not shown.isascii() or "=?" in shown or len(shown) > _IN_ENCODED_WORD:
        return " ".join([*_encode(shown), f"<{address}>"])
    return f"{shown if _ATOMS.fullmatch(shown) else _quoted(shown)} <{address}>"


def ascii_address(address: str) -> str:
    """The address with its domain as servers know it (``xn--``). Raises ValueError when it is not one plain address
    that every server takes: what stands before the @ must be ASCII, for few relays speak SMTPUTF8."""
    if not address.isascii():
        try:
            address = validate_email(address, check_deliverability=False).ascii_email or ""
        except EmailNotValidError:
            address = ""
    if len(address) > _LONGEST_ADDRESS or not _ADDRESS.fullmatch(address):
        raise ValueError("not an address that can stand in a header")
    return address


def _quoted(name: str) -> str:
    return f'"{quote(name)}"'


def _encode(text: str) -> list[str]:
    """Encoded words; none splits a character. Q for mostly Latin text: it stays readable and is shorter."""
    octets = text.encode()
    as_q = len(_q(octets)) * 3 <= len(octets) * 4
    words: list[str] = []
    start = width = 0
    for at, character in enumerate(text):
        length = len(_q(character.encode())) if as_q else len(character.encode())
        if width + length > (_IN_ENCODED_WORD if as_q else _IN_ENCODED_WORD // 4 * 3):
            words.append(_encoded_word(text[start:at], as_q=as_q))
            start, width = at, 0
        width += length
    return [*words, _encoded_word(text[start:], as_q=as_q)]


def _encoded_word(text: str, *, as_q: bool) -> str:
    octets = text.encode()
    return f"=?utf-8?q?{_q(octets)}?=" if as_q else f"=?utf-8?b?{base64.b64encode(octets).decode('ascii')}?="


def _q(octets: bytes) -> str:
    return octets.decode("latin-1").translate(_Q_ENCODED)
