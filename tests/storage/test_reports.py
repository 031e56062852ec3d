"""Reports equal the sum of the rows, on both databases."""

import random
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, text

from pixel_service.domain.messages import CampaignId, Tracking
from pixel_service.domain.opens import Judgement, Verdict
from pixel_service.domain.reports import CampaignReport, Client, Point
from pixel_service.storage import reports
from pixel_service.storage.engine import Connection, Database
from pixel_service.storage.opens import store
from pixel_service.storage.reports import campaign_report, list_campaigns
from pixel_service.storage.schema import messages, opens
from tests.tracked_mail import NOW, TrackedMail, add_campaign, add_mail, add_person, fetch, new_id, withdraw_tracking

HOUR = timedelta(hours=1)
GMAIL = Judgement(Verdict.PROXY_OPEN, "gmail", "Gmail")
OUTLOOK = Judgement(Verdict.HUMAN_CLIENT, "mail_client", "Outlook")
MPP = Judgement(Verdict.PREFETCH, "apple_mpp", "Apple Mail")
SCANNER = Judgement(Verdict.SCANNER, "security_product")
BOT = Judgement(Verdict.BOT, "http_tool")
UNKNOWN = Judgement(Verdict.UNKNOWN, "unrecognised")
PREVIEW = Judgement(Verdict.PREVIEW, "own")


async def add(
    connection: Connection,
    campaign: CampaignId,
    *,
    tracking: Tracking = Tracking.TRACKED,
    sent_at: datetime | None = NOW,
) -> TrackedMail:
    person = await add_person(connection)
    return await add_mail(connection, person, campaign_id=campaign, tracking=tracking, sent_at=sent_at)


async def report_of(connection: Connection, campaign: CampaignId) -> CampaignReport:
    report = await campaign_report(connection, campaign)
    assert report is not None
    return report


async def test_there_is_no_report_of_an_unknown_campaign(db: Database) -> None:
    async with db.read() as connection:
        assert await campaign_report(connection, CampaignId(new_id())) is None


async def test_a_campaign_without_mails_reports_nothing(db: Database) -> None:
    async with db.write() as connection:
        report = await report_of(connection, await add_campaign(connection, "Empty"))
    assert (report.name, report.purpose, report.created_at) == ("Empty", "newsletter:blog", NOW)
    assert (report.sent, report.tracked, report.coverage, report.open_rate) == (0, 0, None, None)
    assert (report.first_sent_at, report.timeline, report.clients) == (None, (), ())


async def test_sent_mails_are_counted_by_what_they_carry(db: Database) -> None:
    async with db.write() as connection:
        campaign, other = await add_campaign(connection, "This"), await add_campaign(connection, "Other")
        for _ in range(3):
            await add(connection, campaign, tracking=Tracking.NONE, sent_at=NOW + HOUR)
        mails = [await add(connection, campaign, sent_at=NOW + minute * HOUR / 60) for minute in (5, 2, 9)]
        await add(connection, campaign, sent_at=None)
        await add(connection, other)
        await withdraw_tracking(connection, mails[0].subscriber_id)
        report = await report_of(connection, campaign)
    assert (report.sent, report.tracked, report.untracked, report.withdrawn_since) == (6, 2, 3, 1)
    assert report.coverage == pytest.approx(1 / 3)
    assert report.first_sent_at == NOW + 2 * HOUR / 60


async def test_people_machines_and_unknowns_are_counted_apart(db: Database) -> None:
    async with db.write() as connection:
        campaign = await add_campaign(connection)
        first, second, third = [await add(connection, campaign) for _ in range(3)]
        elsewhere = await add(connection, await add_campaign(connection, "Other"))
        seen = [(first, GMAIL), (first, GMAIL), (first, OUTLOOK), (first, MPP), (second, OUTLOOK)]
        seen += [(second, SCANNER), (third, MPP), (third, BOT), (third, UNKNOWN), (third, PREVIEW), (elsewhere, GMAIL)]
        await store(connection, [fetch(mail.pixel_id, judgement=judgement) for mail, judgement in seen])
        report = await report_of(connection, campaign)
    assert (report.unique_opens, report.total_opens) == (2, 4)
    assert (report.unique_machine_opens, report.total_machine_opens) == (3, 4)
    assert (report.unique_unknown_opens, report.total_unknown_opens) == (1, 2)
    assert report.clients == (
        Client(family="Gmail", unique=1, total=2),
        Client(family="Outlook", unique=2, total=2),
    )


