"""`POST /v1/send` and `GET /v1/sends/{id}` as a pipeline sees them: bounds, answers, repeats (D1, A2, A4)."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from httpx import AsyncClient, Response

from pixel_service.domain.accounts import Scope
from pixel_service.storage.engine import Database
from pixel_service.usecases.api_keys import NewKey, create_key
from pixel_service.usecases.context import Context
from pixel_service.usecases.send import expand_audience
from tests.builders import BLOG, OPENS, context, dump, join, web

HTML = "<p>Hello {{ first_name }}</p>"


@pytest.fixture
def ctx(db: Database) -> Context:
    return context(db)


async def caller(ctx: Context, *scopes: Scope) -> AsyncClient:
    new = NewKey(name="-".join(scopes), scopes=frozenset(scopes), expires_in=timedelta(days=1))
    _, credential = await create_key(ctx, new)
    client = web(ctx)
    client.headers["Authorization"] = f"Bearer {credential}"
    return client


@pytest.fixture
async def pipeline(ctx: Context) -> AsyncIterator[AsyncClient]:
    async with await caller(ctx, Scope.SEND) as client:
        yield client


def asking(*addresses: str, **changes: Any) -> dict[str, Any]:
    """A request; a change to None leaves the field out."""
    body = {
        "campaign": "November",
        "purpose": "newsletter:blog",
        "subject": "News",
        "html": HTML,
        "recipients": [{"address": one} for one in addresses],
        **changes,
    }
    return {name: value for name, value in body.items() if value is not None}


async def post(pipeline: AsyncClient, body: object, key: str | None = "key-1") -> Response:
    return await pipeline.post("/v1/send", json=body, headers={} if key is None else {"Idempotency-Key": key})


def fields(response: Response) -> list[str]:
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    return [error["field"] for error in response.json()["errors"]]


# --- the answer ---------------------------------------------------------------------------------------------------


async def test_a_send_answers_for_every_recipient(ctx: Context, pipeline: AsyncClient) -> None:
    await join(ctx, "anna@example.com", BLOG, OPENS)
    answer = await post(pipeline, asking("ANNA@example.com", "nobody@example.com", "no address"))
    assert answer.status_code == 202
    told = answer.json()
    assert set(told) == {"send_id", "campaign_id", "counts", "finished", "warnings", "results"}
    assert told["counts"] == {"tracked": 1, "untracked": 0, "refused": 2}
    assert (told["finished"], told["warnings"]) == (True, [])
    first, second, third = told["results"]
    assert isinstance(first.pop("ledger_entry"), int)
    assert len(first.pop("message_id")) == 26
    assert first == {"index": 0, "address": "ANNA@example.com", "verdict": "tracked", "reason": "tracking_consent"}
    nothing = {"verdict": "refused", "ledger_entry": None, "message_id": None}
    assert second == {"index": 1, "address": "nobody@example.com", "reason": "unknown_address", **nothing}
    assert third == {"index": 2, "address": "no address", "reason": "invalid_address", **nothing}


async def test_a_repeat_gets_the_same_bytes_and_sends_nothing(ctx: Context, pipeline: AsyncClient) -> None:
    await join(ctx, "anna@example.com", BLOG)
    first = await post(pipeline, asking("anna@example.com", "nobody@example.com"))
    before = await dump(ctx.db)
    # The order of names and defaults spelled out are no other request.
    same = dict(reversed(list(asking("anna@example.com", "nobody@example.com", dry_run=False, variables={}).items())))
    again = await post(pipeline, same)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert await dump(ctx.db) == before


async def test_a_repeat_for_an_audience_gets_the_same_bytes_too(ctx: Context, pipeline: AsyncClient) -> None:
    await join(ctx, "anna@example.com", BLOG)
    body = asking(recipients=None, audience="subscribers")
    first = await post(pipeline, body)
    assert first.status_code == 202
    assert (first.json()["results"], first.json()["finished"]) == (None, False)
    while await expand_audience(ctx):
        pass
    again = await post(pipeline, body)
    assert (again.status_code, again.content) == (first.status_code, first.content)


async def test_the_same_key_with_another_body_is_a_conflict(pipeline: AsyncClient) -> None:
    await post(pipeline, asking("anna@example.com"))
    answer = await post(pipeline, asking("bo@example.com"))
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"].endswith(":idempotency-conflict")


async def test_a_dry_run_decides_and_stores_nothing(ctx: Context, pipeline: AsyncClient) -> None:
    await join(ctx, "anna@example.com", BLOG)
    before = await dump(ctx.db)
    answer = await post(pipeline, asking("anna@example.com", dry_run=True), key=None)
    assert answer.status_code == 200
    told = answer.json()
    assert (told["send_id"], told["campaign_id"], told["finished"]) == (None, None, True)
    assert told["results"][0]["verdict"] == "untracked"
    assert told["results"][0]["message_id"] is None
    assert await dump(ctx.db) == before


async def test_progress_tells_verdicts_and_mails_by_status(ctx: Context, pipeline: AsyncClient) -> None:
    await join(ctx, "anna@example.com", BLOG, OPENS)
    await join(ctx, "bo@example.com", BLOG)
    sent = (await post(pipeline, asking(recipients=None, audience="subscribers"))).json()
    url = f"/v1/sends/{sent['send_id']}"
    waiting = (await pipeline.get(url)).json()
    assert waiting == {
        "send_id": sent["send_id"],
        "campaign_id": sent["campaign_id"],
        "counts": {"tracked": 0, "untracked": 0, "refused": 0},
        "finished": False,
        "delivery": {"queued": 0, "sent": 0, "failed": 0, "cancelled": 0},
        "warnings": [],
    }
    while await expand_audience(ctx):
        pass
    walked = (await pipeline.get(url)).json()
    assert walked["counts"] == {"tracked": 1, "untracked": 1, "refused": 0}
    assert walked["finished"] is True
    assert walked["delivery"]["queued"] == 2


async def test_progress_of_an_unknown_send_is_not_found(pipeline: AsyncClient) -> None:
    answer = await pipeline.get("/v1/sends/none")
    assert answer.status_code == 404
    assert answer.json()["detail"] == "There is no such send."


# --- who may ----------------------------------------------------------------------------------------------------------


async def test_only_a_key_with_the_scope_may_send_or_look(ctx: Context) -> None:
    async with web(ctx) as nobody:
        assert (await post(nobody, asking("anna@example.com"))).status_code == 401
        assert (await nobody.get("/v1/sends/none")).status_code == 401
    async with await caller(ctx, Scope.REPORT) as reader:
        # The key is asked before the body is read: what is wrong with it stays untold.
        assert (await post(reader, {"nonsense": 1})).status_code == 403
        assert (await reader.get("/v1/sends/none")).status_code == 403


# --- what is refused ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes, named",
    [
        ({"campaign": ""}, ["campaign"]),
        ({"campaign": "x" * 121}, ["campaign"]),
        ({"campaign": "two\nlines"}, ["campaign"]),
        ({"campaign": None}, ["campaign"]),
        ({"campaign": 7}, ["campaign"]),
        ({"purpose": "Newsletter:Blog"}, ["purpose"]),
        ({"purpose": "newsletter:none"}, ["purpose"]),
        ({"purpose": "whitepaper:glasfaser"}, ["purpose"]),
        ({"subject": "a\r\nBcc: everybody@example.com"}, ["subject"]),
        ({"subject": "x" * 301}, ["subject"]),
        ({"html": None}, ["template"]),
        ({"template": "newsletter"}, ["template"]),
        ({"html": None, "template": "../secret"}, ["template"]),
        ({"html": None, "template": "unheard-of"}, ["template"]),
        ({"html": ""}, ["html"]),
        ({"html": "x" * 1_000_001}, ["html"]),
        ({"html": "<p>{{ unclosed </p>"}, ["html"]),
        ({"text": "{% for %}"}, ["text"]),
        ({"audience": "subscribers"}, ["recipients"]),
        ({"recipients": None}, ["recipients"]),
        ({"recipients": None, "audience": "everybody"}, ["audience"]),
        ({"recipients": []}, ["recipients"]),
        ({"recipients": {}}, ["recipients"]),
        ({"recipients": ["anna@example.com"]}, ["recipients[0]"]),
        ({"recipients": [{}]}, ["recipients[0].address"]),
        ({"recipients": [{"address": 1}]}, ["recipients[0].address"]),
        ({"recipients": [{"address": "x" * 321}]}, ["recipients[0].address"]),
        ({"recipients": [{"address": "a@b.de", "name": "A"}]}, ["recipients[0].name"]),
        ({"recipients": [{"address": "a@b.de", "language": "fr"}]}, ["recipients[0].language"]),
        ({"recipients": [{"address": "a@b.de", "language": "Deutsch!"}]}, ["recipients[0].language"]),
        ({"recipients": [{"address": "a@b.de", "variables": {"code": 1}}]}, ["recipients[0].variables.code"]),
        ({"recipients": [{"address": "a@b.de", "variables": {"code": "x" * 2001}}]}, ["recipients[0].variables.code"]),
        (
            {"recipients": [{"address": "a@b.de", "variables": {f"n{i}": "" for i in range(51)}}]},
            ["recipients[0].variables"],
        ),
        ({"variables": {"deep": [[[[[[[[1]]]]]]]]}}, ["variables"]),
        ({"variables": {"long": "x" * 200_001}}, ["variables"]),
        ({"variables": {f"n{i}": "" for i in range(51)}}, ["variables"]),
        ({"variables": []}, ["variables"]),
        ({"dry_run": "yes"}, ["dry_run"]),
        ({"surprise": 1}, ["surprise"]),
    ],
    ids=str,
)
async def test_what_breaks_a_bound_is_refused_by_its_name_and_not_repeated(
    new_sqlite: Any, changes: dict[str, Any], named: list[str]
) -> None:
    database = Database(new_sqlite())
    ctx = context(database)
    async with await caller(ctx, Scope.SEND) as pipeline:
        before = await dump(database)
        answer = await post(pipeline, asking("anna@example.com", **changes))
        assert fields(answer) == named
        assert len(answer.content) < 1000
        assert await dump(database) == before
    await database.close()


async def test_the_verdicts_of_an_audience_are_told_page_by_page_without_addresses(
    ctx: Context, pipeline: AsyncClient
) -> None:
    await join(ctx, "anna@example.com", BLOG, OPENS)
    await join(ctx, "bo@example.com", BLOG)
    accepted = await post(pipeline, asking(recipients=None, audience="subscribers"))
    await expand_audience(ctx)
    path = f"/v1/sends/{accepted.json()['send_id']}/results"
    answer = await pipeline.get(path)
    assert "example.com" not in answer.text
    told = answer.json()
    assert (told["next_page"], told["finished"]) == (None, True)
    assert [one["index"] for one in told["results"]] == [0, 1]
    assert {(one["verdict"], one["reason"]) for one in told["results"]} == {
        ("tracked", "tracking_consent"),
        ("untracked", "no_tracking_consent"),
    }
    assert all(one["ledger_entry"] and one["message_id"] for one in told["results"])
    assert (await pipeline.get(path, params={"page": "1"})).json()["results"] == []
    assert fields(await pipeline.get(path, params={"page": "-1"})) == ["page"]
    assert (await pipeline.get(f"/v1/sends/{'a' * 26}/results")).status_code == 404


async def test_names_of_variables_are_names_a_template_can_use(pipeline: AsyncClient) -> None:
    answer = await post(pipeline, asking(recipients=[{"address": "a@b.de", "variables": {"not a name": ""}}]))
    assert fields(answer)[0].startswith("recipients[0].variables.not a name")
    assert fields(await post(pipeline, asking("a@b.de", variables={"1": ""})))[0].startswith("variables.1")


async def test_a_missing_variable_names_the_recipient_and_the_variable(pipeline: AsyncClient) -> None:
    recipients = [{"address": f"p{i}@b.de", "variables": {} if i == 3 else {"code": "x"}} for i in range(5)]
    answer = await post(pipeline, asking(html="<p>{{ code }}</p>", recipients=recipients))
    assert fields(answer) == ["recipients[3].variables.code"]


async def test_a_number_json_can_not_hold_is_refused(pipeline: AsyncClient) -> None:
    body = b'{"campaign":"c","purpose":"service","html":"<p>x</p>","recipients":[{"address":"a@b.de"}],"variables":{"n":1e999}}'
    headers = {"Content-Type": "application/json", "Idempotency-Key": "k"}
    assert fields(await pipeline.post("/v1/send", content=body, headers=headers)) == ["variables"]


async def test_ten_thousand_recipients_pass_and_one_more_is_refused_by_name(new_sqlite: Any) -> None:
    database = Database(new_sqlite())
    ctx = context(database)
    async with await caller(ctx, Scope.SEND) as pipeline:
        addresses = [f"person{number}@example.com" for number in range(10_001)]
        answer = await post(pipeline, asking(*addresses))
        assert fields(answer) == ["recipients"]
        assert "10000" in answer.json()["detail"]
        answer = await post(pipeline, asking(*addresses[:-1]))
        assert answer.status_code == 202
        assert [one["address"] for one in answer.json()["results"]] == addresses[:-1]
        # 16 MB is the most a request may hold.
        answer = await post(pipeline, asking("a@b.de", text="x" * (16 * 1024 * 1024)))
        assert answer.status_code == 413
    await database.close()


@pytest.mark.parametrize("key", [None, "", "x" * 256, "tab\there", "schlüssel".encode("latin-1")])
async def test_a_send_needs_an_idempotency_key_that_can_be_kept(pipeline: AsyncClient, key: str | None) -> None:
    assert fields(await post(pipeline, asking("anna@example.com"), key)) == ["Idempotency-Key"]


async def test_two_idempotency_keys_are_none(pipeline: AsyncClient) -> None:
    twice = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    answer = await pipeline.post("/v1/send", json=asking("anna@example.com"), headers=twice)
    assert fields(answer) == ["Idempotency-Key"]


async def test_what_its_author_should_know_is_told_with_the_answer_and_its_repeat(pipeline: AsyncClient) -> None:
    long = "<p>" + "Lorem ipsum dolor sit amet. " * 5000 + "</p>"
    first = await post(pipeline, asking("anna@example.com", html=long))
    assert first.status_code == 202
    assert len(first.json()["warnings"]) >= 1
    again = await post(pipeline, asking("anna@example.com", html=long))
    assert again.content == first.content
    progress = await pipeline.get(f"/v1/sends/{first.json()['send_id']}")
    assert progress.json()["warnings"] == first.json()["warnings"]
