"""Every page anybody can reach, in both languages: quiet in the console, nothing from elsewhere, no wider than a phone."""

from typing import TYPE_CHECKING

import pytest

from tests.browser.conftest import House
from tests.browser.visit import visiting
from tests.journeys.people import link

if TYPE_CHECKING:
    from playwright.async_api import Browser

PUBLIC = (
    "/",
    "/newsletter/blog",
    "/whitepaper/glasfaser",
    "/privacy",
    "/privacy/request",
    "/privacy/me/garbled",
    "/imprint",
    "/console/login",
    "/nothing-here",
    "/c/garbled",
    "/p/garbled",
    "/u/garbled",
    "/t/garbled",
    "/d/garbled",
)


@pytest.mark.slow
@pytest.mark.parametrize("language", ["de", "en"])
async def test_public_pages_are_quiet_narrow_and_speak_the_browsers_language(
    house: House, browser: "Browser", language: str
) -> None:
    async with visiting(browser, house.url, language=language, scripts=True) as visit:
        for path in PUBLIC:
            await visit.go(path)
            await visit.looks_right()


async def test_the_language_link_changes_the_page_and_the_next_one(house: House, browser: "Browser") -> None:
    async with visiting(browser, house.url) as visit:
        await visit.go("/newsletter/blog")
        await visit.page.locator("a[hreflang=en]").click()
        visit.language = "en"
        await visit.looks_right()
        await visit.press_main_button()
        await visit.looks_right()


@pytest.mark.slow
@pytest.mark.parametrize("language", ["de", "en"])
async def test_a_whitepaper_is_downloaded_from_the_page_and_from_the_mail(
    house: House, browser: "Browser", language: str
) -> None:
    dora = house.person(f"dora.{language}@example.com")
    await dora.sign_up("whitepaper", offer=f"/whitepaper/glasfaser?lang={language}", language=language)
    async with visiting(browser, house.url, language=language) as visit:
        await visit.go(link(await dora.next_mail(1), "c"))
        await visit.press_main_button()
        await visit.looks_right()
        # A download aborts the page's own navigation, which the browser reports; that is no complaint.
        complaints = list(visit.complaints)
        async with visit.page.expect_download() as started:
            await visit.page.locator("main a.button").click()
        assert (await (await started.value).path()).read_bytes().startswith(b"%PDF")
        visit.complaints[:] = complaints
    pdf = await house.client.get(link(await dora.next_mail(2), "d"))
    assert pdf.headers["content-type"] == "application/pdf"


@pytest.mark.slow
async def test_preferences_end_one_choice_at_a_time_and_everything_at_once(house: House, browser: "Browser") -> None:
    emil = house.person("emil@example.com")
    await emil.join("newsletter", "tracking")
    async with visiting(browser, house.url) as visit:
        preferences = link(await emil.next_mail(2), "p")
        await visit.go(preferences)
        await visit.page.locator("label[for=choice-tracking-opens]").click()
        await visit.press_main_button()
        assert await visit.page.locator(".ticks li").count() == 1
        await visit.looks_right()

        await visit.go(preferences)
        assert await visit.page.locator("input:checked").get_attribute("name") == "newsletter-blog"
        await visit.page.locator('form[action*="/stop-all"] button').click()
        assert await visit.page.locator(".facts dd").count() == 3
        await visit.looks_right()

        await visit.go(preferences)
        assert await visit.page.locator("input:checked").count() == 0
        await visit.looks_right()
