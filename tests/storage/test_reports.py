"""Reports are read from the figures alone and equal the sum of the rows, on both databases."""

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Select, insert, select, text, update

from pixel_service.domain.comparison import MOST_EARLIER
from pixel_service.domain.fetchers import Client, MachineSort
from pixel_service.domain.figures import Kind
from pixel_service.domain.messages import CampaignId, Tracking
from pixel_service.domain.opens import Verdict
from pixel_service.domain.reports import CampaignReport
from pixel_service.domain.timing import Point, hour_of
from pixel_service.storage import reports
from pixel_service.storage.engine import Connection, Database
from pixel_service.storage.reports import campaign_report, comparison, effects_of_tags, list_campaigns
from pixel_service.storage.schema import campaign_figures, campaigns, messages, opens
from tests.opened_mail import (
    BOT,
    EARLY,
    GMAIL,
    MPP,
    OUTLOOK,
    PREVIEW,
    SCANNER,
    UNKNOWN,
    add_many,
    add_open,
    add_to,
    count_anew,
)
from tests.tracked_mail import BLOG, LONG_AGO, NOW, add_campaign, new_id, withdraw_tracking

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
START = NOW.replace(minute=0, second=0, microsecond=0)


async def report_of(connection: Connection, campaign: CampaignId) -> CampaignReport:
    report = await campaign_report(connection, campaign, whole_since=LONG_AGO)
    assert report is not None
    return report


async def test_there_is_no_report_of_an_unknown_campaign(db: Database) -> None:
    async with db.snapshot() as connection:
        assert await campaign_report(connection, CampaignId(new_id()), whole_since=LONG_AGO) is None
        assert await comparison(connection, CampaignId(new_id()), now=NOW, whole_since=LONG_AGO) is None


async def test_a_campaign_without_mails_reports_nothing(db: Database) -> None:
    async with db.write() as connection:
        report = await report_of(connection, await add_campaign(connection, "Empty"))
    assert (report.name, report.purpose, report.tags, report.created_at) == ("Empty", "newsletter:blog", (), NOW)
    assert (report.sent, report.tracked, report.coverage, report.floor) == (0, 0, None, None)
    assert (report.first_sent_at, report.timeline, report.clients) == (None, (), ())


async def test_sent_mails_are_counted_by_what_they_carry(db: Database) -> None:
    async with db.write() as connection:
        campaign, other = await add_campaign(connection, "This"), await add_campaign(connection, "Other")
        for _ in range(3):
            await add_to(connection, campaign, tracking=Tracking.NONE, sent_at=NOW + HOUR)
        mails = [await add_to(connection, campaign, sent_at=NOW + minute * HOUR / 60) for minute in (5, 2, 9)]
        await add_to(connection, campaign, sent_at=None)
        await add_to(connection, other)
        await count_anew(connection)
        await withdraw_tracking(connection, mails[0].subscriber_id)
        report = await report_of(connection, campaign)
    assert (report.sent, report.tracked, report.untracked, report.withdrawn_since) == (6, 2, 3, 1)
    assert report.coverage == pytest.approx(1 / 3)
    assert report.first_sent_at == NOW + 2 * HOUR / 60


async def test_people_machines_and_unknowns_are_counted_apart(db: Database) -> None:
    async with db.write() as connection:
        campaign = await add_campaign(connection)
        first = await add_to(connection, campaign, GMAIL, OUTLOOK, MPP)
        await add_open(connection, first.message_id, GMAIL, at=NOW + HOUR)
        await add_to(connection, campaign, OUTLOOK, SCANNER)
        await add_to(connection, campaign, MPP, BOT, EARLY, UNKNOWN, PREVIEW)
        await add_to(connection, campaign, SCANNER)
        await add_to(connection, campaign)
        await add_to(connection, await add_campaign(connection, "Other"), GMAIL)
        await count_anew(connection)
        report = await report_of(connection, campaign)
    assert (report.unique_opens, report.total_opens, report.sessions) == (2, 4, 3)
    assert (report.unique_machine_opens, report.total_machine_opens) == (4, 6)
    assert (report.unique_unknown_opens, report.total_unknown_opens) == (1, 2)
    assert (report.human, report.hidden, report.unknown, report.machine_only, report.silent) == (2, 1, 0, 1, 1)
    assert report.clients == (
        Client(family="Outlook", unique=2, total=2, share=1.0, hidden_by_proxy=False),
        Client(family="Gmail", unique=1, total=2, share=0.5, hidden_by_proxy=True),
    )
    assert report.machines == (
        MachineSort(verdict=Verdict.PREFETCH, reason="apple_mpp", total=2),
        MachineSort(verdict=Verdict.SCANNER, reason="security_product", total=2),
        MachineSort(verdict=Verdict.BOT, reason="http_tool", total=1),
        MachineSort(verdict=Verdict.PREFETCH, reason="early", total=1),
    )
    assert report.quality.early == 1


