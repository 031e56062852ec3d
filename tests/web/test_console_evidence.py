"""The page of the privacy officer: the proof for one address, for those who may, with a reason, and on record."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from httpx import AsyncClient, Response
from sqlalchemy import select, update

from pixel_service.domain.accounts import Role
from pixel_service.storage.schema import audit_log, sealed_evidence
from pixel_service.storage.texts import publish
from pixel_service.usecases import accounts
from pixel_service.usecases.context import Context
from pixel_service.usecases.erase import erase
from pixel_service.usecases.rights_requests import Asked
from pixel_service.usecases.withdraw import Source
from tests.builders import BLOG, OPENS, ask, confirm_link, deliver, join, web

PASSWORD = "correct horse battery"
SAME_SITE = {"Sec-Fetch-Site": "same-origin"}
ASKED = {"address": "anna@example.com", "reason": "request 17"}


@asynccontextmanager
async def logged_in(ctx: Context, role: Role) -> AsyncIterator[AsyncClient]:
    await accounts.create_user(ctx, accounts.NewUser(email="mia@example.com", role=role, password=PASSWORD))
    async with web(ctx) as client:
        form = {"name": "mia@example.com", "password": PASSWORD, "next": "/console/"}
        assert (await client.post("/console/login", data=form, headers=SAME_SITE)).status_code == 303
        yield client


@pytest.fixture
async def officer(ctx: Context) -> AsyncIterator[AsyncClient]:
    async with logged_in(ctx, Role.PRIVACY_OFFICER) as client:
        yield client


async def post(client: AsyncClient, language: str = "en", **fields: str) -> Response:
    return await client.post(f"/console/evidence?lang={language}", data=ASKED | fields, headers=SAME_SITE)


async def looks(ctx: Context) -> list[tuple[str, str]]:
    async with ctx.db.read() as connection:
        rows = await connection.execute(select(audit_log.c.who, audit_log.c.reason))
        return [(row.who, row.reason) for row in rows]


async def test_the_whole_proof_is_on_one_page_in_both_languages(ctx: Context, officer: AsyncClient) -> None:
    async with ctx.db.write() as connection:
        await publish(connection, ctx.catalogue, at=ctx.clock())
    person = await ask(ctx, "anna@example.com", BLOG, OPENS)
    await deliver(ctx)
    english, german = await post(officer), await post(officer, "de")
    assert (english.status_code, german.status_code) == (200, 200)
    for text in ("Evidence of consent: anna@example.com", "request 17", "mia@example.com", "250 2.0.0 taken"):
        assert text in english.text
    assert "Nachweis der Einwilligung: anna@example.com" in german.text
    assert ctx.catalogue.current(BLOG, "de").details[-1] in german.text
    assert (await confirm_link(ctx, person)).rpartition("/")[2] not in english.text
    assert english.headers["cache-control"] == "no-store"
    assert await looks(ctx) == [("mia@example.com", "request 17")] * 2


async def test_the_form_asks_for_address_and_reason_and_reading_it_is_no_look(
    ctx: Context, officer: AsyncClient
) -> None:
    page = await officer.get("/console/evidence?lang=en&address=anna@example.com&reason=x")
    assert page.status_code == 200
    assert "anna@example.com" not in page.text
    assert await looks(ctx) == []


@pytest.mark.parametrize(
    "fields, said",
    [
        ({"address": "anna"}, "Please enter a valid e-mail address."),
        ({"reason": "  "}, "Please say why you need to know."),
        ({"reason": "x" * 501}, "Please say why you need to know."),
        ({"reason": "letter of bo@example.com"}, "Please name no address in the reason"),
    ],
)
async def test_without_a_valid_address_or_a_reason_nothing_is_shown(
    ctx: Context, officer: AsyncClient, fields: dict[str, str], said: str
) -> None:
    await join(ctx, "anna@example.com", BLOG)
    page = await post(officer, **fields)
    assert page.status_code == 422
    assert said in page.text
    assert "SHA-256" not in page.text
    assert await looks(ctx) == []


async def test_an_unknown_address_says_so_and_is_on_record(ctx: Context, officer: AsyncClient) -> None:
    page = await post(officer)
    assert "This address is not on record" in page.text
    assert await looks(ctx) == [("mia@example.com", "request 17")]


@pytest.mark.parametrize("role", [Role.VIEWER, Role.ANALYST])
async def test_who_may_not_see_persons_sees_none_and_is_told(ctx: Context, role: Role) -> None:
    await join(ctx, "anna@example.com", BLOG)
    async with logged_in(ctx, role) as colleague:
        for page in (await colleague.get("/console/evidence?lang=en"), await post(colleague)):
            assert page.status_code == 403
            assert "Your account may not open it" in page.text
            assert "SHA-256" not in page.text
    assert await looks(ctx) == []


async def test_an_admin_may_look_too(ctx: Context) -> None:
    await join(ctx, "anna@example.com", BLOG)
    async with logged_in(ctx, Role.ADMIN) as admin:
        assert "Evidence of consent: anna@example.com" in (await post(admin)).text


async def test_who_is_not_logged_in_sees_nothing(ctx: Context, visitor: AsyncClient) -> None:
    await join(ctx, "anna@example.com", BLOG)
    for page in (await visitor.get("/console/evidence"), await post(visitor)):
        assert page.status_code == 303
        assert page.headers["location"].startswith("/console/login")
    assert await looks(ctx) == []


async def test_the_sealed_proof_of_an_erased_person_opens_with_a_reason_and_on_record(
    ctx: Context, officer: AsyncClient
) -> None:
    person = await join(ctx, "anna@example.com", BLOG)
    assert await erase(ctx, person, Asked(source=Source.OPERATOR)) is not None
    page = await post(officer)
    assert page.status_code == 200
    for text in ("Evidence of consent: anna@example.com", "Sealed since", "Only this proof was kept"):
        assert text in page.text
    assert await looks(ctx) == [("mia@example.com", "request 17")]
    assert "Versiegelt seit" in (await post(officer, "de")).text


async def test_a_seal_that_does_not_open_is_said_so_on_the_page(ctx: Context, officer: AsyncClient) -> None:
    await erase(ctx, await join(ctx, "anna@example.com", BLOG), Asked(source=Source.OPERATOR))
    async with ctx.db.write() as connection:
        await connection.execute(update(sealed_evidence).values(data=b"altered"))
    page = await post(officer)
    assert "The sealed proof does not open: it was altered" in page.text
    assert await looks(ctx) == [("mia@example.com", "request 17")]
