"""The page of requests: who may see it, what its buttons do, and that every look and act is on record (W6, R10, A1)."""

from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from httpx import AsyncClient, Response
from sqlalchemy import select

from pixel_service.domain.accounts import Role
from pixel_service.domain.consent import State
from pixel_service.i18n import packaged_locales
from pixel_service.storage.schema import audit_log, rights_requests, subscribers
from pixel_service.usecases.context import Context
from pixel_service.web.console import requests
from tests.access import Clock
from tests.builders import BLOG, OPENS, dump, join, ledger_of, states_of
from tests.journeys.forms import Form, forms
from tests.web.test_console_inbox import HERE, logged_in

ANNA = "anna@example.com"
PAGE = "/console/requests?lang=en"


@pytest.fixture
async def officer(ctx: Context) -> AsyncIterator[AsyncClient]:
    async with logged_in(ctx, Role.PRIVACY_OFFICER) as client:
        yield client


async def post(client: AsyncClient, act: str, address: str = ANNA, reason: str = "letter 17", **more: str) -> Response:
    return await client.post(PAGE, data={"act": act, "address": address, "reason": reason, **more}, headers=HERE)


async def audited(ctx: Context) -> list[tuple[str, str, str, str]]:
    async with ctx.db.read() as connection:
        rows = await connection.execute(
            select(audit_log).where(audit_log.c.act != "login").order_by(audit_log.c.audit_id)
        )
        return [(row.who, row.act, row.subject, row.reason) for row in rows]


def closing(page: Response) -> list[Form]:
    return [form for form in forms(page.text) if "/console/requests/" in form.action]


# --- who may -----------------------------------------------------------------------


@pytest.mark.parametrize("role", [Role.VIEWER, Role.ANALYST])
async def test_requests_are_not_for_every_colleague(ctx: Context, role: Role) -> None:
    await join(ctx, ANNA, BLOG)
    async with logged_in(ctx, role) as client:
        before = await dump(ctx.db)
        assert (await client.get(PAGE)).status_code == 403
        for act in ("look", "restrict", "erase", "note"):
            answer = await post(client, act, again=ANNA, kind="access", received="2026-11-01")
            assert (answer.status_code, ANNA in answer.text) == (403, False)
        closed = await client.post(f"/console/requests/{'a' * 26}", data={"reason": "x"}, headers=HERE)
        assert closed.status_code == 403
        assert await dump(ctx.db) == before


async def test_a_form_of_another_site_does_nothing(officer: AsyncClient, ctx: Context) -> None:
    anna = await join(ctx, ANNA, BLOG)
    foreign = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    answer = await officer.post(PAGE, data={"act": "restrict", "address": ANNA, "reason": "x"}, headers=foreign)
    assert answer.status_code == 403
    assert (await states_of(ctx, anna))[BLOG] is State.GIVEN


async def test_every_page_of_the_console_leads_here_and_to_the_inbox_and_the_evidence(officer: AsyncClient) -> None:
    for path in ("/console/?lang=en", PAGE, "/console/inbox?lang=en", "/console/evidence?lang=en"):
        page = (await officer.get(path)).text
        for target in ("requests", "inbox", "evidence"):
            assert f'href="/console/{target}?lang=en"' in page
    for here in ("requests", "inbox", "evidence"):
        page = (await officer.get(f"/console/{here}?lang=en")).text
        assert f'href="/console/{here}?lang=en" aria-current="page"' in page


async def test_who_may_not_see_persons_is_not_led_to_them(ctx: Context) -> None:
    async with logged_in(ctx, Role.ANALYST) as client:
        page = (await client.get("/console/?lang=en")).text
    assert "/console/?lang=en" in page
    for target in ("requests", "inbox", "evidence"):
        assert f"/console/{target}" not in page


# --- looking -------------------------------------------------------------------------


async def test_a_person_is_looked_up_with_a_reason_and_on_record(officer: AsyncClient, ctx: Context) -> None:
    anna = await join(ctx, ANNA, BLOG, OPENS)
    page = await post(officer, "look", " Anna@Example.com ")
    assert page.status_code == 200
    assert ANNA in page.text.lower()
    assert page.text.count("consent stands") == 2
    buttons = [form for form in forms(page.text) if form.values.get("address", "").lower() == ANNA]
    assert len(buttons) == 6
    assert await audited(ctx) == [("privacy_officer@nordlicht.example", "look up", anna, "letter 17")]


