"""When images were loaded: over time, at which hour of the week, and how old a mailing was by then (O2).

Figures are kept by full hours since 1970 in UTC ("hour" below): finer ones would tell single people apart. The age of a
mailing therefore counts from the beginning of the hour of its first acceptance.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache

from pixel_service.domain.figures import DELAYS, SECONDS_PER_HOUR, Group

HOURLY_POINTS = 48
#: Later opens are counted in the last point.
MAX_POINTS = 100
#: Below this many opens an hour of the week says more about chance, or about single people, than about habits.
SMALLEST_CELL = 20
#: The newest days lack the opens that are still to come.
LEFT_OUT = timedelta(days=3)
#: 97 % of all opens come within this time.
SETTLED_AFTER = timedelta(days=7)
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """All fetches from `starts_at` on, for `lasts`; the last point of a full timeline has no end."""

    starts_at: datetime
    lasts: timedelta
    opens: int
    machine: int
    unknown: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """Opens in one hour of the week."""

    #: 1 is Monday, 7 Sunday; 0 to 23; both where the company is.
    weekday: int
    hour: int
    opens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay:
    """Messages whose first open came so long after their acceptance."""

    #: See `DELAYS`.
    name: str
    #: The end of the bucket, which is not in it; the last has none.
    ends_after: timedelta | None
    messages: int


def hour_of(at: datetime) -> int:
    return int(at.timestamp()) // SECONDS_PER_HOUR


def start_of(hour: int) -> datetime:
    return datetime.fromtimestamp(hour * SECONDS_PER_HOUR, UTC)


def is_young(first_sent_at: datetime | None, now: datetime) -> bool:
    """Whether noticeably many opens are still to come."""
    return first_sent_at is None or now - first_sent_at < SETTLED_AFTER


def timeline(start: int, counts: Iterable[tuple[int, Group, int]]) -> tuple[Point, ...]:
    """`counts` are an hour, a group, and how many; what came before the hour `start` is put at it."""
    points: defaultdict[int, Counter[Group]] = defaultdict(Counter)
    for hour, group, count in counts:
        points[_point_of(hour - start)][group] += count
    return tuple(_point(index, start, points.get(index, Counter())) for index in range(max(points, default=-1) + 1))


def _point_of(age: int) -> int:
    if age < HOURLY_POINTS:
        return max(age, 0)
    return min(HOURLY_POINTS + (age - HOURLY_POINTS) // 24, MAX_POINTS - 1)


def _point(index: int, start: int, counts: Mapping[Group, int]) -> Point:
    hourly = index < HOURLY_POINTS
    since = index * _HOUR if hourly else HOURLY_POINTS * _HOUR + (index - HOURLY_POINTS) * _DAY
    return Point(
        starts_at=start_of(start) + since,
        lasts=_HOUR if hourly else _DAY,
        opens=counts[Group.OPENS],
        machine=counts[Group.MACHINE],
        unknown=counts[Group.UNKNOWN],
    )


@lru_cache(maxsize=20_000)
def _weekday_and_hour(hour: int, zone: tzinfo) -> tuple[int, int]:
    """Remembered, two years of hours: half a year takes 5 ms to convert."""
    local = start_of(hour).astimezone(zone)
    return local.isoweekday(), local.hour


def best_hours(opens: Iterable[tuple[int, int]], *, now: datetime, zone: tzinfo) -> tuple[Cell, ...]:
    """The hours of the week with at least `SMALLEST_CELL` opens, by weekday and hour; `opens` are an hour and how many."""
    last = hour_of(now - LEFT_OUT)
    cells: Counter[tuple[int, int]] = Counter()
    for hour, count in opens:
        if hour < last:
            cells[_weekday_and_hour(hour, zone)] += count
    return tuple(
        Cell(weekday=weekday, hour=hour, opens=count)
        for (weekday, hour), count in sorted(cells.items())
        if count >= SMALLEST_CELL
    )


def age_of_share(first_opens: Mapping[int, int], start: int, share: float) -> timedelta | None:
    """The age, in full hours, by which this share of the first opens known so far was in; None without any."""
    due, reached = share * sum(first_opens.values()), 0
    for hour in sorted(first_opens):
        reached += first_opens[hour]
        if reached >= due:
            return max(hour - start + 1, 1) * _HOUR
    return None


def time_to_open(messages: Mapping[str, int]) -> tuple[Delay, ...]:
    """Every bucket, shortest first; `messages` are by its name."""
    return tuple(
        Delay(name=name, ends_after=None if end is None else timedelta(seconds=end), messages=messages.get(name, 0))
        for name, end in DELAYS.items()
    )


def median_delay(messages: Mapping[str, int]) -> str | None:
    """The bucket that holds the middle message (the earlier one of two); None without any."""
    middle, reached = (sum(messages.values()) + 1) // 2, 0
    for name in DELAYS:
        reached += messages.get(name, 0)
        if 0 < middle <= reached:
            return name
    return None