async def test_the_timeline_starts_with_the_hour_of_the_first_acceptance(db: Database) -> None:
    async with db.write() as connection:
        campaign = await add_campaign(connection, at=NOW - 5 * HOUR)
        mail = await add_to(connection, campaign)
        for at in (START - HOUR, NOW, START + HOUR - timedelta(microseconds=1), START + HOUR, START + 50 * HOUR):
            await add_open(connection, mail.message_id, GMAIL, at=at)
        await add_open(connection, mail.message_id, MPP, at=START + 2 * HOUR)
        await count_anew(connection)
        points = (await report_of(connection, campaign)).timeline
    assert len(points) == 49
    assert [point for point in points if point.opens or point.machine] == [
        Point(starts_at=START, lasts=HOUR, opens=3, machine=0, unknown=0),
        Point(starts_at=START + HOUR, lasts=HOUR, opens=1, machine=0, unknown=0),
        Point(starts_at=START + 2 * HOUR, lasts=HOUR, opens=0, machine=1, unknown=0),
        Point(starts_at=START + 48 * HOUR, lasts=24 * HOUR, opens=1, machine=0, unknown=0),
    ]


async def test_time_to_open_counts_from_each_mails_own_acceptance(db: Database) -> None:
    async with db.write() as connection:
        campaign = await add_campaign(connection)
        for sent, opened in ((0, 30), (600, 630), (0, 2 * 3600)):
            at = NOW + timedelta(seconds=opened)
            await add_to(connection, campaign, OUTLOOK, sent_at=NOW + timedelta(seconds=sent), at=at)
        await count_anew(connection)
        report = await report_of(connection, campaign)
    assert {one.name: one.messages for one in report.delays if one.messages} == {"1m": 2, "6h": 1}
    assert report.median_delay == "1m"
    assert (report.half_in_after, report.most_in_after) == (HOUR, 3 * HOUR)


@pytest.mark.parametrize("tracked, shown", [(29, False), (30, True)])
async def test_a_rate_needs_thirty_tracked_mails(db: Database, tracked: int, shown: bool) -> None:
    async with db.write() as connection:
        campaign = await add_campaign(connection)
        await add_many(connection, campaign, 15, OUTLOOK)
        await add_many(connection, campaign, tracked - 15)
        await add_to(connection, campaign, tracking=Tracking.NONE)
        await count_anew(connection)
        floor = (await report_of(connection, campaign)).floor
    assert (floor is not None) is shown
    assert floor is None or floor.value == 15 / tracked


async def test_an_open_proves_that_a_mail_is_out(db: Database) -> None:
    """A crash between the relay's acceptance and its record must not show a rate over 100 %."""
    async with db.write() as connection:
        campaign = await add_campaign(connection)
        await add_to(connection, campaign, OUTLOOK, GMAIL, sent_at=None)
        await add_to(connection, campaign, sent_at=None)
        await count_anew(connection)
        report = await report_of(connection, campaign)
    assert (report.sent, report.tracked, report.unique_opens, report.total_opens) == (1, 1, 1, 2)
    assert sum(point.opens for point in report.timeline) == 2


async def test_a_withdrawal_takes_a_person_out_of_every_figure(db: Database) -> None:
    async with db.write() as connection:
        campaign = await add_campaign(connection)
        leaving = await add_to(connection, campaign, GMAIL, MPP)
        await add_to(connection, campaign, OUTLOOK)
        await count_anew(connection)
        await withdraw_tracking(connection, leaving.subscriber_id)
        report = await report_of(connection, campaign)
    assert (report.sent, report.tracked, report.withdrawn_since) == (2, 1, 1)
    assert (report.unique_opens, report.total_opens, report.total_machine_opens) == (1, 1, 0)
    assert [client.family for client in report.clients] == ["Outlook"]
    assert sum(point.opens + point.machine for point in report.timeline) == 1


