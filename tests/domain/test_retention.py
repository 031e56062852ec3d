"""When each class of data is due: periods, calendar years, leap days, summer time."""

from datetime import UTC, datetime, timedelta

import pytest

from pixel_service.domain.retention import Kept, Periods, due_before, evidence_ends_at

PERIODS = Periods()
NOW = datetime(2028, 2, 29, 12, 0, tzinfo=UTC)
TINY = timedelta(microseconds=1)


@pytest.mark.parametrize(
    "periods", [Periods(opens=timedelta(days=90)), Periods(delivery=timedelta(days=90))], ids=["opens", "mails"]
)
def test_a_campaign_is_whole_until_the_shorter_of_its_periods_is_over(periods: Periods) -> None:
    assert periods.whole_since(NOW) == NOW - timedelta(days=90)


@pytest.mark.parametrize(
    "kind, days",
    [
        (Kept.PIXELS, 0),
        (Kept.OPENS, 180),
        (Kept.MESSAGES, 180),
        (Kept.SENDS, 180),
        (Kept.UNUSED_CONSENT, 730),
        (Kept.STRANGERS, 14),
        (Kept.AUDIT, 1095),
        (Kept.WEBHOOKS, 180),
    ],
)
def test_a_class_is_due_after_its_days(kind: Kept, days: int) -> None:
    assert due_before(kind, PERIODS, NOW) == NOW - timedelta(days=days)


@pytest.mark.parametrize(
    "last_mail, ends",
    [
        # A year begins at local midnight, which is the evening before in UTC.
        ("2026-11-02T10:00+00:00", "2029-12-31T23:00+00:00"),
        ("2026-12-31T22:59:59.999999+00:00", "2029-12-31T23:00+00:00"),
        ("2026-12-31T23:00+00:00", "2030-12-31T23:00+00:00"),
        ("2028-02-29T12:00+00:00", "2031-12-31T23:00+00:00"),
        ("2027-03-28T01:00+00:00", "2030-12-31T23:00+00:00"),
    ],
)
def test_evidence_ends_with_the_third_year_after_that_of_the_last_mail(last_mail: str, ends: str) -> None:
    sent = datetime.fromisoformat(last_mail)
    end = datetime.fromisoformat(ends)
    assert evidence_ends_at(sent, PERIODS) == end
    assert due_before(Kept.EVIDENCE, PERIODS, end) >= sent
    assert due_before(Kept.EVIDENCE, PERIODS, end - TINY) < sent


def test_two_hours_of_one_night_when_clocks_go_back_are_the_same_year_and_day() -> None:
    first, second = datetime(2027, 10, 31, 0, 30, tzinfo=UTC), datetime(2027, 10, 31, 1, 30, tzinfo=UTC)
    assert evidence_ends_at(first, PERIODS) == evidence_ends_at(second, PERIODS)
    assert due_before(Kept.OPENS, PERIODS, second) - due_before(Kept.OPENS, PERIODS, first) == timedelta(hours=1)
