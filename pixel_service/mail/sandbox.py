"""Jinja for content that comes from outside: print, compare, loop, filter, and nothing that reaches the program.

No calls, macros, imports, includes or inheritance; attributes are keys of the given JSON and the counters of a loop.
Time and memory are bounded by construction: a bounded source, two levels of loops with a common budget of rounds,
bounded arithmetic, no way to double a text or a list in a chain of assignments, and a bounded result. Everything that
reads or makes a text or a list (`work.py`) is charged to one budget per rendering.
"""

import functools
import html
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, cast

from jinja2 import Environment, StrictUndefined, TemplateSyntaxError, nodes, pass_context, pass_environment
from jinja2.exceptions import SecurityError
from jinja2.lexer import Token, TokenStream
from jinja2.runtime import Context, LoopContext, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from pixel_service.mail.markup import names, tokens
from pixel_service.mail.personal import Personal, teach
from pixel_service.mail.work import charge, charged_filter, charged_test, size_of, working

MOST_SOURCE = 500_000
MOST_WORDS = 12_000
MOST_RESULT = 1_000_000
MOST_ROUNDS = 20_000
MOST_NESTED_LOOPS = 2
_MOST_ARGUMENT = 1_000
_MOST_NUMBER = 10**15
_MOST_EXPONENT = 16

#: A name no template can write.
_BUDGET = "rounds left"

_FILTERS = frozenset(
    [
        *("abs", "capitalize", "count", "d", "default", "dictsort", "e", "escape", "filesizeformat", "first", "float"),
        *("forceescape", "groupby", "int", "items", "join", "last", "length", "list", "lower", "map", "max", "min"),
        *("reject", "rejectattr", "replace", "reverse", "round", "safe", "select", "selectattr", "sort", "striptags"),
        *("title", "trim", "truncate", "unique", "upper", "urlencode", "wordcount"),
    ]
)
_LOOP_ATTRIBUTES = names("index index0 revindex revindex0 first last length depth depth0 previtem nextitem")
_FORBIDDEN: tuple[type[nodes.Node], ...] = (
    *(nodes.Call, nodes.CallBlock, nodes.Macro, nodes.Block, nodes.Extends, nodes.Include, nodes.Import),
    *(nodes.FromImport, nodes.AssignBlock, nodes.FilterBlock, nodes.EvalContextModifier, nodes.NSRef),
)
_ARITHMETIC = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
}


class Absent(StrictUndefined):
    """A name that exists in other variants: it may be tested, printing it is an error that says why."""

    __slots__ = ()

    def __bool__(self) -> bool:  # type: ignore[override]  # the parent refuses what we allow
        return False


