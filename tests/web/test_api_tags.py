"""What a campaign is about: named with a send, and the same for all of its sends (O2)."""

import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from httpx import AsyncClient, Response
from sqlalchemy import select

from pixel_service.domain.accounts import Scope
from pixel_service.storage.engine import Database
from pixel_service.storage.schema import campaigns, messages
from pixel_service.usecases.context import Context
from pixel_service.web.api.models import SendRequest
from tests.builders import BLOG, context, join
from tests.web.test_api_reports import caller
from tests.web.test_api_send import asking, fields


@pytest.fixture
def ctx(db: Database) -> Context:
    return context(db)


@pytest.fixture
async def pipeline(ctx: Context) -> AsyncIterator[AsyncClient]:
    async with await caller(ctx, Scope.SEND) as client:
        yield client


async def send(pipeline: AsyncClient, key: str, *addresses: str, **changes: Any) -> Response:
    body = asking(*(addresses or ("anna@example.com",)), **changes)
    return await pipeline.post("/v1/send", json=body, headers={"Idempotency-Key": key})


async def tags_of(ctx: Context, name: str = "November") -> list[str]:
    async with ctx.db.read() as connection:
        query = select(campaigns.c.tags).where(campaigns.c.name == name)
        found: list[str] = (await connection.execute(query)).scalar_one()
        return found


async def test_a_campaign_stands_under_the_tags_of_its_send(ctx: Context, pipeline: AsyncClient) -> None:
    assert (await send(pipeline, "1", tags=["security", "fibre", "fibre"])).status_code == 202
    assert await tags_of(ctx) == ["fibre", "security"]


async def test_a_campaign_without_tags_has_none_and_takes_those_of_a_later_send(
    ctx: Context, pipeline: AsyncClient
) -> None:
    await send(pipeline, "1")
    assert await tags_of(ctx) == []
    await send(pipeline, "2", tags=[])
    assert await tags_of(ctx) == []
    await send(pipeline, "3", tags=["fibre"])
    assert await tags_of(ctx) == ["fibre"]


async def test_later_sends_name_the_same_tags_or_none(ctx: Context, pipeline: AsyncClient) -> None:
    await send(pipeline, "1", tags=["fibre", "security"])
    assert (await send(pipeline, "2")).status_code == 202
    assert (await send(pipeline, "3", tags=["security", "fibre"])).status_code == 202
    assert await tags_of(ctx) == ["fibre", "security"]


@pytest.mark.parametrize("tags", [["fibre"], ["fibre", "security", "voice"], []])
@pytest.mark.parametrize("dry_run", [False, True])
async def test_other_tags_are_refused_and_nothing_is_sent(
    ctx: Context, pipeline: AsyncClient, tags: list[str], dry_run: bool
) -> None:
    await join(ctx, "bo@example.com", BLOG)
    await send(pipeline, "1", tags=["fibre", "security"])
    answer = await send(pipeline, "2", "bo@example.com", tags=tags, html="<p>News</p>", dry_run=dry_run)
    assert fields(answer) == ["tags"]
    assert answer.json()["errors"][0]["detail"] == "the campaign of this name has other tags: fibre, security"
    assert await tags_of(ctx) == ["fibre", "security"]
    async with ctx.db.read() as connection:
        mails = select(messages.c.message_id).where(messages.c.campaign_id.is_not(None))
        assert (await connection.execute(mails)).all() == []


@pytest.mark.parametrize(
    "tags, field",
    [
        (["Fibre"], "tags[0]"),
        (["fibre", ""], "tags[1]"),
        (["a" * 41], "tags[0]"),
        (["glasfaser und mehr"], "tags[0]"),
        ([1], "tags[0]"),
        ([f"tag-{n}" for n in range(11)], "tags"),
        ("fibre", "tags"),
    ],
)
async def test_a_tag_is_a_slug_and_there_are_few(pipeline: AsyncClient, tags: object, field: str) -> None:
    assert fields(await send(pipeline, "1", tags=tags)) == [field]


async def test_a_dry_run_names_tags_and_keeps_none(ctx: Context, pipeline: AsyncClient) -> None:
    assert (await send(pipeline, "1", tags=["fibre"], dry_run=True)).status_code == 200
    async with ctx.db.read() as connection:
        assert (await connection.execute(select(campaigns))).all() == []


def test_a_request_without_tags_is_hashed_as_before_there_were_any() -> None:
    """So that a repeat across an upgrade is still a repeat."""
    request = SendRequest.model_validate(asking("anna@example.com"))
    plain = request.model_dump(mode="json", exclude={"tags"})
    before = hashlib.sha256(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    assert request.body_hash() == before


def test_the_order_of_tags_makes_no_other_request() -> None:
    one, other, third = (
        SendRequest.model_validate(asking("anna@example.com", tags=tags)).body_hash()
        for tags in (["a", "b"], ["b", "a"], ["b"])
    )
    assert one == other != third
