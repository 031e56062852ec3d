"""What a colleague does on the page of requests beyond the rights of one button (W6, R1, R2, A1)."""

import json
from collections.abc import AsyncIterator

import pytest
from httpx import AsyncClient, Response
from sqlalchemy import select

from pixel_service.domain.accounts import Role
from pixel_service.domain.consent import State
from pixel_service.storage.schema import address_changes, rights_requests, subscribers
from pixel_service.usecases.context import Context
from tests.builders import BLOG, OPENS, dump, join, ledger_of, states_of
from tests.journeys.forms import Form, forms
from tests.web.test_console_inbox import HERE, logged_in
from tests.web.test_console_requests import ANNA, PAGE, audited, post

OFFICER = "privacy_officer@nordlicht.example"


@pytest.fixture
async def officer(ctx: Context) -> AsyncIterator[AsyncClient]:
    async with logged_in(ctx, Role.PRIVACY_OFFICER) as client:
        yield client


async def send(client: AsyncClient, what: str, address: str = ANNA, reason: str = "letter 17", **more: str) -> Response:
    place = f"/console/person/{what}?lang=en"
    return await client.post(place, data={"address": address, "reason": reason, **more}, headers=HERE)


def form_of(page: Response, what: str) -> Form:
    (found,) = [form for form in forms(page.text) if f"/console/person/{what}" in form.action]
    return found


async def noted(ctx: Context) -> list[tuple[str, str, str, bool]]:
    async with ctx.db.read() as connection:
        rows = (await connection.execute(select(rights_requests))).all()
    return [(row.kind, row.source, row.note, row.done_at is not None) for row in rows]


async def company_of(ctx: Context) -> str:
    async with ctx.db.read() as connection:
        return str((await connection.execute(select(subscribers.c.company))).scalar_one())


# --- who may -----------------------------------------------------------------------------


@pytest.mark.parametrize("role", [Role.VIEWER, Role.ANALYST])
async def test_a_person_is_not_for_every_colleague(ctx: Context, role: Role) -> None:
    await join(ctx, ANNA, BLOG)
    async with logged_in(ctx, role) as client:
        before = await dump(ctx.db)
        for what in ("correct", "address", "copy"):
            answer = await send(client, what, company="Neu AG", new="anna@new.example")
            assert (answer.status_code, ANNA in answer.text) == (403, False)
        assert await dump(ctx.db) == before


@pytest.mark.parametrize("what", ["correct", "address", "copy"])
async def test_reading_and_a_post_without_address_or_reason_do_nothing(
    officer: AsyncClient, ctx: Context, what: str
) -> None:
    await join(ctx, ANNA, BLOG)
    more = {"company": "Neu AG", "new": "anna@new.example"}
    before = await dump(ctx.db)
    assert (await officer.get(f"/console/person/{what}?address={ANNA}&reason=x")).status_code == 405
    for changes in ({"reason": " "}, {"reason": "of bo@example.com"}, {"address": "anna"}):
        assert (await send(officer, what, **{**more, **changes})).status_code == 422
    assert await dump(ctx.db) == before
    unknown = await send(officer, what, "nobody@example.com", **more)
    assert (unknown.status_code, "not on record" in unknown.text) == (409, True)
    assert [subject[:5] for _, _, subject, _ in await audited(ctx)] == ["hash:"]
    assert await noted(ctx) == []


# --- details ------------------------------------------------------------------------------


async def test_details_are_shown_and_corrected_and_the_request_is_noted(officer: AsyncClient, ctx: Context) -> None:
    anna = await join(ctx, ANNA, BLOG)
    await send(officer, "correct", company="Alt AG", phone="0421 1")
    shown = form_of(await post(officer, "look"), "correct")
    assert (shown.values["company"], shown.values["phone"]) == ("Alt AG", "0421 1")
    answer = await officer.post(shown.action, data={**shown.values, "company": "Neu AG"}, headers=HERE)
    assert (answer.status_code, answer.headers["location"].endswith("was=corrected")) == (303, True)
    assert "details of this person are corrected" in (await officer.get(f"{PAGE}&was=corrected")).text
    assert await company_of(ctx) == "Neu AG"
    assert form_of(await post(officer, "look"), "correct").values["phone"] == "0421 1"
    assert (await noted(ctx))[-1] == ("rectification", "operator", "letter 17", True)
    assert (OFFICER, "correct", anna, "letter 17") in await audited(ctx)
    again = await send(officer, "correct", company="Neu AG")
    assert again.headers["location"].endswith("was=as-before")
    assert len(await noted(ctx)) == 2


