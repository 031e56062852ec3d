"""The list of mails that a person has to read: who may see it, what its buttons do, and what is written down of it (W6, A1)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from httpx import AsyncClient, Response
from sqlalchemy import select

from pixel_service.domain.accounts import Role
from pixel_service.domain.consent import Act, State
from pixel_service.i18n import packaged_locales
from pixel_service.storage.schema import audit_log, inbound_unclear
from pixel_service.usecases import accounts, inbox as inbox_usecase
from pixel_service.usecases.context import Context
from pixel_service.usecases.receive_mail import Incoming, receive
from pixel_service.web.console import inbox
from tests.builders import BLOG, OPENS, dump, join, ledger_of, states_of, web
from tests.journeys.forms import Form, forms
from tests.letters import ANNA, STOP, letter

PASSWORD = "correct horse battery"
HERE = {"Sec-Fetch-Site": "same-origin"}


@asynccontextmanager
async def logged_in(ctx: Context, role: Role) -> AsyncIterator[AsyncClient]:
    email = f"{role.value}@nordlicht.example"
    await accounts.create_user(ctx, accounts.NewUser(email=email, role=role, password=PASSWORD))
    async with web(ctx) as client:
        form = {"name": email, "password": PASSWORD, "next": "/console/inbox"}
        assert (await client.post("/console/login", data=form, headers=HERE)).status_code == 303
        yield client


@pytest.fixture
async def officer(ctx: Context) -> AsyncIterator[AsyncClient]:
    async with logged_in(ctx, Role.PRIVACY_OFFICER) as client:
        yield client


async def come_in(ctx: Context, text: str, **more: str) -> None:
    await receive(ctx, Incoming(raw=letter(text, **more), envelope_from=ANNA, envelope_to=(STOP,)))


async def mail_forms(client: AsyncClient) -> list[Form]:
    page = await client.get("/console/inbox?lang=en")
    assert page.status_code == 200
    return [form for form in forms(page.text) if "/inbox/" in form.action]


async def press(client: AsyncClient, form: Form, decision: str, **changes: str) -> Response:
    values = {**form.values, **changes, "decision": decision}
    return await client.post(form.action, data=values, headers=HERE)


async def audited(ctx: Context) -> list[tuple[str, str, str]]:
    async with ctx.db.read() as connection:
        rows = await connection.execute(
            select(audit_log).where(audit_log.c.act == "inbox").order_by(audit_log.c.audit_id)
        )
        return [(row.who, row.subject, row.reason) for row in rows]


# --- who may -----------------------------------------------------------------------


@pytest.mark.parametrize("role", [Role.VIEWER, Role.ANALYST])
async def test_letters_of_strangers_are_not_for_every_colleague(ctx: Context, role: Role) -> None:
    await come_in(ctx, "geheime Frage?")
    async with logged_in(ctx, role) as client:
        before = await dump(ctx.db)
        page = await client.get("/console/inbox")
        assert (page.status_code, "geheim" in page.text) == (403, False)
        answer = await client.post(f"/console/inbox/{'a' * 26}", data={"decision": "done"}, headers=HERE)
        assert answer.status_code == 403
        assert await dump(ctx.db) == before


async def test_admins_and_privacy_officers_may(ctx: Context) -> None:
    for role in (Role.ADMIN, Role.PRIVACY_OFFICER):
        async with logged_in(ctx, role) as client:
            assert (await client.get("/console/inbox")).status_code == 200


async def test_who_is_not_logged_in_is_sent_to_log_in(visitor: AsyncClient) -> None:
    for answer in (await visitor.get("/console/inbox"), await visitor.post(f"/console/inbox/{'a' * 26}", headers=HERE)):
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/console/login")


async def test_a_form_of_another_site_does_not_decide(officer: AsyncClient, ctx: Context) -> None:
    await come_in(ctx, "Hallo")
    (form,) = await mail_forms(officer)
    answer = await officer.post(
        form.action,
        data={"decision": "done"},
        headers={"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
    )
    assert answer.status_code == 403
    assert len(await mail_forms(officer)) == 1


# --- what the list shows -------------------------------------------------------------


async def test_the_longest_waiting_mail_comes_first_with_the_address_on_record(
    officer: AsyncClient, ctx: Context
) -> None:
    await join(ctx, "Anna@Example.com", BLOG)
    await come_in(ctx, "Kann ich mich <b>abmelden</b>?", subject="Frage & mehr")
    await come_in(ctx, "Hallo", sender="stranger@mail.example", message_id="two@x.example")
    page = (await officer.get("/console/inbox?lang=de")).text
    assert "Frage &amp; mehr" in page
    assert "&lt;b&gt;abmelden" in page
    assert page.index("abmelden&lt;") < page.index("Hallo")
    assert [form.values["address"] for form in await mail_forms(officer)] == [
        "Anna@example.com",
        "stranger@mail.example",
    ]
    assert page.count("Diese Person ist gespeichert.") == 1
    assert page.count("Es ist nicht bekannt, von wem") == 1


async def test_an_empty_list_says_so_and_a_long_one_says_how_long(
    officer: AsyncClient, ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Keine E-Mail wartet" in (await officer.get("/console/inbox?lang=de")).text
    monkeypatch.setattr(inbox_usecase, "SHOWN", 1)
    for number in range(2):
        await come_in(ctx, "Hallo", message_id=f"{number}@x.example")
    assert "One more mail is waiting." in (await officer.get("/console/inbox?lang=en")).text
    await come_in(ctx, "Hallo", message_id="3@x.example")
    assert "2 weitere E-Mails warten." in (await officer.get("/console/inbox?lang=de")).text


async def test_every_look_at_letters_is_audited(officer: AsyncClient, ctx: Context) -> None:
    await officer.get("/console/inbox")
    assert await audited(ctx) == []
    await come_in(ctx, "Hallo")
    await officer.get("/console/inbox")
    assert await audited(ctx) == [("privacy_officer@nordlicht.example", "list", "1 mails")]


# --- what the buttons do -------------------------------------------------------------


@pytest.mark.parametrize(
    "decision, ended",
    [
        ("withdraw_newsletters", {BLOG, OPENS}),
        ("stop_measuring", {OPENS}),
        ("withdraw_all", {BLOG, OPENS}),
        ("done", set()),
    ],
)
async def test_a_decision_acts_and_takes_the_mail_off_the_list(
    officer: AsyncClient, ctx: Context, decision: str, ended: set[str]
) -> None:
    anna = await join(ctx, ANNA, BLOG, OPENS)
    await come_in(ctx, "Kann ich mich abmelden?")
    (form,) = await mail_forms(officer)
    answer = await press(officer, form, decision)
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/inbox?lang=en&was=settled")
    assert {one for one, state in (await states_of(ctx, anna)).items() if state is State.WITHDRAWN} == ended
    assert await mail_forms(officer) == []
    assert "The mail is settled." in (await officer.get(answer.headers["location"])).text
    inbound_id = form.action.partition("/inbox/")[2][:26]
    for _, act, content in await ledger_of(ctx, anna):
        if act is Act.WITHDRAWN:
            user_id = content.pop("by")
            assert content == {"source": "operator", "inbound": inbound_id, "message_id": "one@mail.example"}
            assert "@" not in str(user_id)
    assert (await audited(ctx))[-1][1:] == (inbound_id if decision == "done" else anna, f"{decision} {inbound_id}")


async def test_pressing_twice_acts_once_and_says_so(officer: AsyncClient, ctx: Context) -> None:
    anna = await join(ctx, ANNA, BLOG)
    await come_in(ctx, "Hallo?")
    (form,) = await mail_forms(officer)
    await press(officer, form, "withdraw_all")
    await join(ctx, ANNA, BLOG)
    again = await press(officer, form, "withdraw_all")
    assert again.headers["location"].endswith("was=not-waiting")
    assert "settled before" in (await officer.get(again.headers["location"])).text
    assert (await states_of(ctx, anna))[BLOG] is State.GIVEN


async def test_a_colleague_names_the_person_a_mail_did_not(officer: AsyncClient, ctx: Context) -> None:
    anna = await join(ctx, ANNA, BLOG)
    await come_in(ctx, "abmelden", sender="private@mail.example")
    (form,) = await mail_forms(officer)
    for typed in (form.values["address"], "no address", ""):
        refused = await press(officer, form, "withdraw_all", address=typed)
        assert (refused.status_code, "No person on record has this address" in refused.text) == (409, True)
    assert len(await mail_forms(officer)) == 1
    await press(officer, form, "withdraw_all", address=" ANNA@example.com ")
    assert (await states_of(ctx, anna))[BLOG] is State.WITHDRAWN


async def test_decisions_and_mails_that_do_not_exist_are_refused(officer: AsyncClient, ctx: Context) -> None:
    await come_in(ctx, "Hallo")
    (form,) = await mail_forms(officer)
    assert (await press(officer, form, "erase")).status_code == 422
    assert (await officer.post("/console/inbox/none", data={"decision": "done"}, headers=HERE)).status_code == 404
    gone = await officer.post(f"/console/inbox/{'a' * 26}", data={"decision": "done"}, headers=HERE)
    assert gone.headers["location"].endswith("was=not-waiting")


async def test_who_decided_and_when_is_kept(officer: AsyncClient, ctx: Context) -> None:
    await come_in(ctx, "Hallo")
    (form,) = await mail_forms(officer)
    await press(officer, form, "done")
    async with ctx.db.read() as connection:
        row = (await connection.execute(select(inbound_unclear))).one()
    assert (row.state, row.done_at, len(row.done_by)) == ("done", ctx.clock(), 26)


def test_every_text_of_the_code_is_there_in_german_and_listed_in_english() -> None:
    listed = {}
    for language in ("de", "en"):
        with (packaged_locales() / language / "inbox.po").open("rb") as file:
            listed[language] = {message.id: message.string for message in read_po(file, locale=language) if message.id}
    assert listed["de"].keys() == listed["en"].keys()
    assert [key for key, text in listed["de"].items() if not (all(text) if isinstance(text, tuple) else text)] == []
    code = Path(inbox.__file__).read_text(encoding="utf-8")
    source = [part for key in listed["de"] for part in ([key] if isinstance(key, str) else key)]
    assert [text for text in source if f'"{text}"' not in code] == []