async def test_the_timeline_starts_with_the_first_acceptance(db: Database) -> None:
    async with db.write() as connection:
        campaign = await add_campaign(connection, at=NOW - 5 * HOUR)
        sent_at = NOW + 2 * HOUR
        mail = await add(connection, campaign, sent_at=sent_at)
        start = sent_at.replace(microsecond=0)
        times = [start - HOUR, sent_at, start + HOUR - timedelta(microseconds=1), start + HOUR, start + 50 * HOUR]
        await store(connection, [fetch(mail.pixel_id, at=at) for at in times])
        await store(connection, [fetch(mail.pixel_id, at=start + 2 * HOUR, judgement=MPP)])
        points = (await report_of(connection, campaign)).timeline
    assert len(points) == 49
    assert [point for point in points if point.opens or point.machine] == [
        Point(starts_at=start, lasts=HOUR, opens=3, machine=0, unknown=0),
        Point(starts_at=start + HOUR, lasts=HOUR, opens=1, machine=0, unknown=0),
        Point(starts_at=start + 2 * HOUR, lasts=HOUR, opens=0, machine=1, unknown=0),
        Point(starts_at=start + 48 * HOUR, lasts=24 * HOUR, opens=1, machine=0, unknown=0),
    ]


@pytest.mark.parametrize("tracked, shown", [(29, False), (30, True)])
async def test_a_rate_needs_thirty_tracked_mails(db: Database, tracked: int, shown: bool) -> None:
    async with db.write() as connection:
        campaign = await add_campaign(connection)
        mails = [await add(connection, campaign) for _ in range(tracked)]
        await add(connection, campaign, tracking=Tracking.NONE)
        await store(connection, [fetch(mail.pixel_id) for mail in mails[:15]])
        rate = (await report_of(connection, campaign)).open_rate
    assert (rate is not None) is shown
    assert rate is None or rate.value == 15 / tracked


async def test_an_open_proves_that_a_mail_is_out(db: Database) -> None:
    """A crash between the relay's acceptance and its record must not show a rate over 100 %."""
    async with db.write() as connection:
        campaign = await add_campaign(connection)
        mail = await add(connection, campaign, sent_at=None)
        await add(connection, campaign, sent_at=None)
        await store(connection, [fetch(mail.pixel_id), fetch(mail.pixel_id)])
        report = await report_of(connection, campaign)
    assert (report.sent, report.tracked, report.unique_opens, report.total_opens) == (1, 1, 1, 2)
    assert sum(point.opens for point in report.timeline) == 2


async def test_a_withdrawal_takes_a_person_out_of_every_figure(db: Database) -> None:
    async with db.write() as connection:
        campaign = await add_campaign(connection)
        leaving, staying = [await add(connection, campaign) for _ in range(2)]
        await store(connection, [fetch(leaving.pixel_id), fetch(leaving.pixel_id, judgement=MPP)])
        await store(connection, [fetch(staying.pixel_id, judgement=OUTLOOK)])
        await withdraw_tracking(connection, leaving.subscriber_id)
        report = await report_of(connection, campaign)
    assert (report.sent, report.tracked, report.withdrawn_since) == (2, 1, 1)
    assert (report.unique_opens, report.total_opens, report.total_machine_opens) == (1, 1, 0)
    assert report.clients == (Client(family="Outlook", unique=1, total=1),)
    assert sum(point.opens + point.machine for point in report.timeline) == 1


