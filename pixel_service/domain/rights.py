"""Which rights a person may use, and until when an answer is due (GDPR Art. 12-22). Pure.

What a right does to a consent is decided in `consent.py`, like every other event.
"""

import calendar
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NewType
from zoneinfo import ZoneInfo

from pixel_service.domain.messages import SubscriberId

RequestId = NewType("RequestId", str)
ChangeId = NewType("ChangeId", str)

#: Characters of a colleague's note.
MOST_NOTE = 500


#: Said to a colleague whose reason names an address.
NO_ADDRESS = "name no address here; the person is noted by number"


def names_address(reason: str) -> bool:
    """Reasons stay on record after the person is erased, so they must not name anybody."""
    return "@" in reason


class RightsRequestKind(StrEnum):
    ACCESS = "access"
    RECTIFICATION = "rectification"
    #: Mail goes to another address, which the person confirmed.
    NEW_ADDRESS = "new_address"
    ERASURE = "erasure"
    RESTRICTION = "restriction"
    #: The end of a restriction.
    LIFTING = "lifting"
    PORTABILITY = "portability"
    OBJECTION = "objection"
    WITHDRAWAL = "withdrawal"
    #: The opens so far, and nothing else.
    OPENS_ERASURE = "opens_erasure"


@dataclass(frozen=True, slots=True, kw_only=True)
class RightsRequest:
    """One use of a right, open until `done_at`."""

    request_id: RequestId
    subscriber_id: SubscriberId
    kind: RightsRequestKind
    #: How the person said it: a code of `usecases.withdraw.Source`.
    source: str
    asked_at: datetime
    due_at: datetime
    done_at: datetime | None
    note: str

    def is_overdue(self, now: datetime) -> bool:
        return self.done_at is None and self.due_at < now


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressChange:
    """A new address that a person asked for; it counts once its mailbox has confirmed it."""

    change_id: ChangeId
    subscriber_id: SubscriberId
    #: The new one, as mail goes there.
    address: str
    #: On record when it was asked for.
    previous_address: str
    asked_at: datetime
    expires_at: datetime
    confirmed_at: datetime | None = None

    def is_waiting(self, now: datetime) -> bool:
        return self.confirmed_at is None and now < self.expires_at


def one_month_after(asked_at: datetime, timezone: str) -> datetime:
    """The same day of the next month at the same hour, by the local calendar; its last day where the month is shorter
    (Art. 12(3), counted as in Regulation 1182/71 Art. 3). Aware UTC in and out."""
    local = asked_at.astimezone(ZoneInfo(timezone))
    year, month = (local.year + 1, 1) if local.month == 12 else (local.year, local.month + 1)
    day = min(local.day, calendar.monthrange(year, month)[1])
    return local.replace(year=year, month=month, day=day).astimezone(asked_at.tzinfo)