async def test_an_unknown_address_is_told_and_audited_without_the_address(officer: AsyncClient, ctx: Context) -> None:
    for act in ("look", "restrict", "note"):
        answer = await post(officer, act, "nobody@example.com", kind="access", received="2026-11-01")
        assert (answer.status_code, "not on record" in answer.text) == (409, True)
    looks = await audited(ctx)
    assert [act for _, act, _, _ in looks] == ["look up", "restrict", "request noted"]
    assert all(subject.startswith("hash:") for _, _, subject, _ in looks)


@pytest.mark.parametrize(
    "changes,said",
    [
        ({"address": "anna"}, "valid e-mail address"),
        ({"reason": " "}, "say why"),
        ({"reason": "x" * 501}, "say why"),
        ({"reason": "letter of bo@example.com"}, "name no address"),
    ],
)
@pytest.mark.parametrize("act", ["look", "restrict", "erase", "note"])
async def test_nothing_happens_without_address_and_reason(
    officer: AsyncClient, ctx: Context, act: str, changes: dict[str, str], said: str
) -> None:
    anna = await join(ctx, ANNA, BLOG)
    more = {"again": ANNA, "kind": "access", "received": "2026-11-01"}
    answer = await post(officer, act, **{**more, **changes})
    assert (answer.status_code, said in answer.text) == (422, True)
    assert await audited(ctx) == []
    assert (await states_of(ctx, anna))[BLOG] is State.GIVEN


async def test_an_act_that_does_not_exist_is_refused(officer: AsyncClient, ctx: Context) -> None:
    await join(ctx, ANNA, BLOG)
    assert (await post(officer, "forgive")).status_code == 422
    assert await audited(ctx) == []


# --- acting --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "act,state,said",
    [
        ("restrict", State.RESTRICTED, "is restricted"),
        ("object", State.OBJECTED, "objection is carried out"),
        ("withdraw", State.WITHDRAWN, "is withdrawn"),
        ("delete_opens", State.GIVEN, "opens of this person are deleted"),
    ],
)
async def test_a_button_carries_out_its_right(
    officer: AsyncClient, ctx: Context, act: str, state: State, said: str
) -> None:
    anna = await join(ctx, ANNA, BLOG, OPENS)
    answer = await post(officer, act)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/console/requests?lang=en&was={act}")
    assert said in (await officer.get(answer.headers["location"])).text
    assert set((await states_of(ctx, anna)).values()) == {state}
    sources = {content["source"] for _, _, content in (await ledger_of(ctx, anna))[4:]}
    assert sources == (set() if act == "delete_opens" else {"operator"})
    assert await audited(ctx) == [("privacy_officer@nordlicht.example", act, anna, "letter 17")]
    async with ctx.db.read() as connection:
        (noted,) = (await connection.execute(select(rights_requests))).all()
    assert (noted.source, noted.note, noted.done_at) == ("operator", "letter 17", ctx.clock())


async def test_a_restriction_is_lifted_from_the_page_that_shows_it(officer: AsyncClient, ctx: Context) -> None:
    anna = await join(ctx, ANNA, BLOG)
    await post(officer, "restrict")
    page = (await post(officer, "look")).text
    assert "nothing is sent, nothing is measured, nothing is deleted" in page
    assert 'value="lift"' in page
    assert 'value="restrict"' not in page
    await post(officer, "lift")
    assert (await states_of(ctx, anna))[BLOG] is State.GIVEN


async def test_an_erasure_needs_the_address_twice(officer: AsyncClient, ctx: Context) -> None:
    anna = await join(ctx, ANNA, BLOG)
    for again in ("", "bo@example.com"):
        refused = await post(officer, "erase", again=again)
        assert (refused.status_code, "Nothing was erased" in refused.text) == (422, True)
    assert (await states_of(ctx, anna))[BLOG] is State.GIVEN
    assert (await post(officer, "erase", again="ANNA@example.com")).status_code == 303
    async with ctx.db.read() as connection:
        assert (await connection.execute(select(subscribers))).all() == []


@pytest.mark.parametrize("again", ["info@bücher.example", "Info@xn--bcher-kva.example "])
async def test_an_address_beyond_ascii_is_erased_as_it_is_shown(officer: AsyncClient, ctx: Context, again: str) -> None:
    await join(ctx, "info@bücher.example", BLOG)
    assert (await post(officer, "erase", "info@bücher.example", again=again)).status_code == 303


