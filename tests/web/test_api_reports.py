"""`GET /v1/campaigns/{id}/report`: the stored figures as JSON, for keys that may read reports."""

from collections.abc import AsyncIterator
from datetime import datetime

import pytest
from httpx import AsyncClient
from sqlalchemy import insert

from pixel_service.domain.accounts import Scope
from pixel_service.domain.consent import State
from pixel_service.domain.messages import CampaignId, Tracking
from pixel_service.domain.opens import Judgement, Verdict
from pixel_service.storage.engine import Connection, Database
from pixel_service.storage.schema import opens
from pixel_service.usecases.api_keys import NewKey, create_key
from pixel_service.usecases.context import Context
from tests.builders import context, web
from tests.tracked_mail import GMAIL, NOW, add_campaign, add_mail, add_person, fetch

PREFETCH = Judgement(Verdict.PREFETCH, "apple_mpp", "")


async def add_open(
    connection: Connection, message_id: str, judgement: Judgement = GMAIL, *, at: datetime = NOW
) -> None:
    seen = fetch(None, at=at, judgement=judgement)
    await connection.execute(
        insert(opens).values(
            open_id=seen.open_id,
            message_id=message_id,
            opened_at=seen.at,
            verdict=judgement.verdict.value,
            reason=judgement.reason,
            client_family=judgement.client_family,
        )
    )


async def add_mailing(connection: Connection, *, tracked: int, opened: int) -> CampaignId:
    """`tracked` mails with a pixel, the first `opened` of them opened by people, one by a machine; one mail without."""
    campaign_id = await add_campaign(connection)
    for number in range(tracked):
        mail = await add_mail(connection, await add_person(connection), campaign_id=campaign_id)
        if number < opened:
            await add_open(connection, mail.message_id)
        if number == 0:
            await add_open(connection, mail.message_id, PREFETCH)
    person = await add_person(connection, State.REFUSED)
    await add_mail(connection, person, campaign_id=campaign_id, tracking=Tracking.NONE)
    return campaign_id


@pytest.fixture
def ctx(db: Database) -> Context:
    return context(db)


async def caller(ctx: Context, scope: Scope) -> AsyncClient:
    _, credential = await create_key(ctx, NewKey(name=scope, scopes=frozenset({scope})))
    client = web(ctx)
    client.headers["Authorization"] = f"Bearer {credential}"
    return client


@pytest.fixture
async def reader(ctx: Context) -> AsyncIterator[AsyncClient]:
    async with await caller(ctx, Scope.REPORT) as client:
        yield client


async def test_a_report_is_numbers_and_moments(ctx: Context, reader: AsyncClient) -> None:
    async with ctx.db.write() as connection:
        campaign_id = await add_mailing(connection, tracked=3, opened=2)
    answer = await reader.get(f"/v1/campaigns/{campaign_id}/report")
    assert answer.status_code == 200
    assert answer.json() == {
        "campaign_id": campaign_id,
        "name": "November",
        "purpose": "newsletter:blog",
        "created_at": "2026-11-03T09:00:00Z",
        "first_sent_at": "2026-11-03T09:00:00Z",
        "sent": 4,
        "tracked": 3,
        "untracked": 1,
        "withdrawn_since": 0,
        "restricted": 0,
        "coverage": 0.75,
        "unique_opens": 2,
        "total_opens": 2,
        "unique_machine_opens": 1,
        "total_machine_opens": 1,
        "unique_unknown_opens": 0,
        "total_unknown_opens": 0,
        "open_rate": None,
        "timeline": [
            {"starts_at": "2026-11-03T09:00:00Z", "lasts_seconds": 3600, "opens": 2, "machine": 1, "unknown": 0}
        ],
        "clients": [{"family": "Gmail", "unique": 2, "total": 2}],
    }


async def test_a_rate_is_told_from_thirty_mails_with_consent_on(ctx: Context, reader: AsyncClient) -> None:
    async with ctx.db.write() as connection:
        campaign_id = await add_mailing(connection, tracked=30, opened=15)
    rate = (await reader.get(f"/v1/campaigns/{campaign_id}/report")).json()["open_rate"]
    assert rate["value"] == 0.5
    assert 0.3 < rate["low"] < 0.5 < rate["high"] < 0.7


async def test_a_campaign_that_sent_nothing_has_nulls_where_there_is_nothing_to_divide_by(
    ctx: Context, reader: AsyncClient
) -> None:
    async with ctx.db.write() as connection:
        campaign_id = await add_campaign(connection)
    told = (await reader.get(f"/v1/campaigns/{campaign_id}/report")).json()
    assert (told["first_sent_at"], told["coverage"], told["open_rate"]) == (None, None, None)
    assert (told["sent"], told["timeline"], told["clients"]) == (0, [], [])


@pytest.mark.parametrize("campaign_id", ["a" * 26, "none", "%00", "x" * 500])
async def test_a_campaign_that_does_not_exist_is_not_found(reader: AsyncClient, campaign_id: str) -> None:
    answer = await reader.get(f"/v1/campaigns/{campaign_id}/report")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


async def test_only_a_key_for_reports_may_read_them(ctx: Context) -> None:
    path = f"/v1/campaigns/{'a' * 26}/report"
    async with web(ctx) as nobody, await caller(ctx, Scope.SEND) as pipeline:
        assert (await nobody.get(path)).status_code == 401
        assert (await pipeline.get(path)).status_code == 403
