"""The page of one's own data: who gets there, that reading never acts, and what each button does (R1-R9, S4)."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from time import perf_counter

import pytest
from httpx import AsyncClient
from sqlalchemy import select, update

from pixel_service.app import terms_of
from pixel_service.domain.consent import Act, State
from pixel_service.domain.messages import SubscriberId
from pixel_service.storage import subscribers
from pixel_service.storage.schema import opens, rights_requests, subscribers as people
from pixel_service.usecases.context import Context
from pixel_service.usecases.links import my_data_url, preferences_url
from pixel_service.usecases.withdraw import Source, withdraw_all
from tests.access import Clock
from tests.builders import (
    BLOG,
    GLASFASER,
    OPENS,
    Relay,
    ask,
    deliver,
    dump,
    join,
    ledger_of,
    queued,
    settings,
    states_of,
    web,
)
from tests.journeys.forms import forms
from tests.own_data import ADA, BO, everything

ASK = "/privacy/request"


@pytest.fixture
async def ada(ctx: Context) -> SubscriberId:
    return await everything(ctx)


@pytest.fixture
async def link(ctx: Context, ada: SubscriberId) -> str:
    return await link_of(ctx, ada)


async def link_of(ctx: Context, person: SubscriberId) -> str:
    async with ctx.db.read() as connection:
        known = await subscribers.get(connection, person)
    assert known is not None
    return my_data_url(ctx, known, ctx.clock() + ctx.policy.privacy_link_within)


def buttons(html: str) -> list[str]:
    return [form.action.rpartition("/")[2].partition("?")[0] for form in forms(html) if form.method == "post"]


async def requests_of(ctx: Context) -> Sequence[tuple[str, str, bool]]:
    async with ctx.db.read() as connection:
        rows = await connection.execute(select(rights_requests).order_by(rights_requests.c.request_id))
        return [(row.kind, row.source, row.done_at is not None) for row in rows]


# --- the link ------------------------------------------------------------------------------------------------


async def test_every_address_gets_the_same_answer_and_only_its_owner_a_mail(
    visitor: AsyncClient, ctx: Context, relay: Relay
) -> None:
    await join(ctx, ADA, BLOG)
    await ask(ctx, "pending@example.com", BLOG)
    await withdraw_all(ctx, await join(ctx, "gone@example.com", BLOG), Source.ONE_CLICK)
    await deliver(ctx)
    relay.taken.clear()
    known = [ADA, "pending@example.com", "gone@example.com"]
    answers = [await visitor.post(ASK, data={"address": one}) for one in (*known, "stranger@example.com")]
    assert {(answer.status_code, answer.text) for answer in answers} == {(200, answers[0].text)}
    assert "example.com" not in answers[0].text.replace("news.example", "")
    assert await queued(ctx) == ["my_data"] * 3
    await deliver(ctx)
    assert sorted(mail.rcpt_to for mail in relay.taken) == sorted(known)


async def test_a_stranger_leaves_no_trace(visitor: AsyncClient, ctx: Context) -> None:
    before = await dump(ctx.db)
    await visitor.post(ASK, data={"address": "stranger@example.com"})
    assert await dump(ctx.db) == before


async def test_the_answer_takes_as_long_for_a_stranger_as_for_a_subscriber(ctx: Context) -> None:
    await join(ctx, ADA, BLOG)
    slow = replace(ctx, policy=replace(ctx.policy, sign_up_takes=timedelta(milliseconds=250)))
    async with web(slow) as visitor:
        for address in (ADA, "stranger@example.com"):
            began = perf_counter()
            await visitor.post(ASK, data={"address": address})
            assert perf_counter() - began >= 0.25


async def test_the_mail_leads_to_the_page_and_carries_no_advertising(
    visitor: AsyncClient, ctx: Context, relay: Relay, ada: SubscriberId
) -> None:
    relay.taken.clear()
    await visitor.post(ASK, data={"address": ADA.upper()})
    await deliver(ctx)
    (mail,) = relay.taken
    text = mail.data.decode().replace("=\r\n", "")
    (token,) = set(re.findall(r"/privacy/me/([a-z2-7]+)", text))
    assert "/o/" not in text
    assert "List-Unsubscribe" not in text
    assert "Ada" not in text.partition("\r\n\r\n")[2]
    page = await visitor.get(f"/privacy/me/{token}")
    assert page.status_code == 200
    assert ADA in page.text


async def test_three_links_a_day_are_mailed_to_one_address(visitor: AsyncClient, ctx: Context, clock: Clock) -> None:
    await join(ctx, ADA, BLOG)
    await deliver(ctx)
    for _ in range(5):
        assert (await visitor.post(ASK, data={"address": ADA})).status_code == 200
    assert await queued(ctx) == ["my_data"] * 3
    clock.move(timedelta(days=1))
    await visitor.post(ASK, data={"address": ADA})
    assert await queued(ctx) == ["my_data"] * 4


async def test_asking_is_on_record_and_answers_no_letter(visitor: AsyncClient, ctx: Context, ada: SubscriberId) -> None:
    """Anybody may type an address: the access that a letter asks for stays open until a colleague has answered it."""
    before = await requests_of(ctx)
    assert before == [("access", "operator", False)] * 2
    await visitor.post(ASK, data={"address": ADA})
    assert await requests_of(ctx) == [*before, ("access", "privacy_page", True)]


@pytest.mark.parametrize("what", ["restrict", "object", "withdraw"])
async def test_who_used_a_right_still_gets_the_link(
    visitor: AsyncClient, ctx: Context, relay: Relay, link: str, what: str
) -> None:
    """It answers the person's own request: no advertising, and the only way to end a restriction."""
    await visitor.post(f"{link}/{what}")
    await deliver(ctx)
    relay.taken.clear()
    await visitor.post(ASK, data={"address": ADA})
    await deliver(ctx)
    assert [mail.rcpt_to for mail in relay.taken] == [ADA]


