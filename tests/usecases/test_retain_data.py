"""Every class of data goes when its period is over and not before, until only hashes are left (T1-T3)."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Table, insert, select

from pixel_service.app import new_event_id
from pixel_service.domain.consent import Act, State
from pixel_service.domain.messages import SubscriberId
from pixel_service.domain.opens import Fetch
from pixel_service.domain.retention import Kept, evidence_ends_at
from pixel_service.jobs import steps
from pixel_service.observability import Metrics
from pixel_service.storage import audit, retention
from pixel_service.storage.audit import Look
from pixel_service.storage.engine import Database
from pixel_service.storage.recording import store
from pixel_service.storage.reports import campaign_report
from pixel_service.storage.schema import (
    address_changes,
    audit_log,
    consents,
    ledger,
    messages,
    metadata,
    opens,
    pixels,
    rights_requests,
    scrubs,
    sealed_evidence,
    sends,
    subscribers,
    webhook_deliveries,
)
from pixel_service.usecases.context import Context
from pixel_service.usecases.ledger import replay, verify
from pixel_service.usecases.retain_data import SLICE, count_due, purge_slice
from pixel_service.usecases.withdraw import Source, withdraw_all
from tests.access import Clock
from tests.builders import BLOG, GLASFASER, OPENS, ask, context, deliver, join, ledger_of, states_of
from tests.tracked_mail import LONG_AGO
from tests.usecases.test_withdraw import mailing, rows, seen

DAY, MOMENT = timedelta(days=1), timedelta(seconds=1)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ctx(db: Database, clock: Clock) -> Context:
    return context(db, clock)


async def open_everything(ctx: Context) -> int:
    """Under ids that grow with time, as the recorder makes them."""
    fetches: list[Fetch] = [
        seen(ctx, row.pixel_id)._replace(open_id=new_event_id(ctx.clock())) for row in await rows(ctx.db, pixels)
    ]
    async with ctx.db.write() as connection:
        return (await store(connection, fetches)).recorded


async def purge(ctx: Context) -> dict[Kept, int]:
    """Until nothing is due."""
    gone = dict.fromkeys(Kept, 0)
    while any((went := await purge_slice(ctx)).values()):
        gone = {kind: gone[kind] + number for kind, number in went.items()}
    return gone


def nothing_but(**expected: int) -> dict[Kept, int]:
    return dict.fromkeys(Kept, 0) | {Kept(name): number for name, number in expected.items()}


async def anna(ctx: Context) -> SubscriberId:
    """Signed up, got a mail with a pixel, opened it."""
    person = await join(ctx, "anna@example.com", BLOG, OPENS)
    await deliver(ctx)
    await mailing(ctx)
    await deliver(ctx)
    assert await open_everything(ctx) == 1
    return person


async def test_nothing_goes_before_its_time(ctx: Context) -> None:
    await anna(ctx)
    assert await purge(ctx) == nothing_but()


async def test_a_pixel_goes_with_its_recording_window(ctx: Context, clock: Clock) -> None:
    await anna(ctx)
    clock.move(ctx.policy.recording_window - MOMENT)
    assert await purge(ctx) == nothing_but()
    clock.move(MOMENT)
    assert await purge(ctx) == nothing_but(pixels=1)
    assert (await rows(ctx.db, pixels), len(await rows(ctx.db, opens))) == ([], 1)


@pytest.mark.parametrize("table", [pixels, messages])
async def test_what_a_withdrawal_holds_is_left_for_the_next_run(
    new_postgres: Callable[[], str], clock: Clock, table: Table
) -> None:
    """Waiting for it while holding others would be a deadlock."""
    db = Database(new_postgres())
    ctx = context(db, clock)
    ctx = replace(ctx, policy=replace(ctx.policy, keep=replace(ctx.policy.keep, delivery=DAY)))
    await anna(ctx)
    clock.move(ctx.policy.recording_window + DAY)
    async with db.write() as withdrawal:
        held = (await withdrawal.execute(select(table).with_for_update())).all()
        async with asyncio.timeout(5):
            await purge(ctx)
    assert await rows(db, table) == held
    await purge(ctx)
    assert len(await rows(db, table)) < len(held)
    await db.close()


async def test_opens_mails_and_sends_go_after_their_period_and_reports_show_what_is_left(
    ctx: Context, clock: Clock
) -> None:
    await anna(ctx)
    clock.move(ctx.policy.keep.opens - MOMENT)
    assert await purge(ctx) == nothing_but(pixels=1)
    second = await mailing(ctx)
    await deliver(ctx)
    # The confirmation that anna's row of the log is about was never sent: it had been answered.
    clock.move(ctx.policy.lease + MOMENT)
    gone = await purge(ctx)
    assert (gone[Kept.OPENS], gone[Kept.SENDS]) == (1, 1)
    (left,) = await rows(ctx.db, messages)
    assert left.campaign_id == second
    async with ctx.db.read() as connection:
        report = await campaign_report(connection, second, whole_since=LONG_AGO)
    assert report is not None
    assert report.sent == 1


async def test_a_mail_stays_in_the_log_as_long_as_its_opens(ctx: Context, clock: Clock) -> None:
    keep = replace(ctx.policy.keep, delivery=DAY)
    ctx = replace(ctx, policy=replace(ctx.policy, keep=keep))
    await anna(ctx)
    clock.move(ctx.policy.recording_window + DAY)
    await purge(ctx)
    (opened,) = await rows(ctx.db, messages)
    assert opened.tracking == "tracked"


async def test_a_mail_that_waits_is_never_old(ctx: Context, clock: Clock) -> None:
    await join(ctx, "anna@example.com", BLOG)
    clock.move(20 * 365 * DAY)
    gone = await purge(ctx)
    assert (gone[Kept.MESSAGES], gone[Kept.UNUSED_CONSENT], gone[Kept.EVIDENCE]) == (0, 0, 0)


async def test_a_consent_without_act_or_mail_expires_and_its_opens_go_with_it(ctx: Context, clock: Clock) -> None:
    ctx = replace(ctx, policy=replace(ctx.policy, keep=replace(ctx.policy.keep, opens=10 * 365 * DAY)))
    person = await anna(ctx)
    clock.move(ctx.policy.keep.unused_consent - MOMENT)
    assert (await purge(ctx))[Kept.UNUSED_CONSENT] == 0
    clock.move(MOMENT)
    assert (await purge(ctx))[Kept.UNUSED_CONSENT] == 2
    assert await states_of(ctx, person) == {BLOG: State.EXPIRED, OPENS: State.EXPIRED}
    assert [(act, content) for _, act, content in await ledger_of(ctx, person)][-2:] == [
        (Act.EXPIRED, {"source": "unused"})
    ] * 2
    assert await rows(ctx.db, opens) == []
    assert len(await rows(ctx.db, scrubs)) == 1
    assert await replay(ctx) == []


async def test_a_mail_keeps_consent_alive_also_after_its_row_went(ctx: Context, clock: Clock) -> None:
    person = await anna(ctx)
    clock.move(400 * DAY)
    await mailing(ctx)
    await deliver(ctx)
    clock.move(400 * DAY)
    await purge(ctx)
    assert await rows(ctx.db, messages) == []
    assert await states_of(ctx, person) == {BLOG: State.GIVEN, OPENS: State.GIVEN}
    clock.move(330 * DAY)
    assert (await purge(ctx))[Kept.UNUSED_CONSENT] == 2


@pytest.mark.parametrize(
    "begun",
    [
        datetime(2026, 11, 2, 10, 0, tzinfo=UTC),
        datetime(2028, 2, 29, 12, 0, tzinfo=UTC),
        # The hour that clocks skip, the one they show twice, and the last second of a local year.
        datetime(2027, 3, 28, 1, 30, tzinfo=UTC),
        datetime(2027, 10, 31, 0, 30, tzinfo=UTC),
        datetime(2026, 12, 31, 22, 59, 59, tzinfo=UTC),
    ],
    ids=str,
)
async def test_in_the_end_only_hashes_are_left_and_the_chain_verifies(
    ctx: Context, clock: Clock, begun: datetime
) -> None:
    clock.at = begun
    person = await anna(ctx)
    await join(ctx, "bo@example.com", BLOG, GLASFASER)
    await deliver(ctx)
    async with ctx.db.write() as connection:
        await audit.record(connection, Look(at=begun, who="a", act="evidence", subject=person, reason="asked"))
    await withdraw_all(ctx, person, Source.UNSUBSCRIBE_PAGE)
    await deliver(ctx)
    clock.at = evidence_ends_at(begun, ctx.policy.keep) - MOMENT
    assert (await purge(ctx))[Kept.EVIDENCE] == 0
    assert (await ledger_of(ctx, person))[0][2]["form_url"]
    clock.move(MOMENT)
    assert (await purge(ctx))[Kept.EVIDENCE] == 1
    # Bo's consent expired meanwhile, which is an act and begins the years anew.
    clock.at = evidence_ends_at(clock.at, ctx.policy.keep)
    assert (await purge(ctx))[Kept.EVIDENCE] == 1
    assert await purge(ctx) == nothing_but()
    left = {table.name for table in metadata.sorted_tables if await rows(ctx.db, table)}
    assert left <= {"ledger", "campaigns", "published_texts", "scrubs", "checkpoints"}
    assert {(row.content, row.salt) for row in await rows(ctx.db, ledger)} == {(None, None)}
    assert (await verify(ctx, lambda _: None)).entries > 8
    assert await replay(ctx) == []


async def test_evidence_of_standing_consent_stays_however_old(ctx: Context, clock: Clock) -> None:
    ctx = replace(ctx, policy=replace(ctx.policy, keep=replace(ctx.policy.keep, unused_consent=50 * 365 * DAY)))
    person = await anna(ctx)
    clock.move(40 * 365 * DAY)
    assert (await purge(ctx))[Kept.EVIDENCE] == 0
    assert await states_of(ctx, person) == {BLOG: State.GIVEN, OPENS: State.GIVEN}


async def test_the_years_of_evidence_run_from_the_last_mail_also_after_its_row_went(ctx: Context, clock: Clock) -> None:
    person = await anna(ctx)
    await withdraw_all(ctx, person, Source.UNSUBSCRIBE_PAGE)
    clock.move(365 * DAY)
    # The goodbye waited for a year.
    await deliver(ctx)
    mailed = clock.at
    clock.move(300 * DAY)
    await purge(ctx)
    assert await rows(ctx.db, messages) == []
    clock.at = evidence_ends_at(mailed, ctx.policy.keep) - MOMENT
    assert (await purge(ctx))[Kept.EVIDENCE] == 0
    clock.move(MOMENT)
    assert (await purge(ctx))[Kept.EVIDENCE] == 1


async def test_an_address_of_which_nothing_else_is_held_goes(ctx: Context, clock: Clock) -> None:
    asked = await ask(ctx, "asked@example.com", BLOG)
    async with ctx.db.write() as connection:
        await connection.execute(
            insert(subscribers).values(
                subscriber_id="s" * 26, address="x@example.com", address_key="x@example.com", created_at=clock()
            )
        )
    clock.move(ctx.policy.keep.strangers - MOMENT)
    assert await purge(ctx) == nothing_but()
    clock.move(MOMENT)
    assert await purge(ctx) == nothing_but(strangers=1)
    assert [row.subscriber_id for row in await rows(ctx.db, subscribers)] == [asked]


async def test_the_audit_log_ends_too(ctx: Context, clock: Clock) -> None:
    async with ctx.db.write() as connection:
        await audit.record(connection, Look(at=clock(), who="a", act="evidence", subject="b", reason="c"))
    clock.move(ctx.policy.keep.audit)
    assert await purge(ctx) == nothing_but(audit=1)


async def test_one_run_does_a_bounded_slice_and_the_dry_run_counts_all_and_changes_nothing(
    ctx: Context, clock: Clock
) -> None:
    await anna(ctx)
    async with ctx.db.write() as connection:
        (message,) = (await connection.execute(select(opens.c.message_id))).scalars()
        await connection.execute(
            insert(opens),
            [
                {
                    "open_id": new_event_id(clock()),
                    "message_id": message,
                    "opened_at": clock(),
                    "verdict": "human_client",
                    "reason": "bare_webkit",
                    "client_family": "Outlook",
                }
                for _ in range(SLICE)
            ],
        )
    # The open of Anna is a minute later.
    clock.move(ctx.policy.keep.opens + timedelta(minutes=1))
    assert (await count_due(ctx))[Kept.OPENS] == SLICE + 1
    assert len(await rows(ctx.db, opens)) == SLICE + 1
    assert (await purge_slice(ctx))[Kept.OPENS] == SLICE
    assert (await purge_slice(ctx))[Kept.OPENS] == 1


async def test_the_hourly_job_purges_and_counts(ctx: Context, clock: Clock) -> None:
    await anna(ctx)
    clock.move(ctx.policy.recording_window)
    metrics = Metrics()
    (step,) = (one for one in steps(ctx, metrics) if one.name == "purge")
    assert (await step.run(), await step.run(), step.idle) == (1, 0, timedelta(hours=1))
    assert b'pixel_rows_purged_total{kind="pixels"} 1.0' in metrics.render()


async def test_consent_is_never_deleted_as_rows(ctx: Context) -> None:
    async with ctx.db.write() as connection:
        with pytest.raises(ValueError, match="expires by an act"):
            await retention.purge(connection, Kept.UNUSED_CONSENT, ctx.clock(), 1)


def test_every_class_counts_rows_of_some_table() -> None:
    tables = {consents, opens, pixels, messages, sends, ledger, subscribers, audit_log}
    tables |= {address_changes, rights_requests, sealed_evidence, webhook_deliveries}
    moment = datetime(2026, 11, 2, tzinfo=UTC)
    assert {next(iter(retention.due(kind, moment).selected_columns)).table for kind in Kept} == tables
