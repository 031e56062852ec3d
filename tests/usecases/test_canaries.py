"""Canaries in every state of consent: clean where the service is, an alarm where it is not, and never there for anybody (P10)."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from pixel_service import app
from pixel_service.app import image_loader
from pixel_service.domain.address import Address
from pixel_service.domain.canaries import Finding, Report, Result, Trouble
from pixel_service.domain.consent import State
from pixel_service.domain.messages import PixelId
from pixel_service.mail.transport import Envelope, Withheld
from pixel_service.storage import messages as outbox, opens as measured, recording
from pixel_service.storage.canaries import plant_pixel
from pixel_service.storage.engine import Database
from pixel_service.storage.journal import Journal
from pixel_service.storage.opens import Erased
from pixel_service.storage.schema import messages
from pixel_service.usecases import canaries, deliver, journal
from pixel_service.usecases.canaries import run_canaries
from pixel_service.usecases.canary import Canary, Nest
from pixel_service.usecases.context import Context
from tests.builders import (
    BLOG,
    OPENS,
    Relay,
    ask,
    context,
    deliver as deliver_all,
    dump,
    join,
    queued,
    settings,
    states_of,
)
from tests.storage.test_canaries import opened_mail, set_state
from tests.usecases.test_deliver import send_to

LOAD = image_loader(settings())
AGREED_ONCE = {State.GIVEN, State.RENEWED, State.WITHDRAWN, State.EXPIRED, State.RESTRICTED, State.OBJECTED}
#: Those who still get the newsletter and no pixel.
STILL_MAILED = {State.UNKNOWN, State.REQUESTED, State.REFUSED, State.WITHDRAWN, State.EXPIRED}
NEVER_MEASURED = STILL_MAILED | {State.RESTRICTED, State.OBJECTED}


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a machine that does more than it can."""
    monkeypatch.setattr(canaries, "_LONGEST", timedelta(seconds=120))
    monkeypatch.setattr(app, "_CANARY_LIMITS", replace(app._CANARY_LIMITS, deadline=timedelta(seconds=5)))


async def run(ctx: Context) -> Report:
    return await run_canaries(ctx, LOAD)


def states(report: Report, trouble: Trouble) -> set[State | None]:
    return {one.state for one in report.findings if one.trouble is trouble}


# --- as it should be ---------------------------------------------------------------


async def test_every_state_of_a_living_person_has_its_canary_and_all_are_clean(db: Database) -> None:
    report = await run(context(db))
    assert (report.result, report.findings) == (Result.CLEAN, ())
    assert report.canaries == len(State) - len({State.ERASED})


async def test_canaries_never_were_there(db: Database, tmp_path: Path) -> None:
    """Among people with mails that wait, mails that were opened, and a journal of withdrawals; where no domain takes mail
    and everything is slow."""
    relay = Relay()
    ctx = replace(context(db, relay=relay), journal=Journal(tmp_path / "withdrawals"))
    await journal.bind(ctx)
    anna = await join(ctx, "anna@example.com", BLOG, OPENS)
    await deliver_all(ctx)
    await ask(ctx, "bo@example.com", BLOG)
    await send_to(ctx, "anna@example.com")
    before, noted, taken = await dump(db), (tmp_path / "withdrawals").read_bytes(), len(relay.taken)
    slow = replace(ctx.policy, sign_up_takes=timedelta(hours=1), mails_per_minute=1)
    assert (await run(replace(ctx, policy=slow, takes_mail=no_domain))).findings == ()
    assert await dump(db) == before
    assert (tmp_path / "withdrawals").read_bytes() == noted
    assert len(relay.taken) == taken
    assert await queued(ctx) == ["confirmation", "None"]
    assert (await states_of(ctx, anna))[OPENS] is State.GIVEN


async def no_domain(_address: Address) -> bool:
    return False


async def test_two_processes_run_them_at_once(db: Database, database_url: str) -> None:
    other = Database(database_url)
    try:
        reports = await asyncio.gather(run(context(db)), run(context(other)))
    finally:
        await other.close()
    assert [report.result for report in reports] == [Result.CLEAN] * 2


