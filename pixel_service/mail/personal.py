"""Values of a recipient inside a template, so that the work on everything around them is done once for all recipients.

A template is given `Personal` strings. Printed, they leave a stand-in, a single private-use character that survives CSS
inlining and text generation; compared or filtered, they are the real text. What comes out depends on the recipient only
where a template decides something by a value, and then equal outputs are recognised as equal. `Unknown` values stand for
recipients in general: printing works, anything else raises `DependsOnRecipient`, and the template has to be rendered
for each recipient.
"""

import functools
import html
import re
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, NoReturn

from jinja2 import Environment, TemplateRuntimeError
from jinja2.exceptions import SecurityError
from jinja2.runtime import Undefined
from markupsafe import Markup, escape

#: Plane 16 is private use and, unlike the other private areas, not used by icon fonts.
FIRST_PLACE = 0x100000
#: In the name of a value that is not as it came.
_CHANGED = "changed"
STAND_INS = re.compile("[\U00100000-\U0010fffd]")


class DependsOnRecipient(Exception):
    """A template decides something by a value of a recipient."""


class Holder:
    """The stand-ins of one rendering, in the order of first use."""

    __slots__ = ("_places", "blind", "values")

    def __init__(self, *, blind: bool = False) -> None:
        #: the texts are not known: this rendering is for all recipients
        self.blind = blind
        self._places: dict[tuple[str, str], str] = {}
        #: per stand-in: the names of the variables it is made of, joined by `+`, and the text
        self.values: list[tuple[str, str]] = []

    def stand_in(self, name: str, text: str) -> str:
        held = self._places.get((name, text))
        if held is None:
            held = self._places[name, text] = chr(FIRST_PLACE + len(self.values))
            self.values.append((name, text))
        return held

    def stand_ins_of(self, name: str) -> list[str]:
        """Those that show the variable as it is, unfiltered."""
        return [chr(FIRST_PLACE + place) for place, (held, _text) in enumerate(self.values) if held == name]

    def text_behind(self, value: str) -> str:
        """`value` with the real texts, escaped where the rest is markup."""
        shown: Callable[[str], str] = escape if isinstance(value, Markup) else str
        replaced = STAND_INS.sub(lambda found: str(shown(self.values[place_of(found[0])][1])), value)
        return Markup(replaced) if isinstance(value, Markup) else replaced  # noqa: S704 - escaped a line above


def place_of(stand_in: str) -> int:
    return ord(stand_in) - FIRST_PLACE


def without_stand_ins(text: str) -> str:
    """For text from outside: its own private-use characters would be taken for ours."""
    return STAND_INS.sub("\ufffd", text)


class Personal(str):
    """The value of one recipient. Its content is the real text; `str()` and printing give the stand-in."""

    __slots__ = ("holder", "name")
    holder: Holder
    name: str

    def __new__(cls, text: str, name: str, holder: Holder) -> "Personal":
        made = super().__new__(cls, text)
        made.name, made.holder = name, holder
        return made

    def part(self, text: str) -> "Personal":
        """What was made of the value: personal too, and no longer the value as it is."""
        return Personal(text, _named({self.name, _CHANGED}), self.holder)

    def __str__(self) -> str:
        return self.holder.stand_in(self.name, str.__str__(self))

    def __html__(self) -> str:
        return str(self)


def _refuse(*_args: object) -> NoReturn:
    raise DependsOnRecipient


class Unknown(Personal):
    """The value of some recipient: it can be printed and nothing else."""

    __slots__ = ()

    def __getattribute__(self, name: str) -> Any:
        if name in {"holder", "name"} or name.startswith("__"):
            return super().__getattribute__(name)
        raise DependsOnRecipient

    __bool__ = __eq__ = __ne__ = __hash__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = _refuse
    __len__ = __iter__ = __contains__ = __getitem__ = _refuse
    __add__ = __radd__ = __mod__ = __mul__ = __rmul__ = __int__ = __float__ = _refuse


_rendering: ContextVar[Holder] = ContextVar("_rendering")


def render(generate: Callable[[], str], holder: Holder) -> str:
    """Runs `generate` with `holder` as the place of all stand-ins."""
    token = _rendering.set(holder)
    try:
        return generate()
    finally:
        _rendering.reset(token)


def teach(environment: Environment) -> None:
    """Filters and tests of `environment` see real texts; what a filter makes of a personal text is personal too."""
    filters: dict[str, Any] = dict(environment.filters)
    tests: dict[str, Any] = dict(environment.tests)
    environment.filters = {name: _on_real_texts(known, name) for name, known in filters.items()}
    environment.tests = {name: _on_real_texts(known) for name, known in tests.items()}
    environment.finalize = printed


def printed(value: object) -> object:
    """What ``{{ value }}`` prints: text and numbers; nothing for null; a list is a mistake (and could be a huge one)."""
    if isinstance(value, Personal):
        return str(value)
    if value is None:
        return ""
    if isinstance(value, str | int | float | Undefined):
        return value
    raise TemplateRuntimeError(f"a value of type {type(value).__name__} can not be printed")


def _on_real_texts(function: Callable[..., Any], name: str = "") -> Callable[..., Any]:
    never, is_default = name == "safe", name in {"default", "d"}

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        personal = [arg for arg in (*args, *kwargs.values()) if _is_personal(arg)]
        if not personal:
            return function(*args, **kwargs)
        if never:
            raise SecurityError("a recipient's value can not be marked as safe")
        holder = _rendering.get()
        if holder.blind:
            if is_default and _stays(args, kwargs):
                return args[0]
            raise DependsOnRecipient
        real = [_real(arg, holder) for arg in args]
        result = function(*real, **{name: _real(arg, holder) for name, arg in kwargs.items()})
        return _made_of(result, _origin(personal, holder), holder)

    return wrapped


def _made_of(result: Any, origin: str, holder: Holder) -> Any:
    """`result` with all its texts as personal ones. What is markup would be escaped again where it is filled in."""
    if isinstance(result, Markup):
        return Personal(html.unescape(str.__str__(result)), origin, holder)
    if type(result) is str:
        return Personal(result, origin, holder)
    if isinstance(result, list | tuple):
        return [_made_of(item, origin, holder) for item in result]
    return result


def _stays(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether ``default`` leaves every value as it is. What it stands in for may not be more than words."""
    instead = args[1] if len(args) == 2 else "" if len(args) == 1 else None
    return not kwargs and isinstance(args[0], Unknown) and type(instead) is str and not set(instead) & set(".:/<")


def _is_personal(value: object) -> bool:
    return isinstance(value, Personal) or (isinstance(value, str) and STAND_INS.search(value) is not None)


def _real(value: object, holder: Holder) -> object:
    if isinstance(value, Personal):
        return str.__str__(value)
    return holder.text_behind(value) if isinstance(value, str) else value


def _origin(personal: list[str], holder: Holder) -> str:
    names: set[str] = set()
    for value in personal:
        if isinstance(value, Personal):
            names.add(value.name)
        else:
            names.update(holder.values[place_of(found)][0] for found in STAND_INS.findall(value))
    return _named(names | {_CHANGED})


def _named(names: set[str]) -> str:
    return "+".join(sorted({single for name in names for single in name.split("+")}))