async def test_a_detail_that_breaks_a_rule_is_shown_again_with_its_error(officer: AsyncClient, ctx: Context) -> None:
    await join(ctx, ANNA, BLOG)
    refused = await send(officer, "correct", company="x" * 121)
    assert (refused.status_code, "at most 120 characters" in refused.text) == (422, True)
    assert form_of(refused, "correct").values["company"] == "x" * 121
    assert await company_of(ctx) == ""
    assert await noted(ctx) == []


# --- a new address ----------------------------------------------------------------------------


async def test_a_new_address_is_asked_first_and_the_letter_stays_open(officer: AsyncClient, ctx: Context) -> None:
    anna = await join(ctx, ANNA, BLOG)
    answer = await send(officer, "address", new="Anna@New.example")
    assert (answer.status_code, answer.headers["location"].endswith("was=mailed")) == (303, True)
    assert "asks the new address" in (await officer.get(f"{PAGE}&was=mailed")).text
    async with ctx.db.read() as connection:
        (change,) = (await connection.execute(select(address_changes))).all()
        (address,) = (await connection.execute(select(subscribers.c.address))).scalars()
    assert (change.address.lower(), change.confirmed_at, address) == ("anna@new.example", None, ANNA)
    assert await noted(ctx) == [("new_address", "operator", "letter 17", False)]
    assert (await audited(ctx))[0] == (OFFICER, "new address", anna, "letter 17")


@pytest.mark.parametrize("new,said", [("anna", "complete e-mail address"), (ANNA, "write to already")])
async def test_an_address_that_can_not_be_the_new_one_is_told(
    officer: AsyncClient, ctx: Context, new: str, said: str
) -> None:
    await join(ctx, ANNA, BLOG)
    refused = await send(officer, "address", new=new)
    assert (refused.status_code, said in refused.text) == (422, True)
    assert form_of(refused, "address").values["new"] == new
    assert await noted(ctx) == []


# --- a copy -------------------------------------------------------------------------------------


async def test_a_copy_is_downloaded_audited_and_noted_as_access(officer: AsyncClient, ctx: Context) -> None:
    anna = await join(ctx, ANNA, BLOG)
    await post(officer, "note", kind="access", received="2026-11-01")
    form = form_of(await post(officer, "look"), "copy")
    assert form.action.partition("?")[0].endswith("/console/person/copy")
    copy = await officer.post(form.action, data={**form.values, "reason": "letter 18"}, headers=HERE)
    assert (copy.status_code, copy.headers["content-type"]) == (200, "application/json")
    assert copy.headers["content-disposition"] == 'attachment; filename="person.json"'
    told = json.loads(copy.text)
    assert told["about"]["address"] == ANNA
    assert [row["subscriber_id"] for row in told["data"]["subscribers"]] == [anna]
    assert (await audited(ctx))[-1] == (OFFICER, "person", anna, "letter 18")
    assert [(kind, source, done) for kind, source, _, done in await noted(ctx)] == [("access", "operator", True)]


# --- no more measuring -----------------------------------------------------------------


async def test_measuring_stops_and_nothing_else_ends(officer: AsyncClient, ctx: Context) -> None:
    anna = await join(ctx, ANNA, BLOG, OPENS)
    before = len(await ledger_of(ctx, anna))
    assert 'value="stop_measuring"' in (await post(officer, "look")).text
    answer = await post(officer, "stop_measuring")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/requests?lang=en&was=stop_measuring")
    assert "no longer measured" in (await officer.get(answer.headers["location"])).text
    assert await states_of(ctx, anna) == {BLOG: State.GIVEN, OPENS: State.WITHDRAWN}
    assert [content["source"] for _, _, content in (await ledger_of(ctx, anna))[before:]] == ["operator"]
    assert (await audited(ctx))[-1] == (OFFICER, "stop_measuring", anna, "letter 17")
    assert await noted(ctx) == [("withdrawal", "operator", "letter 17", True)]