class PipelineEnvironment(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset(_ARITHMETIC)

    def __init__(self, *, autoescape: bool) -> None:
        super().__init__(autoescape=autoescape, undefined=StrictUndefined, keep_trailing_newline=True)
        self.globals.clear()
        self.filters = {name: charged_filter(name, _bounded(name, self.filters[name])) for name in sorted(_FILTERS)}
        self.filters["striptags"] = charged_filter("striptags", _striptags)
        self.tests = {name: charged_test(cast("Callable[..., Any]", test)) for name, test in self.tests.items()}
        teach(self)
        self.filters["rounds of"] = _rounds_of
        self.filters["work of"] = _work_of
        self.filters["slice of"] = _slice_of

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        if len(source) > MOST_SOURCE:
            raise TemplateSyntaxError(f"longer than {MOST_SOURCE} characters", 1)
        template = super()._parse(source, name, filename)
        _check(template)
        return template

    def _tokenize(
        self, source: str, name: str | None, filename: str | None = None, state: str | None = None
    ) -> TokenStream:
        return TokenStream(_counted(super()._tokenize(source, name, filename, state)), name, filename)

    def _generate(
        self, source: nodes.Template, name: str | None, filename: str | None, defer_init: bool = False
    ) -> str:
        _Slices().visit(source)
        for loop in source.find_all(nodes.For):
            loop.iter = _filtered(loop.iter, "rounds of")
        for compared in source.find_all(nodes.Compare):
            compared.expr = _filtered(compared.expr, "work of")
            for operand in compared.ops:
                operand.expr = _filtered(operand.expr, "work of")
        for joined in source.find_all(nodes.Concat):
            joined.nodes = [_filtered(node, "work of") for node in joined.nodes]
        return super()._generate(source, name, filename, defer_init)

    def getattr(self, obj: Any, attribute: str) -> Any:
        return self._look_up(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        return self._look_up(obj, argument)

    def _look_up(self, obj: Any, key: Any) -> Any:
        if isinstance(obj, Undefined):
            return obj
        if isinstance(obj, LoopContext):
            return getattr(obj, key) if key in _LOOP_ATTRIBUTES else self.undefined(obj=obj, name=str(key))
        if isinstance(obj, Mapping) and isinstance(key, str):
            return obj[key] if key in obj else self.undefined(obj=obj, name=key)
        if isinstance(obj, list | tuple | str) and isinstance(key, int | slice):
            try:
                return _part_of(obj, key)
            except IndexError:
                return self.undefined(obj=obj, name=str(key))
        return self.undefined(f"a {type(obj).__name__} has no {str(key)!r}")

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if not all(isinstance(side, int | float) and abs(side) <= _MOST_NUMBER for side in (left, right)):
            raise SecurityError(f"'{operator}' takes numbers up to {_MOST_NUMBER}; join texts with '~'")
        if operator == "**" and not (abs(left) <= _MOST_ARGUMENT and 0 <= right <= _MOST_EXPONENT):
            raise SecurityError("the exponent is too large")
        return _ARITHMETIC[operator](left, right)


def variables_for(given: Mapping[str, Any]) -> dict[str, Any]:
    """`given` with the budget of one rendering."""
    return {**given, _BUDGET: [MOST_ROUNDS]}


def bounded_result(pieces: Iterable[str]) -> str:
    parts: list[str] = []
    length = 0
    with working():
        for piece in pieces:
            length += len(piece)
            if length > MOST_RESULT:
                raise SecurityError(f"the result is longer than {MOST_RESULT} characters")
            parts.append(piece)
    return "".join(parts)


def _counted(stream: Iterable[Token]) -> Iterator[Token]:
    """Compiling takes some 50 µs for each word of a template, and nothing for the text around."""
    count = 0
    for token in stream:
        count += token.type != "data"
        if count > MOST_WORDS:
            raise TemplateSyntaxError(f"more than {MOST_WORDS} words of template code", token.lineno)
        yield token


@pass_context
def _rounds_of(context: Context, items: Any) -> list[Any]:
    if isinstance(items, Undefined):
        return list(items)
    budget = context.resolve(_BUDGET)
    listed = list(islice(items, budget[0] + 1))
    budget[0] -= len(listed)
    if budget[0] < 0:
        raise SecurityError(f"more than {MOST_ROUNDS} rounds of loops")
    return [items.part(item) for item in listed] if isinstance(items, Personal) else listed


def _work_of(value: Any) -> Any:
    charge(size_of(value))
    return value


def _part_of(value: Any, key: Any) -> Any:
    part = value[key]
    return value.part(part) if isinstance(value, Personal) else part


@pass_environment
def _slice_of(environment: PipelineEnvironment, value: Any, *bounds: Any) -> Any:
    part = environment.getitem(value, slice(*bounds))
    charge(size_of(part))
    return part


class _Slices(NodeTransformer):
    """Jinja cuts texts and lists without asking the environment."""

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Expr:  # noqa: N802 - the name Jinja calls
        self.generic_visit(node)
        if not isinstance(node.arg, nodes.Slice):
            return node
        bounds: list[nodes.Expr] = [
            bound or nodes.Const(None) for bound in (node.arg.start, node.arg.stop, node.arg.step)
        ]
        return nodes.Filter(node.node, "slice of", bounds, [], None, None, lineno=node.lineno)


def _filtered(node: nodes.Node, name: str) -> nodes.Expr:
    if isinstance(node, nodes.Const):
        return node
    return nodes.Filter(cast("nodes.Expr", node), name, [], [], None, None, lineno=node.lineno)


def _striptags(value: Any) -> str:
    """In one pass, which the one of Jinja is not."""
    source = str(value)
    shown = (source[token.start : token.end] for token in tokens(source) if token.kind == "text")
    return html.unescape(" ".join("".join(shown).split()))


def _bounded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` with numbers (widths, decimals) and the growth of texts bounded."""

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        value, *rest = [arg for arg in args if not isinstance(arg, Environment | Context | nodes.EvalContext)]
        rest.extend(kwargs.values())
        if any(isinstance(arg, int | float) and abs(arg) > _MOST_ARGUMENT for arg in rest):
            raise SecurityError(f"'{name}' takes numbers up to {_MOST_ARGUMENT}")
        longest = max((len(arg) for arg in rest if isinstance(arg, str)), default=0)
        if name in {"join", "replace"} and hasattr(value, "__len__") and (len(value) + 1) * (longest + 1) > MOST_RESULT:
            raise SecurityError(f"'{name}' would make a text of more than {MOST_RESULT} characters")
        return function(*args, **kwargs)

    return wrapped


def _check(template: nodes.Template) -> None:
    for node in template.find_all(_FORBIDDEN):
        raise TemplateSyntaxError(f"{_words(node)} can not be used here", node.lineno)
    for known in template.find_all(nodes.Filter):
        if known.name not in _FILTERS:
            raise TemplateSyntaxError(f"there is no filter {known.name!r} here", known.lineno)
    for loop in template.find_all(nodes.For):
        _check_loop(loop, 1)
    for assigned in template.find_all(nodes.Assign):
        _check_assigned([assigned.node])
    for block in template.find_all(nodes.With):
        _check_assigned(block.values)


def _words(node: nodes.Node) -> str:
    names = {"Call": "calls", "AssignBlock": "set blocks", "FilterBlock": "filter blocks", "NSRef": "namespaces"}
    name = type(node).__name__
    return names.get(name, f"'{name.lower()}'")


def _check_loop(loop: nodes.For, depth: int) -> None:
    if depth > MOST_NESTED_LOOPS or loop.recursive:
        raise TemplateSyntaxError(f"loops may be nested {MOST_NESTED_LOOPS} deep and not recursive", loop.lineno)
    for inner in loop.find_all(nodes.For):
        _check_loop(inner, depth + 1)


def _check_assigned(values: Iterable[nodes.Node]) -> None:
    """A chain of assignments could double its value each time."""
    for value in values:
        for node in (value, *value.find_all(nodes.Node)):
            if isinstance(node, nodes.Concat):
                raise TemplateSyntaxError("'~' can be used in {{ }} only", node.lineno)
            if isinstance(node, nodes.List | nodes.Tuple | nodes.Dict) and next(node.find_all(nodes.Name), None):
                raise TemplateSyntaxError("a list that is set can hold fixed values only", node.lineno)
