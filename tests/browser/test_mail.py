"""The newsletter as a mail program draws it: images on, and the open is in the report; images off, and nothing is."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tests.browser.conftest import House
from tests.browser.visit import CHROME, PHONE
from tests.journeys.people import READING_TAKES, pixels
from tests.journeys.service import html_of
from tests.smtp_server import ReceivedMail

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page


@asynccontextmanager
async def drawn(browser: "Browser", mail: ReceivedMail, *, images: bool) -> AsyncIterator["Page"]:
    context = await browser.new_context(
        viewport={"width": PHONE[0], "height": PHONE[1]}, user_agent=CHROME, java_script_enabled=False
    )
    if not images:
        await context.route("**/*", lambda route: route.abort())
    page = await context.new_page()
    await page.set_content(html_of(mail), wait_until="networkidle")
    yield page
    await context.close()


async def sent(house: House, address: str, campaign: str, *ticks: str) -> tuple[ReceivedMail, str]:
    """A newsletter as it arrived at a new subscriber, and the id of its campaign."""
    person = house.person(address)
    have = await person.join(*ticks)
    answer = (await house.pipeline.send(campaign, recipients=[{"address": address}])).json()
    await house.pipeline.delivered(answer["send_id"], 1)
    return await person.next_mail(have + 1), str(answer["campaign_id"])


async def test_a_drawn_mail_loads_its_pixel_and_the_open_is_reported(house: House, browser: "Browser") -> None:
    mail, campaign_id = await sent(house, "anna@example.com", "Images on", "newsletter", "tracking")
    await asyncio.sleep(READING_TAKES)
    async with drawn(browser, mail, images=True) as page:
        image = page.locator('img[src*="/o/"]')
        assert await image.evaluate("image => [image.complete, image.naturalWidth, image.naturalHeight]") == [
            True,
            1,
            1,
        ]
        assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    report = await house.pipeline.report(campaign_id)
    assert (report["tracked"], report["unique_opens"], report["total_opens"]) == (1, 1, 1)


async def test_a_mail_drawn_without_images_reports_nothing_and_is_still_complete(
    house: House, browser: "Browser"
) -> None:
    mail, campaign_id = await sent(house, "ben@example.com", "Images off", "newsletter", "tracking")
    async with drawn(browser, mail, images=False) as page:
        assert "Glasfaser" in await page.locator("h1").inner_text()
        for kind in ("u", "t", "p"):
            assert await page.locator(f'a[href*="/{kind}/"]').first.is_visible()
    report = await house.pipeline.report(campaign_id)
    assert (report["tracked"], report["unique_opens"], report["total_opens"]) == (1, 0, 0)


async def test_whoever_did_not_agree_is_never_asked_for_an_image_of_their_own(house: House, browser: "Browser") -> None:
    mail, campaign_id = await sent(house, "cleo@example.com", "No consent", "newsletter")
    assert pixels(mail) == []
    async with drawn(browser, mail, images=True) as page:
        assert await page.locator('img[width="1"]').count() == 0
    report = await house.pipeline.report(campaign_id)
    assert (report["sent"], report["tracked"], report["unique_opens"]) == (1, 0, 0)
