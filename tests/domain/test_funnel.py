"""The period of a sign-up funnel, and its shares."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from pixel_service.domain.consent import Purpose
from pixel_service.domain.errors import InvalidInput
from pixel_service.domain.funnel import Asked, period
from pixel_service.domain.rates import rate

BERLIN = ZoneInfo("Europe/Berlin")
TODAY = date(2026, 11, 22)


def test_a_period_is_full_days_where_the_company_is() -> None:
    found = period(date(2026, 10, 24), date(2026, 10, 25), today=TODAY, zone=BERLIN)
    assert (found.starts_at, found.ends_at) == (
        datetime(2026, 10, 23, 22, tzinfo=UTC),
        datetime(2026, 10, 25, 23, tzinfo=UTC),
    )


def test_without_its_ends_a_period_is_the_thirty_days_up_to_today() -> None:
    found = period(None, None, today=TODAY, zone=BERLIN)
    assert (found.first_day, found.last_day) == (date(2026, 10, 24), TODAY)
    assert period(None, date(2026, 1, 30), today=TODAY, zone=BERLIN).first_day == date(2026, 1, 1)
    assert period(date(2026, 11, 1), None, today=TODAY, zone=BERLIN).last_day == TODAY


@pytest.mark.parametrize(
    "since, until, detail",
    [
        (date(2026, 11, 2), date(2026, 11, 1), "must not be after until"),
        (date(2026, 1, 1), date(2026, 4, 3), "the period must have at most 92 days"),
    ],
)
def test_a_period_runs_forwards_and_is_bounded(since: date, until: date, detail: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        period(since, until, today=TODAY, zone=BERLIN)
    assert (refused.value.field, refused.value.detail) == ("from", detail)


def test_92_days_are_a_period() -> None:
    assert period(date(2026, 1, 1), date(2026, 4, 2), today=TODAY, zone=BERLIN).last_day == date(2026, 4, 2)


def test_the_share_who_confirmed_is_of_those_who_got_the_mail() -> None:
    asked = Asked(
        purpose=Purpose("newsletter:blog"), requests=90, asked=70, mailed=60, confirmed=45, refused=2, wrong_codes=0
    )
    assert asked.not_mailed == 10
    assert asked.confirmed_share == rate(45, 60)
