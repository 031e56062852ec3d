"""Rates with their uncertainty, and the shape of the timeline."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from pixel_service.domain.reports import HOURLY_POINTS, MAX_POINTS, Group, coverage, open_rate, timeline

START = datetime(2026, 11, 3, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    "opened, tracked, low, high",
    [
        # The first two: Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (1, 29 + 1, 0.0059, 0.1667),
        (0, 30, 0.0, 0.1135),
        (30, 30, 0.8865, 1.0),
    ],
)
def test_a_rate_stands_between_the_ends_of_its_wilson_interval(
    opened: int, tracked: int, low: float, high: float
) -> None:
    rate = open_rate(opened, tracked)
    assert rate is not None
    assert rate.value == opened / tracked
    assert [rate.low, rate.high] == pytest.approx([low, high], abs=5e-5)


@given(tracked=st.integers(30, 10**7), data=st.data())
def test_an_interval_holds_its_rate_and_stays_between_nothing_and_all(tracked: int, data: st.DataObject) -> None:
    rate = open_rate(data.draw(st.integers(0, tracked)), tracked)
    assert rate is not None
    assert 0 <= rate.low <= rate.value + 1e-12
    assert rate.value - 1e-12 <= rate.high <= 1


@pytest.mark.parametrize("tracked", [0, 1, 29])
def test_a_small_base_has_no_rate(tracked: int) -> None:
    assert open_rate(tracked, tracked) is None


def test_thirty_are_a_base() -> None:
    assert open_rate(0, 30) is not None


@pytest.mark.parametrize("tracked, sent, expected", [(0, 0, None), (0, 4, 0.0), (1, 4, 0.25), (4, 4, 1.0)])
def test_coverage_is_the_share_of_sent_mails_with_a_pixel(tracked: int, sent: int, expected: float | None) -> None:
    assert coverage(tracked, sent) == expected


def test_a_timeline_without_opens_is_empty() -> None:
    assert timeline(START, []) == ()


def test_a_timeline_fills_its_gaps_and_keeps_groups_apart() -> None:
    points = timeline(START, [(2, Group.OPENS, 5), (0, Group.MACHINE, 3), (2, Group.UNKNOWN, 1), (2, Group.OPENS, 2)])
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
    last = timeline(START, [(hour, Group.OPENS, 1)])[-1]
    assert (last.starts_at, last.lasts, last.opens) == (START + starts_after * HOUR, lasts * HOUR, 1)


@given(st.lists(st.tuples(st.integers(-10, 5000), st.sampled_from(Group), st.integers(1, 1000)), max_size=60))
def test_a_timeline_loses_nothing_and_stays_bounded(hours: list[tuple[int, Group, int]]) -> None:
    points = timeline(START, hours)
    assert len(points) <= MAX_POINTS
    assert sum(point.opens + point.machine + point.unknown for point in points) == sum(count for *_, count in hours)
    assert all(a.starts_at + a.lasts == b.starts_at for a, b in pairwise(points))
    assert all(point.lasts == HOUR for point in points[:HOURLY_POINTS])
