"""What a mail program fetches to show a mail, and which of that measures: other people's pixels (D4).

Works on documents that `html.inlined` has put in order, with what conditional comments hide from all but Outlook. Every
attribute that is not known to be followed only, or to be mere words, is taken for one that loads. An image without any
size is taken for a picture unless a rule could make it small.
"""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass

from pixel_service.mail.markup import ATTRIBUTE, VOID, Seen, Token, attributes, is_styled_away, style_of, tokens, walk
from pixel_service.mail.personal import STAND_INS

#: A side up to this length, in CSS pixels, shows nobody anything.
_TINY = 3.0
_PIXELS = {"em": 16.0, "rem": 16.0, "%": 4.0, "vw": 4.0, "vh": 4.0, "in": 96.0, "cm": 38.0, "mm": 3.8, "ch": 8.0}
_LENGTH = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([a-z]+|%)?")
_STYLED_LENGTH = re.compile(r"(?:^|;)(?:max-)?(width|height):([^;!]*)")
_SMALL_BY_RULE = re.compile(r"(?:width|height)\s*:\s*(?:[0-3](?:\.\d+)?\s*(?:p[xt])?\s*[;}!]|calc)|display\s*:\s*none")
_STYLES = re.compile(r"<style[^>]*>([^<]*)", re.IGNORECASE)

_WORDS = frozenset(["alt", "title", "class", "id", "name", "lang", "dir", "content", "value", "summary", "placeholder"])
_FOLLOWED = frozenset(["href", "action", "formaction", "cite", "longdesc", "ping", "usemap"])
_LINKS = frozenset(["a", "area"])
#: No picture that a reader sees, whatever size it says it has.
_UNSEEN_LOADS = frozenset(
    ["iframe", "embed", "object", "script", "link", "base", "meta", "bgsound", "audio", "frame", "track", "param"]
)
_PICTURES = frozenset(["img", "image", "input", "video", "source"])
_HOST = re.compile(r"(?:https?:[/\\]*|[/\\]{2})([^/\\?#\s\"'()<>,;]*)", re.IGNORECASE)
_CSS_COMMENT = re.compile(r"/\*[^*]*+(?:\*(?!/)[^*]*+)*+\*/")
_CSS_ESCAPE = re.compile(r"\\(?:([0-9a-fA-F]{1,6})\s?|(.))")


@dataclass(frozen=True, slots=True)
class Load:
    """One element and what it makes a mail program fetch from other hosts."""

    token: Token
    #: attributes with an URL to load
    attributes: frozenset[str]
    measures: bool


def strip_foreign_pixels(document: str, own_host: str) -> tuple[str, int]:
    """`document` without 1x1 and hidden loads from other hosts (also those in conditional comments), and their number."""
    kept: list[str] = []
    position = count = 0
    for load in foreign_loads(document, own_host):
        if load.measures:
            kept += [document[position : load.token.start], _harmless(load)]
            position, count = load.token.end, count + 1
    return "".join([*kept, document[position:]]), count


def foreign_loads(document: str, own_host: str) -> Iterator[Load]:
    shrinking = bool(_SMALL_BY_RULE.search(" ".join(css_of(document))))
    for seen in _seen_by_all(document):
        token = seen.token
        given = attributes(token.inside)
        loading = frozenset(name for name, value in given.items() if _loads(token.name, name, value, given, own_host))
        if loading:
            if token.name == "source":
                given = _picture_behind(document, token.end)
            yield Load(token, loading, _measures(seen, given, shrinking=shrinking))


def css_of(document: str) -> list[str]:
    """The contents of style elements without escapes and comments."""
    return [plain_css(html.unescape(css)) for css in _STYLES.findall(document)]


def plain_css(css: str) -> str:
    return _CSS_ESCAPE.sub(_unescaped, _CSS_COMMENT.sub("", css))


