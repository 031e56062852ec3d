"""The report of a campaign in a browser without scripts, with everything on it that it can show."""

import asyncio
import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import insert, update

from pixel_service.domain.figures import DELAYS
from pixel_service.domain.messages import CampaignId, Tracking
from pixel_service.domain.timing import hour_of
from pixel_service.storage.engine import Connection, Database
from pixel_service.storage.schema import campaign_figures, campaigns
from tests.browser.conftest import House
from tests.browser.test_story import log_in
from tests.browser.visit import DESK, PHONE, Visit, visiting
from tests.journeys.service import Process
from tests.tracked_mail import add_campaign, add_mail, add_person

if TYPE_CHECKING:
    from playwright.async_api import Browser

HOUR = timedelta(hours=1)
NAME = "Blog: Was beim Glasfaserausbau im Gewerbegebiet zuerst zu tun ist"


async def add_big_campaign(connection: Connection, name: str, *, sent_at: datetime, share: float) -> CampaignId:
    """Of 12,480 recipients: figures without their rows, which a report does not look at."""
    campaign = await add_campaign(connection, name, at=sent_at - HOUR)
    person = await add_person(connection)
    await add_mail(connection, person, campaign_id=campaign, tracking=Tracking.NONE, sent_at=sent_at)
    tracked, human = 4310, int(4310 * share)
    first, hours = hour_of(sent_at), range(24 * 12)
    # The longer ago, the fewer; more by day than by night.
    weights = [math.exp(-hour / 16) * (1.3 + math.cos((hour - 2) / 24 * 2 * math.pi)) + 0.004 for hour in hours]
    per_hour = {hour: round(human * weights[hour] / sum(weights)) for hour in hours}
    counts = {
        **{
            ("message", kind, 0): number
            for kind, number in (("tracked", tracked), ("none", 8100), ("withdrawn", 58), ("restricted", 12))
        },
        **{
            ("standing", kind, 0): number
            for kind, number in (("human", human), ("mpp", 1420), ("unknown", 31), ("machine", 212))
        },
        **{("unique", kind, 0): number for kind, number in (("opens", human), ("machine", 1760), ("unknown", 44))},
        **{("opens", "opens", first + hour): int(number * 1.6) for hour, number in per_hour.items()},
        **{("opens", "machine", first + hour): number // 2 for hour, number in per_hour.items()},
        **{("first", "", first + hour): number for hour, number in per_hour.items()},
        **{
            ("delay", name, 0): human * part // 100
            for name, part in zip(DELAYS, (1, 6, 16, 29, 22, 13, 9, 4, 0), strict=True)
        },
        ("verdict", "proxy_open/gmail/Gmail", 0): 900,
        ("verdict", "human_client/mail_client/Outlook", 0): 700,
        ("verdict", "human_client/bare_webkit/Apple Mail or Outlook", 0): 260,
        ("verdict", "proxy_open/yahoo/Yahoo Mail", 0): 90,
        ("verdict", "prefetch/apple_mpp/Apple Mail", 0): 1800,
        ("verdict", "prefetch/early/", 0): 190,
        ("verdict", "scanner/network/", 0): 310,
        ("verdict", "bot/http_tool/", 0): 12,
        ("client", "Gmail", 0): human // 2,
        ("client", "Outlook", 0): human // 3,
        ("client", "Apple Mail or Outlook", 0): human // 6,
        ("client", "Yahoo Mail", 0): human // 20,
        ("session", "", 0): int(human * 1.4),
    }
    rows = [
        {"campaign_id": campaign, "kind": kind, "name": name, "hour": hour, "amount": amount}
        for (kind, name, hour), amount in counts.items()
        if amount
    ]
    await connection.execute(insert(campaign_figures), rows)
    return campaign


async def add_campaigns(url: str) -> None:
    now = datetime.now(UTC)
    db = Database(url)
    async with db.write() as connection:
        for number, share in enumerate((0.29, 0.31, 0.27, 0.26, 0.28, 0.24), start=1):
            name, sent_at = f"Blog, Ausgabe {7 - number}", now - timedelta(days=10 + 14 * number)
            await add_big_campaign(connection, name, sent_at=sent_at, share=share)
        added = await add_big_campaign(connection, NAME, sent_at=now - timedelta(days=5, hours=7), share=0.3)
        tagged = update(campaigns).where(campaigns.c.campaign_id == added)
        await connection.execute(tagged.values(tags=["glasfaser", "ausbau"]))
    await db.close()


@pytest.fixture(scope="module")
def mailings(service: Process) -> None:
    """Six editions of the last months, and one that is some days old."""
    asyncio.run(add_campaigns(service.settings.database_url.get_secret_value()))


@pytest.mark.slow
@pytest.mark.parametrize("language, size", [("de", PHONE), ("en", DESK)], ids=["de-phone", "en-desk"])
async def test_a_report_fits_every_screen_and_leads_to_the_mailings_beside_it(
    house: House,
    browser: "Browser",
    admin: tuple[str, str],
    mailings: None,
    language: str,
    size: tuple[int, int],
) -> None:
    async with visiting(browser, house.url, language=language, size=size) as visit:
        await log_in(visit, admin)
        await visit.page.locator("main").get_by_role("link", name=NAME).click()
        assert await visit.heading() == NAME
        await visit.looks_right()
        await has_its_drawings(visit)
        await visit.page.locator("#hours ~ details summary").click()
        await visit.page.locator("#over-time ~ details summary").click()
        await visit.looks_right()
        await visit.page.locator("#comparison ~ .spans a").first.click()
        assert await visit.heading() == "Blog, Ausgabe 1"
        await visit.looks_right()


async def has_its_drawings(visit: Visit) -> None:
    """Everything is drawn inside its own frame."""
    for drawing, parts in (("#how-many ~ .spans .point", 3), (".week .tile", 20), (".meter", 9), (".chart .opens", 40)):
        assert await visit.page.locator(drawing).count() >= parts, drawing
    for tile in await visit.page.locator(".week .tile").all():
        box = await tile.bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= (visit.page.viewport_size or {"width": 0})["width"]
