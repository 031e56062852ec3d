"""Reports as JSON: the stored figures, for keys that may read reports."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from httpx import AsyncClient
from sqlalchemy import update

from pixel_service.domain.accounts import Scope
from pixel_service.domain.messages import CampaignId, Tracking
from pixel_service.storage.engine import Connection, Database
from pixel_service.storage.schema import campaigns
from pixel_service.usecases.api_keys import NewKey, create_key
from pixel_service.usecases.context import Context
from tests.access import Clock
from tests.builders import BLOG, OPENS, ask, context, deliver, web
from tests.opened_mail import EARLY, GMAIL, MPP, OUTLOOK, SCANNER, UNKNOWN, add_many, add_to, count_anew
from tests.tracked_mail import NOW, add_campaign

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


async def add_mailing(
    connection: Connection, name: str = "November", *, tracked: int, opened: int, hidden: int = 0
) -> CampaignId:
    """`tracked` mails with a pixel, the first `opened` of them opened by people, the next `hidden` fetched by Apple; one
    mail without."""
    campaign_id = await add_campaign(connection, name)
    await add_many(connection, campaign_id, opened, GMAIL)
    await add_many(connection, campaign_id, hidden, MPP)
    await add_many(connection, campaign_id, tracked - opened - hidden)
    await add_to(connection, campaign_id, tracking=Tracking.NONE)
    await count_anew(connection)
    return campaign_id


@pytest.fixture
def ctx(db: Database) -> Context:
    return context(db, Clock(NOW + 8 * DAY))


async def caller(ctx: Context, scope: Scope) -> AsyncClient:
    _, credential = await create_key(ctx, NewKey(name=scope, scopes=frozenset({scope})))
    client = web(ctx)
    client.headers["Authorization"] = f"Bearer {credential}"
    return client


@pytest.fixture
async def reader(ctx: Context) -> AsyncIterator[AsyncClient]:
    async with await caller(ctx, Scope.REPORT) as client:
        yield client


def rate(told: object) -> tuple[float, int, int]:
    """Value, count and base of a share, whose interval holds it."""
    assert isinstance(told, dict)
    assert told.keys() == {"value", "low", "high", "count", "base"}
    assert 0 <= told["low"] <= told["value"] <= told["high"] <= 1
    return told["value"], told["count"], told["base"]


# --- one campaign -------------------------------------------------------------


async def test_a_report_is_numbers_and_moments(ctx: Context, reader: AsyncClient) -> None:
    async with ctx.db.write() as connection:
        campaign_id = await add_campaign(connection)
        await add_to(connection, campaign_id, GMAIL, OUTLOOK, at=NOW + 90 * timedelta(minutes=1))
        await add_to(connection, campaign_id, MPP, EARLY)
        await add_to(connection, campaign_id, UNKNOWN, SCANNER)
        await add_to(connection, campaign_id, tracking=Tracking.NONE)
        await count_anew(connection)
    answer = await reader.get(f"/v1/campaigns/{campaign_id}/report")
    assert answer.status_code == 200
    told = answer.json()
    delays = told.pop("delays")
    assert {one["name"]: one["messages"] for one in delays if one["messages"]} == {"6h": 1}
    assert delays[0] == {"name": "1m", "ends_after": 60, "messages": 0}
    assert delays[-1]["ends_after"] is None
    assert told == {
        "campaign_id": campaign_id,
        "name": "November",
        "purpose": "newsletter:blog",
        "tags": [],
        "created_at": "2026-11-03T09:00:00Z",
        "first_sent_at": "2026-11-03T09:00:00Z",
        "is_whole": True,
        "as_of": "2026-11-11T09:00:00Z",
        "is_young": False,
        "sent": 4,
        "tracked": 3,
        "untracked": 1,
        "withdrawn_since": 0,
        "restricted": 0,
        "coverage": 0.75,
        "unique_opens": 1,
        "total_opens": 2,
        "sessions": 1,
        "unique_machine_opens": 2,
        "total_machine_opens": 3,
        "unique_unknown_opens": 1,
        "total_unknown_opens": 1,
        "human": 1,
        "hidden": 1,
        "unknown": 1,
        "machine_only": 0,
        "silent": 0,
        "floor": None,
        "estimate": None,
        "ceiling": None,
        "median_delay": "6h",
        "half_in_after": 7200,
        "most_in_after": 7200,
        "timeline": [
            {"starts_at": "2026-11-03T09:00:00Z", "lasts_seconds": 3600, "opens": 0, "machine": 3, "unknown": 1},
            {"starts_at": "2026-11-03T10:00:00Z", "lasts_seconds": 3600, "opens": 2, "machine": 0, "unknown": 0},
        ],
        "best_hours": {"timezone": "Europe/Berlin", "cells": []},
        "clients": [
            {"family": "Gmail", "unique": 1, "total": 1, "share": 1.0, "hidden_by_proxy": True},
            {"family": "Outlook", "unique": 1, "total": 1, "share": 1.0, "hidden_by_proxy": False},
        ],
        "machines": [
            {"verdict": "prefetch", "reason": "apple_mpp", "total": 1},
            {"verdict": "prefetch", "reason": "early", "total": 1},
            {"verdict": "scanner", "reason": "security_product", "total": 1},
        ],
        "quality": {
            "machine_share": 0.5,
            "unknown_share": 1 / 6,
            "proxy_share": 0.5,
            "hidden_share": 1 / 3,
            "early": 1,
        },
    }


async def test_shares_are_told_from_thirty_mails_with_consent_on(ctx: Context, reader: AsyncClient) -> None:
    async with ctx.db.write() as connection:
        campaign_id = await add_mailing(connection, tracked=60, opened=15, hidden=30)
    told = (await reader.get(f"/v1/campaigns/{campaign_id}/report")).json()
    assert rate(told["floor"]) == (0.25, 15, 60)
    assert rate(told["estimate"]) == (0.5, 15, 30)
    assert rate(told["ceiling"]) == (0.75, 45, 60)


async def test_the_best_hours_are_those_of_the_companys_clock(ctx: Context, reader: AsyncClient) -> None:
    async with ctx.db.write() as connection:
        campaign_id = await add_mailing(connection, tracked=20, opened=20)
    told = (await reader.get(f"/v1/campaigns/{campaign_id}/report")).json()
    assert told["best_hours"]["cells"] == [{"weekday": 2, "hour": 10, "opens": 20}]


async def test_a_campaign_that_sent_nothing_has_nulls_where_there_is_nothing_to_divide_by(
    ctx: Context, reader: AsyncClient
) -> None:
    async with ctx.db.write() as connection:
        campaign_id = await add_campaign(connection)
    told = (await reader.get(f"/v1/campaigns/{campaign_id}/report")).json()
    assert (told["first_sent_at"], told["coverage"], told["floor"], told["median_delay"]) == (None, None, None, None)
    assert (told["sent"], told["timeline"], told["clients"], told["is_young"]) == (0, [], [], True)


# --- beside others ------------------------------------------------------------


async def test_a_comparison_lists_mailings_in_order_of_sending(ctx: Context, reader: AsyncClient) -> None:
    async with ctx.db.write() as connection:
        earlier = await add_campaign(connection, "October")
        await add_many(connection, earlier, 30, OUTLOOK, sent_at=NOW - 7 * DAY)
        campaign_id = await add_mailing(connection, tracked=30, opened=15)
    answer = await reader.get(f"/v1/campaigns/{campaign_id}/comparison")
    told = answer.json()
    assert (told["campaign_id"], told["age_hours"], told["typical"]) == (campaign_id, 8 * 24, 1.0)
    assert [(one["campaign_id"], one["opened"]) for one in told["editions"]] == [(earlier, 30), (campaign_id, 15)]
    assert told["editions"][0]["first_sent_at"] == "2026-10-27T09:00:00Z"
    assert rate(told["editions"][1]["floor"]) == (0.5, 15, 30)


async def test_topics_are_told_with_and_without(ctx: Context, reader: AsyncClient) -> None:
    async with ctx.db.write() as connection:
        tagged = [await add_mailing(connection, f"Tagged {n}", tracked=40, opened=n) for n in (19, 20, 21)]
        await connection.execute(update(campaigns).where(campaigns.c.campaign_id.in_(tagged)).values(tags=["fibre"]))
        for number in (9, 10, 11):
            await add_mailing(connection, f"Plain {number}", tracked=40, opened=number)
    told = (await reader.get("/v1/reports/topics?purpose=newsletter:blog")).json()
    assert (told["purpose"], told["most_campaigns"]) == ("newsletter:blog", 100)
    (effect,) = told["tags"]
    assert (effect["tag"], effect["campaigns_with"], effect["campaigns_without"]) == ("fibre", 3, 3)
    assert (effect["estimate_with"], effect["estimate_without"]) == (0.5, 0.25)
    assert 0 < effect["difference"]["low"] < effect["difference"]["value"] == 0.25 < effect["difference"]["high"]


async def test_campaigns_are_listed_in_pages(ctx: Context, reader: AsyncClient) -> None:
    async with ctx.db.write() as connection:
        made = [await add_campaign(connection, f"Campaign {n}", at=NOW + n * HOUR) for n in range(3)]
    first = (await reader.get("/v1/campaigns?limit=2")).json()
    assert [one["campaign_id"] for one in first["campaigns"]] == [made[2], made[1]]
    assert first["next_before"] == made[1]
    rest = (await reader.get(f"/v1/campaigns?limit=2&before={made[1]}")).json()
    assert [one["name"] for one in rest["campaigns"]] == ["Campaign 0"]
    assert rest["next_before"] is None
    assert rest["campaigns"][0].keys() == {
        *("campaign_id", "name", "purpose", "tags", "created_at", "first_sent_at", "is_whole", "sent", "tracked"),
        *("unique_opens", "unique_machine_opens", "floor", "estimate"),
    }


# --- sign-ups -----------------------------------------------------------------


async def test_the_funnel_tells_each_offer_of_the_period(ctx: Context, reader: AsyncClient) -> None:
    await ask(ctx, "ada@example.com", BLOG, OPENS)
    await deliver(ctx)
    told = (await reader.get("/v1/reports/sign-ups?from=2026-11-11&until=2026-11-11")).json()
    assert (told["from"], told["until"], told["timezone"]) == ("2026-11-11", "2026-11-11", "Europe/Berlin")
    assert told["offers"][0] == {
        "purpose": "newsletter:blog",
        "requests": 1,
        "asked": 1,
        "mailed": 1,
        "not_mailed": 0,
        "confirmed": 0,
        "refused": 0,
        "wrong_codes": 0,
        "confirmed_share": None,
    }
    assert [one["purpose"] for one in told["offers"]] == ["newsletter:blog", "tracking:opens"]


async def test_without_a_period_the_funnel_is_of_the_last_thirty_days(ctx: Context, reader: AsyncClient) -> None:
    told = (await reader.get("/v1/reports/sign-ups")).json()
    assert (told["from"], told["until"], told["offers"]) == ("2026-10-13", "2026-11-11", [])


# --- what is refused ----------------------------------------------------------


@pytest.mark.parametrize(
    "place, field",
    [
        ("campaigns?limit=0", "limit"),
        ("campaigns?limit=201", "limit"),
        ("campaigns?limit=x", "limit"),
        ("campaigns?limit=²", "limit"),
        ("campaigns?offset=5", "offset"),
        ("campaigns?limit=5&limit=6", "limit"),
        ("campaigns?before=abc", "before"),
        (f"campaigns?before={'a' * 26}", "before"),
        (f"campaigns/{'a' * 26}/report?lang=en", "lang"),
        (f"campaigns/{'a' * 26}/comparison?age=3", "age"),
        ("reports/topics", "purpose"),
        ("reports/topics?purpose=tracking:opens", "purpose"),
        ("reports/topics?purpose=newsletter:blog&tag=x", "tag"),
        ("reports/sign-ups?from=yesterday", "from"),
        ("reports/sign-ups?until=2026-W01-1", "until"),
        ("reports/sign-ups?until=0001-01-01", "until"),
        ("reports/sign-ups?from=2026-12-24", "from"),
        ("reports/sign-ups?from=2026-01-01", "from"),
        ("reports/sign-ups?since=2026-01-01", "since"),
    ],
)
async def test_a_query_that_is_not_understood_is_refused_by_the_name_of_its_field(
    reader: AsyncClient, place: str, field: str
) -> None:
    answer = await reader.get(f"/v1/{place}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field


@pytest.mark.parametrize("campaign_id", ["a" * 26, "none", "%00", "x" * 500])
@pytest.mark.parametrize("what", ["report", "comparison"])
async def test_a_campaign_that_does_not_exist_is_not_found(reader: AsyncClient, campaign_id: str, what: str) -> None:
    answer = await reader.get(f"/v1/campaigns/{campaign_id}/{what}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


async def test_only_a_key_for_reports_may_read_them(ctx: Context) -> None:
    async with web(ctx) as nobody, await caller(ctx, Scope.SEND) as pipeline:
        for place in (
            *(f"campaigns/{'a' * 26}/{what}" for what in ("report", "comparison")),
            *("campaigns", "reports/topics?purpose=newsletter:blog", "reports/sign-ups"),
        ):
            assert (await nobody.get(f"/v1/{place}")).status_code == 401
            assert (await pipeline.get(f"/v1/{place}")).status_code == 403
