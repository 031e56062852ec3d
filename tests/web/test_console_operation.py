"""The page of those who look after the service: counters of the whole process and what canaries found, and no person (P9, P10)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from babel.messages.pofile import read_po
from httpx import AsyncClient

from pixel_service.domain.accounts import Role
from pixel_service.domain.canaries import Finding, Report, Trouble
from pixel_service.domain.consent import State
from pixel_service.i18n import packaged_locales
from pixel_service.observability import Metrics
from pixel_service.usecases import accounts
from pixel_service.usecases.context import Context
from pixel_service.usecases.record_opens import Outcome
from pixel_service.web.console import operation
from tests.builders import settings, web

PASSWORD = "correct horse battery"
HERE = {"Sec-Fetch-Site": "same-origin"}
PAGE = "/console/operation?lang=en"


@asynccontextmanager
async def logged_in(
    ctx: Context, metrics: Metrics, role: Role = Role.ADMIN, **changes: str
) -> AsyncIterator[AsyncClient]:
    email = f"{role.value}@nordlicht.example"
    await accounts.create_user(ctx, accounts.NewUser(email=email, role=role, password=PASSWORD))
    async with web(ctx, metrics=metrics, known=settings(**changes)) as client:
        form = {"name": email, "password": PASSWORD, "next": "/console/"}
        assert (await client.post("/console/login", data=form, headers=HERE)).status_code == 303
        yield client


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def admin(ctx: Context, metrics: Metrics) -> AsyncIterator[AsyncClient]:
    async with logged_in(ctx, metrics) as client:
        yield client


# --- who may see it ------------------------------------------------------------------


async def test_only_admins_see_it_and_are_led_there(ctx: Context, metrics: Metrics) -> None:
    for role in Role:
        async with logged_in(ctx, metrics, role) as client:
            expected = role is Role.ADMIN
            assert (await client.get(PAGE)).status_code == (200 if expected else 403), role
            assert ("/console/operation" in (await client.get("/console/?lang=en")).text) == expected


async def test_who_is_not_logged_in_is_sent_to_log_in(visitor: AsyncClient) -> None:
    answer = await visitor.get("/console/operation")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/login?next=/console/operation")


# --- the counters ----------------------------------------------------------------------


def test_every_outcome_is_told() -> None:
    assert operation.COUNTED.keys() == set(Outcome)
    assert operation.TROUBLES.keys() == set(Trouble)


async def test_each_counter_is_shown_with_its_meaning(admin: AsyncClient, metrics: Metrics) -> None:
    for place, outcome in enumerate(Outcome):
        metrics.count_open(outcome.value, 1_000 + place)
    page = (await admin.get(PAGE)).text
    for place, outcome in enumerate(Outcome):
        label, meaning = operation.COUNTED[outcome]
        figure = f'<dt>{label}</dt><dd class="value">1,00{place}</dd><dd class="fine">{meaning}</dd>'
        assert figure in page
    assert "since it started on 2 November 2026, 11:00 CET" in page


async def test_it_speaks_german(admin: AsyncClient, metrics: Metrics) -> None:
    metrics.count_open("forged", 1_204)
    page = (await admin.get("/console/operation?lang=de")).text
    assert '<dt>Gefälscht</dt><dd class="value">1.204</dd>' in page
    assert "seit seinem Start am 2. November 2026" in page
    assert "noch nicht durchgelaufen" in page


# --- the canaries ------------------------------------------------------------------------


def flown(ctx: Context, *findings: Finding) -> Report:
    return Report(at=ctx.clock(), canaries=9, findings=findings)


def note(page: str) -> str:
    return page.partition('<div class="note ')[2].partition("</div>")[0]


async def test_before_the_first_run_it_says_so(admin: AsyncClient) -> None:
    page = (await admin.get(PAGE)).text
    assert operation.NOT_YET in note(page)
    assert note(page).startswith('"')
    assert "Violations since the start: 0." in page


async def test_switched_off_it_says_so(ctx: Context, metrics: Metrics) -> None:
    async with logged_in(ctx, metrics, canary_every_minutes="0") as client:
        assert operation.OFF in note((await client.get(PAGE)).text)


async def test_a_clean_run_is_good_news(admin: AsyncClient, ctx: Context, metrics: Metrics) -> None:
    metrics.count_canaries(flown(ctx))
    page = (await admin.get(PAGE)).text
    assert note(page).startswith('good"')
    assert "Last run: 2 November 2026, 11:00 CET, with 9 canaries." in page


async def test_a_fault_is_told_as_one(admin: AsyncClient, ctx: Context, metrics: Metrics) -> None:
    metrics.count_canaries(flown(ctx, Finding(Trouble.OPEN_LOST, State.GIVEN)))
    page = (await admin.get(PAGE)).text
    assert note(page).startswith('bad"')
    assert "A fault:" in note(page)
    assert "State of consent: consent stands; an open was not recorded." in note(page)
    assert "Violations since the start: 0." in page


async def test_a_violation_is_an_alarm_until_the_process_is_restarted(
    admin: AsyncClient, ctx: Context, metrics: Metrics
) -> None:
    pixel = Finding(Trouble.PIXEL_WITHOUT_CONSENT, State.REFUSED)
    metrics.count_canaries(flown(ctx, pixel, Finding(Trouble.ROWS_WITHOUT_CONSENT, None, 1_204)))
    page = (await admin.get(PAGE)).text
    assert note(page).startswith('bad"')
    assert "Alarm:" in note(page)
    assert "State of consent: refused; a mail carried a pixel." in note(page)
    assert "Rows: 1,204; pixels or opens are held" in note(page)
    assert "Violations since the start: 1,205." in page
    metrics.count_canaries(flown(ctx))
    page = (await admin.get(PAGE)).text
    assert note(page).startswith('bad"')
    assert operation.BEFORE in note(page)


def test_every_text_of_the_code_is_there_in_german_and_listed_in_english() -> None:
    listed = {}
    for language in ("de", "en"):
        with (packaged_locales() / language / "operation.po").open("rb") as file:
            listed[language] = {message.id: message.string for message in read_po(file, locale=language) if message.id}
    assert listed["de"].keys() == listed["en"].keys()
    said = {
        *(text for both in operation.COUNTED.values() for text in both),
        *operation.SAID.values(),
        *operation.TROUBLES.values(),
        *(operation.OFF, operation.NOT_YET, operation.BEFORE),
    }
    assert said == listed["de"].keys()
    assert all(listed["de"].values())
