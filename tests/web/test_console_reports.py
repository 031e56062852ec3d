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

from pixel_service.domain.accounts import Role, Scope
from pixel_service.domain.figures import DELAYS
from pixel_service.domain.messages import Tracking
from pixel_service.domain.opens import MACHINE
from pixel_service.i18n import packaged_locales
from pixel_service.storage.engine import Database
from pixel_service.storage.schema import campaigns, messages
from pixel_service.usecases import accounts
from pixel_service.usecases.context import Context
from pixel_service.web.console import report_words, reports
from tests.access import Clock
from tests.builders import context, dump, web
from tests.opened_mail import GMAIL, OUTLOOK, add_many, add_open, add_to, count_anew
from tests.tracked_mail import NOW, add_campaign
from tests.web.test_api_reports import add_mailing, caller

PASSWORD = "correct horse battery"


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW + timedelta(days=8))


@pytest.fixture
def ctx(db: Database, clock: Clock) -> Context:
    return context(db, clock)


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
        campaign_id = await add_mailing(connection, tracked=40, opened=20, hidden=1)
        await add_campaign(connection, "<b>Draft</b>")
    html = (await colleague.get("/console/?lang=en")).text
    assert f'href="/console/campaigns/{campaign_id}?lang=en"' in html
    assert "&lt;b&gt;Draft" in html
    shown = await text_of(colleague, "/console/?lang=en")
    assert "November 3 November 2026, 10:00 CET 41 40 20 50% 1" in shown
    assert "Not sent yet 0 0 0 -- 0" in shown


async def test_a_campaign_shows_its_figures_its_time_line_and_its_programs(
    ctx: Context, colleague: AsyncClient
) -> None:
    async with ctx.db.write() as connection:
        campaign_id = await add_mailing(connection, tracked=3, opened=2, hidden=1)
        await connection.execute(update(campaigns).values(tags=["fibre", "security"]))
    before = await dump(ctx.db)
    shown = await text_of(colleague, f"/console/campaigns/{campaign_id}?lang=en")
    for text in (
        "November fibre security",
        "Sent 4 since 3 November 2026, 10:00 CET",
        "With consent 3 75% of the mails sent",
        "Recipients who loaded images 2 Share: -- (it needs at least 30 mails with consent)",
        "Images loaded 2 In 2 sittings. Unclear, in no figure: 0",
        "Machines 1 1 times in all, apart from people",
        "At least People’s mail programs loaded the images. --",
        "+0 h 2 1",
        "had done so after 1 hour, nine of ten after 1 hour.",
        "Gmail the provider hides the program 2 100%",
        "hides whether they loaded images: 1",
        "The middle recipient: up to 1 minute",
        "up to 1 minute 2 1 to 10 minutes 0",
        "Apple’s privacy protection 1",
        "Of all fetches, by machines 33.3%",
        "Shown from the fourth day on",
        "There is no earlier mailing of this newsletter to compare with",
        "No withdrawal of a recipient is on record.",
    ):
        assert text in shown
    assert "Sent less than 7 days ago" not in shown
    assert await dump(ctx.db) == before


async def test_shares_come_with_their_bounds_in_the_way_of_the_language(ctx: Context, colleague: AsyncClient) -> None:
    async with ctx.db.write() as connection:
        campaign_id = await add_mailing(connection, tracked=60, opened=15, hidden=30)
    english = await text_of(colleague, f"/console/campaigns/{campaign_id}?lang=en")
    assert "25% of the mails with consent; 95% certain: 15.8% to 37.2%" in english
    assert "At least People’s mail programs loaded the images. 25% 15.8% to 37.2%" in english
    assert "as often as all others. 50% 33.2% to 66.8%" in english
    assert "had loaded them. 75% 62.8% to 84.2%" in english
    assert "on a scale from 0 to 100%" in english
    german = await text_of(colleague, f"/console/campaigns/{campaign_id}?lang=de")
    assert "25 % der Mails mit Einwilligung; zu 95 % sicher: 15,8 % bis 37,2 %" in german
    assert "+0 h 15 30" in german
    assert "auf einer Skala von 0 bis 100 %" in german


async def test_almost_none_and_almost_all_are_not_rounded(ctx: Context, colleague: AsyncClient) -> None:
    async with ctx.db.write() as connection:
        campaign_id = await add_mailing(connection, tracked=2001, opened=1, hidden=0)
    english = await text_of(colleague, f"/console/campaigns/{campaign_id}?lang=en")
    assert "With consent 2,001 above 99.9% of the mails sent" in english
    assert "below 0.1% of the mails with consent" in english
    german = await text_of(colleague, f"/console/campaigns/{campaign_id}?lang=de")
    assert "unter 0,1 % der Mails mit Einwilligung" in german