async def test_people_are_served_while_canaries_fly(db: Database) -> None:
    ctx = context(db)
    running = asyncio.create_task(run(ctx))
    for number in range(5):
        await join(ctx, f"person-{number}@example.com", BLOG, OPENS)
    assert (await running).result is Result.CLEAN


async def test_a_service_without_a_newsletter_has_nothing_to_try_and_looks_at_its_rows(db: Database) -> None:
    ctx = context(db)
    await unfounded_pixel(ctx)
    report = await run(replace(ctx, catalogue=replace(ctx.catalogue, newsletters={})))
    assert (report.canaries, report.findings) == (0, (Finding(Trouble.ROWS_WITHOUT_CONSENT, None, 1),))


# --- violations ----------------------------------------------------------------------


async def unfounded_pixel(ctx: Context) -> None:
    """A mail to somebody who refused has a pixel all the same."""
    person = await join(ctx, "refused@example.com", BLOG)
    async with ctx.db.write() as connection:
        found = select(messages.c.message_id).where(messages.c.subscriber_id == person).limit(1)
        message_id = (await connection.execute(found)).scalar_one()
        closes_at = ctx.clock() + timedelta(days=1)
        await plant_pixel(connection, message_id, person, PixelId(ctx.ids()), closes_at)


async def test_a_pixel_of_somebody_who_did_not_agree_is_an_alarm_that_names_nobody(db: Database) -> None:
    ctx = context(db)
    await unfounded_pixel(ctx)
    with capture_logs() as lines:
        report = await run(ctx)
    assert report.violations == 1
    (line,) = lines
    assert line == {
        "event": "canaries found a violation",
        "log_level": "error",
        "action": "canaries",
        "found": ["people: rows_without_consent (1)"],
    }
    assert "@" not in json.dumps(line)


async def test_opens_of_late_are_looked_at_too(db: Database) -> None:
    mail = await opened_mail(db)
    await set_state(db, mail.subscriber_id, State.REFUSED)
    assert (await run(context(db))).findings == (Finding(Trouble.ROWS_WITHOUT_CONSENT, None, 2),)


@pytest.fixture
def open_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    """The recorder asks for no consent any more."""
    every = ", ".join(f"'{state.value}'" for state in State)
    for name in ("_LOCK", "_PASS_ON_POSTGRESQL", "_PASS_ON_SQLITE"):
        monkeypatch.setattr(recording, name, getattr(recording, name).replace(recording._STATES, every))


async def test_a_recorder_that_does_not_ask_for_consent_is_found_out(open_gate: None, db: Database) -> None:
    """But for somebody without any record of consent to join."""
    report = await run(context(db))
    assert report.result is Result.VIOLATION
    assert states(report, Trouble.OPEN_WITHOUT_CONSENT) == NEVER_MEASURED - {State.UNKNOWN}
    assert states(report, Trouble.PIXEL_WITHOUT_CONSENT) == set()


async def test_a_recorder_that_does_not_even_look_for_a_record_is_found_out(
    monkeypatch: pytest.MonkeyPatch, new_sqlite: Callable[[], str]
) -> None:
    """The join left out; SQLite only, where it is one statement."""
    passing = recording._PASS_ON_SQLITE.replace(
        "CROSS JOIN consents ON consents.subscriber_id = pixels.subscriber_id",
        "CROSS JOIN (SELECT '2000' AS decided_at, 'tracking:opens' AS purpose, 'given' AS state) AS consents",
    )
    monkeypatch.setattr(recording, "_PASS_ON_SQLITE", passing)
    async for db in opened(new_sqlite()):
        assert states(await run(context(db)), Trouble.OPEN_WITHOUT_CONSENT) == NEVER_MEASURED


async def opened(url: str) -> AsyncIterator[Database]:
    db = Database(url)
    yield db
    await db.close()


