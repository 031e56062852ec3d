"""Would this content make mails load or link something that differs from person to person (D4)?

Such an URL measures like a pixel does. The answer must not depend on the branch one recipient happens to take, so it
comes from the syntax tree: all branches are written one after the other, with marks where values of recipients go.
The same outline shows values in places where no escaping protects them.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from jinja2 import nodes

from pixel_service.mail.places import LINK_MARK, MARK, Findings, findings_in, looks_like_url

_URL = "https://url.invalid/"
_LOADS = re.compile(rf"//|www\.|href|src|url\(|background|<style|@import|{LINK_MARK}", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    #: variables of recipients
    personal: frozenset[str]
    #: variables whose value is a link a mail may have for itself: unsubscribe, preferences, download ...
    links: frozenset[str]
    #: variables of the send whose value is or holds an URL
    urls: frozenset[str]


def findings(tree: nodes.Template, names: Names) -> Findings:
    names = Names(personal=_with_copies(tree, names.personal), links=_with_copies(tree, names.links), urls=names.urls)
    outline = _Outline(names)
    in_outline = findings_in(outline.of(tree.body))
    unsafe = in_outline.unsafe or ("marked as safe" if _marks_as_safe(tree, names.personal | names.links) else "")
    return Findings(in_outline.personal_urls or outline.decides_about_urls, unsafe)


def _marks_as_safe(tree: nodes.Template, personal: frozenset[str]) -> bool:
    """Also in a list: ``[first_name]|map("safe")``."""
    return any(
        bool(_names_in(known) & personal)
        for known in tree.find_all(nodes.Filter)
        if known.name == "safe" or any(isinstance(arg, nodes.Const) and arg.value == "safe" for arg in known.args)
    )


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
                yield nodes.Name("loop", "store"), node.iter
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
        conditions: list[nodes.Node | None] = []
        if isinstance(node, nodes.If):
            conditions = [node.test]
        elif isinstance(node, nodes.For):
            conditions = [node.iter, node.test]
        if any(condition is not None and self._is_personal(condition) for condition in conditions):
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
