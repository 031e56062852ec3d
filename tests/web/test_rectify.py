"""Correcting one's data, asking for a new address, and the page behind the mail to it: who gets there, and what acts (R2)."""

import re
from datetime import timedelta

import pytest
from httpx import AsyncClient

from pixel_service.domain.messages import SubscriberId
from pixel_service.domain.tokens import Link
from pixel_service.storage import subscribers
from pixel_service.storage.subscribers import Subscriber
from pixel_service.usecases.context import Context
from pixel_service.usecases.links import my_data_url, preferences_url
from tests.access import Clock
from tests.builders import BLOG, Relay, ask, deliver, dump, join
from tests.journeys.forms import form, forms

ADA, NEW = "ada@example.com", "ada.new@example.com"
FORMS = ("correct", "address")


@pytest.fixture
async def ada(ctx: Context, relay: Relay) -> SubscriberId:
    person = await join(ctx, ADA, BLOG, first_name="Ava", company="Old & Sons", salutation="ms")
    await deliver(ctx)
    relay.taken.clear()
    return person


@pytest.fixture
async def mine(ctx: Context, ada: SubscriberId) -> str:
    return my_data_url(ctx, await known(ctx, ada), ctx.clock() + ctx.policy.privacy_link_within)


async def known(ctx: Context, person: SubscriberId) -> Subscriber:
    async with ctx.db.read() as connection:
        found = await subscribers.get(connection, person)
    assert found is not None
    return found


async def mailed_link(ctx: Context, relay: Relay) -> str:
    """The link of the mail that went to the new address."""
    await deliver(ctx)
    (data,) = (mail.data for mail in relay.taken if mail.rcpt_to == NEW)
    (token,) = set(re.findall(r"/a/([a-z2-7]+)", data.decode().replace("=\r\n", "")))
    return f"/a/{token}"


# --- details ------------------------------------------------------------------------------------------------------------


async def test_the_page_of_ones_data_leads_to_both_forms(visitor: AsyncClient, mine: str) -> None:
    page = (await visitor.get(mine)).text
    for what in FORMS:
        assert re.search(rf'href="/privacy/me/[a-z2-7]+/{what}\?lang=de"', page)


async def test_the_form_holds_what_is_on_record_and_saving_it_answers_with_a_receipt(
    visitor: AsyncClient, ctx: Context, ada: SubscriberId, mine: str
) -> None:
    shown = await visitor.get(f"{mine}/correct?lang=en")
    assert shown.status_code == 200
    assert 'value="Old &amp; Sons"' in shown.text
    assert '<option value="ms" selected>' in shown.text
    filled = form(shown.text)
    typed = filled.values | {"first_name": "Ada", "company": "", "salutation": "mr"}
    saved = await visitor.post(filled.action, data=typed)
    assert saved.status_code == 200
    assert "Your data is corrected" in saved.text
    assert re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", saved.text) == [
        ("Salutation", "Mr"),
        ("First name", "Ada"),
        ("Company", "(emptied)"),
    ]
    person = await known(ctx, ada)
    assert person.profile.given() == {"salutation": "mr", "first_name": "Ada"}


async def test_the_same_again_says_that_nothing_was_changed(visitor: AsyncClient, ctx: Context, mine: str) -> None:
    before = await dump(ctx.db)
    saved = await visitor.post(f"{mine}/correct", data={"first_name": "Ava"})
    assert "Es wurde nichts geändert" in saved.text
    assert await dump(ctx.db) == before


async def test_a_post_without_fields_empties_nothing(visitor: AsyncClient, ctx: Context, mine: str) -> None:
    before = await dump(ctx.db)
    assert (await visitor.post(f"{mine}/correct")).status_code == 200
    assert await dump(ctx.db) == before


async def test_what_is_too_long_or_no_line_is_shown_again_with_what_to_do(
    visitor: AsyncClient, ctx: Context, mine: str
) -> None:
    before = await dump(ctx.db)
    typed = {"company": "x" * 121, "last_name": "A\r\nBcc: eve@example.com", "first_name": "Ada"}
    shown = await visitor.post(f"{mine}/correct?lang=en", data=typed)
    assert shown.status_code == 422
    assert "Company: Please use at most 120 characters." in shown.text
    assert "Last name: Please write it on one line." in shown.text
    assert 'value="Ada"' in shown.text
    assert await dump(ctx.db) == before


# --- a new address ------------------------------------------------------------------------------------------------------