async def test_the_notice_names_the_form(visitor: AsyncClient) -> None:
    assert (await visitor.get(terms_of(settings()).rights_url)).status_code == 200


async def test_a_mistyped_address_is_shown_again(visitor: AsyncClient) -> None:
    answer = await visitor.post(f"{ASK}?lang=en", data={"address": "ada@"})
    assert answer.status_code == 422
    assert 'value="ada@"' in answer.text
    assert "Please enter a complete e-mail address" in answer.text


async def test_no_link_of_another_mail_opens_the_page(visitor: AsyncClient, ctx: Context, ada: SubscriberId) -> None:
    """One lasting id that unsubscribes, exports and wipes would sit in every forwarded newsletter."""
    preferences = preferences_url(ctx, ada)
    token = preferences.rpartition("/")[2]
    assert (await visitor.get(f"/privacy/me/{token}")).status_code == 404
    assert (await visitor.post(f"/privacy/me/{token}/erase")).status_code == 404
    page = await visitor.get(preferences)
    assert page.status_code == 200
    assert "/privacy/request" in page.text
    assert "/privacy/me" not in page.text
    mine = (await link_of(ctx, ada)).rpartition("/")[2]
    for other in ("p", "u", "t"):
        assert (await visitor.get(f"/{other}/{mine}")).status_code == 404


async def test_the_link_serves_for_a_day_and_no_longer(
    visitor: AsyncClient, ctx: Context, clock: Clock, link: str
) -> None:
    clock.move(timedelta(hours=24) - timedelta(seconds=1))
    assert (await visitor.get(link)).status_code == 200
    clock.move(timedelta(seconds=1))
    before = await dump(ctx.db)
    late = await visitor.get(link)
    assert late.status_code == 410
    assert "/privacy/request" in late.text
    assert ADA not in late.text
    for what in (*ACTS, "my-data.json", "my-data.zip", "erase"):
        assert (await visitor.post(f"{link}/{what}")).status_code == 410
    assert await dump(ctx.db) == before


async def test_a_link_to_an_old_address_shows_nothing_any_more(
    visitor: AsyncClient, ctx: Context, ada: SubscriberId, link: str
) -> None:
    """Whoever took over the old mailbox must not read, and not erase, what moved on."""
    async with ctx.db.write() as connection:
        moved = update(people).where(people.c.subscriber_id == ada)
        await connection.execute(moved.values(address="ada@new.example", address_key="ada@new.example"))
    assert (await visitor.get(link)).status_code == 404
    assert (await visitor.post(f"{link}/erase")).status_code == 404


