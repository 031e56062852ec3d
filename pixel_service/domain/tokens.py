"""Link and pixel tokens: opaque, purpose-bound, lower-case base32, nothing stored (S10, P2).

A link token is AES-SIV (RFC 5297) over its expiry and subject with the link's purpose as associated data: it can not be
read, altered, or used under another purpose, and two links to one person share no visible id. A pixel token is a random
128-bit pixel id and a truncated HMAC-SHA-256, so that a forgery is known without asking the database.
The first key mints; every key reads (rotation). Single use comes from state, never from a table of spent tokens.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from pixel_service.domain.messages import PixelId

_LETTERS = b"abcdefghijklmnopqrstuvwxyz234567"
#: Longest token a URL may carry; the longest minted one is about 150 characters.
MAX_LENGTH = 300
#: Bytes of HMAC in a pixel token. 80 bit: online guessing only, each guess a request that learns nothing.
_PIXEL_MAC = 10
_PIXEL_ID = 16
#: Stands in for what is no token, as bytes and as letters.
_NO_PIXEL = bytes(_PIXEL_ID + _PIXEL_MAC)
_NO_PIXEL_TOKEN = "a" * 42
#: Letters of a pixel token that are its id alone. The next one begins with the last 3 bits of the id, and 2 of the MAC follow.
_PIXEL_LETTERS = 25
_WITHOUT_MAC = {chr(letter): chr(_LETTERS[at & 0b11100]) for at, letter in enumerate(_LETTERS)}
_MIN_KEY = 32
#: Base32 letters as the digits that `int` reads, everything else as none: one call in C, 2 µs instead of 39 by base64.
_DIGITS = bytes(b"0123456789abcdefghijklmnopqrstuv"[at] if at >= 0 else 33 for at in map(_LETTERS.find, range(256)))


class Link(StrEnum):
    """What a link is for; part of what is authenticated, so tokens never cross purposes."""

    CONFIRM = "confirm"
    #: Ask for the confirmation mail once more; shown to whoever typed the address.
    SEND_AGAIN = "send-again"
    PREFERENCES = "preferences"
    UNSUBSCRIBE = "unsubscribe"
    STOP_TRACKING = "stop-tracking"
    DOWNLOAD = "download"
    #: The page of one's own data; mailed when asked for, never part of any other mail.
    PRIVACY = "privacy"
    #: Confirm that one's new address is one's own; mailed there.
    NEW_ADDRESS = "new-address"


@dataclass(frozen=True, slots=True)
class Read:
    """A genuine token: who or what it is about, and whether it is past its time."""

    subject: str
    expired: bool


class Tokens:
    """Mints and reads tokens under a list of secret keys (each at least 32 bytes, newest first)."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys or any(len(key) < _MIN_KEY for key in keys):
            raise ValueError(f"token keys: at least one, each of {_MIN_KEY} bytes or more")
        self._keys = tuple(keys)
        self._links = tuple(AESSIV(_derive(key, "links", 64)) for key in keys)
        self._pixels = tuple(_derive(key, "pixels", 32) for key in keys)
        self._codes = tuple(_derive(key, "codes", 32) for key in keys)

    def mint(self, link: Link, subject: str, *, expires_at: datetime | None = None) -> str:
        """`expires_at` None: valid for ever, as a withdrawal link in any mail ever sent must be (W1)."""
        expiry = int(expires_at.timestamp()) if expires_at else 0
        plain = expiry.to_bytes(5, "big") + subject.encode()
        return _encode(self._links[0].encrypt(plain, [link.encode()]))

    def read(self, link: Link, token: str, *, now: datetime) -> Read | None:
        """None for anything that was not minted for this purpose by these keys."""
        sealed = _decode(token)
        if sealed is None:
            return None
        for cipher in self._links:
            try:
                plain = cipher.decrypt(sealed, [link.encode()])
            except (InvalidTag, ValueError):
                continue
            expiry = int.from_bytes(plain[:5], "big")
            expired = expiry != 0 and now >= datetime.fromtimestamp(expiry, UTC)
            return Read(plain[5:].decode(), expired)
        return None

    def mint_pixel(self, pixel_id: PixelId) -> str:
        raw = id_bytes(pixel_id)
        return _encode(raw + _pixel_mac(self._pixels[0], raw))

    def read_pixel(self, token: str) -> PixelId | None:
        """Constant work per key; None for a forged or garbled token."""
        raw = _decode(token)
        is_whole = raw is not None and len(raw) == _PIXEL_ID + _PIXEL_MAC
        if raw is None or not is_whole:
            # What is no token takes as long as a forged one.
            raw, token = _NO_PIXEL, _NO_PIXEL_TOKEN
        body, mac = raw[:_PIXEL_ID], raw[_PIXEL_ID:]
        genuine = [hmac.compare_digest(_pixel_mac(key, body), mac) for key in self._pixels]
        # What `_encode(body)` gives, without encoding.
        pixel_id = PixelId(token[:_PIXEL_LETTERS] + _WITHOUT_MAC[token[_PIXEL_LETTERS]])
        return pixel_id if is_whole and any(genuine) else None

    def code(self, subject: str) -> str:
        """Six digits a person can copy from a mail; always the same for one subject. Guesses must be counted."""
        return _code(self._codes[0], subject)

    def is_code(self, subject: str, typed: str) -> bool:
        """Blanks in between are forgiven; constant work per key."""
        digits = "".join(typed.split()).encode()
        genuine = [hmac.compare_digest(_code(key, subject).encode(), digits) for key in self._codes]
        return any(genuine)

    def secrets_for(self, use: str, *, length: int = 32) -> tuple[bytes, ...]:
        """A further secret of `length` bytes per key, newest first, that tells nothing about links and pixels or any
        other `use`: HKDF-SHA-256 (RFC 5869)."""
        info = f"pixel-service {use}".encode()
        return tuple(HKDF(hashes.SHA256(), length=length, salt=None, info=info).derive(key) for key in self._keys)


def encode_id(raw: bytes) -> str:
    """16 random bytes as the 26 characters every id of this service is written in."""
    return _encode(raw)


def id_bytes(identifier: str) -> bytes:
    raw = _decode(identifier)
    if raw is None or len(raw) != _PIXEL_ID:
        raise ValueError("not an id of this service")
    return raw


def _derive(key: bytes, use: str, length: int) -> bytes:
    return hashlib.shake_256(b"pixel-service\0" + use.encode() + b"\0" + key).digest(length)


def _pixel_mac(key: bytes, raw: bytes) -> bytes:
    return hmac.digest(key, raw, "sha256")[:_PIXEL_MAC]


def _code(key: bytes, subject: str) -> str:
    # Of 64 bit the remainder by a million is even to one part in 10^13.
    return f"{int.from_bytes(hmac.digest(key, subject.encode(), 'sha256')[:8], 'big') % 1_000_000:06}"


def _encode(raw: bytes) -> str:
    return base64.b32encode(raw).decode().rstrip("=").lower()


def _decode(token: str) -> bytes | None:
    """Strict: one spelling per token. One trailing ``.``, ``)`` or ``>`` that a mail client linkified is forgiven."""
    if token[-1:] in (".", ")", ">"):
        token = token[:-1]
    if not token or len(token) > MAX_LENGTH or not token.isascii():
        return None
    try:
        number = int(token.encode().translate(_DIGITS), 32)
    except ValueError:
        return None
    # Letters carry 5 bits: what is left over after whole bytes must be less than a letter, and zero.
    size, spare = divmod(len(token) * 5, 8)
    if spare > 4 or number & ((1 << spare) - 1):
        return None
    return (number >> spare).to_bytes(size, "big")
