"""Where the pixel stands in the HTML of a mail (D5).

Inside the first block with visible text, right before it, and never the first node of the body. Gmail cuts mails at
102 KB, so the end is no place; some Outlook previews show a first node; in a link it would be clickable; in a part that
only some clients see (`<!--[if !mso]><!-->`) it would not load in the others; in a table it has to be in a cell. Text
comes before pictures, because beside a picture that is a block (a logo) the pixel would open a visible empty line.
"""

import html
import re

from pixel_service.mail.html import end_of_body
from pixel_service.mail.loads import is_tiny
from pixel_service.mail.markup import INLINE, Element, Seen, attributes, is_blank, walk

#: Text this far below the first picture is not what a reader sees first.
_FAR = 30_000
#: A text that is the first node of the body is cut behind its first words when it is longer.
_FIRST_WORDS = 200
_TABLE_PARTS = frozenset(("table", "tbody", "thead", "tfoot", "tr", "colgroup"))
_CLICKABLE = frozenset(("a", "button"))
_NOT_IN_BODY = frozenset(("head", "title", "style", "script", "meta", "link", "base"))


def place_pixel(document: str, url: str) -> str:
    """`document` with one 1x1 image, not hidden: filters look for hidden ones."""
    pixel = f'<img src="{html.escape(url)}" width="1" height="1" alt="">'
    position = _Search(document, pictures=False).run()
    if position is None:
        position = _Search(document, pictures=True).run()
    if position is None:
        position = end_of_body(document)
    return document[:position] + pixel + document[position:]


class _Search:
    """One pass over a document, for the first text, or the first text or picture."""

    def __init__(self, document: str, *, pictures: bool) -> None:
        self._document = document
        self._pictures = pictures
        self._first_node: int | None = None
        self._first_seen: int | None = None
        self._only_for_some = False
        #: a place that only some clients see
        self._fallback: int | None = None
        #: the place is behind the element at this depth
        self._behind: int | None = None

    def run(self) -> int | None:
        for seen in walk(self._document):
            token = seen.token
            if self._behind is not None:
                if token.kind == "close" and len(seen.stack) <= self._behind:
                    return token.end
            elif token.kind == "comment":
                self._note_condition(self._document[token.start : token.end].lower())
            else:
                position = self._look_at(seen)
                if position is not None:
                    return position
        return self._fallback

    def _note_condition(self, comment: str) -> None:
        """`<!--[if !mso]><!-->` shows what follows to some; `<!--[if mso]>...<![endif]-->` is whole in itself."""
        if "endif]" in comment:
            self._only_for_some = False
        elif comment.startswith(("<!--[if", "<![if")):
            self._only_for_some = True

    def _look_at(self, seen: Seen) -> int | None:
        if self._first_node is None and self._is_node(seen):
            self._first_node = seen.token.start
        if not self._is_content(seen) or (self._only_for_some and self._fallback is not None):
            return None
        start = seen.token.start
        if self._first_seen is None:
            self._first_seen = start
        if self._pictures or (seen.token.kind == "text" and start - self._first_seen <= _FAR):
            return self._place_at(seen)
        return None

    def _place_at(self, seen: Seen) -> int | None:
        token = seen.token
        around = seen.stack[:-1] if token.kind == "open" else seen.stack
        depth = _depth_of_block(around)
        before = around[depth].start if depth < len(around) else token.start
        if self._only_for_some:
            self._fallback = before
            return None
        if self._first_node is not None and before > self._first_node:
            return before
        if depth < len(around):
            self._behind = depth
            return None
        return token.end if token.kind == "open" else self._behind_first_words(token.start, token.end)

    def _behind_first_words(self, start: int, end: int) -> int:
        blank = re.compile(r"\s").search(self._document, start + _FIRST_WORDS, end)
        return blank.end() if blank else end

    def _is_node(self, seen: Seen) -> bool:
        """Whether this could be the first node of the body."""
        token = seen.token
        if any(element.name in _NOT_IN_BODY for element in seen.stack):
            return False
        if token.kind == "text":
            return not self._document[token.start : token.end].isspace()
        return token.kind == "open" and token.name not in {"html", "body"}

    def _is_content(self, seen: Seen) -> bool:
        token = seen.token
        if not seen.visible:
            return False
        if token.kind == "text":
            return not is_blank(self._document[token.start : token.end])
        return token.name == "img" and not is_tiny(attributes(token.inside))


def _depth_of_block(stack: list[Element]) -> int:
    """How many of the elements around the content also stand around the pixel."""
    depth = len(stack)
    while True:
        before = depth
        while depth and stack[depth - 1].name in INLINE:
            depth -= 1
        depth = next((at for at in range(depth) if stack[at].name in _CLICKABLE), depth)
        while depth and stack[depth - 1].name in _TABLE_PARTS:
            depth -= 1
        if depth == before:
            return depth