# --- reading ----------------------------------------------------------------------------------------------------


ACTS = ("stop-measuring", "withdraw", "delete-opens", "restrict", "lift", "object")


async def test_reading_any_number_of_times_changes_nothing(visitor: AsyncClient, ctx: Context, link: str) -> None:
    before = await dump(ctx.db)
    for path in (link, f"{link}/erase", ASK):
        for _ in range(3):
            assert (await visitor.get(f"{path}?lang=en&address={ADA}")).status_code == 200
            assert (await visitor.head(path)).status_code == 200
    for what in (*ACTS, "my-data.json", "my-data.zip"):
        assert (await visitor.get(f"{link}/{what}")).status_code == 405
    assert await dump(ctx.db) == before


async def test_the_page_shows_everything_and_a_button_for_every_right(
    visitor: AsyncClient, ctx: Context, link: str
) -> None:
    for language in ("de", "en"):
        page = await visitor.get(f"{link}?lang={language}")
        assert page.headers["cache-control"] == "no-store"
        html = page.text
        assert ADA in html
        assert BO not in html
        assert "Neues im November" in html
        assert ctx.company.supervisory_authority in html
        assert ctx.company.privacy_email in html
        assert set(buttons(html)) == {
            "my-data.json",
            "my-data.zip",
            "stop-measuring",
            "withdraw",
            "delete-opens",
            "restrict",
            "object",
        }
        for page_of_its_own in ("erase", "correct", "address"):
            assert f"/{page_of_its_own}?lang={language}" in html
            assert (await visitor.get(f"{link}/{page_of_its_own}?lang={language}")).status_code == 200


async def test_a_forged_link_finds_and_changes_nothing(visitor: AsyncClient, ctx: Context, ada: SubscriberId) -> None:
    before = await dump(ctx.db)
    assert (await visitor.get("/privacy/me/abcdefgh")).status_code == 404
    assert (await visitor.get("/privacy/me/abcdefgh/erase")).status_code == 404
    for what in (*ACTS, "my-data.json", "my-data.zip", "erase"):
        assert (await visitor.post(f"/privacy/me/abcdefgh/{what}")).status_code == 404
    assert await dump(ctx.db) == before


# --- the buttons ----------------------------------------------------------------------------------------------


async def test_stopping_the_measuring_keeps_the_newsletter(
    visitor: AsyncClient, ctx: Context, ada: SubscriberId, link: str
) -> None:
    done = await visitor.post(f"{link}/stop-measuring?lang=en")
    assert done.status_code == 200
    assert figures(done.text) == ["2", "1", "0"]
    assert await states_of(ctx, ada) == {BLOG: State.GIVEN, OPENS: State.WITHDRAWN}
    assert (await ledger_of(ctx, ada))[-1] == (OPENS, Act.WITHDRAWN, {"source": "privacy_page"})
    again = (await visitor.get(link)).text
    assert "stop-measuring" not in buttons(again)
    assert "delete-opens" not in buttons(again)


def figures(html: str) -> list[str]:
    return re.findall(r"<dd>([\d,.]+)</dd>", html)


async def test_withdrawing_everything_ends_everything(
    visitor: AsyncClient, ctx: Context, ada: SubscriberId, link: str
) -> None:
    assert (await visitor.post(f"{link}/withdraw")).status_code == 200
    assert set((await states_of(ctx, ada)).values()) == {State.WITHDRAWN}
    assert ("withdrawal", "privacy_page", True) in await requests_of(ctx)


async def test_deleting_ones_opens_deletes_nothing_else(
    visitor: AsyncClient, ctx: Context, ada: SubscriberId, link: str
) -> None:
    before = await dump(ctx.db)
    done = await visitor.post(f"{link}/delete-opens?lang=en")
    assert "Done: your opens are deleted" in done.text
    assert figures(done.text) == ["2", "0", "0"]
    after = await dump(ctx.db)
    changed = {name for name in before if before[name] != after[name]}
    of_opens = {"opens", "message_opens", "campaign_figures", "pixels", "rights_requests"}
    assert of_opens <= changed <= {*of_opens, "scrubs"}
    async with ctx.db.read() as connection:
        assert len((await connection.execute(select(opens))).all()) == 2  # Bo's
    assert len(after["pixels"]) == len(before["pixels"])


