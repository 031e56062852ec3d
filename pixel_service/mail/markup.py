"""HTML as a stream of tokens with positions, and what a reader would see of it.

Made for HTML that a real parser has already put in order (`html.inlined`): on anything else it still never fails and
never loops, it only knows less. Positions are offsets into the given string, so callers can insert and cut exactly.
"""

import html
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple


def names(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


VOID = names("area base br col embed hr img input link meta param source track wbr")
INLINE = names(
    "a abbr acronym b bdi bdo big button cite code del dfn em font i ins kbd label mark nobr q s samp small span strike "
    "strong sub sup tt u var"
)
#: Their content is text to a parser, whatever it looks like.
RAW = names("script style textarea title xmp noembed noframes iframe plaintext")
#: Nothing inside them is mail content.
UNSEEN = RAW | names("head template select datalist svg math object video audio canvas map")
#: Elements that a second one of the same name closes.
SELF_CLOSING = names("p li td th tr dt dd option")

_TAG = re.compile(r"""<(/?)([a-zA-Z][^\s/>]*)((?:[^>"']+|"[^"]*"|'[^']*')*+)>""")
_ATTRIBUTE = re.compile(r"""([^\s=/>"']+)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s>"']+))?""")
_NO_FONT_SIZE = re.compile(r"(?:^|;)font-size:0(?:[a-z%]*)(?:;|!|$)")
_FONT_SIZE = re.compile(r"(?:^|;)font(?:-size)?:")
_HIDING = re.compile(
    r"(?:^|;)(?:display:none|visibility:(?:hidden|collapse)|max-height:0(?:\D|$)|opacity:0?(?:\.0+)?(?:;|!|$)"
    r"|opacity:0(?:;|!|$)|mso-hide:all)"
)
_HIDING_NAME = re.compile(r"preheader|preview", re.IGNORECASE)


class Token(NamedTuple):
    """`kind` is one of ``text``, ``open``, ``close``, ``comment``; `name` is lower case and empty but for tags."""

    kind: str
    start: int
    end: int
    name: str
    #: the attributes as written
    inside: str


@dataclass(slots=True)
class Element:
    """An open element. `tiny` is font-size 0, which a descendant may undo; `hidden` is for good."""

    name: str
    start: int
    hidden: bool
    tiny: bool


class Seen(NamedTuple):
    token: Token
    #: the open elements around the token, outermost first; valid until the next step
    stack: list[Element]
    #: part of what the reader sees: text in a visible place, or an element that is not hidden
    visible: bool


def tokens(source: str) -> Iterator[Token]:
    """All of `source`, without gaps."""
    position, text_from = 0, 0
    while (start := source.find("<", position)) >= 0:
        token = _markup_at(source, start)
        if token is None:
            position = start + 1
            if source.find(">", position) < 0 and source.find("<!--", position) < 0:
                break
            continue
        if text_from < start:
            yield Token("text", text_from, start, "", "")
        yield token
        position = text_from = token.end
        if token.kind == "open" and token.name in RAW:
            position = _end_of_raw(source, token)
    if text_from < len(source):
        yield Token("text", text_from, len(source), "", "")


def _markup_at(source: str, start: int) -> Token | None:
    if source.startswith("<!--", start):
        end = source.find("-->", start + 4)
        return Token("comment", start, len(source) if end < 0 else end + 3, "", "")
    if source.startswith(("<!", "<?"), start):
        end = source.find(">", start)
        return None if end < 0 else Token("comment", start, end + 1, "", "")
    found = _TAG.match(source, start)
    if found is None:
        return None
    return Token("close" if found[1] else "open", start, found.end(), found[2].lower(), found[3])


def _end_of_raw(source: str, token: Token) -> int:
    closing = re.compile(rf"</{re.escape(token.name)}[\s/>]", re.IGNORECASE).search(source, token.end)
    return closing.start() if closing else len(source)


def attributes(inside: str) -> dict[str, str]:
    """Names in lower case, character references resolved; of equal names the first counts."""
    found: dict[str, str] = {}
    for name, value in _ATTRIBUTE.findall(inside):
        unquoted = value[1:-1] if value[:1] in {'"', "'"} else value
        found.setdefault(name.lower(), html.unescape(unquoted))
    return found


def style_of(given: dict[str, str]) -> str:
    """The style attribute in lower case without blank space, for searching."""
    return re.sub(r"\s+", "", given.get("style", "")).lower()


def walk(source: str) -> Iterator[Seen]:
    """Tokens with the elements around them. An element is on its own stack when its opening token is reported."""
    stack: list[Element] = []
    for token in tokens(source):
        if token.kind == "open":
            if token.name in SELF_CLOSING and stack and stack[-1].name == token.name:
                stack.pop()
            element = _element(token, stack[-1] if stack else None)
            stack.append(element)
            yield Seen(token, stack, not element.hidden)
            if token.name in VOID:
                stack.pop()
        elif token.kind == "close":
            _close(stack, token.name)
            yield Seen(token, stack, False)
        else:
            around = stack[-1] if stack else None
            visible = token.kind == "text" and (around is None or not (around.hidden or around.tiny))
            yield Seen(token, stack, visible)


def _close(stack: list[Element], name: str) -> None:
    for depth in range(len(stack) - 1, -1, -1):
        if stack[depth].name == name:
            del stack[depth:]
            return


def _element(token: Token, parent: Element | None) -> Element:
    hidden, tiny = (parent.hidden, parent.tiny) if parent else (False, False)
    given = attributes(token.inside) if token.inside else {}
    style = style_of(given)
    if _FONT_SIZE.search(style):
        tiny = bool(_NO_FONT_SIZE.search(style))
    hidden = (
        hidden
        or token.name in UNSEEN
        or "hidden" in given
        or bool(style and _HIDING.search(style))
        or bool(_HIDING_NAME.search(f"{given.get('class', '')} {given.get('id', '')}"))
    )
    return Element(token.name, token.start, hidden, tiny)


def is_blank(text: str) -> bool:
    """Whether a reader sees nothing: blank space, zero-width characters and the fillers preheaders are padded with."""
    return all(
        character.isspace() or character == "͏" or unicodedata.category(character) in {"Cf", "Cc", "Zs"}
        for character in html.unescape(text)
    )
