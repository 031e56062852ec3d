"""The finished HTML of a mail: well-formed, CSS moved into the elements.

All functions are pure. The parser behind css-inline (html5ever) puts any shape in order first: fragments, unclosed
elements, content in the wrong part of a table. Two things it can not be given unchecked: it runs out of stack (and the
process dies) above some 10,000 nested elements, and it multiplies unclosed formatting elements; `check_size` bounds both.
"""

import re

from css_inline import CSSInliner, InlineError

from pixel_service.mail.errors import ContentInvalid
from pixel_service.mail.markup import end_of_comment, tokens

#: html5ever dies between 10,000 and 20,000 nested elements (8 MB of stack); formatting can double the count.
MOST_ELEMENTS = 5_000
#: Unclosed formatting elements are repeated in every later block, at most three equal ones each (HTML 13.2.4.3).
MOST_REPEATED = 300_000
#: Rules times elements; 10 million take about 0.3 s.
MOST_MATCHES = 10_000_000

# None of these looks across a "<", so that a thousand beginnings without an end stay a thousand short looks.
_STARTS_DOCUMENT = re.compile(r"<(?:html|head|body|frameset)[\s/>]", re.IGNORECASE)
_DOCTYPE = re.compile(r"<!doctype[^<>]*>", re.IGNORECASE)
_FRAMES = re.compile(r"</head>\s*<frameset")
_ELEMENT = re.compile(r"<[a-zA-Z]")
_FORMATTING = re.compile(r"<(?:b|big|code|em|font|i|nobr|s|small|strike|strong|tt|u)(?=[\s/>])[^>]*", re.IGNORECASE)
_NOSCRIPT = re.compile(r"</?noscript(?=[\s/>])[^<>]*>", re.IGNORECASE)
_BARE_CONDITION = re.compile(r"<!(\[if\s[^\]<>]*\])>", re.IGNORECASE)
_BARE_END = re.compile(r"<!\[endif\]>", re.IGNORECASE)

#: Rules that fit no element now (`a:hover`, `[data-ogsc] p`) and media queries stay in the style element.
_inliner = CSSInliner(
    keep_style_tags=True, remove_inlined_selectors=True, keep_at_rules=True, load_remote_stylesheets=False
)


def check_size(source: str) -> None:
    """Raises `ContentInvalid` for HTML that the parser must not be given."""
    elements = len(_ELEMENT.findall(source))
    if elements > MOST_ELEMENTS:
        raise ContentInvalid("html", f"more than {MOST_ELEMENTS} elements")
    if 3 * len(set(_FORMATTING.findall(source))) * elements > MOST_REPEATED:
        raise ContentInvalid("html", "too many different formatting elements (b, i, font ...) for its size")
    if source.count("{") * elements > MOST_MATCHES:
        raise ContentInvalid("html", "too many CSS rules for its size")


def inlined(source: str) -> str:
    """A complete, well-formed document with the CSS in the elements. Linked style sheets are dropped, never loaded."""
    check_size(source)
    source = _normalised_around_comments(source)
    # Without this, a conditional comment that opens a fragment would end up before <html>, away from its table.
    if not _STARTS_DOCUMENT.search(source):
        source = f'<html><head><meta charset="utf-8"></head><body>{_DOCTYPE.sub("", source)}</body></html>'
    if not _DOCTYPE.search(source):
        source = f"<!DOCTYPE html>{source}"
    try:
        document = _inliner.inline(source)
    except InlineError as error:
        raise ContentInvalid("html", f"its CSS can not be read: {error}") from error
    if _FRAMES.search(document):
        raise ContentInvalid("html", "a mail has no frames")
    # To the parser its content is text, to a mail program it is not: nothing here would know what it shows.
    if "<noscript" in document and any(token.name == "noscript" for token in tokens(document)):
        raise ContentInvalid("html", "<noscript> where it can not be taken out")
    return document


def _normalised_around_comments(source: str) -> str:
    parts: list[str] = []
    position = 0
    while (start := source.find("<!--", position)) >= 0:
        parts.append(_normalised(source[position:start]))
        position = end_of_comment(source, start)
        parts.append(source[start:position])
    return "".join([*parts, _normalised(source[position:])])


def _normalised(markup: str) -> str:
    """Conditions in the form that is a comment to a parser; no `noscript`, for a mail program runs no script."""
    markup = _BARE_CONDITION.sub(r"<!--\1><!-->", _NOSCRIPT.sub("", markup))
    return _BARE_END.sub("<!--<![endif]-->", markup)


def append(document: str, fragment: str) -> str:
    """`fragment` as the last thing of the body."""
    position = end_of_body(document)
    return document[:position] + fragment + document[position:]


def end_of_body(document: str) -> int:
    ends = {token.name: token.start for token in tokens(document) if token.kind == "close"}
    return ends.get("body", ends.get("html", len(document)))
