"""What a marketer is told about a campaign: counts, what they are counts of, and how sure a rate is (O1).

What must hold: every figure equals the sum of stored rows; a rate has those as its base who could be counted at all,
the messages sent with a pixel whose consent still stands. Withdrawn people are in no figure but `withdrawn_since`, those
who restricted the use of their data in none but `restricted`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from math import sqrt

from pixel_service.domain.consent import Purpose
from pixel_service.domain.messages import CampaignId

#: Below this many tracked messages a rate says more about chance than about the mailing.
SMALLEST_BASE = 30
#: Two-sided 95 % of the normal distribution.
_Z = 1.959963984540054

HOURLY_POINTS = 48
#: Later opens are counted in the last point.
MAX_POINTS = 100
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


class Group(StrEnum):
    """How verdicts are added up."""

    #: Human client and proxy opens: the floor.
    OPENS = "opens"
    #: Prefetch, scanner and bot.
    MACHINE = "machine"
    #: Everything else: shown, in no rate.
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Share of tracked messages with an open, 0 to 1, between the ends of its Wilson 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """All fetches from `starts_at` on, for `lasts`; the last point of a full timeline has no end."""

    starts_at: datetime
    lasts: timedelta
    opens: int
    machine: int
    unknown: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Opens by one family of mail programs; one message may be opened in several."""

    #: "" where the request did not tell.
    family: str
    unique: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One line of the list of campaigns."""

    campaign_id: CampaignId
    name: str
    purpose: Purpose
    created_at: datetime
    first_sent_at: datetime | None
    sent: int
    tracked: int
    unique_opens: int
    unique_machine_opens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignReport:
    campaign_id: CampaignId
    name: str
    purpose: Purpose
    created_at: datetime
    #: When the relay accepted the first message.
    first_sent_at: datetime | None
    #: Messages accepted by the relay: tracked + untracked + withdrawn_since + restricted.
    sent: int
    tracked: int
    untracked: int
    #: Sent with a pixel; the person withdrew later and their opens are erased.
    withdrawn_since: int
    #: Sent with a pixel; the person wants their opens kept and not used (GDPR Art. 18).
    restricted: int
    #: tracked / sent, 0 to 1; None when nothing was sent.
    coverage: float | None
    #: Messages with at least one open that counts, and all of their opens.
    unique_opens: int
    total_opens: int
    #: Messages a machine fetched, and its fetches. A message may have opens of several groups.
    unique_machine_opens: int
    total_machine_opens: int
    unique_unknown_opens: int
    total_unknown_opens: int
    #: unique_opens / tracked; None below `SMALLEST_BASE`.
    open_rate: Rate | None
    #: From the first acceptance on: hours for two days, then days; without the empty points at its end.
    timeline: tuple[Point, ...]
    #: Of `total_opens`, most first.
    clients: tuple[Client, ...]


def coverage(tracked: int, sent: int) -> float | None:
    return tracked / sent if sent else None


def open_rate(opened: int, tracked: int) -> Rate | None:
    """Wilson's score interval: unlike the textbook one it stays between 0 and 1 and is right near both."""
    if tracked < SMALLEST_BASE:
        return None
    share = opened / tracked
    stretch = 1 + _Z**2 / tracked
    middle = (share + _Z**2 / (2 * tracked)) / stretch
    reach = _Z * sqrt(share * (1 - share) / tracked + _Z**2 / (4 * tracked**2)) / stretch
    return Rate(value=share, low=max(0.0, middle - reach), high=min(1.0, middle + reach))


def timeline(started_at: datetime, hours: Iterable[tuple[int, Group, int]]) -> tuple[Point, ...]:
    """`hours` are full hours since `started_at`, a group, and how many; what came before the start is put at it."""
    counts: dict[int, dict[Group, int]] = {}
    for hour, group, count in hours:
        point = counts.setdefault(_point_of(hour), {})
        point[group] = point.get(group, 0) + count
    return tuple(_point(index, started_at, counts.get(index, {})) for index in range(max(counts, default=-1) + 1))


def _point_of(hour: int) -> int:
    if hour < HOURLY_POINTS:
        return max(hour, 0)
    return min(HOURLY_POINTS + (hour - HOURLY_POINTS) // 24, MAX_POINTS - 1)


def _point(index: int, started_at: datetime, counts: Mapping[Group, int]) -> Point:
    hourly = index < HOURLY_POINTS
    since = index * _HOUR if hourly else HOURLY_POINTS * _HOUR + (index - HOURLY_POINTS) * _DAY
    return Point(
        starts_at=started_at + since,
        lasts=_HOUR if hourly else _DAY,
        opens=counts.get(Group.OPENS, 0),
        machine=counts.get(Group.MACHINE, 0),
        unknown=counts.get(Group.UNKNOWN, 0),
    )
