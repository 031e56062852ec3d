"""The sign-up form when something is wrong, and by keyboard alone."""

from typing import TYPE_CHECKING

import pytest

from tests.browser.conftest import House
from tests.browser.visit import PHONE, Visit, visiting

if TYPE_CHECKING:
    from playwright.async_api import Browser


@pytest.mark.parametrize("language", ["de", "en"])
async def test_a_mistake_is_named_beside_its_field_and_what_was_typed_stays(
    house: House, browser: "Browser", language: str
) -> None:
    async with visiting(browser, house.url, language=language, size=PHONE) as visit:
        page = visit.page
        await visit.go("/newsletter/blog")
        await page.fill("[name=address]", "anna@")
        await page.click("summary")
        await page.fill("[name=last_name]", "Mëier <b>")
        await page.check("[name=tracking-opens]")
        await visit.press_main_button()

        assert await page.input_value("[name=address]") == "anna@"
        assert await page.input_value("[name=last_name]") == "Mëier <b>"
        assert await page.is_checked("[name=tracking-opens]")
        assert not await page.is_checked("[name=newsletter-blog]")
        assert await page.get_attribute("[name=address]", "aria-invalid") == "true"
        described = (await page.get_attribute("[name=address]", "aria-describedby") or "").split()
        assert await page.inner_text(f"#{described[-1]}") == await page.inner_text(".note.bad li >> nth=0")
        await visit.looks_right()


async def test_after_a_mistake_the_summary_has_the_focus_and_leads_to_the_field(
    house: House, browser: "Browser"
) -> None:
    async with visiting(browser, house.url) as visit:
        await visit.go("/newsletter/blog")
        await visit.press_main_button()
        assert await visit.page.locator(":focus").get_attribute("role") == "alert"
        await visit.page.keyboard.press("Tab")
        await visit.page.keyboard.press("Enter")
        assert await focused(visit) == "address"


async def test_signing_up_needs_nothing_but_a_keyboard(house: House, browser: "Browser") -> None:
    async with visiting(browser, house.url) as visit:
        await visit.go("/newsletter/blog")
        await tab_to(visit, "address")
        await visit.page.keyboard.type("dora@example.com")
        await tab_to(visit, "newsletter-blog")
        await visit.page.keyboard.press("Space")
        await tab_to(visit, "tracking-opens")
        await visit.page.keyboard.press("Space")
        await tab_to(visit, "BUTTON")
        await visit.page.keyboard.press("Enter")
        await visit.page.wait_for_selector(".badge")
        assert "dora@example.com" in await visit.page.inner_text("main")
    mail = await house.person("dora@example.com").next_mail(1)
    assert mail.rcpt_to == "dora@example.com"


async def test_the_first_key_offers_to_skip_to_the_content(house: House, browser: "Browser") -> None:
    async with visiting(browser, house.url) as visit:
        await visit.go("/")
        await visit.page.keyboard.press("Tab")
        assert await visit.page.locator(":focus").get_attribute("href") == "#main"
        await visit.page.keyboard.press("Enter")
        await visit.page.keyboard.press("Tab")
        assert "/newsletter/blog" in (await visit.page.locator(":focus").get_attribute("href") or "")


async def focused(visit: Visit) -> str:
    """The name of the field that has the focus, or what kind of element does."""
    here = visit.page.locator(":focus")
    return await here.get_attribute("name") or str(await here.evaluate("element => element.tagName"))


async def tab_to(visit: Visit, target: str) -> None:
    """Forward only: the order of the page is the order of the keys."""
    for _ in range(12):
        await visit.page.keyboard.press("Tab")
        if await focused(visit) == target:
            return
    raise AssertionError(f"twelve tabs do not reach {target}")
