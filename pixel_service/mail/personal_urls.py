"""Would this content make mails load or link something that differs from person to person (D4)?

Such an URL measures like a pixel does. The answer must not depend on the branch one recipient happens to take, so it
comes from the syntax tree: all branches are written one after the other, with marks where values of recipients go.
The same outline shows values in places where no escaping protects them.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from jinja2 import nodes

from pixel_service.mail.markup import RAW, tokens

#: Where a value of a recipient goes, and where a link goes that every mail may have for itself.
MARK, LINK_MARK = "\U0010fff0", "\U0010fff1"
_MARKS = (MARK, LINK_MARK)
_URL = "https://url.invalid/"

_ATTRIBUTE = re.compile(r"""([^\s=/>"']+)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s>"']+))?""")
_HARMLESS = frozenset(["alt", "title", "aria-label", "abbr", "lang", "dir", "align", "valign", "width", "height"])
#: Elements whose href is loaded without a click.
_LOADING = frozenset(["link", "base", "image", "use"])
_CONDITION = re.compile(r"<!--\[if[^\]]*\]>(?:<!-->)?|<!--<!\[endif\]-->|<!\[endif\]-->", re.IGNORECASE)
_LOADS = re.compile(rf"//|www\.|href|src|url\(|background|<style|@import|{LINK_MARK}", re.IGNORECASE)
_IS_URL = re.compile(r"://|www\.", re.IGNORECASE)
#: In text, mail programs turn into a link what looks like one.
_LOOSE = re.compile(rf"(?:https?://|www\.)[^\s<>\"]*[{MARK}{LINK_MARK}]|{MARK}[\w.-]*\.\w+/", re.IGNORECASE)


def looks_like_url(value: str) -> bool:
    """Whether mail programs would show `value` as a link."""
    return _IS_URL.search(value) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    #: variables of recipients
    personal: frozenset[str]
    #: variables whose value is a link a mail may have for itself: unsubscribe, preferences, download ...
    links: frozenset[str]
    #: variables of the send whose value is or holds an URL
    urls: frozenset[str]


@dataclass(frozen=True, slots=True)
class Findings:
    #: a value of a recipient is part of an URL, or decides about one
    personal_urls: bool
    #: a place where a value would not be escaped, in words; empty when there is none
    unsafe: str


def findings(tree: nodes.Template, names: Names) -> Findings:
    names = Names(personal=_with_copies(tree, names.personal), links=_with_copies(tree, names.links), urls=names.urls)
    outline = _Outline(names)
    in_outline = findings_in(outline.of(tree.body))
    return Findings(in_outline.personal_urls or outline.decides_about_urls, in_outline.unsafe)


def _with_copies(tree: nodes.Template, start: frozenset[str]) -> frozenset[str]:
    """`start` and every name the template sets from one of them."""
    found, before = set(start), 0
    while len(found) != before:
        before = len(found)
        for target, value in _assignments(tree):
            if _names_in(value) & found:
                found |= _names_in(target)
    return frozenset(found)


def _assignments(tree: nodes.Template) -> Iterator[tuple[nodes.Node, nodes.Node]]:
    for node in tree.find_all((nodes.Assign, nodes.AssignBlock, nodes.For, nodes.With)):
        match node:
            case nodes.Assign():
                yield node.target, node.node
            case nodes.AssignBlock():
                yield node.target, nodes.Block("", node.body, False, False)
            case nodes.For():
                yield node.target, node.iter
            case nodes.With():
                yield from zip(node.targets, node.values, strict=True)


def _names_in(node: nodes.Node) -> set[str]:
    return {name.name for name in (node, *node.find_all(nodes.Name)) if isinstance(name, nodes.Name)}


class _Outline:
    """Writes all branches of a template one after the other."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self.decides_about_urls = False

    def of(self, body: Iterable[nodes.Node]) -> str:
        return "".join(map(self._of_node, body))

    def _of_node(self, node: nodes.Node) -> str:
        match node:
            case nodes.TemplateData():
                return str(node.data)
            case nodes.Output():
                return self.of(node.nodes)
            case nodes.Expr():
                self._judge_expression(node)
                return self._of_expression(node)
            case nodes.Assign(node=nodes.Expr() as value):
                self._judge_expression(value)
                return ""
        written = self.of(child for child in node.iter_child_nodes() if isinstance(child, nodes.Stmt))
        condition = node.test if isinstance(node, nodes.If) else node.iter if isinstance(node, nodes.For) else None
        if condition is not None and self._is_personal(condition):
            opaque = any(node.find_all((nodes.Include, nodes.Call, nodes.CallBlock)))
            self.decides_about_urls |= opaque or _LOADS.search(written) is not None
        return written

    def _is_personal(self, node: nodes.Node) -> bool:
        return bool(_names_in(node) & self._names.personal)

    def _of_expression(self, node: nodes.Expr) -> str:
        if isinstance(node, nodes.Concat):
            return "".join(map(self._of_expression, node.nodes))
        if isinstance(node, nodes.Const):
            return str(node.value)
        used = _names_in(node)
        if used & self._names.personal:
            return MARK
        if used & self._names.links:
            return LINK_MARK
        return _URL if used & self._names.urls else "x"

    def _judge_expression(self, node: nodes.Expr) -> None:
        """``{{ "https://a" if name else "https://b" }}`` and the like."""
        if self._is_personal(node):
            texts = (const.value for const in (node, *node.find_all(nodes.Const)) if isinstance(const, nodes.Const))
            names_url = bool(_names_in(node) & (self._names.urls | self._names.links))
            self.decides_about_urls |= names_url or any(isinstance(t, str) and looks_like_url(t) for t in texts)


def findings_in(marked: str) -> Findings:
    """The same for HTML or text in which values of recipients are replaced by `MARK` and `LINK_MARK`."""
    # What a conditional comment hides from most clients, Outlook loads.
    source = _CONDITION.sub("", marked)
    personal, unsafe, inside = False, "", ""
    for token in tokens(source):
        written = source[token.start : token.end]
        if token.kind == "open":
            inside = token.name if token.name in RAW else ""
            if MARK in written or LINK_MARK in written:
                in_url, place = _in_tag(token.name, token.inside)
                personal, unsafe = personal or in_url, unsafe or place
        elif token.kind == "comment":
            personal = personal or MARK in written
        elif token.kind == "text":
            if inside not in {"", "title", "textarea"} and any(mark in written for mark in _MARKS):
                personal, unsafe = True, unsafe or f"inside <{inside}>"
            personal = personal or _LOOSE.search(written) is not None
            inside = ""
    return Findings(personal, unsafe)


def _in_tag(name: str, inside: str) -> tuple[bool, str]:
    if any(mark in name for mark in _MARKS):
        return True, "in the name of an element"
    personal = False
    for attribute, value in _ATTRIBUTE.findall(inside):
        if any(mark in attribute for mark in _MARKS):
            return True, "in a tag outside of a quoted attribute"
        if any(mark in value for mark in _MARKS) and value[0] not in {'"', "'"}:
            return True, f"in the attribute {attribute!r} without quotation marks"
        if any(mark in value for mark in _MARKS) and attribute.lower() not in _HARMLESS:
            # A link of its own is one to follow, as it is: not an image, and not a part of somebody else's URL.
            followed = attribute.lower() == "href" and name not in _LOADING and value[1:-1].strip() == LINK_MARK
            personal = personal or not followed
    return personal, ""