# --- the list ------------------------------------------------------------------------


async def test_a_letter_is_on_the_list_with_its_day_until_it_is_closed(
    officer: AsyncClient, ctx: Context, clock: Clock
) -> None:
    anna = await join(ctx, ANNA, BLOG)
    assert "No request is open" in (await officer.get(PAGE)).text
    assert await audited(ctx) == []
    assert (await post(officer, "note", kind="access", received="2026-10-31")).status_code == 303
    page = await officer.get(PAGE)
    assert ("Access (Art. 15)" in page.text, "30 November 2026" in page.text, "Overdue" in page.text) == (
        True,
        True,
        False,
    )
    assert (await audited(ctx))[-1] == (
        "privacy_officer@nordlicht.example",
        "requests",
        "list",
        "list of open requests",
    )
    clock.at = clock.at.replace(month=12, day=1)
    async with logged_in(ctx, Role.ADMIN) as admin:
        (form,) = closing(late := await admin.get(PAGE))
        assert "Overdue" in late.text
        missing = await admin.post(form.action, data={"reason": " "}, headers=HERE)
        named = await admin.post(form.action, data={"reason": f"wrote to {ANNA}"}, headers=HERE)
        assert (named.status_code, "name no address" in named.text) == (422, True)
        assert missing.status_code == 422
        for was in ("closed", "not-open"):
            closed = await admin.post(form.action, data={"reason": "answered"}, headers=HERE)
            assert closed.headers["location"].endswith(f"was={was}")
        assert closing(await admin.get(PAGE)) == []
    looks = [look for look in await audited(ctx) if look[1] == "request closed"]
    assert looks == [("admin@nordlicht.example", "request closed", anna, "answered")]


async def test_a_right_that_is_carried_out_takes_its_letter_off_the_list(
    officer: AsyncClient, ctx: Context, clock: Clock
) -> None:
    await join(ctx, ANNA, BLOG)
    await post(officer, "note", kind="restriction", received="2026-11-01")
    await post(officer, "note", kind="access", received="2026-11-01")
    clock.move(timedelta(hours=1))
    await post(officer, "restrict")
    (left,) = closing(await officer.get(PAGE))
    async with ctx.db.read() as connection:
        rows = (await connection.execute(select(rights_requests))).all()
    assert {(row.kind, row.done_at) for row in rows} == {("restriction", ctx.clock()), ("access", None)}
    assert left.action.startswith("/console/requests/")


@pytest.mark.parametrize("changes", [{"received": "2126-01-01"}, {"received": "soon"}, {"kind": "revenge"}])
async def test_a_letter_needs_a_right_and_a_day_that_has_come(
    officer: AsyncClient, ctx: Context, changes: dict[str, str]
) -> None:
    await join(ctx, ANNA, BLOG)
    answer = await post(officer, "note", **{"kind": "access", "received": "2026-11-01", **changes})
    assert answer.status_code == 422
    assert closing(answer) == []


async def test_a_letter_of_today_began_no_later_than_now(officer: AsyncClient, ctx: Context) -> None:
    await join(ctx, ANNA, BLOG)
    await post(officer, "note", kind="access", received=date(2026, 11, 2).isoformat())
    async with ctx.db.read() as connection:
        (row,) = (await connection.execute(select(rights_requests))).all()
    assert (row.asked_at, row.due_at) == (ctx.clock(), ctx.clock().replace(month=12))


def test_every_text_of_the_code_is_there_in_german_and_listed_in_english() -> None:
    listed = {}
    for language in ("de", "en"):
        with (packaged_locales() / language / "requests.po").open("rb") as file:
            listed[language] = {message.id: message.string for message in read_po(file, locale=language) if message.id}
    assert listed["de"].keys() == listed["en"].keys()
    assert [key for key, text in listed["de"].items() if not text] == []
    code = Path(requests.__file__).read_text(encoding="utf-8")
    assert [text for text in listed["de"] if f'"{text}"' not in code] == []
    with (packaged_locales() / "de" / "pages.po").open("rb") as file:
        elsewhere = {message.id for message in read_po(file, locale="de")}
    said = {*requests.SAID.values(), *requests.KINDS.values(), requests.UNKNOWN, requests.NO_REASON}
    assert said | {requests.BAD_ADDRESS, requests.NOT_THE_SAME, requests.NO_DAY} <= listed["de"].keys() | elsewhere
