"""The consent receipt behind a person's own link: the same link as the preferences page, and it reads (E7)."""

import re

import pytest
from httpx import AsyncClient

from pixel_service.domain.messages import SubscriberId
from pixel_service.usecases.context import Context
from pixel_service.usecases.links import preferences_url, stop_tracking_url, unsubscribe_url
from tests.access import Clock
from tests.builders import BLOG, OPENS, Relay, ask, confirm_link, deliver, dump, join
from tests.receipts import schema_problems

ADA = "ada@example.com"


@pytest.fixture
async def person(ctx: Context) -> SubscriberId:
    return await join(ctx, ADA, BLOG, OPENS, last_name="Beispiel")


async def test_the_receipt_comes_as_a_file_that_passes_the_schema(
    visitor: AsyncClient, ctx: Context, person: SubscriberId
) -> None:
    answer = await visitor.get(f"{preferences_url(ctx, person)}/receipt.jsonld")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/ld+json"
    assert answer.headers["content-disposition"] == 'attachment; filename="consent-receipt.jsonld"'
    assert answer.headers["cache-control"] == "no-store"
    assert schema_problems(answer.json()) == []
    assert answer.json()["records"][0]["subject"]["identifier"] == person
    assert ADA not in answer.text
    assert "Beispiel" not in answer.text


async def test_fetching_it_any_number_of_times_changes_nothing(
    visitor: AsyncClient, ctx: Context, person: SubscriberId
) -> None:
    link = f"{preferences_url(ctx, person)}/receipt.jsonld"
    before = await dump(ctx.db)
    for _ in range(3):
        assert (await visitor.get(link)).status_code == 200
        assert (await visitor.head(link)).status_code == 200
        assert (await visitor.post(link)).status_code == 405
    assert await dump(ctx.db) == before


async def test_no_other_link_and_no_forged_one_opens_it(
    visitor: AsyncClient, ctx: Context, person: SubscriberId
) -> None:
    good = preferences_url(ctx, person)
    others = [unsubscribe_url(ctx, person, BLOG), stop_tracking_url(ctx, person), f"{good[:-1]}x", f"{good}a"]
    for token in (other.rpartition("/")[2] for other in others):
        answer = await visitor.get(f"/p/{token}/receipt.jsonld")
        assert (answer.status_code, "application/ld+json" in answer.headers["content-type"]) == (404, False)


async def test_somebody_without_a_receipt_is_told_that_the_link_leads_nowhere(
    visitor: AsyncClient, ctx: Context
) -> None:
    answer = await visitor.get(f"{preferences_url(ctx, SubscriberId('a' * 26))}/receipt.jsonld")
    assert answer.status_code == 404


async def test_the_preferences_page_and_the_confirmed_page_lead_to_it(
    visitor: AsyncClient, ctx: Context, clock: Clock
) -> None:
    link = await confirm_link(ctx, person := await ask(ctx, ADA, BLOG))
    confirmed = await visitor.post(link, data={"newsletter-blog": "yes", "act": "confirm"})
    preferences = await visitor.get(preferences_url(ctx, person))
    for page in (confirmed, preferences):
        (href,) = re.findall(r'href="([^"]+/receipt\.jsonld)" download', page.text)
        assert (await visitor.get(href)).json()["type"] == "dpv:ConsentReceipt"


async def test_the_welcome_mail_links_it_in_text_and_html(
    visitor: AsyncClient, ctx: Context, relay: Relay, person: SubscriberId
) -> None:
    await deliver(ctx)
    (welcome,) = [mail for mail in relay.taken if b"receipt.jsonld" in mail.data.replace(b"=\r\n", b"")]
    links = re.findall(rb"https://news\.example(/p/[a-z2-7]+/receipt\.jsonld)", welcome.data.replace(b"=\r\n", b""))
    assert len(links) == 2
    for link in links:
        assert (await visitor.get(link.decode())).status_code == 200