async def test_a_new_address_counts_once_its_mailbox_has_pressed_the_button(
    visitor: AsyncClient, ctx: Context, relay: Relay, ada: SubscriberId, mine: str
) -> None:
    shown = await visitor.get(f"{mine}/address")
    assert ADA in shown.text
    answer = await visitor.post(form(shown.text).action, data={"address": NEW})
    assert answer.status_code == 200
    assert NEW not in answer.text
    link = await mailed_link(ctx, relay)
    page = await visitor.get(link)
    assert NEW in page.text
    assert ADA not in page.text
    assert "Ava" not in page.text
    (button,) = forms(page.text)
    assert (await known(ctx, ada)).address == ADA
    for _ in range(2):
        done = await visitor.post(button.action, data={"act": "confirm"})
        assert done.status_code == 200
        assert "Ihre neue Adresse gilt" in done.text
    assert (await known(ctx, ada)).address == NEW
    assert (await visitor.get(preferences_url(ctx, ada))).status_code == 200
    assert (await visitor.get(mine)).status_code == 404


async def test_the_answer_is_the_same_for_every_address(visitor: AsyncClient, ctx: Context, mine: str) -> None:
    await join(ctx, "bo@example.com", BLOG)
    await ask(ctx, "pending@example.com", BLOG)
    typed = ["bo@example.com", "pending@example.com", "stranger@example.com", "beyond.the.limit@example.com"]
    answers = [await visitor.post(f"{mine}/address", data={"address": one}) for one in typed]
    assert {(answer.status_code, answer.text) for answer in answers} == {(200, answers[0].text)}


@pytest.mark.parametrize(
    "typed",
    ["", "ada@", "a" * 250 + "@example.com", "ada@example.com\r\nBcc: eve@example.com", "ädä@example.com", ADA],
)
async def test_an_address_that_can_not_be_is_shown_again(
    visitor: AsyncClient, ctx: Context, mine: str, typed: str
) -> None:
    before = await dump(ctx.db)
    answer = await visitor.post(f"{mine}/address", data={"address": typed})
    assert answer.status_code == 422
    assert 'id="error-address"' in answer.text
    assert await dump(ctx.db) == before


async def test_a_scanner_that_reads_or_posts_changes_nothing(
    visitor: AsyncClient, ctx: Context, relay: Relay, mine: str
) -> None:
    await visitor.post(f"{mine}/address", data={"address": NEW})
    link = await mailed_link(ctx, relay)
    before = await dump(ctx.db)
    for place in (link, *(f"{mine}/{what}" for what in FORMS)):
        assert (await visitor.get(f"{place}?act=confirm&first_name=Eve&address=eve@example.com")).status_code == 200
        assert (await visitor.head(place)).status_code == 200
    for body in ({}, {"act": "else"}, {"List-Unsubscribe": "One-Click"}):
        assert (await visitor.post(f"{link}?act=confirm", data=body)).status_code == 200
    assert await dump(ctx.db) == before


async def test_an_address_that_is_somebody_elses_record_is_told_to_its_owner_only(
    visitor: AsyncClient, ctx: Context, relay: Relay, mine: str
) -> None:
    await visitor.post(f"{mine}/address", data={"address": NEW})
    link = await mailed_link(ctx, relay)
    await join(ctx, NEW, BLOG)
    before = await dump(ctx.db)
    for answer in (await visitor.get(link), await visitor.post(link, data={"act": "confirm"})):
        assert answer.status_code == 409
        assert "/privacy/request?lang=de" in answer.text
        assert ADA not in answer.text
    assert await dump(ctx.db) == before


async def test_a_late_link_says_so_and_a_garbled_or_foreign_one_is_like_any_other(
    visitor: AsyncClient, ctx: Context, relay: Relay, clock: Clock, ada: SubscriberId, mine: str
) -> None:
    await visitor.post(f"{mine}/address", data={"address": NEW})
    link = await mailed_link(ctx, relay)
    token = mine.rpartition("/")[2]
    foreign = [f"/a/{token}", f"/a/{preferences_url(ctx, ada).rpartition('/')[2]}", f"{link}a", "/a/abcdefgh"]
    unknown = (await visitor.get("/c/abcdefgh")).text.replace("/c/abcdefgh", "")
    for one in foreign:
        for answer in (await visitor.get(one), await visitor.post(one, data={"act": "confirm"})):
            assert answer.status_code == 404
            assert answer.text.replace(one, "") == unknown
    other = ctx.tokens.mint(Link.NEW_ADDRESS, ada)
    for what in FORMS:
        for place in (f"/privacy/me/{other}/{what}", f"/privacy/me/{link[3:]}/{what}", f"/privacy/me/x/{what}"):
            assert (await visitor.get(place)).status_code == 404
            assert (await visitor.post(place, data={"address": NEW, "first_name": "Eve"})).status_code == 404
    clock.move(timedelta(hours=48))
    before = await dump(ctx.db)
    for answer in (await visitor.get(link), await visitor.post(link, data={"act": "confirm"})):
        assert answer.status_code == 410
        assert "Dieser Link gilt nicht mehr" in answer.text
    for what in FORMS:
        assert (await visitor.get(f"{mine}/{what}")).status_code == 410
        assert (await visitor.post(f"{mine}/{what}", data={"address": NEW, "first_name": "Eve"})).status_code == 410
    assert await dump(ctx.db) == before
