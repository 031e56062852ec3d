"""Who may call, and what a body must look like."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from httpx import ASGITransport, AsyncClient, Response as Answer
from pydantic import Field, field_validator
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pixel_service.domain.accounts import Scope
from pixel_service.domain.errors import InvalidFields
from pixel_service.storage.engine import Database
from pixel_service.usecases.api_keys import NewKey, create_key, revoke_key
from pixel_service.usecases.context import Context
from pixel_service.web.api.auth import require
from pixel_service.web.api.problems import MAX_PROBLEMS, Body, parse_body, read_body
from pixel_service.web.errors import answer
from pixel_service.web.security import Rules, guards
from tests.access import BASE_URL, Clock, catalogues_in, context_of, equip


class Recipient(Body):
    address: Annotated[str, Field(min_length=1, max_length=254)]
    variables: dict[str, Any] = Field(default_factory=dict)


class Html(Body):
    kind: Literal["html"]
    html: str


class Template(Body):
    kind: Literal["template"]
    name: Annotated[str, Field(pattern=r"^[a-z]+$")]


class Order(Body):
    campaign: str
    recipients: Annotated[list[Recipient], Field(max_length=10_000)] = Field(default_factory=list)
    content: Annotated[Html | Template, Field(discriminator="kind")] | None = None
    dry_run: bool = False
    rate: float = 1.0

    @field_validator("campaign")
    @classmethod
    def _is_known(cls, campaign: str) -> str:
        if campaign == "unknown":
            raise ValueError("there is no such campaign")
        return campaign


@require(Scope.SEND)
async def send(request: Request) -> Response:
    order = await read_body(request, Order)
    return JSONResponse({"key": request.state.api_key.name, "recipients": len(order.recipients)})


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ctx(db: Database, clock: Clock, tmp_path: Path) -> Context:
    return context_of(db, clock, catalogues=catalogues_in(tmp_path / "locales", {}))


@pytest.fixture
async def client(ctx: Context) -> AsyncIterator[AsyncClient]:
    app = Starlette(
        routes=[Route("/v1/send", send, methods=["POST"])],
        middleware=guards(Rules(base_url=BASE_URL, style_hash="sha256-x=")),
        exception_handlers={HTTPException: answer},
    )
    async with AsyncClient(transport=ASGITransport(equip(app, ctx)), base_url=BASE_URL) as client:
        yield client


async def _bearer(ctx: Context, *scopes: Scope, expires_in: timedelta | None = None) -> dict[str, str]:
    _, credential = await create_key(ctx, NewKey(name="cms", scopes=frozenset(scopes), expires_in=expires_in))
    return {"Authorization": f"Bearer {credential}"}


def _assert_problem(answer: Answer, status: int) -> None:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status


# --- keys -------------------------------------------------------------------


async def test_a_key_with_the_scope_may_call(client: AsyncClient, ctx: Context) -> None:
    headers = await _bearer(ctx, Scope.SEND, Scope.REPORT)
    answer = await client.post("/v1/send", json={"campaign": "x"}, headers=headers)
    assert answer.json() == {"key": "cms", "recipients": 0}


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer  ", "Basic YWRhOmFkYQ==", "pk_x_y"])
async def test_without_a_key_the_caller_is_told_how_to_show_one(client: AsyncClient, header: str) -> None:
    answer = await client.post("/v1/send", json={}, headers={"Authorization": header} if header else {})
    _assert_problem(answer, 401)
    assert answer.headers["www-authenticate"] == 'Bearer realm="pixel-service"'


async def test_unknown_expired_and_revoked_keys_get_the_same_answer(
    client: AsyncClient, ctx: Context, clock: Clock
) -> None:
    headers = await _bearer(ctx, Scope.SEND, expires_in=timedelta(days=1))
    answers = [await client.post("/v1/send", headers={"Authorization": f"Bearer pk_{'a' * 26}_{'a' * 52}"})]
    clock.move(timedelta(days=1))
    answers.append(await client.post("/v1/send", headers=headers))
    clock.move(timedelta(days=-1))
    await revoke_key(ctx, "cms")
    answers.append(await client.post("/v1/send", headers=headers))
    for each in answers:
        _assert_problem(each, 401)
        assert 'error="invalid_token"' in each.headers["www-authenticate"]
    assert len({each.text for each in answers}) == 1


async def test_a_key_without_the_scope_is_told_which_one_it_lacks(client: AsyncClient, ctx: Context) -> None:
    answer = await client.post("/v1/send", json={}, headers=await _bearer(ctx, Scope.REPORT))
    _assert_problem(answer, 403)
    assert answer.headers["www-authenticate"].endswith('error="insufficient_scope", scope="send"')


async def test_a_stranger_is_refused_before_the_body_is_read(client: AsyncClient) -> None:
    _assert_problem(await client.post("/v1/send", content=b"{", headers={"Content-Type": "text/plain"}), 401)


# --- bodies -----------------------------------------------------------------


@pytest.mark.parametrize(
    "kind, status",
    [
        ("application/json", 200),
        ("Application/JSON; charset=UTF-8", 200),
        ('application/json; charset="utf-8"', 200),
        ("application/json; charset=iso-8859-1", 415),
        ("application/x-www-form-urlencoded", 415),
        ("text/plain", 415),
        ("application/jsonp", 415),
        ("", 415),
    ],
)
async def test_a_body_says_that_it_is_json(client: AsyncClient, ctx: Context, kind: str, status: int) -> None:
    headers = await _bearer(ctx, Scope.SEND) | ({"Content-Type": kind} if kind else {})
    answer = await client.post("/v1/send", content=b'{"campaign": "x"}', headers=headers)
    assert answer.status_code == status


async def test_a_wrong_field_is_named_in_the_answer(client: AsyncClient, ctx: Context) -> None:
    order = {"campaign": "x", "recipients": [{"address": "a"}, {"adress": "ada@nordlicht.de"}]}
    answer = await client.post("/v1/send", json=order, headers=await _bearer(ctx, Scope.SEND))
    _assert_problem(answer, 422)
    assert answer.json()["errors"] == [
        {"field": "recipients[1].address", "detail": "this field is required"},
        {"field": "recipients[1].adress", "detail": "this field is unknown"},
    ]
    assert "ada@" not in answer.text


def _problems(body: bytes | dict[str, object]) -> dict[str, str]:
    with pytest.raises(InvalidFields) as refused:
        parse_body(body if isinstance(body, bytes) else json.dumps(body).encode(), Order)
    return {problem.field: problem.detail for problem in refused.value.problems}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b'{"campaign": "x"} {}',
        b'\xff{"campaign": "x"}',
        b'{"campaign": "\xe4"}',
        b'{"campaign": "\\ud800"}',
        b'{"campaign": "x\x00"}',
        b'{"campaign": "x", "rate": NaN}',
        b'{"campaign": "x", "rate": -Infinity}',
        b"[" * 1_000_000,
        b'{"a":' * 1_000_000,
        b'{"campaign": "x", "rate": ' + b"9" * 1_000_000 + b"}",
    ],
    ids=lambda body: repr(body[:30]),
)
def test_what_is_not_json_is_refused_as_a_whole(body: bytes) -> None:
    problems = _problems(body)
    assert list(problems) == ["body"]
    assert problems["body"].startswith("not valid JSON: ")
    assert len(problems["body"]) < 120


def test_the_character_nul_is_refused_and_its_name_in_a_text_is_not() -> None:
    assert list(_problems(b'{"campaign": "x\\u0000"}')) == ["body"]
    assert list(_problems(b'{"campaign": "x\\\\\\u0000"}')) == ["body"]
    assert parse_body(b'{"campaign": "x\\\\u0000"}', Order).campaign == "x\\u0000"


@pytest.mark.parametrize(
    "body, field, detail",
    [
        ({}, "campaign", "this field is required"),
        ({"campaign": 1}, "campaign", "must be a string"),
        ({"campaign": None}, "campaign", "must be a string"),
        ({"campaign": "unknown"}, "campaign", "there is no such campaign"),
        ({"campaign": "x", "secret": 1}, "secret", "this field is unknown"),
        ({"campaign": "x", "dry_run": "perhaps"}, "dry_run", "must be true or false"),
        ({"campaign": "x", "recipients": {}}, "recipients", "must be a list"),
        ({"campaign": "x", "recipients": ["ada"]}, "recipients[0]", "must be an object"),
        (
            {"campaign": "x", "recipients": [{"address": ""}]},
            "recipients[0].address",
            "must have at least 1 characters",
        ),
        (
            {"campaign": "x", "recipients": [{"address": "a" * 255}]},
            "recipients[0].address",
            "must have at most 254 characters",
        ),
        (
            {"campaign": "x", "recipients": [{"address": "a"}] * 10_001},
            "recipients",
            "must have at most 10000 entries",
        ),
        ({"campaign": "x", "content": {"kind": "ada@n.de"}}, "content", "must be one of 'html', 'template'"),
        ({"campaign": "x", "content": {}}, "content", "does not say which kind it is"),
        ({"campaign": "x", "content": {"kind": "html"}}, "content.html.html", "this field is required"),
        (
            {"campaign": "x", "content": {"kind": "template", "name": "A!"}},
            "content.template.name",
            "does not have the required form",
        ),
        (
            {"campaign": "x", "rate": "fast"},
            "rate",
            "Input should be a valid number, unable to parse string as a number",
        ),
    ],
)
def test_each_mistake_is_named_and_explained(body: dict[str, object], field: str, detail: str) -> None:
    assert _problems(body) == {field: detail}


@pytest.mark.parametrize("body", [b"[]", b"null", b'"x"', b"1"])
def test_a_document_that_is_no_object_is_refused(body: bytes) -> None:
    assert _problems(body) == {"body": "must be an object"}


def test_ten_thousand_mistakes_are_told_in_a_bounded_answer() -> None:
    problems = _problems({"campaign": "x", "recipients": [{}] * 10_000})
    assert len(problems) == MAX_PROBLEMS + 1
    assert problems["body"] == "9900 more problems are not listed"


def test_a_long_unknown_name_is_cut() -> None:
    (name,) = _problems({"campaign": "x", "y" * 5000: 1})
    assert name == "y" * 80


@pytest.mark.parametrize(
    "body, name",
    [
        ('{"campaign": "x", "campaign": "y"}', "campaign"),
        ('{"campaign": "x", "dry_run": true, "campaign": "x"}', "campaign"),
        (r'{"campaign": "x", "\u0063ampaign": "y"}', "campaign"),
        ('{"campaign": "x", "recipients": [{"address": "a", "variables": {"n": {"m": 1, "m": 2}}}]}', "m"),
        ('{"%s": 1, "%s": 2}' % (("y" * 5000,) * 2), "y" * 80),
    ],
    ids=["two values", "one value", "two spellings", "deep inside", "a long name"],
)
def test_a_name_that_stands_twice_in_one_object_is_refused(body: str, name: str) -> None:
    assert _problems(body.encode()) == {name: "named twice in one object"}


async def test_a_repeated_name_is_told_as_a_problem(client: AsyncClient, ctx: Context) -> None:
    body = b'{"campaign": "x", "dry_run": true, "dry_run": false}'
    headers = await _bearer(ctx, Scope.SEND) | {"Content-Type": "application/json"}
    answer = await client.post("/v1/send", content=body, headers=headers)
    _assert_problem(answer, 422)
    assert answer.json()["errors"] == [{"field": "dry_run", "detail": "named twice in one object"}]


def test_one_name_in_two_objects_is_fine() -> None:
    people = [{"address": "a", "variables": {"address": "x", "campaign": "x"}}, {"address": "b"}]
    order = parse_body(json.dumps({"campaign": "x", "recipients": people}).encode(), Order)
    assert [one.address for one in order.recipients] == ["a", "b"]


def test_a_long_object_of_different_names_is_looked_through_once() -> None:
    """Comparing every name with every other took hours for the 16 MB a send may have."""
    body = json.dumps({f"name{number}": 1 for number in range(100_000)} | {"z": 1})[:-1] + ', "z": 2}'
    assert _problems(body.encode()) == {"z": "named twice in one object"}