async def test_a_delivery_that_does_not_ask_for_consent_is_found_out(
    monkeypatch: pytest.MonkeyPatch, db: Database
) -> None:
    monkeypatch.setattr(deliver, "is_valid", lambda _state: True)
    monkeypatch.setattr(outbox, "_VALID", tuple(state.value for state in State))
    report = await run(context(db))
    assert report.result is Result.VIOLATION
    assert states(report, Trouble.PIXEL_WITHOUT_CONSENT) == STILL_MAILED - {State.UNKNOWN}


async def test_an_end_that_leaves_the_opens_is_found_out(monkeypatch: pytest.MonkeyPatch, db: Database) -> None:
    async def nothing(*_: object) -> Erased:
        return Erased(opens=0, pixels=0)

    monkeypatch.setattr(measured, "erase_opens", nothing)
    ended = (State.WITHDRAWN, State.EXPIRED, State.OBJECTED)
    assert (await run(context(db))).findings == tuple(Finding(Trouble.OPEN_WITHOUT_CONSENT, state) for state in ended)


async def test_a_restriction_that_leaves_the_figures_is_found_out(
    monkeypatch: pytest.MonkeyPatch, db: Database
) -> None:
    async def nothing(*_: object) -> None:
        return

    monkeypatch.setattr(measured, "set_aside", nothing)
    assert (await run(context(db))).findings == (Finding(Trouble.OPEN_WITHOUT_CONSENT, State.RESTRICTED),)


async def test_a_withdrawal_that_does_nothing_is_found_out(monkeypatch: pytest.MonkeyPatch, db: Database) -> None:
    async def nothing(*_: object) -> None:
        return

    monkeypatch.setattr(canaries, "withdraw", nothing)
    report = await run(context(db))
    assert [str(one) for one in report.findings] == [
        "withdrawn: other_state (1)",
        "withdrawn: pixel_without_consent (1)",
        "withdrawn: open_without_consent (1)",
    ]


# --- faults -----------------------------------------------------------------------------


async def test_an_open_that_is_lost_is_a_fault_and_no_violation(db: Database) -> None:
    async def lose(_ctx: Context, _path: str) -> None:
        return

    with capture_logs() as lines:
        report = await run_canaries(context(db), lose)
    assert (report.result, report.violations) == (Result.FAULT, 0)
    assert states(report, Trouble.OPEN_LOST) == AGREED_ONCE
    assert [line["log_level"] for line in lines] == ["warning"]


async def test_a_pixel_that_is_missing_is_a_fault(monkeypatch: pytest.MonkeyPatch, db: Database) -> None:
    monkeypatch.setattr(deliver, "is_valid", lambda _state: False)
    report = await run(context(db))
    assert {one.trouble for one in report.findings} == {Trouble.NO_PIXEL}
    assert states(report, Trouble.NO_PIXEL) == AGREED_ONCE


async def test_a_canary_that_breaks_off_leaves_nothing(monkeypatch: pytest.MonkeyPatch, db: Database) -> None:
    async def broken(_canary: Canary) -> None:
        raise ValueError("broken")

    before = await dump(db)
    monkeypatch.setattr(Canary, "load_images", broken)
    with pytest.raises(ValueError, match="broken"):
        await run(context(db))
    assert await dump(db) == before


async def test_a_canary_that_hangs_lets_go_of_its_locks(monkeypatch: pytest.MonkeyPatch, db: Database) -> None:
    async def hang(_ctx: Context, _path: str) -> None:
        await asyncio.sleep(3600)

    before = await dump(db)
    with monkeypatch.context() as hasty:
        hasty.setattr(canaries, "_LONGEST", timedelta(seconds=1))
        with pytest.raises(TimeoutError):
            await run_canaries(context(db), hang)
    assert await dump(db) == before
    assert (await run(context(db))).result is Result.CLEAN


async def test_a_nest_asks_once_more_before_it_takes_a_mail() -> None:
    async def not_any_more() -> bool:
        return False

    nest = Nest()
    mail = Envelope(mail_from="", rcpt_to="canary@canary.example", data=b"", still_wanted=not_any_more)
    assert isinstance(await nest.send(mail), Withheld)
    assert nest.mails == []
