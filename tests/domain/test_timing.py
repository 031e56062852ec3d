"""The shape of the timeline, the hours of the week, and ages."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st

from pixel_service.domain.figures import DELAYS, Group
from pixel_service.domain.timing import (
    HOURLY_POINTS,
    MAX_POINTS,
    Cell,
    age_of_share,
    best_hours,
    hour_of,
    is_young,
    median_delay,
    start_of,
    time_to_open,
    timeline,
)

START = datetime(2026, 11, 3, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
FIRST = hour_of(START)
BERLIN = ZoneInfo("Europe/Berlin")


def test_an_hour_is_a_full_one_since_1970() -> None:
    assert hour_of(datetime(1970, 1, 2, 0, 59, 59, tzinfo=UTC)) == 24
    assert start_of(24) == datetime(1970, 1, 2, tzinfo=UTC)


def test_a_timeline_without_opens_is_empty() -> None:
    assert timeline(FIRST, []) == ()


def test_a_timeline_fills_its_gaps_and_keeps_groups_apart() -> None:
    counts = [(2, Group.OPENS, 5), (0, Group.MACHINE, 3), (2, Group.UNKNOWN, 1), (2, Group.OPENS, 2)]
    points = timeline(FIRST, [(FIRST + hour, group, count) for hour, group, count in counts])
    assert [point.starts_at for point in points] == [START, START + HOUR, START + 2 * HOUR]
    assert [(point.opens, point.machine, point.unknown) for point in points] == [(0, 3, 0), (0, 0, 0), (7, 0, 1)]


@pytest.mark.parametrize(
    "hour, starts_after, lasts",
    [
        (0, 0, 1),
        (47, 47, 1),
        (48, 48, 24),
        (71, 48, 24),
        (72, 72, 24),
        (48 + 51 * 24, 48 + 51 * 24, 24),
        (10**6, 48 + 51 * 24, 24),
        (-3, 0, 1),
    ],
)
def test_points_are_hours_for_two_days_and_days_after(hour: int, starts_after: int, lasts: int) -> None:
    last = timeline(FIRST, [(FIRST + hour, Group.OPENS, 1)])[-1]
    assert (last.starts_at, last.lasts, last.opens) == (START + starts_after * HOUR, lasts * HOUR, 1)


@given(st.lists(st.tuples(st.integers(-10, 5000), st.sampled_from(Group), st.integers(1, 1000)), max_size=60))
def test_a_timeline_loses_nothing_and_stays_bounded(counts: list[tuple[int, Group, int]]) -> None:
    points = timeline(FIRST, [(FIRST + hour, group, count) for hour, group, count in counts])
    assert len(points) <= MAX_POINTS
    assert sum(point.opens + point.machine + point.unknown for point in points) == sum(count for *_, count in counts)
    assert all(a.starts_at + a.lasts == b.starts_at for a, b in pairwise(points))
    assert all(point.lasts == HOUR for point in points[:HOURLY_POINTS])


# --- hours of the week --------------------------------------------------------


def test_an_hour_of_the_week_is_the_one_where_the_company_is() -> None:
    # A Sunday evening in UTC; Monday in Berlin, in winter and in summer.
    winter, summer = datetime(2026, 11, 1, 23, tzinfo=UTC), datetime(2026, 7, 5, 22, tzinfo=UTC)
    cells = best_hours([(hour_of(winter), 12), (hour_of(summer), 8)], now=winter + timedelta(days=30), zone=BERLIN)
    assert cells == (Cell(weekday=1, hour=0, opens=20),)


def test_an_hour_with_few_opens_is_blank() -> None:
    now = START + timedelta(days=30)
    assert best_hours([(FIRST, 19)], now=now, zone=UTC) == ()
    assert best_hours([(FIRST, 19), (FIRST + 7 * 24, 1)], now=now, zone=UTC) == (Cell(weekday=2, hour=9, opens=20),)


def test_the_last_three_days_are_left_out() -> None:
    opens = [(FIRST, 40)]
    assert best_hours(opens, now=START + timedelta(days=3, minutes=59), zone=UTC) == ()
    assert best_hours(opens, now=START + timedelta(days=3, hours=1), zone=UTC) != ()


def test_the_hours_come_in_the_order_of_the_week() -> None:
    opens = [(FIRST + age, 20 + age) for age in (30, 2, 24)]
    cells = best_hours(opens, now=START + timedelta(days=30), zone=UTC)
    assert [(cell.weekday, cell.hour, cell.opens) for cell in cells] == [(2, 11, 22), (3, 9, 44), (3, 15, 50)]


# --- ages ---------------------------------------------------------------------


def test_a_mailing_is_young_for_seven_days_and_before_it_is_sent() -> None:
    assert is_young(None, START)
    assert is_young(START, START + timedelta(days=7) - timedelta(microseconds=1))
    assert not is_young(START, START + timedelta(days=7))


@pytest.mark.parametrize("share, hours", [(0.5, 1), (0.6, 2), (0.8, 2), (0.81, 31), (1.0, 31)])
def test_the_age_of_a_share_is_the_hour_that_brought_it(share: float, hours: int) -> None:
    assert age_of_share({FIRST + 30: 2, FIRST: 5, FIRST + 1: 3}, FIRST, share) == hours * HOUR


def test_an_open_before_the_mailing_began_counts_from_its_first_hour() -> None:
    assert age_of_share({FIRST - 3: 1}, FIRST, 0.5) == HOUR


def test_without_opens_no_share_has_an_age() -> None:
    assert age_of_share({}, FIRST, 0.5) is None


# --- time to open -------------------------------------------------------------


def test_every_time_to_open_is_listed_shortest_first() -> None:
    found = time_to_open({"1h": 3})
    assert [one.name for one in found] == list(DELAYS)
    assert [one.messages for one in found if one.messages] == [3]
    assert found[0].ends_after == timedelta(minutes=1)
    assert found[-1].ends_after is None


@pytest.mark.parametrize(
    "messages, middle",
    [
        ({}, None),
        ({"later": 1}, "later"),
        ({"1m": 1, "1d": 1}, "1m"),
        ({"1m": 1, "1h": 1, "1d": 1}, "1h"),
        ({"1m": 2, "1h": 1, "1d": 3}, "1h"),
    ],
)
def test_the_middle_message_has_its_time(messages: dict[str, int], middle: str | None) -> None:
    assert median_delay(messages) == middle
