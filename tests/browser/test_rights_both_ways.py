"""Every right in a browser and by command: both end in the same acts of the ledger, requests and notices to processors; and
what a privacy officer sees of it in a browser of their own (R1-R12, W6)."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from pixel_service.domain.address import parse_address
from pixel_service.domain.messages import SubscriberId
from pixel_service.domain.rights import one_month_after
from pixel_service.domain.webhooks import WebhookEvent
from pixel_service.i18n import format_day
from pixel_service.storage import subscribers
from pixel_service.storage.engine import Database
from pixel_service.storage.schema import ledger, rights_requests, webhook_deliveries
from tests.browser.conftest import PASSWORD, House
from tests.browser.test_privacy import ask_for_the_link, erases, press, subscribe_and_open
from tests.browser.test_rectify import corrects, moves
from tests.browser.test_story import log_in
from tests.browser.visit import Visit, visiting
from tests.journeys.contacts import HEADER, good_line, read_report
from tests.journeys.people import BROWSER, Person, link
from tests.journeys.service import Process
from tests.receiver import Posted, receiving
from tests.usecases.test_webhooks import raw, sign, signatures

if TYPE_CHECKING:
    from playwright.async_api import Browser

OFFICER = "officer@example.com"
ZONE = "Europe/Berlin"


@pytest.fixture(scope="module")
def officer(service: Process) -> tuple[str, str]:
    made = ("--email", OFFICER, "--role", "privacy_officer", "--password-stdin")
    service.run("user", "create", *made, given=f"{PASSWORD}\n")
    return OFFICER, PASSWORD


def by_command(house: House, *words: str) -> str:
    """`pixel-service person`, as a colleague types it with a letter before them."""
    return house.service.run("person", *words, "--reason", "letter 17")


# --- what is on record -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Traces:
    """What a person's rights left. Two people who used the same rights have the same, but for how they said it."""

    #: Purpose, act, and which facts stand beside it; none of an erased person.
    acts: list[tuple[str, str, tuple[str, ...]]]
    #: Kind, and whether it is done.
    requests: list[tuple[str, bool]]
    #: Events, in their order.
    told: list[str]


@asynccontextmanager
async def stored(house: House) -> AsyncIterator[Database]:
    database = Database(house.service.settings.database_url.get_secret_value())
    yield database
    await database.close()


async def id_of(house: House, person: Person) -> SubscriberId:
    key = parse_address(person.address).key
    async with stored(house) as database, database.read() as connection:
        return (await subscribers.find(connection, [key]))[key].subscriber_id


async def traces_of(house: House, person: SubscriberId) -> Traces:
    """The link to one's own page is noted as a request for access; who writes a letter needs none."""
    async with stored(house) as database, database.read() as connection:
        entries = await connection.execute(
            select(ledger).where(ledger.c.subscriber_id == person).order_by(ledger.c.seq)
        )
        asked = await connection.execute(select(rights_requests).where(rights_requests.c.subscriber_id == person))
        told = await connection.execute(
            select(webhook_deliveries.c.event)
            .where(webhook_deliveries.c.subject == person)
            .order_by(webhook_deliveries.c.number)
        )
        return Traces(
            acts=[(one.purpose, one.act, tuple(json.loads(one.content or "{}"))) for one in entries],
            requests=sorted((one.kind, one.done_at is not None) for one in asked if one.kind != "access"),
            told=list(told.scalars()),
        )


async def sources_of(house: House, person: SubscriberId) -> set[str]:
    """How the rights were used, as the ledger has it."""
    async with stored(house) as database, database.read() as connection:
        contents = await connection.execute(select(ledger.c.content).where(ledger.c.subscriber_id == person))
        found = [json.loads(content) for content in contents.scalars()]
    return {content["source"] for content in found if "source" in content}


# --- the same by button and by command ---------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_what_a_button_does_and_what_a_command_does_is_the_same_act(house: House, browser: "Browser") -> None:
    """Correct, move, delete opens, restrict, lift, withdraw, object, erase: R2-R4, R6, R7, R9 and, in passing, R11."""
    house.service.run("webhook", "add", "http://127.0.0.1:1/", *(f"--events={one.value}" for one in WebhookEvent))
    ulla, vera = house.person("ulla@example.com"), house.person("vera@example.com")
    await subscribe_and_open(house, ulla, "Ullas Mail")
    await subscribe_and_open(house, vera, "Veras Mail")
    people = [await id_of(house, one) for one in (ulla, vera)]
    async with visiting(browser, house.url) as visit:
        mine = await by_buttons(visit, ulla)
        moved = await by_commands(house, vera)
        await same(house, *people)
        said = [await sources_of(house, one) - {"confirm_page"} for one in people]
        assert said == [{"privacy_page"}, {"operator"}]
        await visit.go(mine)
        await erases(visit, mine)
        by_command(house, "erase", moved.address, "--yes")
        erased = await same(house, *people)
        assert {act for _, act, _ in erased.acts} >= {"restricted", "withdrawn", "objected", "erased"}
        assert erased.told[-1] == "erased"
        assert ("erasure", True) in erased.requests
    assert "exactly what the ledger says" in house.service.run("ledger", "replay")
    await endpoints_end(house)


