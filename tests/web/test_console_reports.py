"""The pages of the console: only for colleagues who are logged in, with the figures that are stored."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from html import unescape
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from httpx import AsyncClient
from sqlalchemy import update

from pixel_service.domain.accounts import Role
from pixel_service.domain.messages import Tracking
from pixel_service.i18n import packaged_locales
from pixel_service.storage.engine import Database
from pixel_service.storage.schema import messages
from pixel_service.usecases import accounts
from pixel_service.usecases.context import Context
from pixel_service.web.console import reports
from tests.builders import context, dump, web
from tests.tracked_mail import NOW, add_campaign, add_mail, add_person
from tests.web.test_api_reports import add_mailing, add_open

PASSWORD = "correct horse battery"


@pytest.fixture
def ctx(db: Database) -> Context:
    return context(db)


@pytest.fixture
async def colleague(ctx: Context) -> AsyncIterator[AsyncClient]:
    await accounts.create_user(ctx, accounts.NewUser(email="mia@example.com", role=Role.VIEWER, password=PASSWORD))
    async with web(ctx) as client:
        form = {"name": "mia@example.com", "password": PASSWORD, "next": "/console/"}
        answer = await client.post("/console/login", data=form, headers={"Sec-Fetch-Site": "same-origin"})
        assert answer.status_code == 303
        yield client


async def text_of(client: AsyncClient, path: str) -> str:
    """What a reader sees, on one line."""
    answer = await client.get(path)
    assert answer.status_code == 200
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", answer.text)).split())


async def test_who_is_not_logged_in_is_sent_to_log_in_and_comes_back(ctx: Context) -> None:
    async with web(ctx) as stranger:
        for path, way_back in (
            ("/console/", ""),
            (f"/console/campaigns/{'a' * 26}", f"?next=/console/campaigns/{'a' * 26}"),
        ):
            answer = await stranger.get(path)
            assert answer.status_code == 303
            assert answer.headers["location"] == f"/console/login{way_back}"


async def test_a_console_without_campaigns_says_so(colleague: AsyncClient) -> None:
    assert "Noch keine Kampagne" in await text_of(colleague, "/console/")
    assert "No campaign yet" in await text_of(colleague, "/console/?lang=en")


async def test_campaigns_are_listed_with_their_figures_and_lead_to_their_pages(
    ctx: Context, colleague: AsyncClient
) -> None:
    async with ctx.db.write() as connection:
        campaign_id = await add_mailing(connection, tracked=3, opened=2)
        await add_campaign(connection, "<b>Draft</b>")
    html = (await colleague.get("/console/?lang=en")).text
    assert f'href="/console/campaigns/{campaign_id}?lang=en"' in html
    assert "&lt;b&gt;Draft" in html
    shown = await text_of(colleague, "/console/?lang=en")
    assert "November 3 November 2026, 10:00 CET 4 3 2 1" in shown
    assert "Not sent yet 0 0 0 0" in shown


async def test_a_campaign_shows_its_figures_its_time_line_and_its_programs(
    ctx: Context, colleague: AsyncClient
) -> None:
    async with ctx.db.write() as connection:
        campaign_id = await add_mailing(connection, tracked=3, opened=2)
    before = await dump(ctx.db)
    shown = await text_of(colleague, f"/console/campaigns/{campaign_id}?lang=en")
    for text in (
        "Sent 4 since 3 November 2026, 10:00 CET",
        "With consent 3 75% of the mails sent",
        "Recipients who loaded images 2 Share: -- (it needs at least 30 mails with consent)",
        "Images loaded 2 Every time counts. Unclear, in no figure: 0",
        "Machines 1 1 times in all, apart from people",
        "+0 h 2 1",
        "Gmail 2",
        "Nobody of those who got this mail with a pixel has withdrawn since.",
    ):
        assert text in shown
    assert await dump(ctx.db) == before


async def test_a_share_comes_with_its_bounds_in_the_way_of_the_language(ctx: Context, colleague: AsyncClient) -> None:
    async with ctx.db.write() as connection:
        campaign_id = await add_mailing(connection, tracked=30, opened=15)
    english = await text_of(colleague, f"/console/campaigns/{campaign_id}?lang=en")
    assert "50% of the mails with consent; 95% certain: 33.2% to 66.8%" in english
    german = await text_of(colleague, f"/console/campaigns/{campaign_id}?lang=de")
    assert "50 % der Mails mit Einwilligung; zu 95 % sicher: 33,2 % bis 66,8 %" in german
    assert "+0 h 15 1" in german


@pytest.mark.parametrize(
    "number, said",
    [
        (1, "1 recipient has withdrawn since; what was measured of them is deleted."),
        (2, "2 recipients have withdrawn since; what was measured of them is deleted."),
    ],
)
async def test_how_many_withdrew_since_is_said(ctx: Context, colleague: AsyncClient, number: int, said: str) -> None:
    async with ctx.db.write() as connection:
        campaign_id = await add_campaign(connection)
        for _ in range(number):
            mail = await add_mail(
                connection, await add_person(connection), campaign_id=campaign_id, tracking=Tracking.NONE
            )
            await connection.execute(
                update(messages)
                .where(messages.c.message_id == mail.message_id)
                .values(tracking=Tracking.WITHDRAWN.value)
            )
    assert said in await text_of(colleague, f"/console/campaigns/{campaign_id}?lang=en")


@pytest.mark.parametrize("campaign_id", ["a" * 26, "none", "%00"])
async def test_a_campaign_that_does_not_exist_is_a_page_that_says_so(colleague: AsyncClient, campaign_id: str) -> None:
    answer = await colleague.get(f"/console/campaigns/{campaign_id}")
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")


def test_every_text_of_the_reports_is_there_in_german_and_listed_in_english() -> None:
    listed = {}
    for language in ("de", "en"):
        with (packaged_locales() / language / "reports.po").open("rb") as file:
            listed[language] = {message.id: message.string for message in read_po(file, locale=language) if message.id}
    assert listed["de"].keys() == listed["en"].keys()
    assert [key for key, text in listed["de"].items() if not (all(text) if isinstance(text, tuple) else text)] == []
    code = Path(reports.__file__).read_text(encoding="utf-8")
    source = [part for key in listed["de"] for part in ([key] if isinstance(key, str) else key)]
    assert [text for text in source if f'"{text}"' not in code] == []


async def test_the_time_line_goes_by_hours_for_two_days_and_then_by_days(ctx: Context, colleague: AsyncClient) -> None:
    async with ctx.db.write() as connection:
        campaign_id = await add_campaign(connection)
        mail = await add_mail(connection, await add_person(connection), campaign_id=campaign_id)
        for hours in (47, 48, 72):
            await add_open(connection, mail.message_id, at=NOW + timedelta(hours=hours))
    shown = await text_of(colleague, f"/console/campaigns/{campaign_id}?lang=de")
    for text in ("+46 h 0 0", "+47 h 1 0", "Tag 3 1 0", "Tag 4 1 0"):
        assert text in shown