async def test_a_restriction_is_shown_and_can_be_lifted(
    visitor: AsyncClient, ctx: Context, ada: SubscriberId, link: str
) -> None:
    done = await visitor.post(f"{link}/restrict?lang=en")
    assert "Done: your data is no longer used" in done.text
    assert set((await states_of(ctx, ada)).values()) == {State.RESTRICTED}
    page = (await visitor.get(f"{link}?lang=en")).text
    assert "Since 2 November 2026" in page
    assert "restrict" not in buttons(page)
    assert "Done: the restriction is ended" in (await visitor.post(f"{link}/lift?lang=en")).text
    assert set((await states_of(ctx, ada)).values()) == {State.GIVEN}
    assert "lift" not in buttons((await visitor.get(link)).text)


async def test_an_objection_ends_all_and_is_shown(
    visitor: AsyncClient, ctx: Context, ada: SubscriberId, link: str
) -> None:
    done = await visitor.post(f"{link}/object?lang=en")
    assert "Done: you have objected" in done.text
    assert set((await states_of(ctx, ada)).values()) == {State.OBJECTED}
    page = (await visitor.get(f"{link}?lang=en")).text
    assert "You have objected since 2 November 2026" in page
    assert "object" not in buttons(page)


async def test_an_erasure_says_before_what_stays_and_afterwards_what_went(
    visitor: AsyncClient, ctx: Context, link: str
) -> None:
    asked = await visitor.get(f"{link}/erase?lang=en")
    assert "the proof of it, encrypted" in asked.text
    assert buttons(asked.text) == ["erase"]
    done = await visitor.post(f"{link}/erase?lang=en")
    assert done.status_code == 200
    assert "Your data is erased" in done.text
    assert ctx.catalogue.notice("en").stored[0].name in done.text
    assert "until 1 January 2030" in done.text
    assert ADA not in done.text
    assert (await visitor.get(link)).status_code == 404
    assert (await visitor.post(f"{link}/erase")).status_code == 404
    await visitor.post(ASK, data={"address": ADA})
    assert "my_data" not in await queued(ctx)


async def test_each_button_is_noted_with_its_clock(visitor: AsyncClient, ctx: Context, link: str) -> None:
    for what in ("delete-opens", "restrict", "lift", "object", "withdraw", "my-data.json", "erase"):
        assert (await visitor.post(f"{link}/{what}")).status_code == 200
    noted = [kind for kind, source, done in await requests_of(ctx) if source == "privacy_page" and done]
    assert noted == [
        "opens_erasure",
        "restriction",
        "lifting",
        "objection",
        "withdrawal",
        "portability",
        "erasure",
    ]


# --- files ----------------------------------------------------------------------------------------------------


async def test_the_files_are_taken_by_a_button_and_never_kept(visitor: AsyncClient, ctx: Context, link: str) -> None:
    as_json = await visitor.post(f"{link}/my-data.json")
    assert as_json.headers["content-type"] == "application/json"
    assert json.loads(as_json.content)["data"]["subscribers"][0]["address"] == ADA
    as_tables = await visitor.post(f"{link}/my-data.zip")
    assert as_tables.content.startswith(b"PK")
    for file, name in ((as_json, "my-data.json"), (as_tables, "my-data.zip")):
        assert file.headers["content-disposition"] == f'attachment; filename="{name}"'
        assert file.headers["cache-control"] == "no-store"
        assert file.headers["referrer-policy"] == "no-referrer"


async def test_who_only_asked_for_a_whitepaper_finds_the_page_too(visitor: AsyncClient, ctx: Context) -> None:
    link = await link_of(ctx, await join(ctx, ADA, GLASFASER))
    page = await visitor.get(link)
    assert page.status_code == 200
    assert "stop-measuring" not in buttons(page.text)