async def by_buttons(visit: Visit, person: Person) -> str:
    """Returns the link of the page at their new address: that of the old mailbox ends with the change."""
    mine = await ask_for_the_link(visit, person)
    await corrects(visit, mine)
    moved = replace(person, address="ulla.new@example.com")
    await moves(visit, mine, person, moved.address)
    await visit.go("/privacy/request")
    await visit.page.locator("#field-address").fill(moved.address)
    await visit.page.keyboard.press("Enter")
    await visit.page.wait_for_selector(".badge")
    mine = link(await moved.next_mail(2), "privacy/me")
    for what in ("delete-opens", "restrict", "lift", "withdraw", "object"):
        await visit.go(mine)
        assert await press(visit, what)
    return mine


async def by_commands(house: House, person: Person) -> Person:
    """Returns them at their new address."""
    moved = replace(person, address="vera.new@example.com")
    by_command(house, "correct", person.address, "--field", "first_name=Rosa", "--field", "salutation=ms")
    by_command(house, "new-address", person.address, moved.address)
    button = link(await moved.next_mail(1), "a")
    assert (await house.client.post(button, data={"act": "confirm"}, headers=BROWSER)).status_code == 200
    for what in ("delete-opens", "restrict", "lift", "withdraw", "object"):
        by_command(house, what, moved.address)
    return moved


async def same(house: House, one: SubscriberId, other: SubscriberId) -> Traces:
    first, second = await traces_of(house, one), await traces_of(house, other)
    assert first.acts == second.acts
    assert first.requests == second.requests
    assert first.told == second.told
    return first


async def endpoints_end(house: House) -> None:
    """So that the next test's processors are the only ones."""
    for line in house.service.run("webhook", "list").splitlines()[1:]:
        if " enabled " in line:
            house.service.run("webhook", "disable", line.split()[0])


async def test_the_page_and_the_command_tell_the_same_and_give_the_same_rows(house: House, browser: "Browser") -> None:
    """Access, portability, and the authority to complain to (R1, R5, R8)."""
    wim = house.person("wim@example.com")
    await subscribe_and_open(house, wim, "Wims Mail")
    async with visiting(browser, house.url) as visit:
        mine = await ask_for_the_link(visit, wim)
        await visit.go(mine)
        parts = await visit.page.locator("main section h2").all_inner_texts()
        authority = (await house.client.get("/v1/notice")).json()["controller"]["supervisory_authority"]
        assert authority in await visit.page.inner_text("#rights")
        told = by_command(house, "show", wim.address)
        assert [one for one in parts if one not in told] == []
        assert len(parts) >= 6
        data = json.loads(await downloaded(visit))
    rows = json.loads(by_command(house, "show", wim.address, "--json"))
    assert data["data"].keys() == rows["data"].keys()
    for table in ("subscribers", "consents", "ledger", "opens", "sign_ups"):
        assert data["data"][table] == rows["data"][table]
    assert len(rows["data"]["opens"]) == 1


async def downloaded(visit: Visit) -> bytes:
    complaints = list(visit.complaints)
    async with visit.page.expect_download() as started:
        await visit.page.locator('form[action*="/my-data.json"] button').click()
    data = (await (await started.value).path()).read_bytes()
    # A download aborts the page's own navigation, which the browser reports; that is no complaint.
    visit.complaints[:] = complaints
    return data


# --- what the officer does in a browser ----------------------------------------------------------------------------------------


async def looks_up(visit: Visit, address: str, reason: str) -> None:
    await visit.go("/console/requests")
    await visit.page.locator("#look-address").fill(address)
    await visit.page.locator("#look-reason").fill(reason)
    await visit.page.keyboard.press("Enter")
    await visit.page.wait_for_selector("#person")
    await visit.looks_right()


