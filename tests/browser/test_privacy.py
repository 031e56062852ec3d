"""One's own data in a browser without scripts: from a newsletter to the page, and every right by its button (R1-R9)."""

import json
from typing import TYPE_CHECKING

import pytest

from tests.browser.conftest import House
from tests.browser.visit import DESK, PHONE, Visit, visiting
from tests.journeys.people import Person, link, mails_to

if TYPE_CHECKING:
    from playwright.async_api import Browser


async def subscribe_and_open(house: House, person: Person, campaign: str) -> None:
    """Agrees to newsletter and measuring, gets one and loads its images."""
    have = await person.join("newsletter", "tracking")
    answer = await house.pipeline.send(campaign, recipients=[{"address": person.address}])
    await house.pipeline.delivered(answer.json()["send_id"], 1)
    await person.load_images(await person.next_mail(have + 1))


async def ask_for_the_link(visit: Visit, person: Person) -> str:
    """From the preferences page, as everybody has it in their mail, by the form and the mailbox."""
    mails = mails_to(person.smtp, person.address)
    await visit.go(link(mails[-1], "p"))
    await visit.page.locator('main a[href*="/privacy/request"]').click()
    await visit.looks_right()
    await visit.page.locator("label[for=field-address]").click()
    await visit.page.keyboard.type(person.address)
    await visit.page.keyboard.press("Enter")
    await visit.page.wait_for_selector(".badge")
    await visit.looks_right()
    return link(await person.next_mail(len(mails) + 1), "privacy/me")


async def press(visit: Visit, what: str) -> str:
    """One button of the page; the heading of what answers."""
    await visit.page.locator(f'form[action*="/{what}"] button').click()
    await visit.page.wait_for_selector(".badge")
    await visit.looks_right()
    return await visit.heading()


@pytest.mark.slow
@pytest.mark.parametrize("language, size", [("de", PHONE), ("en", DESK)], ids=["de-phone", "en-desk"])
async def test_every_right_is_a_button_away_from_the_mailed_link(
    house: House, browser: "Browser", language: str, size: tuple[int, int]
) -> None:
    mia = house.person(f"mia.{language}@example.com")
    await subscribe_and_open(house, mia, f"Rechte {language}")
    async with visiting(browser, house.url, language="de", size=size) as visit:
        mine = f"{await ask_for_the_link(visit, mia)}?lang={language}"
        visit.language = language
        await visit.go(mine)
        await visit.looks_right()
        assert mia.address in await visit.page.locator("main .lead").inner_text()
        await reads_the_open(visit, f"Rechte {language}")
        for what in ("delete-opens", "restrict", "lift", "stop-measuring", "object", "withdraw"):
            await visit.go(mine)
            assert await press(visit, what)
        await visit.go(mine)
        for gone in ("delete-opens", "stop-measuring", "object"):
            assert await visit.page.locator(f'form[action*="/{gone}"]').count() == 0
        await erases(visit, mine)
    assert (await house.client.get(mine)).status_code == 404


async def reads_the_open(visit: Visit, campaign: str) -> None:
    """The mail is folded; a key unfolds it."""
    mail = visit.page.locator("details", has_text=campaign).first
    await mail.locator("summary").focus()
    await visit.page.keyboard.press("Enter")
    assert "Gmail" in await mail.inner_text()


async def erases(visit: Visit, mine: str) -> None:
    await visit.page.locator('main a[href*="/erase"]').click()
    await visit.looks_right()
    assert await visit.page.locator("main form button").count() == 1
    await visit.press_main_button()
    await visit.page.locator(".facts dd").first.wait_for()
    assert await visit.page.locator(".facts dd").count() >= 3
    await visit.looks_right()


async def test_both_files_are_downloaded_by_a_button(house: House, browser: "Browser") -> None:
    nora = house.person("nora@example.com")
    await nora.join("newsletter")
    async with visiting(browser, house.url) as visit:
        mine = await ask_for_the_link(visit, nora)
        for what, begins in (("my-data.json", b'{"about"'), ("my-data.zip", b"PK")):
            await visit.go(mine)
            complaints = list(visit.complaints)
            async with visit.page.expect_download() as started:
                await visit.page.locator(f'form[action*="/{what}"] button').click()
            download = await started.value
            data = (await download.path()).read_bytes()
            # A download aborts the page's own navigation, which the browser reports; that is no complaint.
            visit.complaints[:] = complaints
            assert download.suggested_filename == what
            assert data.startswith(begins)
            if what.endswith("json"):
                assert json.loads(data)["data"]["subscribers"][0]["address"] == nora.address


async def test_the_page_is_used_by_keyboard_alone(house: House, browser: "Browser") -> None:
    otto = house.person("otto@example.com")
    await otto.join("newsletter")
    async with visiting(browser, house.url) as visit:
        await visit.go(await ask_for_the_link(visit, otto))
        rights = visit.page.locator('nav a[href="#rights"]')
        await rights.focus()
        await visit.page.keyboard.press("Enter")
        for _ in range(8):
            await visit.page.keyboard.press("Tab")
            form = visit.page.locator('form[action*="/restrict"] button:focus')
            if await form.count():
                break
        await visit.page.keyboard.press("Enter")
        await visit.page.wait_for_selector(".badge")
        await visit.looks_right()
