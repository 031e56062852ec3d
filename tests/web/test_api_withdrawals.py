"""`POST /v1/withdrawals`: another program passes on what a person said to it (W6)."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from httpx import AsyncClient

from pixel_service.domain.accounts import Scope
from pixel_service.domain.consent import Act, State
from pixel_service.domain.messages import SubscriberId
from pixel_service.storage import consent, ledger
from pixel_service.storage.engine import Database
from pixel_service.usecases.api_keys import NewKey, create_key
from pixel_service.usecases.context import Context
from tests.builders import BLOG, OPENS, context, dump, join, web


@pytest.fixture
def ctx(db: Database) -> Context:
    return context(db)


async def caller(ctx: Context, scope: Scope) -> AsyncClient:
    _, credential = await create_key(
        ctx, NewKey(name="portal", scopes=frozenset({scope}), expires_in=timedelta(days=1))
    )
    client = web(ctx)
    client.headers["Authorization"] = f"Bearer {credential}"
    return client


@pytest.fixture
async def portal(ctx: Context) -> AsyncIterator[AsyncClient]:
    async with await caller(ctx, Scope.CONSENT) as client:
        yield client


async def states(ctx: Context, person: SubscriberId) -> dict[str, State]:
    async with ctx.db.read() as connection:
        return {purpose: one.state for purpose, one in (await consent.consents_of(connection, person)).items()}


async def test_what_was_said_elsewhere_ends_here_and_the_ledger_says_how(ctx: Context, portal: AsyncClient) -> None:
    person = await join(ctx, "anna@example.com", BLOG, OPENS)
    answer = await portal.post("/v1/withdrawals", json={"address": "Anna@Example.com", "purposes": [OPENS]})
    assert (answer.status_code, answer.json()["withdrawn"]) == (200, [OPENS])
    assert await states(ctx, person) == {BLOG: State.GIVEN, OPENS: State.WITHDRAWN}
    async with ctx.db.read() as connection:
        entry = (await ledger.entries_of(connection, person))[-1]
    said = json.loads(entry.content or "{}")
    assert (entry.act, said["source"]) == (Act.WITHDRAWN, "api")
    assert len(said["api_key"]) > 10


async def test_without_purposes_everything_ends_and_a_repeat_ends_nothing(ctx: Context, portal: AsyncClient) -> None:
    person = await join(ctx, "anna@example.com", BLOG, OPENS)
    first, again = [await portal.post("/v1/withdrawals", json={"address": "anna@example.com"}) for _ in range(2)]
    assert sorted(first.json()["withdrawn"]) == sorted([BLOG, OPENS])
    assert (again.status_code, again.json()["withdrawn"]) == (200, [])
    assert set((await states(ctx, person)).values()) == {State.WITHDRAWN}


async def test_an_address_nobody_knows_is_answered_alike_and_stored_nowhere(ctx: Context, portal: AsyncClient) -> None:
    before = await dump(ctx.db)
    answer = await portal.post("/v1/withdrawals", json={"address": "nobody@example.com"})
    assert answer.json() == {"withdrawn": [], "deleted": {"opens": 0, "pixels": 0, "waiting_mails": 0}}
    after = await dump(ctx.db)
    assert {name: rows for name, rows in after.items() if rows != before[name] and name != "api_keys"} == {}


@pytest.mark.parametrize(
    "body, field",
    [
        ({"address": "no address"}, "address"),
        ({"address": "a@example.com", "purposes": []}, "purposes"),
        ({"address": "a@example.com", "purposes": ["service"]}, "purposes[0]"),
        ({"address": "a@example.com", "everything": True}, "everything"),
    ],
)
async def test_a_mistake_is_named(portal: AsyncClient, body: dict[str, object], field: str) -> None:
    answer = await portal.post("/v1/withdrawals", json=body)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_a_key_that_may_send_may_not_withdraw(ctx: Context) -> None:
    async with await caller(ctx, Scope.SEND) as client:
        assert (await client.post("/v1/withdrawals", json={"address": "a@example.com"})).status_code == 403
