"""A finished mail with holes: static parts encoded once, values of a recipient filled in by joining bytes."""

import hashlib
import html
from dataclasses import dataclass

from pixel_service.mail import mime
from pixel_service.mail.content import Rendered
from pixel_service.mail.html import append
from pixel_service.mail.loads import css_of, foreign_loads, strip_foreign_pixels
from pixel_service.mail.markup import tokens
from pixel_service.mail.personal import STAND_INS, place_of
from pixel_service.mail.pixel_place import place_pixel
from pixel_service.mail.plain_text import text_of

#: The stand-in for the URL of the pixel; the last one, far from those that templates get.
PIXEL = "\U0010fffd"
#: A recipient's value in the size of the HTML: most are links.
_USUAL_VALUE = 80


@dataclass(frozen=True, slots=True)
class Finished:
    """What a reader gets, with stand-ins."""

    subject: str
    html: str
    text: str
    foreign_pixels: int

    @property
    def html_size(self) -> int:
        """Bytes as a mail program counts them, before the transfer encoding."""
        values = len(STAND_INS.findall(self.html))
        return len(self.html.encode()) + values * (_USUAL_VALUE - len(PIXEL.encode()))


@dataclass(frozen=True, slots=True)
class _Slot:
    position: int
    #: which stand-in
    place: int


@dataclass(frozen=True, slots=True)
class Mold:
    """`boundary` can not occur in the body: quoted-printable writes every equals sign as ``=3D``."""

    subject: tuple[str | int, ...]
    #: the header field when no value is part of it
    fixed_subject: bytes | None
    boundary: str
    pieces: tuple[bytes, ...]
    in_text: tuple[_Slot, ...]
    in_html: tuple[_Slot, ...]

    @property
    def content_type(self) -> bytes:
        return f'Content-Type: multipart/alternative;\r\n boundary="{self.boundary}"\r\n\r\n'.encode("ascii")

    def subject_for(self, texts: list[str]) -> str:
        return "".join(part if isinstance(part, str) else texts[part] for part in self.subject)

    def body_for(self, texts: list[str], pixel_url: str | None) -> bytes:
        pieces = list(self.pieces)
        for slot in self.in_text:
            pieces[slot.position] = mime.quoted_printable(texts[slot.place])
        encoded: dict[int, bytes] = {}
        if pixel_url is not None:
            encoded[place_of(PIXEL)] = mime.quoted_printable(html.escape(pixel_url))
        for slot in self.in_html:
            value = encoded.get(slot.place)
            if value is None:
                value = encoded[slot.place] = mime.quoted_printable(html.escape(texts[slot.place]))
            pieces[slot.position] = value
        return b"".join(pieces)


def loads_of(finished: Finished, own_host: str) -> tuple[str, ...]:
    """What a mail program fetches; with a style sheet that fetches something, everything it could go by."""
    document = finished.html
    urls = [document[load.token.start : load.token.end] for load in foreign_loads(document, own_host)]
    if not any("url(" in css or "@import" in css or "image-set(" in css for css in css_of(document)):
        return tuple(urls)
    return tuple(document[token.start : token.end] for token in tokens(document) if token.kind != "text")


def finish(rendered: Rendered, *, tracked: bool, own_host: str, strip: bool) -> Finished:
    document = rendered.html
    stripped, foreign = strip_foreign_pixels(document, own_host)
    if strip:
        document = stripped
    if rendered.footer_html:
        document = append(document, rendered.footer_html)
    text = text_of(document) if rendered.text is None else rendered.text + rendered.footer_text
    if tracked:
        document = place_pixel(document, PIXEL)
    return Finished(rendered.subject, document.strip() + "\n", mime.clean_lines(text).strip() + "\n", foreign)


def mold(finished: Finished) -> Mold:
    boundary = "=_" + hashlib.sha256((finished.text + finished.html).encode()).hexdigest()[:24]
    pieces: list[bytes] = [_part_head(boundary, "plain")]
    in_text = _add(pieces, finished.text)
    pieces.append(_part_head(boundary, "html"))
    in_html = _add(pieces, finished.html)
    pieces.append(f"--{boundary}--\r\n".encode("ascii"))
    subject = tuple(place_of(part) if STAND_INS.fullmatch(part) else part for part in _split(finished.subject))
    fixed = None if STAND_INS.search(finished.subject) else subject_field(finished.subject)
    return Mold(subject, fixed, boundary, tuple(pieces), in_text, in_html)


def subject_field(value: str) -> bytes:
    return mime.folded("Subject", mime.subject(value))


def _part_head(boundary: str, kind: str) -> bytes:
    return (
        f"--{boundary}\r\nContent-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    ).encode("ascii")


def _add(pieces: list[bytes], text: str) -> tuple[_Slot, ...]:
    slots: list[_Slot] = []
    for part in _split(text):
        if STAND_INS.fullmatch(part):
            slots.append(_Slot(len(pieces), place_of(part)))
            pieces.append(b"")
        else:
            pieces.append(mime.quoted_printable(part))
    return tuple(slots)


def _split(text: str) -> list[str]:
    parts: list[str] = []
    position = 0
    for found in STAND_INS.finditer(text):
        parts += [text[position : found.start()], found[0]]
        position = found.end()
    return [part for part in [*parts, text[position:]] if part]
