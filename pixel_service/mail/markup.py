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
UNSEEN = RAW | names("head template select datalist svg math object video audio canvas map dialog")
#: Elements that a second one of the same name closes.
SELF_CLOSING = names("p li td th tr dt dd option")

# As HTML 13.2.5 reads them: a quotation mark may be part of a name, and other blanks than these five are no blanks.
# Possessive throughout: a tag without an end is found out in one pass.
_SPACE = r" \t\n\r\f"
_NAME = rf"(?:=[^{_SPACE}/>=]*+|[^{_SPACE}/>=]++)"
_VALUE = rf"""(?:"[^"]*+"|'[^']*+'|[^{_SPACE}>"'][^{_SPACE}>]*+)"""
_TAG = re.compile(
    rf"<(/?)([a-zA-Z][^{_SPACE}/>]*+)((?:[{_SPACE}/]++|{_NAME}(?:[{_SPACE}]*+=[{_SPACE}]*+{_VALUE})?+)*+)>"
)
ATTRIBUTE = re.compile(rf"({_NAME})(?:[{_SPACE}]*+=[{_SPACE}]*+({_VALUE}))?+")
_BEGINS = re.compile(r"<(?:[!?]|/?[a-zA-Z])")
_NO_FONT_SIZE = re.compile(r"(?:^|;)font-size:0(?:[a-z%]*)(?:;|!|$)")
_FONT_SIZE = re.compile(r"(?:^|;)font(?:-size)?:")
_HIDING = re.compile(
    r"(?:^|;)(?:display:none|visibility:(?:hidden|collapse)|(?:max-)?(?:height|width):0(?![\d.]*[1-9])"
    r"|opacity:0?(?:\.0+)?(?:;|!|$)|opacity:0(?:;|!|$)|mso-hide:all|(?:left|top|right|bottom|text-indent):-\d{3}"
    r"|margin(?:-left|-top)?:-\d{3}|clip:rect\((?:[01](?:px)?,?)*\)|clip-path:inset\((?:50|100)%"
    r"|transform:scale[xy]?\(0[,)])"
)
_SMALL = re.compile(r"(?:^|;)(?:max-)?(width|height):[0-3](?:\.\d+)?(?:px|pt)?(?=;|!|$)")
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
    #: hidden by its style, or inside of such an element; not by what it is or is called
    styled_away: bool
    #: it or one around it is a few pixels wide and high
    small: bool


class Seen(NamedTuple):
    token: Token
    #: the open elements around the token, outermost first; valid until the next step
    stack: list[Element]
    #: part of what the reader sees: text in a visible place, or an element that is not hidden
    visible: bool


def tokens(source: str) -> Iterator[Token]:
    """All of `source`, without gaps."""
    position, text_from = 0, 0
    while begins := _BEGINS.search(source, position):
        start = begins.start()
        token = _markup_at(source, start)
        if token is None:
            break  # never ends: to a parser, too, there is nothing more
        if text_from < start:
            yield Token("text", text_from, start, "", "")
        yield token
        position = text_from = token.end
        if token.kind == "open" and token.name in RAW:
            position = _end_of_raw(source, token)
    if text_from < len(source):
        yield Token("text", text_from, len(source), "", "")


def tokens_for_all(source: str) -> Iterator[Token]:
    """The same with what stands in conditional comments, which Outlook reads."""
    for token in tokens(source):
        yield token
        if token.kind == "comment" and source.startswith("<!--[if", token.start):
            for inner in tokens(source[token.start + 4 : token.end]):
                yield inner._replace(start=inner.start + token.start + 4, end=inner.end + token.start + 4)


def _markup_at(source: str, start: int) -> Token | None:
    if source.startswith("<!--", start):
        end = end_of_comment(source, start)
        return Token("comment", start, end, "", "")
    if source.startswith(("<!", "<?"), start):
        end = source.find(">", start)
        return None if end < 0 else Token("comment", start, end + 1, "", "")
    found = _TAG.match(source, start)
    if found is None:
        return None
    return Token("close" if found[1] else "open", start, found.end(), found[2].lower(), found[3])


def end_of_comment(source: str, start: int) -> int:
    """``<!-->`` is a whole one."""
    end = source.find("-->", start + 2)
    return len(source) if end < 0 else end + 3


def _end_of_raw(source: str, token: Token) -> int:
    closing = re.compile(rf"</{re.escape(token.name)}[\s/>]", re.IGNORECASE).search(source, token.end)
    return closing.start() if closing else len(source)


def attributes(inside: str) -> dict[str, str]:
    """Names in lower case, character references resolved; of equal names the first counts."""
    found: dict[str, str] = {}
    for name, value in ATTRIBUTE.findall(inside):
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
    hidden, tiny, away = (parent.hidden, parent.tiny, parent.styled_away) if parent else (False, False, False)
    given = attributes(token.inside) if token.inside else {}
    style = style_of(given)
    if _FONT_SIZE.search(style):
        tiny = bool(_NO_FONT_SIZE.search(style))
    away = away or is_styled_away(given, style)
    hidden = (
        hidden
        or away
        or token.name in UNSEEN
        or bool(_HIDING_NAME.search(f"{given.get('class', '')} {given.get('id', '')}"))
    )
    small = (parent is not None and parent.small) or _is_small(style)
    return Element(token.name, token.start, hidden, tiny, away, small)


def _is_small(style: str) -> bool:
    return bool(style) and all(side in style for side in ("width:", "height:")) and len(set(_SMALL.findall(style))) == 2


def is_styled_away(given: dict[str, str], style: str) -> bool:
    return "hidden" in given or bool(style and _HIDING.search(style))


def is_blank(text: str) -> bool:
    """Whether a reader sees nothing: blank space, zero-width characters and the fillers preheaders are padded with."""
    return all(
        character.isspace() or character == "͏" or unicodedata.category(character) in {"Cf", "Cc", "Zs"}
        for character in html.unescape(text)
    )
