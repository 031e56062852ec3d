"""The text part of a mail whose author wrote only HTML: what a reader sees, in order, with every link kept."""

import html
import re

from pixel_service.mail.markup import Seen, Token, attributes, names, walk

_BLANK = re.compile(r"[ \t\r\n\f]+")
_PARAGRAPH = names("p h1 h2 h3 h4 h5 h6 ul ol dl table blockquote pre article section header footer form")
_LINE = names("div tr li dt dd center address figure figcaption main nav fieldset caption")
_KEPT_LINKS = ("http:", "https:", "mailto:", "tel:")


class _Writer:
    """Collects words and decides about blank space when the next word comes."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self._breaks = 0
        self._space = False
        self._at_start = True

    def add(self, text: str) -> None:
        words = _BLANK.sub(" ", text)
        if not words.strip(" "):
            self._space = self._space or bool(words)
            return
        if self._breaks and not self._at_start:
            self.parts.append("\n" * self._breaks)
        elif not self._at_start and (self._space or words[0] == " "):
            self.parts.append(" ")
        self.parts.append(words.strip(" "))
        self._breaks, self._space, self._at_start = 0, words[-1] == " ", False

    def end_line(self, lines: int = 1) -> None:
        self._breaks, self._space = max(self._breaks, lines), False

    def add_break(self) -> None:
        self._breaks, self._space = min(self._breaks + 1, 3), False

    def mark(self, bullet: str) -> None:
        """A bullet that the next word follows on the same line."""
        self.add(bullet)
        self._space = True


class _Links:
    """Open links: where their label began in the written parts."""

    def __init__(self, writer: _Writer) -> None:
        self._writer = writer
        self._open: list[tuple[str, int]] = []

    def begin(self, token: Token) -> None:
        self._open.append((attributes(token.inside).get("href", "").strip(), len(self._writer.parts)))

    def end(self) -> None:
        if not self._open:
            return
        url, since = self._open.pop()
        label = "".join(self._writer.parts[since:]).strip()
        if not _is_kept(url):
            return
        shown = url.removeprefix("mailto:").removeprefix("tel:")
        if label != shown:
            self._writer.add(f" <{shown}>" if label else shown)


def _is_kept(url: str) -> bool:
    # A link that is filled in per recipient begins with a stand-in, which is not ASCII.
    return bool(url) and (url.lower().startswith(_KEPT_LINKS) or not url[0].isascii())


def text_of(document: str) -> str:
    """Lines are not wrapped: mail programs do that, and a wrapped line breaks links."""
    writer = _Writer()
    links = _Links(writer)
    numbers: list[int | None] = []
    for seen in walk(document):
        token = seen.token
        if token.kind == "text":
            if seen.visible:
                writer.add(html.unescape(document[token.start : token.end]))
        elif token.kind == "open" and seen.visible:
            _open(seen, writer, links, numbers)
        elif token.kind == "close":
            _close(token.name, writer, links, numbers)
    return "".join(writer.parts)


def _open(seen: Seen, writer: _Writer, links: _Links, numbers: list[int | None]) -> None:
    token = seen.token
    _space_around(token.name, writer)
    match token.name:
        case "a":
            links.begin(token)
        case "br":
            writer.add_break()
        case "hr":
            writer.end_line(2)
            writer.add("-" * 40)
            writer.end_line(2)
        case "img":
            writer.add(attributes(token.inside).get("alt", ""))
        case "ul" | "ol":
            numbers.append(0 if token.name == "ol" else None)
        case "li":
            _bullet(writer, numbers)


def _bullet(writer: _Writer, numbers: list[int | None]) -> None:
    last = numbers[-1] if numbers else None
    if last is None:
        writer.mark("*")
    else:
        numbers[-1] = last + 1
        writer.mark(f"{last + 1}.")


def _close(name: str, writer: _Writer, links: _Links, numbers: list[int | None]) -> None:
    if name == "a":
        links.end()
    elif name in {"ul", "ol"} and numbers:
        numbers.pop()
    _space_around(name, writer)


def _space_around(name: str, writer: _Writer) -> None:
    if name in _PARAGRAPH:
        writer.end_line(2)
    elif name in _LINE:
        writer.end_line()
    elif name in {"td", "th"}:
        writer.add(" ")