async def test_every_figure_equals_the_sum_of_the_rows(db: Database) -> None:
    chance = random.Random(11)
    judgements = [GMAIL, OUTLOOK, MPP, SCANNER, BOT, UNKNOWN, PREVIEW]
    async with db.write() as connection:
        made = [await add_campaign(connection, f"Campaign {n}") for n in range(3)]
        mails = [await add_to(connection, chance.choice(made)) for _ in range(40)]
        for _ in range(250):
            at = NOW + chance.random() * timedelta(days=20)
            await add_open(connection, chance.choice(mails).message_id, chance.choice(judgements), at=at)
        await count_anew(connection)
        for mail in mails[:8]:
            await withdraw_tracking(connection, mail.subscriber_id)
        for campaign in made:
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
            assert report.total_opens == sum(count for _, count in report.opens_by_hour)
            assert report.unique_opens == report.human == len({row.message_id for row in floor})
            assert report.unique_opens == sum(one.messages for one in report.delays)
            assert report.total_machine_opens == len(machine) == sum(one.total for one in report.machines)
            assert report.unique_machine_opens == len({row.message_id for row in machine})
            assert report.tracked == (
                report.human + report.hidden + report.unknown + report.machine_only + report.silent
            )


# --- the list -----------------------------------------------------------------