async def test_a_page_and_the_api_tell_the_same_numbers(ctx: Context, colleague: AsyncClient) -> None:
    async with ctx.db.write() as connection:
        campaign_id = await add_mailing(connection, tracked=60, opened=15, hidden=30)
    async with await caller(ctx, Scope.REPORT) as reader:
        told = (await reader.get(f"/v1/campaigns/{campaign_id}/report")).json()
    shown = await text_of(colleague, f"/console/campaigns/{campaign_id}?lang=en")
    for name in ("floor", "estimate", "ceiling"):
        share = told[name]
        low, value, high = (f"{round(share[end] * 100, 1):g}%" for end in ("low", "value", "high"))
        assert f"{value} {low} to {high}" in shown


async def test_the_best_hours_are_drawn_and_named(ctx: Context, colleague: AsyncClient) -> None:
    async with ctx.db.write() as connection:
        campaign_id = await add_mailing(connection, tracked=25, opened=25)
    page = f"/console/campaigns/{campaign_id}"
    assert "Tue, 10:00 to 11:00 25" in await text_of(colleague, f"{page}?lang=en")
    assert "Di, 10 bis 11 Uhr 25" in await text_of(colleague, f"{page}?lang=de")
    assert 'class="tile shade5"' in (await colleague.get(page)).text


async def test_a_campaign_stands_beside_earlier_ones(ctx: Context, colleague: AsyncClient) -> None:
    async with ctx.db.write() as connection:
        earlier = await add_campaign(connection, "October")
        await add_many(connection, earlier, 40, OUTLOOK, sent_at=NOW - timedelta(days=7))
        campaign_id = await add_mailing(connection, tracked=40, opened=10)
    shown = await text_of(colleague, f"/console/campaigns/{campaign_id}?lang=en")
    assert "at the same age of 8 days. Usual: 100%" in shown
    assert "October 27 October 2026 100% 91.2% to 100%" in shown
    assert "November 3 November 2026 25% 14.2% to 40.2%" in shown
    html = (await colleague.get(f"/console/campaigns/{campaign_id}?lang=en")).text
    assert f'href="/console/campaigns/{earlier}?lang=en"' in html


async def test_a_young_campaign_says_that_its_numbers_still_rise(
    ctx: Context, clock: Clock, colleague: AsyncClient
) -> None:
    clock.move(-timedelta(days=2))
    async with ctx.db.write() as connection:
        campaign_id = await add_mailing(connection, tracked=3, opened=2)
        draft = await add_campaign(connection, "Draft")
    assert "97% of all opens come within 7 days" in await text_of(
        colleague, f"/console/campaigns/{campaign_id}?lang=en"
    )
    assert "97% of all opens" not in await text_of(colleague, f"/console/campaigns/{draft}?lang=en")


async def test_a_campaign_whose_period_is_over_says_so_and_shows_no_shares(
    ctx: Context, colleague: AsyncClient
) -> None:
    async with ctx.db.write() as connection:
        campaign_id = await add_mailing(connection, tracked=40, opened=40)
        await add_campaign(connection, "Gone")
        await connection.execute(update(campaigns).values(created_at=NOW - timedelta(days=300)))
    shown = await text_of(colleague, f"/console/campaigns/{campaign_id}?lang=en")
    assert "The period of storage of this mailing is over" in shown
    assert "Share: -- (parts of it are no longer stored)" in shown
    assert "At least People’s mail programs loaded the images. --" in shown
    assert "Gone No longer stored 0 0 0 -- 0" in await text_of(colleague, "/console/?lang=en")


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
            mail = await add_to(connection, campaign_id, tracking=Tracking.NONE)
            await connection.execute(
                update(messages)
                .where(messages.c.message_id == mail.message_id)
                .values(tracking=Tracking.WITHDRAWN.value)
            )
        await count_anew(connection)
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
    code = "".join(Path(str(module.__file__)).read_text(encoding="utf-8") for module in (reports, report_words))
    source = [part for key in listed["de"] for part in ([key] if isinstance(key, str) else key)]
    assert [text for text in source if f'"{text}"' not in code] == []
    told = {*report_words._DELAYS.values(), *report_words._MACHINES.values(), *report_words._BY_REASON.values()}
    assert {*told, *report_words._WEEKDAYS} - set(source) == set()


def test_every_time_to_open_and_every_machine_has_words() -> None:
    assert report_words._DELAYS.keys() == DELAYS.keys()
    assert report_words._MACHINES.keys() == MACHINE


async def test_the_time_line_goes_by_hours_for_two_days_and_then_by_days(ctx: Context, colleague: AsyncClient) -> None:
    async with ctx.db.write() as connection:
        campaign_id = await add_campaign(connection)
        mail = await add_to(connection, campaign_id)
        for hours in (47, 48, 72):
            await add_open(connection, mail.message_id, GMAIL, at=NOW + timedelta(hours=hours))
        await count_anew(connection)
    shown = await text_of(colleague, f"/console/campaigns/{campaign_id}?lang=de")
    for text in ("+46 h 0 0", "+47 h 1 0", "Tag 3 1 0", "Tag 4 1 0"):
        assert text in shown
