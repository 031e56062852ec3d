"""Where values of recipients stand in a document or a text, and whether they do there what only a pixel may (D4).

A value may be words that a reader sees, and the words of an image (`alt`, `title`); a link that every mail has for
itself may be one to follow, whole. Everywhere else the mail would load or link something of its own.
"""

import html
import re
import unicodedata
from dataclasses import dataclass

from pixel_service.mail.loads import css_of
from pixel_service.mail.markup import ATTRIBUTE, INLINE, RAW, Token, tokens_for_all

#: Where a value of a recipient goes, and where a link goes that every mail may have for itself.
MARK, LINK_MARK = "\U0010fff0", "\U0010fff1"
_MARKS = re.compile(f"[{MARK}{LINK_MARK}]")
_WORDS = frozenset(["alt", "title"])
#: Elements whose href is loaded without a click.
_LOADING = frozenset(["link", "base", "image", "use"])
_IS_URL = re.compile(r"://|www\.", re.IGNORECASE)
_HOST = re.compile(r"[^\W_]\.[^\W\d_]{2}|[^\W_]\.xn--", re.IGNORECASE)
_WORD = re.compile(r"[^\s<>\"]+")
#: A line that ends like the first half of an URL.
_BROKEN_LINE = re.compile(rf"(?<=[/=?&#])[ \t]*\n\s*(?=[{MARK}{LINK_MARK}])")
_AROUND_WORDS = "()[]{}.,:;!?'|-*„“”‚‘’"
_URL_GOES_ON = "/=?&#@%._-"
#: With these, a style sheet asks for one thing or another by the words of a text, or by a style sheet of somebody else.
_CSS_READS_TEXT = re.compile(r"unicode-range|@import|@container|:empty|:dir\(|:has\(", re.IGNORECASE)
_CSS_READS_WORDS = re.compile(r"\[[^\]]*(?:alt|title)", re.IGNORECASE)
#: Rules for all links of a kind (``a[href^="tel:"]``) read nothing of a recipient.
_CSS_READS_LINKS = re.compile(
    r"\[[^\]]*href[^\]=]*=\s*+[\"']?+(?!(?:https?:?/{0,2}|tel:?|mailto:?|sms:?|#)?[\"']?\s*[is]?\s*\])", re.IGNORECASE
)


def looks_like_url(value: str) -> bool:
    """Whether mail programs would show `value` as a link."""
    return _IS_URL.search(value) is not None


def holds_host(value: str) -> bool:
    """Whether a part of `value` could be typed into a browser: most mail programs make links of such words."""
    plain = value if value.isascii() else unicodedata.normalize("NFKC", value)
    return looks_like_url(plain) or _HOST.search(plain) is not None


@dataclass(frozen=True, slots=True)
class Findings:
    #: a value of a recipient is part of an URL, or decides about one
    personal_urls: bool
    #: a place where a value would not be escaped, in words; empty when there is none
    unsafe: str
    #: a value of a recipient decides about what is loaded, not only about what can be followed
    personal_loads: bool = False


def findings_in(marked: str) -> Findings:
    """For HTML in which values of recipients are replaced by `MARK` and `LINK_MARK`."""
    if not _MARKS.search(marked):
        return Findings(False, "")
    judge = _Judge(marked)
    for token in tokens_for_all(marked):
        judge.look_at(token)
    loads = judge.loads or judge.css_reads()
    return Findings(loads or judge.links or in_words("".join(judge.words)), judge.unsafe, loads)


def in_words(marked: str) -> bool:
    """Whether a mail program would make links of words in which values stand."""
    joined = _BROKEN_LINE.sub("", marked)
    return any(_MARKS.search(word) and _is_link(word) for word in _WORD.findall(joined))


def _is_link(word: str) -> bool:
    before, own, behind = word.partition(LINK_MARK)
    if own:
        goes_on = behind.rstrip(_AROUND_WORDS)
        return before.endswith((MARK, *_URL_GOES_ON)) or (
            bool(goes_on) and goes_on[0] in _URL_GOES_ON + MARK + LINK_MARK
        )
    return holds_host(word.replace(MARK, "xx"))


class _Judge:
    """Goes through a document once."""

    def __init__(self, document: str) -> None:
        self._document = document
        self.loads = False
        self.links = False
        self.unsafe = ""
        #: the text, with blanks where a reader sees an end
        self.words: list[str] = []
        self._inside = ""
        self._in_attributes = self._in_text = self._in_links = False

    def look_at(self, token: Token) -> None:
        written = self._document[token.start : token.end]
        if token.kind == "text":
            self._text(written)
        elif token.kind == "comment":
            # What a condition holds is looked at by itself.
            decides = written.partition("]>")[0] if written.startswith("<!--[if") else written
            self.loads |= MARK in decides
        else:
            if token.name not in INLINE:
                self.words.append(" ")
            self._inside = token.name if token.kind == "open" and token.name in RAW else ""
            if _MARKS.search(written):
                self._tag(token)

    def _text(self, written: str) -> None:
        if _MARKS.search(written):
            self._in_text = True
            if self._inside not in {"", "title", "textarea"}:
                self.loads, self.unsafe = True, self.unsafe or f"inside <{self._inside}>"
        if not self._inside or self._inside in {"title", "textarea"}:
            self.words.append(html.unescape(written))
        self._inside = ""

    def _tag(self, token: Token) -> None:
        if _MARKS.search(token.name):
            self.loads, self.unsafe = True, self.unsafe or "in the name of an element"
        for attribute, value in ATTRIBUTE.findall(token.inside):
            if _MARKS.search(attribute):
                self.loads, self.unsafe = True, self.unsafe or "in a tag outside of a quoted attribute"
            elif _MARKS.search(value):
                if value[0] not in "\"'":
                    self.unsafe = self.unsafe or f"in the attribute {attribute!r} without quotation marks"
                self._attribute(token.name, attribute.lower(), value)

    def _attribute(self, element: str, attribute: str, value: str) -> None:
        if attribute in _WORDS:
            self._in_attributes = True
        elif attribute == "href" and element not in _LOADING:
            # A link of its own is one to follow, as it is: not a part of somebody else's URL.
            self._in_links = True
            self.links |= value.strip("\"' \t\r\n") != LINK_MARK
        else:
            self.loads = True

    def css_reads(self) -> bool:
        """Whether style sheets make of the values, wherever they stand, something to load."""
        if not (self._in_text or self._in_attributes or self._in_links):
            return False
        css = " ".join(css_of(self._document))
        return bool(
            _CSS_READS_TEXT.search(css)
            or (self._in_attributes and _CSS_READS_WORDS.search(css))
            or (self._in_links and _CSS_READS_LINKS.search(css))
        )
