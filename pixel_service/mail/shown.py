"""What a reader of a finished mail can see and follow: whether the links and the imprint the law asks for are there (D7)."""

import html
from dataclasses import dataclass

from pixel_service.mail.html import inlined
from pixel_service.mail.loads import is_tiny
from pixel_service.mail.markup import Seen, attributes, is_blank, walk


@dataclass(frozen=True, slots=True)
class Shown:
    document: str
    #: what stands in visible places, words one blank apart
    words: str
    #: where visible links with a visible label lead
    links: tuple[str, ...]

    def shows(self, stand_ins: list[str]) -> bool:
        return any(one in self.words or one in self.links for one in stand_ins)

    def has_imprint(self, url: str, facts: tuple[str, ...]) -> bool:
        """A link to the imprint, or all of `facts`: name and address of the company."""
        base = url.partition("?")[0]
        return any(link.startswith(base) for link in self.links) or holds_imprint(self.words, url, facts)


def holds_imprint(text: str, url: str, facts: tuple[str, ...]) -> bool:
    words = " ".join(text.split())
    return url.partition("?")[0] in words or all(fact in words for fact in facts)


def shown(source: str) -> Shown:
    """`source` in order and with its CSS inlined, and what is visible then."""
    document = inlined(source)
    parts: list[str] = []
    links: list[str] = []
    label_of = ""
    for seen in walk(document):
        if seen.token.name == "a":
            label_of = _target(seen) if seen.token.kind == "open" and seen.visible else ""
        elif _is_visible(seen, document):
            if label_of:
                links.append(label_of)
                label_of = ""
            if seen.token.kind == "text":
                parts.append(document[seen.token.start : seen.token.end])
    return Shown(document, " ".join(html.unescape(" ".join(parts)).split()), tuple(links))


def _target(seen: Seen) -> str:
    return attributes(seen.token.inside).get("href", "").strip()


def _is_visible(seen: Seen, document: str) -> bool:
    token = seen.token
    if not seen.visible:
        return False
    if token.kind == "text":
        return not is_blank(document[token.start : token.end])
    return token.kind == "open" and token.name == "img" and not is_tiny(attributes(token.inside))
