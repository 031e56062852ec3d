"""A request body becomes a model, or an error that names every field that is wrong and repeats no value (A4).

How long a body may be is bounded before it gets here (`security.BodyLimit`); what a model allows is its own affair,
except that it must not ignore unknown fields.
"""

import json
import re
from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails, from_json
from starlette.exceptions import HTTPException
from starlette.requests import Request

from pixel_service.domain.errors import InvalidFields, InvalidInput

M = TypeVar("M", bound="Body")

#: Problems told at once; 10,000 wrong recipients are one mistake.
MAX_PROBLEMS = 100
#: Longest part of a path that is repeated: keys are the caller's own words.
_MAX_NAME = 80
#: The field of a problem with the document as a whole.
WHOLE = "body"
#: PostgreSQL can not store it, and nobody means it.
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")

#: Our words for what people get wrong most; `{...}` are limits of the model. Others are pydantic's words.
_WORDS: Mapping[str, str] = {
    "missing": "this field is required",
    "extra_forbidden": "this field is unknown",
    "string_type": "must be a string",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "does not have the required form",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "too_short": "must have at least {min_length} entries",
    "too_long": "must have at most {max_length} entries",
    "enum": "must be {expected}",
    "literal_error": "must be {expected}",
    # pydantic's own words would repeat the value.
    "union_tag_invalid": "must be one of {expected_tags}",
    "union_tag_not_found": "does not say which kind it is",
}


class Body(BaseModel):
    """The beginning of every request model."""

    model_config = ConfigDict(extra="forbid", frozen=True)


async def read_body(request: Request, model: type[M]) -> M:
    """Raises `InvalidFields`; `HTTPException` 415 for anything that does not say it is JSON."""
    media_type, _, parameters = request.headers.get("content-type", "").partition(";")
    if media_type.strip().lower() != "application/json":
        raise HTTPException(415, "send the body as application/json")
    if parameters.strip() and parameters.replace('"', "").strip().lower() != "charset=utf-8":
        raise HTTPException(415, "send the body in UTF-8")
    return parse_body(await request.body(), model)


def parse_body(body: bytes, model: type[M]) -> M:
    """Nesting is bounded by the parser (about 200 levels); NaN and Infinity are not JSON and are refused."""
    if _NUL.search(body):
        raise InvalidFields((InvalidInput(WHOLE, "the character U+0000 is not allowed"),))
    try:
        parsed = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        # The parser's words name a position, never the text found there.
        raise InvalidFields((InvalidInput(WHOLE, f"not valid JSON: {error}"),)) from None
    repeated = _repeated_name(body)
    if repeated is not None:
        raise InvalidFields((InvalidInput(repeated[:_MAX_NAME], "named twice in one object"),))
    try:
        return model.model_validate(parsed)
    except ValidationError as error:
        raise InvalidFields(problems_of(error)) from None


def _repeated_name(body: bytes) -> str | None:
    """Two readers of one body must not see two requests: which of the values counts is left open by RFC 8259."""
    repeated: list[str] = []

    def check(pairs: list[tuple[str, object]]) -> None:
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                repeated.append(name)
                return
            seen.add(name)

    json.loads(body, object_pairs_hook=check)
    return repeated[0] if repeated else None


def problems_of(error: ValidationError) -> tuple[InvalidInput, ...]:
    found = error.errors(include_url=False, include_input=False)
    told = [InvalidInput(_path(entry["loc"]), _words(entry)) for entry in found[:MAX_PROBLEMS]]
    if len(found) > MAX_PROBLEMS:
        told.append(InvalidInput(WHOLE, f"{len(found) - MAX_PROBLEMS} more problems are not listed"))
    return tuple(told)


def _path(location: tuple[int | str, ...]) -> str:
    """``("recipients", 3, "address")`` -> ``recipients[3].address``."""
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part[:_MAX_NAME]}" for part in location)
    return path.removeprefix(".") or WHOLE


def _words(entry: ErrorDetails) -> str:
    context = entry.get("ctx", {})
    match entry["type"]:
        case "value_error":
            return str(context.get("error", "is not valid"))
        case known if known in _WORDS:
            return _WORDS[known].format_map(context)
        case _:
            return entry["msg"]
