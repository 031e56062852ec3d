"""The query of a request: only fields that are known, each once. A name with a slip in it must not mean "everything"."""

from collections.abc import Collection, Mapping
from datetime import date

from starlette.requests import Request

from pixel_service.domain.errors import InvalidFields, InvalidInput

#: Longest part of a name that is repeated: it is the caller's own word.
_MAX_NAME = 80
_MOST_PROBLEMS = 10


def read_query(request: Request, known: Collection[str] = ()) -> Mapping[str, str]:
    """Raises `InvalidFields`, which names every field that is unknown or given twice."""
    given = request.query_params
    problems = [
        InvalidInput(name[:_MAX_NAME], "this field is unknown" if name not in known else "given twice")
        for name in given
        if name not in known or len(given.getlist(name)) > 1
    ]
    if problems:
        raise InvalidFields(tuple(problems[:_MOST_PROBLEMS]))
    return dict(given)


def day_of(query: Mapping[str, str], name: str) -> date | None:
    """None when it is not given. Raises `InvalidInput`."""
    if name not in query:
        return None
    try:
        day = date.fromisoformat(query[name])
    except ValueError:
        raise InvalidInput(name, "must be a day such as 2026-11-22") from None
    if not 2000 <= day.year < 2200 or day.isoformat() != query[name]:
        raise InvalidInput(name, "must be a day such as 2026-11-22")
    return day


def number_of(query: Mapping[str, str], name: str, *, default: int, most: int) -> int:
    """From 1 to `most`. Raises `InvalidInput`."""
    given = query.get(name, str(default))
    number = int(given) if given.isascii() and given.isdigit() and len(given) <= len(str(most)) else 0
    if not 1 <= number <= most:
        raise InvalidInput(name, f"must be a number from 1 to {most}")
    return number
