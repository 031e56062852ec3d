"""The page of those who look after the service, in a browser: the canaries have flown, an image that was made up is counted."""

from typing import TYPE_CHECKING

import pytest

from tests.browser.conftest import House
from tests.browser.test_story import log_in
from tests.browser.visit import DESK, PHONE, visiting
from tests.journeys.test_canaries import metrics_after_a_run

if TYPE_CHECKING:
    from playwright.async_api import Browser

HEADINGS = {"de": ("Betrieb", "In Ordnung"), "en": ("Operation", "Clean")}
FORGED = {"de": "Gefälscht", "en": "Forged"}


@pytest.mark.slow
@pytest.mark.parametrize("language, size", [("de", PHONE), ("en", DESK)])
async def test_an_admin_reads_how_the_service_does(
    browser: "Browser", house: House, admin: tuple[str, str], language: str, size: tuple[int, int]
) -> None:
    await metrics_after_a_run(house.client)
    await house.client.get("/o/made-up.gif")
    async with visiting(browser, house.url, language=language, size=size) as visit:
        await log_in(visit, admin)
        await visit.page.locator('nav a[href*="/console/operation"]').click()
        heading, clean = HEADINGS[language]
        assert await visit.heading() == heading
        await visit.looks_right()
        assert clean in await visit.page.locator("[role=status]").inner_text()
        counted = visit.page.locator(".figures > div", has_text=FORGED[language]).locator(".value")
        assert int(await counted.inner_text()) >= 1
