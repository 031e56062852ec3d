"""One month is a month of the calendar, whatever its length and whatever the clocks do (R10, GDPR Art. 12(3))."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies

from pixel_service.domain.messages import SubscriberId
from pixel_service.domain.rights import (
    AddressChange,
    ChangeId,
    RequestId,
    RightsRequest,
    RightsRequestKind,
    one_month_after,
)

BERLIN = "Europe/Berlin"


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(BERLIN)).astimezone(UTC)


@pytest.mark.parametrize(
    "asked,due",
    [
        ("2026-11-22T09:15", "2026-12-22T09:15"),
        ("2026-12-15T09:15", "2027-01-15T09:15"),
        # Shorter months end it on their last day, leap years a day later.
        ("2027-01-31T09:15", "2027-02-28T09:15"),
        ("2028-01-31T09:15", "2028-02-29T09:15"),
        ("2026-05-31T09:15", "2026-06-30T09:15"),
        # It is the first of the month in Berlin, not yet so in UTC.
        ("2027-02-01T00:30", "2027-03-01T00:30"),
        # The hour stays what it is on the wall when summer time begins or ends in between.
        ("2027-03-01T09:15", "2027-04-01T09:15"),
        ("2026-10-01T09:15", "2026-11-01T09:15"),
    ],
)
def test_one_month_later_is_the_same_day_of_the_next_month(asked: str, due: str) -> None:
    assert one_month_after(local(asked), BERLIN) == local(due)


@given(strategies.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2060, 1, 1)))  # noqa: DTZ001  made aware below
def test_the_answer_is_due_after_four_weeks_to_a_month_and_never_later(asked: datetime) -> None:
    due = one_month_after(asked.replace(tzinfo=UTC), BERLIN)
    # An hour more or less where summer time begins or ends.
    assert timedelta(days=28, hours=-1) <= due - asked.replace(tzinfo=UTC) <= timedelta(days=31, hours=1)
    assert due.tzinfo is UTC


def test_a_request_is_overdue_after_its_month_and_never_once_it_is_done() -> None:
    asked = datetime(2026, 11, 22, tzinfo=UTC)
    request = RightsRequest(
        request_id=RequestId("a"),
        subscriber_id=SubscriberId("b"),
        kind=RightsRequestKind.ACCESS,
        source="operator",
        asked_at=asked,
        due_at=one_month_after(asked, BERLIN),
        done_at=None,
        note="",
    )
    assert not request.is_overdue(request.due_at)
    late = request.due_at + timedelta(seconds=1)
    assert request.is_overdue(late)
    assert not replace(request, done_at=late).is_overdue(late)


def test_a_new_address_waits_until_it_is_confirmed_or_its_time_is_over() -> None:
    asked_at = local("2026-11-22T09:15")
    change = AddressChange(
        change_id=ChangeId("c"),
        subscriber_id=SubscriberId("anna"),
        address="anna.new@example.com",
        previous_address="anna@example.com",
        asked_at=asked_at,
        expires_at=asked_at + timedelta(days=2),
    )
    assert change.is_waiting(asked_at)
    assert not change.is_waiting(change.expires_at)
    assert not replace(change, confirmed_at=asked_at).is_waiting(asked_at)
