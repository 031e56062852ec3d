"""A report is put together from figures: what each number is, and which shares it leads to."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, strategies as st

from pixel_service.domain.consent import Purpose
from pixel_service.domain.fetchers import Fetched
from pixel_service.domain.figures import Group, Standing
from pixel_service.domain.messages import CampaignId, Tracking
from pixel_service.domain.opens import Verdict
from pixel_service.domain.rates import rate
from pixel_service.domain.reports import Campaign, Figures, report, summary
from pixel_service.domain.timing import hour_of

SENT = datetime(2026, 11, 3, 9, 40, tzinfo=UTC)
CAMPAIGN = Campaign(
    campaign_id=CampaignId("a" * 26),
    name="November",
    purpose=Purpose("newsletter:blog"),
    tags=("fibre",),
    created_at=SENT - timedelta(days=1),
    first_sent_at=SENT,
    is_whole=True,
)
HOUR = hour_of(SENT)
FIGURES = Figures(
    messages={Tracking.TRACKED: 200, Tracking.NONE: 250, Tracking.WITHDRAWN: 30, Tracking.RESTRICTED: 20},
    standings={Standing.HUMAN: 50, Standing.MPP: 80, Standing.UNKNOWN: 7, Standing.MACHINE: 3},
    unique={Group.OPENS: 50, Group.MACHINE: 95, Group.UNKNOWN: 9},
    fetched=(
        Fetched(verdict=Verdict.HUMAN_CLIENT, reason="mail_client", family="Outlook", total=71),
        Fetched(verdict=Verdict.PREFETCH, reason="apple_mpp", family="Apple Mail", total=99),
        Fetched(verdict=Verdict.UNKNOWN, reason="unrecognised", family="", total=9),
    ),
    hours=(
        (HOUR, Group.MACHINE, 99),
        (HOUR + 1, Group.OPENS, 60),
        (HOUR + 2, Group.OPENS, 11),
        (HOUR, Group.UNKNOWN, 9),
    ),
    clients={"Outlook": 50},
    first_opens={HOUR + 1: 45, HOUR + 2: 5},
    delays={"1h": 10, "6h": 40},
    sessions=66,
)


def test_a_campaign_without_figures_reports_nothing() -> None:
    empty = report(CAMPAIGN, Figures())
    assert (empty.sent, empty.tracked, empty.coverage, empty.silent) == (0, 0, None, 0)
    assert (empty.floor, empty.estimate, empty.ceiling) == (None, None, None)
    assert (empty.timeline, empty.clients, empty.machines, empty.opens_by_hour) == ((), (), (), ())
    assert (empty.median_delay, empty.half_in_after, empty.most_in_after) == (None, None, None)


def test_mails_are_counted_by_what_they_carry() -> None:
    told = report(CAMPAIGN, FIGURES)
    assert (told.sent, told.tracked, told.untracked, told.withdrawn_since, told.restricted) == (500, 200, 250, 30, 20)
    assert told.coverage == 0.4


def test_tracked_mails_are_counted_once_each_by_the_best_that_is_known() -> None:
    told = report(CAMPAIGN, FIGURES)
    assert (told.human, told.hidden, told.unknown, told.machine_only, told.silent) == (50, 80, 7, 3, 60)


def test_floor_estimate_and_ceiling_differ_in_those_whom_apple_hides() -> None:
    told = report(CAMPAIGN, FIGURES)
    assert told.floor == rate(50, 200)
    assert told.estimate == rate(50, 120)
    assert told.ceiling == rate(130, 200)


def test_a_share_needs_thirty_of_whom_it_can_be_known() -> None:
    most_hidden = Figures(
        messages={Tracking.TRACKED: 60}, standings={Standing.HUMAN: 5, Standing.MPP: 31}, unique={Group.OPENS: 5}
    )
    told = report(CAMPAIGN, most_hidden)
    assert told.floor == rate(5, 60)
    assert told.estimate is None
    assert told.ceiling == rate(36, 60)


def test_fetches_are_counted_by_mails_by_times_and_by_sittings() -> None:
    told = report(CAMPAIGN, FIGURES)
    assert (told.unique_opens, told.total_opens, told.sessions) == (50, 71, 66)
    assert (told.unique_machine_opens, told.total_machine_opens) == (95, 99)
    assert (told.unique_unknown_opens, told.total_unknown_opens) == (9, 9)
    assert told.opens_by_hour == ((HOUR + 1, 60), (HOUR + 2, 11))
    assert [one.family for one in told.clients] == ["Outlook"]
    assert [one.reason for one in told.machines] == ["apple_mpp"]
    assert told.quality.hidden_share == 0.4


def test_time_counts_from_the_hour_of_the_first_acceptance() -> None:
    told = report(CAMPAIGN, FIGURES)
    assert told.timeline[0].starts_at == datetime(2026, 11, 3, 9, tzinfo=UTC)
    assert [point.opens for point in told.timeline] == [0, 60, 11]
    assert (told.half_in_after, told.most_in_after) == (timedelta(hours=2), timedelta(hours=2))
    assert told.median_delay == "6h"


def test_a_line_of_the_list_says_what_the_report_says() -> None:
    line, told = summary(CAMPAIGN, FIGURES), report(CAMPAIGN, FIGURES)
    for name in ("sent", "tracked", "unique_opens", "unique_machine_opens", "floor", "estimate", "tags", "name"):
        assert getattr(line, name) == getattr(told, name)


@given(st.integers(0, 10_000), st.integers(0, 10_000), st.integers(0, 10_000), st.integers(0, 10_000))
def test_the_floor_is_below_the_estimate_and_the_estimate_below_the_ceiling(
    human: int, hidden: int, others: int, silent: int
) -> None:
    told = report(
        CAMPAIGN,
        Figures(
            messages={Tracking.TRACKED: human + hidden + others + silent},
            standings={Standing.HUMAN: human, Standing.MPP: hidden, Standing.MACHINE: others},
        ),
    )
    if told.floor and told.ceiling:
        assert told.floor.value <= told.ceiling.value
        if told.estimate:
            assert told.floor.value <= told.estimate.value <= told.ceiling.value + 1e-12
