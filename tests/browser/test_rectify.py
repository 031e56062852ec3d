"""Correcting one's data and moving to another address in a browser without scripts, through forms and mailboxes (R2)."""

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.browser.conftest import House
from tests.browser.test_privacy import ask_for_the_link
from tests.browser.visit import DESK, PHONE, Visit, visiting
from tests.journeys.people import Person, link, mails_to

if TYPE_CHECKING:
    from playwright.async_api import Browser


@pytest.mark.parametrize("language, size", [("de", PHONE), ("en", DESK)], ids=["de-phone", "en-desk"])
async def test_a_wrong_name_and_an_old_address_are_put_right_by_the_mailed_link(
    house: House, browser: "Browser", language: str, size: tuple[int, int]
) -> None:
    rosa = house.person(f"rosa.{language}@example.com")
    await rosa.join("newsletter")
    async with visiting(browser, house.url, language="de", size=size) as visit:
        mine = f"{await ask_for_the_link(visit, rosa)}?lang={language}"
        visit.language = language
        await corrects(visit, mine)
        await moves(visit, mine, rosa, f"rosa.new.{language}@example.com")
    # The link went to the old mailbox and ends with it.
    assert (await house.client.get(mine)).status_code == 404


async def corrects(visit: Visit, mine: str) -> None:
    await visit.go(mine)
    await visit.page.locator('main a[href*="/correct"]').click()
    await visit.looks_right()
    await visit.page.locator("label[for=field-first_name]").click()
    await visit.page.keyboard.type("Rosa")
    await visit.page.locator("#field-salutation").select_option("ms")
    await visit.press_main_button()
    await visit.page.wait_for_selector(".badge")
    await visit.looks_right()
    assert "Rosa" in await visit.page.locator(".facts").inner_text()
    await visit.page.locator("main a.button").click()
    assert "Rosa" in await visit.page.locator(".told").nth(1).inner_text()


async def moves(visit: Visit, mine: str, person: Person, new: str) -> None:
    """With a slip first; the button is pressed by keyboard."""
    have = len(mails_to(person.smtp, person.address))
    await visit.go(mine)
    await visit.page.locator('main a[href*="/address"]').click()
    await visit.looks_right()
    for typed, answered in ((new.removesuffix("example.com"), "#error-address"), (new, ".badge")):
        await visit.page.locator("#field-address").fill(typed)
        await visit.page.keyboard.press("Enter")
        await visit.page.wait_for_selector(answered)
        await visit.looks_right()
    mail = await replace(person, address=new).next_mail(1)
    assert person.address not in mail.data.decode()
    assert "/a/" not in (await person.next_mail(have + 1)).data.decode()
    await visit.go(f"{link(mail, 'a')}?lang={visit.language}")
    await visit.looks_right()
    assert new in await visit.page.locator("main .lead").inner_text()
    await visit.page.locator("main form button").focus()
    await visit.page.keyboard.press("Enter")
    await visit.page.wait_for_selector(".badge")
    await visit.looks_right()
    assert new in await visit.page.locator("main .lead").inner_text()
