"""The story in a browser without scripts, by clicks and keys: sign up, confirm, be measured, look at the report, withdraw."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.browser.conftest import House
from tests.browser.visit import DESK, PHONE, Visit, visiting
from tests.journeys.people import Person, link, pixels
from tests.smtp_server import ReceivedMail

if TYPE_CHECKING:
    from playwright.async_api import Browser


@dataclass(frozen=True, slots=True)
class Words:
    """What people read at the turning points."""

    check_mail: str
    thanks: str
    withdrawn: str
    nobody_withdrew: str
    one_withdrew: str
    log_in: str


WORDS = {
    "de": Words(
        "Bitte prüfen Sie Ihr Postfach",
        "Vielen Dank für Ihre Bestätigung",
        "Erledigt: Ihre Einwilligung ist widerrufen",
        "Zu keinem Empfänger ist ein Widerruf verzeichnet",
        "1 Empfänger widerrufen",
        "Anmelden",
    ),
    "en": Words(
        "Please check your mail",
        "Thank you, that is confirmed",
        "Done: your consent is withdrawn",
        "No withdrawal",
        "1 recipient",
        "Log in",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("language, size", [("de", PHONE), ("en", DESK)], ids=["de-phone", "en-desk"])
async def test_the_story_by_clicks_and_keys_without_scripts(
    house: House, admin: tuple[str, str], browser: "Browser", language: str, size: tuple[int, int]
) -> None:
    words, anna = WORDS[language], house.person(f"anna.{language}@example.com")
    async with visiting(browser, house.url, language=language, size=size) as visit:
        await sign_up_and_confirm(visit, anna, words)
        campaign = f"November {language}"
        answer = await house.pipeline.send(campaign, recipients=[{"address": anna.address}])
        await house.pipeline.delivered(answer.json()["send_id"], 1)
        newsletter = await anna.next_mail(3)
        await anna.load_images(newsletter)

        await log_in(visit, admin)
        assert (await report(visit, campaign))[:4] == ["1", "1", "1", "1"]
        await says(visit, words.nobody_withdrew)
        assert await stop_measuring(visit, newsletter, words) == ["1", "1", "0"]
        assert (await report(visit, campaign))[:4] == ["1", "0", "0", "0"]
        await says(visit, words.one_withdrew)

        await unsubscribe(visit, newsletter, words)
        goodbye = await anna.next_mail(4)
        assert pixels(goodbye) == []
        await log_out(visit, words)


async def says(visit: Visit, text: str) -> None:
    assert text in await visit.page.inner_text("main")


async def sign_up_and_confirm(visit: Visit, person: Person, words: Words) -> None:
    page = visit.page
    await visit.go("/")
    await visit.looks_right()
    await page.locator('main a[href*="/newsletter/blog"]').click()
    await visit.looks_right()
    await page.locator("label[for=field-address]").click()
    await page.keyboard.type(person.address)
    for box in ("newsletter-blog", "tracking-opens"):
        await page.locator(f"label[for=field-{box}]").click()
    await visit.press_main_button()
    assert await visit.heading() == words.check_mail
    await says(visit, person.address)
    await visit.looks_right()

    await visit.go(link(await person.next_mail(1), "c"))
    await visit.looks_right()
    assert await page.locator("input:checked").count() == 2
    await visit.press_main_button()
    assert await visit.heading() == words.thanks
    await visit.looks_right()

    await visit.go(link(await person.next_mail(2), "p"))
    await visit.looks_right()
    assert await page.locator("input:checked").count() == 2


async def log_in(visit: Visit, admin: tuple[str, str]) -> None:
    name, password = admin
    await visit.go("/console/")
    await visit.looks_right()
    await visit.page.locator("label[for=field-name]").click()
    await visit.page.keyboard.type(name)
    await visit.page.keyboard.press("Tab")
    await visit.page.keyboard.type(password)
    await visit.page.keyboard.press("Enter")
    await visit.page.wait_for_url("**/console/")
    await visit.looks_right()


async def report(visit: Visit, campaign: str) -> list[str]:
    """The figures of a campaign: sent, with consent, recipients who loaded images, images loaded, machines."""
    await visit.go("/console/")
    await visit.page.locator("main").get_by_role("link", name=campaign).click()
    assert await visit.heading() == campaign
    await visit.looks_right()
    return await visit.page.locator(".figures .value").all_inner_texts()


async def stop_measuring(visit: Visit, newsletter: ReceivedMail, words: Words) -> list[str]:
    """What the receipt says was deleted: opens, image addresses, waiting mails."""
    await visit.go(link(newsletter, "t"))
    await visit.looks_right()
    await visit.press_main_button()
    assert await visit.heading() == words.withdrawn
    await visit.looks_right()
    deleted = await visit.page.locator(".facts dd").all_inner_texts()
    await visit.page.locator('main a[href*="/p/"]').click()
    ticked = [await box.get_attribute("name") for box in await visit.page.locator("input:checked").all()]
    assert ticked == ["newsletter-blog"]
    return deleted


async def unsubscribe(visit: Visit, newsletter: ReceivedMail, words: Words) -> None:
    await visit.go(link(newsletter, "u"))
    await visit.looks_right()
    await visit.press_main_button()
    assert await visit.heading() == words.withdrawn
    await visit.page.locator('main a[href*="/p/"]').click()
    assert await visit.page.locator("input:checked").count() == 0


async def log_out(visit: Visit, words: Words) -> None:
    await visit.go("/console/")
    await visit.page.locator('form[action$="/console/logout"] button').click()
    assert await visit.heading() == words.log_in
    await visit.go("/console/")
    assert await visit.heading() == words.log_in
