"""What one rendering of a template from outside may cost: one budget for all its filters, tests and comparisons.

A unit is a character, read or made; an entry of a list counts as eight, for it may cost a call. 2 million units take a
few tenths of a second and some ten megabytes. Nothing is lazy here, so that work can not be made in one place and done in another.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from jinja2 import Environment
from jinja2.exceptions import SecurityError
from jinja2.nodes import EvalContext
from jinja2.runtime import Context, Undefined

MOST_WORK = 2_000_000
_ENTRY = 8
_SIZED = (str, dict, list, tuple)
#: They look at no more than an entry or a number.
_FREE = frozenset(["count", "d", "default", "first", "length"])

_left: ContextVar[list[int]] = ContextVar("_left")


@contextmanager
def working() -> Iterator[None]:
    token = _left.set([MOST_WORK])
    try:
        yield
    finally:
        _left.reset(token)


def charge(units: int) -> None:
    left = _left.get(None)
    if left is None:
        # Jinja tries constant expressions while it compiles, and leaves those that fail for later.
        raise SecurityError("nothing is worked out before the rendering")
    left[0] -= units
    if left[0] < 0:
        raise SecurityError(f"more work than {MOST_WORK} characters and entries of lists")


def size_of(value: object) -> int:
    if isinstance(value, str):
        return 1 + str.__len__(value)
    if isinstance(value, dict):
        return 1 + sum(_ENTRY + size_of(key) + size_of(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return 1 + _ENTRY * len(value) + sum(size_of(item) for item in value if isinstance(item, _SIZED))
    return 1


def charged_filter(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` at the price of what it reads and makes; what it makes piece by piece becomes a list."""

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if name in _FREE:
            return function(*args, **kwargs)
        charge(_size_of_all(args, kwargs))
        made = function(*args, **kwargs)
        if hasattr(made, "__next__"):
            return _listed(made)
        if name != "safe":
            charge(size_of(made))
        return made

    return wrapped


def charged_test(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` at the price of what it compares; a test of one value only looks at its type."""

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if len(args) + len(kwargs) > 1:
            charge(_size_of_all(args, kwargs))
        return function(*args, **kwargs)

    return wrapped


def _listed(pieces: Iterator[Any]) -> list[Any]:
    made = []
    for piece in pieces:
        charge(size_of(piece))
        made.append(piece)
    return made


def _size_of_all(args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
    own = Environment | Context | EvalContext | Undefined
    return sum(size_of(arg) for arg in (*args, *kwargs.values()) if not isinstance(arg, own))
