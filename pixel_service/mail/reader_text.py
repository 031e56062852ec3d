"""What a person wrote in an HTML mail, as lines of text; what they quoted is left out.

For reading only: links become their address, because a line with a link is not the sender's own word.
"""

import html
import re

from pixel_service.mail.markup import VOID, attributes, names, tokens

_BLANK = re.compile(r"\s+")
_SKIPPED = names("script style head title template svg textarea")
_LINES = names("p div br li tr h1 h2 h3 h4 h5 h6 blockquote ul ol table hr section article")
#: How mail programs mark what they quote: Gmail, Yahoo, Thunderbird, Outlook (desktop, web, mobile), Proton, GMX.
_QUOTES = (
    "gmail_quote",
    "yahoo_quoted",
    "moz-cite-prefix",
    "divrplyfwdmsg",
    "appendonsend",
    "protonmail_quote",
    "mail-editor-reference-message-container",
    'name="quote"',
    "olk_src_body_section",
)


def text_of_html(source: str) -> str:
    """Up to the first quotation."""
    written: list[str] = []
    skipping = ""
    for token in tokens(source):
        if skipping:
            skipping = "" if token.kind == "close" and token.name == skipping else skipping
        elif token.kind == "text":
            written.append(_BLANK.sub(" ", html.unescape(source[token.start : token.end])))
        elif token.kind == "open":
            if token.name == "blockquote" or any(mark in token.inside.lower() for mark in _QUOTES):
                break
            if token.name in _SKIPPED and token.name not in VOID:
                skipping = token.name
            elif token.name == "a":
                written.append(_address(token.inside))
            elif token.name in _LINES:
                written.append("\n")
        elif token.kind == "close" and token.name in _LINES:
            written.append("\n")
    return "".join(written)


def _address(inside: str) -> str:
    target = attributes(inside).get("href", "").strip()
    return f"{target} " if target.lower().startswith(("http:", "https:")) else ""