async def test_campaigns_are_listed_newest_first_in_pages(db: Database) -> None:
    async with db.write() as connection:
        made = [await add_campaign(connection, f"Campaign {n}", at=NOW + n // 2 * HOUR) for n in range(5)]
        listed = await list_campaigns(connection, whole_since=LONG_AGO, limit=10)
        newest_first = [summary.campaign_id for summary in listed]
        assert [summary.created_at - NOW for summary in listed] == [2 * HOUR, HOUR, HOUR, 0 * HOUR, 0 * HOUR]
        assert set(newest_first) == set(made)
        pages: list[CampaignId] = []
        before = None
        while page := await list_campaigns(connection, whole_since=LONG_AGO, limit=2, before=before):
            pages += [summary.campaign_id for summary in page]
            before = pages[-1]
    assert pages == newest_first


async def test_the_list_shows_what_the_report_shows(db: Database) -> None:
    async with db.write() as connection:
        campaign = await add_campaign(connection)
        await add_to(connection, campaign, GMAIL, OUTLOOK)
        await add_many(connection, campaign, 30, MPP)
        await add_to(connection, campaign, tracking=Tracking.NONE, sent_at=NOW - HOUR)
        await add_campaign(connection, "Empty", at=NOW - HOUR)
        await count_anew(connection)
        summary, empty = await list_campaigns(connection, whole_since=LONG_AGO)
        report = await report_of(connection, campaign)
    assert (summary.sent, summary.tracked, summary.unique_opens, summary.unique_machine_opens) == (32, 31, 1, 30)
    assert (summary.sent, summary.tracked) == (report.sent, report.tracked)
    assert (summary.floor, summary.estimate) == (report.floor, report.estimate)
    assert summary.first_sent_at == report.first_sent_at == NOW - HOUR
    assert (empty.sent, empty.unique_opens, empty.first_sent_at) == (0, 0, None)


# --- beside other campaigns ---------------------------------------------------


async def add_edition(connection: Connection, name: str, *, sent_at: datetime, opened: int, tracked: int = 30) -> None:
    campaign = await add_campaign(connection, name, at=sent_at - HOUR)
    await add_many(connection, campaign, opened, OUTLOOK, sent_at=sent_at)
    await add_many(connection, campaign, tracked - opened, MPP, sent_at=sent_at)


async def test_a_campaign_stands_beside_those_of_its_purpose_that_were_sent_before(db: Database) -> None:
    async with db.write() as connection:
        await add_edition(connection, "Last week", sent_at=NOW - 7 * DAY, opened=6)
        await add_edition(connection, "Before", sent_at=NOW - 14 * DAY, opened=9)
        await add_edition(connection, "Next week", sent_at=NOW + 7 * DAY, opened=3)
        await add_edition(connection, "Another purpose", sent_at=NOW - DAY, opened=3)
        await connection.execute(
            update(campaigns).where(campaigns.c.name == "Another purpose").values(purpose="newsletter:other")
        )
        campaign = await add_campaign(connection, "This")
        await add_campaign(connection, "Never sent", at=NOW - DAY)
        await add_many(connection, campaign, 3, OUTLOOK)
        await count_anew(connection)
    async with db.snapshot() as connection:
        found = await comparison(connection, campaign, now=NOW + 6 * HOUR, whole_since=LONG_AGO)
    assert found is not None
    assert [(one.name, one.opened, one.tracked) for one in found.editions] == [
        ("Before", 9, 30),
        ("Last week", 6, 30),
        ("This", 3, 3),
    ]
    assert (found.age_hours, found.typical) == (6, 0.25)


async def test_only_the_newest_earlier_campaigns_are_compared(db: Database) -> None:
    async with db.write() as connection:
        for number in range(MOST_EARLIER + 2):
            await add_edition(connection, f"-{number}", sent_at=NOW - (number + 1) * DAY, opened=0, tracked=1)
        campaign = await add_campaign(connection, "This")
        await add_to(connection, campaign)
        await count_anew(connection)
        found = await comparison(connection, campaign, now=NOW + 6 * HOUR, whole_since=LONG_AGO)
    assert found is not None
    assert [one.name for one in found.editions] == [
        *(f"-{number}" for number in range(MOST_EARLIER - 1, -1, -1)),
        "This",
    ]


async def test_a_campaign_whose_period_is_over_has_no_shares_and_is_compared_with_nothing(db: Database) -> None:
    """Retention takes unopened mails first: of what is left, all are opened."""
    async with db.write() as connection:
        await add_edition(connection, "Old", sent_at=NOW - 100 * DAY, opened=10, tracked=40)
        new = await add_campaign(connection, "New")
        await add_many(connection, new, 40, OUTLOOK)
        await connection.execute(update(campaigns).values(tags=["fibre"]))
        await count_anew(connection)
    for whole_since, editions, shares in ((NOW - 101 * DAY, ["Old", "New"], 2), (NOW - 99 * DAY, ["New"], 1)):
        async with db.snapshot() as connection:
            listed = await list_campaigns(connection, whole_since=whole_since)
            told = [await campaign_report(connection, one.campaign_id, whole_since=whole_since) for one in listed]
            compared = await comparison(connection, new, now=NOW + 6 * HOUR, whole_since=whole_since)
            effects = await effects_of_tags(connection, BLOG, now=NOW, whole_since=whole_since)
        assert [one.floor is not None for one in listed] == [True, shares == 2]
        for rate in ("floor", "ceiling"):
            assert [getattr(one, rate) is not None for one in told] == [True, shares == 2]
        assert told[0] is not None
        assert (listed[0].estimate, told[0].estimate) != (None, None)
        assert [one.is_whole for one in told if one] == [True, shares == 2]
        assert compared is not None
        assert [one.name for one in compared.editions] == editions
        assert len(effects) == shares - 1


async def test_an_old_campaign_is_told_no_share_beside_others_either(db: Database) -> None:
    async with db.write() as connection:
        old = await add_campaign(connection, "Old")
        await add_many(connection, old, 40, OUTLOOK)
        await count_anew(connection)
        found = await comparison(connection, old, now=NOW + 6 * HOUR, whole_since=NOW)
    assert found is not None
    assert [one.floor for one in found.editions] == [None]


async def test_a_campaign_that_was_not_sent_has_nothing_to_compare(db: Database) -> None:
    async with db.write() as connection:
        found = await comparison(connection, await add_campaign(connection), now=NOW + DAY, whole_since=LONG_AGO)
    assert found is not None
    assert found.editions == ()


async def test_topics_count_campaigns_whose_opens_are_in(db: Database) -> None:
    async with db.write() as connection:
        await add_edition(connection, "Tagged", sent_at=NOW - 8 * DAY, opened=40, tracked=50)
        await add_edition(connection, "Plain", sent_at=NOW - 9 * DAY, opened=29, tracked=50)
        await add_edition(connection, "Young", sent_at=NOW - 6 * DAY, opened=40, tracked=50)
        for name in ("Tagged", "Young"):
            await connection.execute(update(campaigns).where(campaigns.c.name == name).values(tags=["fibre"]))
        await count_anew(connection)
        (effect,) = await effects_of_tags(connection, BLOG, now=NOW, whole_since=LONG_AGO)
    # All but the people who loaded images are hidden by Apple: of the second too few are left to say anything.
    assert (effect.tag, effect.campaigns_with, effect.campaigns_without) == ("fibre", 1, 0)
    assert (effect.estimate_with, effect.estimate_without, effect.difference) == (1.0, None, None)


# --- how it is read -----------------------------------------------------------


async def test_what_is_read_in_one_snapshot_is_of_one_moment(db: Database) -> None:
    async with db.write() as connection:
        campaign = await add_campaign(connection)
        await add_to(connection, campaign)
        await count_anew(connection)
    async with db.snapshot() as reading:
        before = await report_of(reading, campaign)
        async with db.write() as connection:
            await add_to(connection, campaign, OUTLOOK)
            await count_anew(connection)
        assert await report_of(reading, campaign) == before
    async with db.read() as connection:
        assert (await report_of(connection, campaign)).sent == 2


async def test_reports_read_figures_and_no_rows(db: Database) -> None:
    """Ten million opens are as many figures as ten thousand (O5)."""
    async with db.write() as connection:
        campaign = await add_campaign(connection)
        await connection.execute(
            insert(campaign_figures).values(
                campaign_id=campaign, kind="standing", name="human", hour=0, amount=10_000_000
            )
        )
        await connection.execute(
            insert(campaign_figures).values(
                campaign_id=campaign, kind="message", name="tracked", hour=0, amount=30_000_000
            )
        )
        report = await report_of(connection, campaign)
    assert report.floor is not None
    assert report.floor.value == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    "query, index",
    [
        (reports._CAMPAIGNS.where(campaigns.c.campaign_id == "x"), "ix_messages_campaign_id_sent_at"),
        (reports._sent_before(BLOG, NOW, 20, LONG_AGO), "ix_messages_campaign_id_sent_at"),
        (
            select(campaign_figures).where(campaign_figures.c.campaign_id.in_(["x"])),
            "SEARCH campaign_figures USING",
        ),
    ],
    ids=["one", "earlier", "figures"],
)
async def test_a_report_looks_nothing_up_by_scanning_but_the_list_of_campaigns(
    new_sqlite: Callable[[], str], query: Select[Any], index: str
) -> None:
    db = Database(new_sqlite())
    async with db.read() as connection:
        compiled = query.compile(connection.sync_connection, compile_kwargs={"literal_binds": True})
        steps = (await connection.execute(text(f"EXPLAIN QUERY PLAN {compiled}".replace(":", r"\:")))).all()
    await db.close()
    details = [row.detail for row in steps]
    assert any(index in detail for detail in details)
    assert [detail for detail in details if detail.startswith("SCAN") and detail != "SCAN campaigns"] == []


async def test_a_full_campaign_is_read_in_few_rows(db: Database) -> None:
    """Every hour of 30 days is taken: what the page shows by days comes by days."""
    async with db.write() as connection:
        campaign = await add_campaign(connection)
        await add_to(connection, campaign, sent_at=NOW)
        full = [
            {"campaign_id": campaign, "kind": kind, "name": name, "hour": hour_of(NOW) + hour, "amount": 2}
            for kind, name in (("opens", "opens"), ("opens", "machine"), ("opens", "unknown"), ("first", ""))
            for hour in range(720)
        ]
        await connection.execute(insert(campaign_figures), full)
        hour = reports._as_shown(hour_of(NOW))
        found = await reports._figures(connection, [campaign], list(Kind), hour=hour)
        report = await report_of(connection, campaign)
    # Hours of two days, 28 days, and a row for the mail; of people's opens every hour.
    assert {kind: len(rows) for kind, rows in found[campaign].items() if kind != "message"} == {
        "opens": 720 + 2 * (48 + 28),
        "first": 48 + 28,
    }
    assert (report.total_opens, report.total_machine_opens) == (1440, 1440)
    assert [point.machine for point in report.timeline] == [point.opens for point in report.timeline]
    assert (report.half_in_after, report.most_in_after) == (360 * HOUR, 648 * HOUR)
