"""The confirm page is one glance, one button, one request: on a phone nothing has to be scrolled, and little has to be loaded."""

from typing import TYPE_CHECKING

import pytest

from tests.browser.conftest import House
from tests.browser.visit import PHONE, visiting
from tests.journeys.people import link, mails_to

if TYPE_CHECKING:
    from playwright.async_api import Browser

MOST_BYTES = 15_000


@pytest.mark.slow
@pytest.mark.parametrize("language", ["de", "en"])
async def test_on_a_phone_the_confirm_page_is_one_small_request_and_fits_the_screen(
    house: House, browser: "Browser", language: str
) -> None:
    anna = house.person(f"anna.{language}@example.com")
    await anna.sign_up("newsletter", "tracking", offer=f"/newsletter/blog?lang={language}", language=language)
    async with visiting(browser, house.url, language=language, size=PHONE) as visit:
        await visit.go(link(await anna.next_mail(1), "c"))
        assert await visit.page.locator("input:checked").count() == 2
        assert await visit.page.evaluate("document.documentElement.scrollHeight") <= PHONE[1]

        button = visit.page.get_by_role("button")
        assert await button.count() == 1
        box = await button.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= PHONE[1]
        assert box["height"] >= 44

        assert len(visit.requests) == 1
        sizes = await visit.requests[0].sizes()
        assert sizes["responseHeadersSize"] + sizes["responseBodySize"] <= MOST_BYTES


async def test_looking_at_the_page_again_and_again_confirms_nothing(house: House, browser: "Browser") -> None:
    ben = house.person("ben@example.com")
    await ben.sign_up("newsletter")
    address = link(await ben.next_mail(1), "c")
    # With scripts, as a mail scanner's browser has them.
    async with visiting(browser, house.url, scripts=True) as visit:
        for _ in range(3):
            await visit.go(address)
            await visit.page.wait_for_load_state("networkidle")
            assert await visit.page.locator("input:checked").count() == 1
    assert len(mails_to(house.smtp, ben.address)) == 1


async def test_what_is_unticked_on_the_page_is_not_confirmed(house: House, browser: "Browser") -> None:
    cleo = house.person("cleo@example.com")
    await cleo.sign_up("newsletter", "tracking")
    async with visiting(browser, house.url) as visit:
        await visit.go(link(await cleo.next_mail(1), "c"))
        await visit.page.locator("label[for=choice-tracking-opens]").click()
        await visit.press_main_button()
        assert await visit.page.locator(".ticks li:not(.no)").count() == 1
        assert await visit.page.locator(".ticks li.no").count() == 1
        await visit.looks_right()