async def test_every_figure_equals_the_sum_of_the_rows(db: Database) -> None:
    chance = random.Random(11)
    judgements = [GMAIL, OUTLOOK, MPP, SCANNER, BOT, UNKNOWN, PREVIEW]
    async with db.write() as connection:
        campaigns = [await add_campaign(connection, f"Campaign {n}") for n in range(3)]
        mails = [await add(connection, chance.choice(campaigns)) for _ in range(60)]
        batch = [
            fetch(
                chance.choice(mails).pixel_id,
                at=NOW + chance.random() * timedelta(days=20),
                judgement=chance.choice(judgements),
            )
            for _ in range(500)
        ]
        assert await store(connection, batch) == 500
        for mail in mails[:10]:
            await withdraw_tracking(connection, mail.subscriber_id)
        for campaign in campaigns:
            report = await report_of(connection, campaign)
            rows = (
                await connection.execute(
                    select(opens).join_from(opens, messages).where(messages.c.campaign_id == campaign)
                )
            ).all()
            floor = [row for row in rows if row.verdict in ("human_client", "proxy_open")]
            machine = [row for row in rows if row.verdict in ("prefetch", "scanner", "bot")]
            assert len(rows) == report.total_opens + report.total_machine_opens + report.total_unknown_opens
            assert report.total_opens == len(floor) == sum(point.opens for point in report.timeline)
            assert report.total_opens == sum(client.total for client in report.clients)
            assert report.unique_opens == len({row.message_id for row in floor})
            assert report.total_machine_opens == len(machine) == sum(point.machine for point in report.timeline)
            assert report.unique_machine_opens == len({row.message_id for row in machine})
            assert report.unique_opens <= report.tracked


async def test_campaigns_are_listed_newest_first_in_pages(db: Database) -> None:
    async with db.write() as connection:
        made = [await add_campaign(connection, f"Campaign {n}", at=NOW + n // 2 * HOUR) for n in range(5)]
        listed = await list_campaigns(connection, limit=10)
        newest_first = [summary.campaign_id for summary in listed]
        assert [summary.created_at - NOW for summary in listed] == [2 * HOUR, HOUR, HOUR, 0 * HOUR, 0 * HOUR]
        assert set(newest_first) == set(made)
        pages: list[CampaignId] = []
        before = None
        while page := await list_campaigns(connection, limit=2, before=before):
            pages += [summary.campaign_id for summary in page]
            before = pages[-1]
    assert pages == newest_first


async def test_the_list_shows_what_the_report_shows(db: Database) -> None:
    async with db.write() as connection:
        campaign = await add_campaign(connection)
        first, second = [await add(connection, campaign) for _ in range(2)]
        await add(connection, campaign, tracking=Tracking.NONE, sent_at=NOW - HOUR)
        await store(
            connection,
            [fetch(first.pixel_id), fetch(first.pixel_id), fetch(second.pixel_id, judgement=MPP)],
        )
        await add_campaign(connection, "Empty", at=NOW - HOUR)
        summary, empty = await list_campaigns(connection)
        report = await report_of(connection, campaign)
    assert (summary.sent, summary.tracked, summary.unique_opens, summary.unique_machine_opens) == (3, 2, 1, 1)
    assert (summary.sent, summary.tracked) == (report.sent, report.tracked)
    assert summary.first_sent_at == report.first_sent_at == NOW - HOUR
    assert (empty.sent, empty.unique_opens, empty.first_sent_at) == (0, 0, None)


async def test_a_report_looks_nothing_up_by_scanning(new_sqlite: Callable[[], str]) -> None:
    db = Database(new_sqlite())
    async with db.read() as connection:
        statement = reports._counting(connection, CampaignId("x"), NOW)
        compiled = statement.compile(connection.sync_connection, compile_kwargs={"literal_binds": True})
        steps = (await connection.execute(text(f"EXPLAIN QUERY PLAN {compiled}".replace(":", r"\:")))).all()
    await db.close()
    assert any("USING INDEX ix_opens_message_id" in row.detail for row in steps)
    scans = [row.detail for row in steps if row.detail.startswith("SCAN") and row.detail != "SCAN seen"]
    assert scans == []