def is_tiny(given: dict[str, str]) -> bool:
    """At most a few pixels in every direction it names, or hidden."""
    style = style_of(given)
    lengths = _lengths(given, style)
    if lengths:
        return all(length <= _TINY for length in lengths.values())
    return is_styled_away(given, style)


def _seen_by_all(document: str) -> Iterator[Seen]:
    for seen in walk(document):
        token = seen.token
        if token.kind == "open":
            yield seen
        elif token.kind == "comment" and document.startswith("<!--[if", token.start):
            start = token.start + 4
            for inner in tokens(document[start : token.end]):
                if inner.kind == "open":
                    moved = inner._replace(start=inner.start + start, end=inner.end + start)
                    yield Seen(moved, seen.stack, False)


def _loads(element: str, name: str, value: str, given: dict[str, str], own_host: str) -> bool:
    if element == "meta":
        return name == "content" and "refresh" in given.get("http-equiv", "").lower() and _is_foreign(value, own_host)
    if name == "srcdoc":
        return True
    if name in _WORDS or name.startswith(("data-", "aria-", "xmlns")) or (element == "html" and ":" in name):
        return False
    if name in _FOLLOWED and (name != "href" or element in _LINKS):
        return False
    return _is_foreign(plain_css(value) if name == "style" else value, own_host)


def _is_foreign(value: str, own_host: str) -> bool:
    cleaned = re.sub(r"[\t\r\n]", "", value)
    if cleaned.lstrip().lower().startswith(("data:", "cid:")):
        return False
    if STAND_INS.match(cleaned.lstrip()):
        return True
    hosts = (found.rpartition("@")[2].partition(":")[0] for found in _HOST.findall(cleaned))
    return any(host.lower() != own_host.lower() for host in hosts)


def _measures(seen: Seen, given: dict[str, str], *, shrinking: bool) -> bool:
    name = seen.token.name
    if name in _UNSEEN_LOADS:
        return True
    style = style_of(given)
    around = seen.stack[:-1] if seen.stack and seen.stack[-1].start == seen.token.start else seen.stack
    if is_styled_away(given, style) or any(element.styled_away or element.small for element in around):
        return True
    lengths = _lengths(given, style)
    if "calc(" in style and not any(length > _TINY for length in lengths.values()):
        return True
    if lengths:
        return all(length <= _TINY for length in lengths.values())
    return name in _PICTURES and shrinking and bool(given.keys() & {"class", "id"})


def _picture_behind(document: str, position: int) -> dict[str, str]:
    """The attributes of the image whose place a `source` fills; a hidden one when there is none."""
    found = (token for token in tokens(document[position : position + 4_000]) if token.name == "img")
    image = next(found, None)
    return attributes(image.inside) if image else {"hidden": ""}


def _lengths(given: dict[str, str], style: str) -> dict[str, float]:
    """The sides it names, each with the smallest length it gives for it."""
    written = [*_STYLED_LENGTH.findall(style)]
    styled = {side for side, _length in written}
    written += [(side, given.get(side, "").lower()) for side in ("width", "height") if side not in styled]
    lengths: dict[str, float] = {}
    for side, text in written:
        found = _LENGTH.match(text)
        if found:
            length = float(found[1]) * _PIXELS.get(found[2] or "", 1.0)
            lengths[side] = min(length, lengths.get(side, length))
    return lengths


def _harmless(load: Load) -> str:
    """Nothing for an element that has no content; an element that has some stays, so that its end has a beginning."""
    name, inside = load.token.name, load.token.inside
    if name in VOID or name.endswith(("image", "imagedata", "fill")):
        return ""
    kept = [found[0] for found in ATTRIBUTE.finditer(inside) if found[1].lower() not in load.attributes]
    return f"<{' '.join([name, *kept])}>"


def _unescaped(found: re.Match[str]) -> str:
    if found[2]:
        return found[2]
    code = int(found[1], 16)
    return chr(code) if 0 < code <= 0x10FFFF else "\ufffd"