async def test_a_letter_has_its_month_on_the_officers_page_until_it_is_answered(
    house: House, browser: "Browser", officer: tuple[str, str]
) -> None:
    """R10: noted, late, carried out or closed; the command shows the same list."""
    xaver = house.person("xaver@example.com")
    await xaver.join("newsletter")
    received = datetime.now(UTC) - timedelta(days=40)
    due = format_day(one_month_after(received, ZONE), "de", ZoneInfo(ZONE))
    async with visiting(browser, house.url) as visit:
        await log_in(visit, officer)
        for kind in ("restriction", "access"):
            await looks_up(visit, xaver.address, "letter 21")
            await visit.page.locator("#kind").select_option(kind)
            await visit.page.locator("#received").fill(f"{received.astimezone(ZoneInfo(ZONE)):%Y-%m-%d}")
            await visit.page.locator('button[value="note"]').click()
            await visit.page.wait_for_selector(".note.good")
        cards = visit.page.locator("article", has_text=xaver.address)
        assert await cards.count() == 2
        for text in await cards.all_inner_texts():
            assert due in text
            assert "Überfällig" in text
        listed = by_command(house, "requests", xaver.address)
        assert listed.count(f"{one_month_after(received, ZONE).astimezone(ZoneInfo(ZONE)):%Y-%m-%d}  open") == 2
        await looks_up(visit, xaver.address, "letter 21")
        await visit.page.locator("#reason-right").press("Enter")
        assert by_command(house, "requests", xaver.address).count("  open") == 2
        await visit.page.locator('button[value="restrict"]').click()
        await visit.page.wait_for_selector(".note.good")
        (left,) = await cards.all()
        await left.locator('input[name="reason"]').fill("answered")
        await left.locator("button").click()
        await visit.page.wait_for_selector(".note.good")
        assert await cards.count() == 0
        await visit.looks_right()
    assert by_command(house, "requests", xaver.address).count("done ") == 2
    audited = house.service.run("audit", "list")
    assert OFFICER in audited
    assert "request closed" in audited


async def test_a_processor_is_told_of_what_a_person_pressed_and_the_log_says_so(
    house: House, browser: "Browser"
) -> None:
    """R11: signed, delivered, and on the list of operators without the address."""
    yara = house.person("yara@example.com")
    await yara.join("newsletter", "tracking")
    person = await id_of(house, yara)
    async with receiving() as processor, visiting(browser, house.url) as visit:
        secret = raw(house.service.run("webhook", "add", processor.url, "--events=withdrawn").strip())
        await visit.go(await ask_for_the_link(visit, yara))
        await press(visit, "withdraw")
        posted = await first_of(processor.taken)
        assert json.loads(posted.body)["type"] == "subscriber.withdrawn"
        assert yara.address in posted.body.decode()
        assert signatures(posted) == [sign(posted, secret)]
        log = await delivered(house, person)
        await endpoints_end(house)
    assert "withdrawn" in log
    assert "204" in log
    assert yara.address not in log


async def first_of(taken: list[Posted]) -> Posted:
    for _ in range(200):
        if taken:
            return taken[0]
        await asyncio.sleep(0.05)
    raise TimeoutError("no processor was told")


async def delivered(house: House, person: SubscriberId) -> str:
    """The line of the log, once the answer is noted."""
    for _ in range(20):
        log = await asyncio.to_thread(house.service.run, "webhook", "log")
        for line in log.splitlines():
            if person in line and "delivered" in line:
                return line
    raise TimeoutError("nothing was delivered")


async def test_who_erased_themselves_is_not_imported_and_the_officer_opens_the_sealed_proof(
    house: House, browser: "Browser", officer: tuple[str, str], tmp_path: Path
) -> None:
    """R3 and R12: by the button, the import, and the page of evidence."""
    zoe = house.person("person7@example.com")
    await zoe.join("newsletter")
    async with visiting(browser, house.url) as visit:
        mine = await ask_for_the_link(visit, zoe)
        await visit.go(mine)
        await erases(visit, mine)
        sealed_until = (await visit.page.locator("main").inner_text()).split()
    assert str(datetime.now(UTC).year + 4) in " ".join(sealed_until)
    refused = imported(house, tmp_path)
    assert refused == [("2", "refused", "address", "erased")]
    async with visiting(browser, house.url) as visit:
        await log_in(visit, officer)
        await opens_the_proof(visit, zoe.address)
    audited = house.service.run("audit", "list")
    assert "claim 4" in audited
    assert zoe.address not in audited


def imported(house: House, folder: Path) -> list[tuple[str, ...]]:
    """With complete evidence; what the report says of it."""
    contacts, report = folder / "contacts.csv", folder / "report.csv"
    contacts.write_text(HEADER + good_line(7), encoding="utf-8")
    house.service.run("import", str(contacts), "--source", "old tool", "--report", str(report))
    return read_report(report)


async def opens_the_proof(visit: Visit, address: str) -> None:
    await visit.page.locator('nav a[href*="/console/evidence"], header a[href*="/console/evidence"]').first.click()
    await visit.looks_right()
    await visit.page.locator("#field-address").fill(address)
    await visit.page.locator("#field-reason").fill("claim 4")
    await visit.press_main_button()
    await visit.page.wait_for_selector("article.evidence")
    await visit.looks_right()
    # What is folded too.
    text = str(await visit.page.locator("article.evidence").text_content())
    for said in (address, "claim 4", OFFICER, "Versiegelt seit", "Ok: queued"):
        assert said in text, said
