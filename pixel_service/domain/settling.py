"""What becomes of a fetch once its message is known: the final verdict, repeats, sessions, the cap, the message's standing.

Pure, so that the storing transaction can ask here with what it has locked. A message's standing only rises: later human
evidence outweighs a machine, never the other way. Times are compared in whole seconds since 1970, as SQL on both databases
can do too. Not here: which request looks like what (`user_agents`, `networks`), and whether an open may be stored.

What is made for every open is a named tuple: a frozen dataclass costs three times as much.
"""

from bisect import bisect, insort
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from itertools import pairwise
from operator import attrgetter
from typing import NamedTuple

from pixel_service.domain.figures import Group, Standing
from pixel_service.domain.opens import LIKELY_HUMAN, MACHINE, Fetch, Judgement, Network, Verdict

#: Stored with each open; an older period keeps the verdicts of its rules.
RULES_VERSION = 1

# Seconds.
#: After acceptance: nobody reads that fast, a scanner does.
EARLY = 10
#: After acceptance: how long a network that only probably scans is taken for a scanner.
GATEWAY = 600
#: Fetches of one mail program closer than this are one: Yahoo's proxy asks up to four times at once.
REPEAT = 60
#: Silence after which a human open begins a new session.
SESSION = 1800

#: Rows per message. The last place is kept for human evidence.
MAX_ROWS = 50


class Sort(NamedTuple):
    """What follows from a judgement alone, in plain strings: the hash of an enum's member is a call."""

    judgement: Judgement
    #: Verdict, reason and client family, as they are stored.
    columns: tuple[str, str, str]
    #: Of `Standing`, best first: 0 is human.
    rank: int
    group: str
    #: "standing/client family"; fetches of one pair within `REPEAT` are one.
    pair: str
    #: "verdict/reason/client family".
    name: str


@cache
def sort_of(judgement: Judgement) -> Sort:
    """There are some dozens of judgements."""
    columns = judgement.verdict.value, judgement.reason, judgement.client_family
    group, standing = _group_and_standing(judgement)
    pair = f"{standing}/{judgement.client_family}"
    return Sort(judgement, columns, _RANKED.index(standing), group.value, pair, "/".join(columns))


_RANKED = tuple(Standing)
_HUMAN = f"{Standing.HUMAN}/"


def _group_and_standing(judgement: Judgement) -> tuple[Group, Standing]:
    if judgement.verdict in LIKELY_HUMAN:
        return Group.OPENS, Standing.HUMAN
    if judgement.verdict not in MACHINE:
        return Group.UNKNOWN, Standing.UNKNOWN
    return Group.MACHINE, Standing.MPP if judgement.reason == "apple_mpp" else Standing.MACHINE


class Letter(NamedTuple):
    """Of the mail a fetch belongs to, in seconds since 1970; None: not known."""

    accepted: int | None
    #: When it was handed over at the latest.
    handed_over: int | None


class Seen(NamedTuple):
    """What is known of a message with at least one row; all of it follows from the rows, see `seen_in`."""

    standing: Standing
    sessions: int
    first_human_at: datetime | None
    #: Pair -> seconds of its rows, ascending.
    times: Mapping[str, Sequence[int]]


class Row(NamedTuple):
    """A fetch that becomes a row, under its final judgement."""

    fetch: Fetch
    sort: Sort
    second: int


class Settled(NamedTuple):
    #: None when the message still has no row.
    seen: Seen | None
    rows: Sequence[Row]
    repeats: int
    over_limit: int


def seconds(at: datetime) -> int:
    return int(at.timestamp())


# --- the verdict ------------------------------------------------------------------------------------------------------


def final(fetch: Fetch, letter: Letter, second: int) -> Judgement:
    """A machine that gave itself away stays one. An image proxy may be fast: it fetches when a person looks."""
    judgement = fetch.judgement
    if judgement.verdict in _SETTLED:
        return judgement
    proxy = judgement.verdict is Verdict.PROXY_OPEN
    since = letter.accepted
    if since is None:
        since = letter.handed_over
        if since is not None and proxy:
            return judgement  # its provider has the mail: it was accepted, and that will be recorded
    if since is None or second < since + (0 if proxy else EARLY):
        return _early(judgement.client_family)
    if proxy or fetch.network is Network.ELSEWHERE:
        return judgement
    if fetch.network is Network.SCANNER:
        return _scanner("network", judgement.client_family)
    return _scanner("gateway", judgement.client_family) if second < since + GATEWAY else judgement


_SETTLED = MACHINE | {Verdict.PREVIEW}


@cache
def _early(family: str) -> Judgement:
    return Judgement(Verdict.PREFETCH, "early", family)


@cache
def _scanner(reason: str, family: str) -> Judgement:
    return Judgement(Verdict.SCANNER, reason, family)


# --- the message ------------------------------------------------------------------------------------------------------


def settle(seen: Seen | None, letter: Letter, fetches: Sequence[Fetch]) -> Settled:
    """All fetches of one message that came together, whatever their order."""
    if seen is None and len(fetches) == 1:
        return _settle_first(letter, fetches[0])
    known = _Known(seen)
    rows: list[Row] = []
    repeats = over_limit = 0
    for fetch in sorted(fetches, key=_at) if len(fetches) > 1 else fetches:
        second = seconds(fetch.at)
        sort = sort_of(final(fetch, letter, second))
        if known.has_near(sort.pair, second):
            repeats += 1
        elif known.is_full(sort.rank):
            over_limit += 1
        else:
            known.add(sort, second, fetch.at)
            rows.append(Row(fetch, sort, second))
    return Settled(known.seen() if rows else seen, rows, repeats, over_limit)


def _settle_first(letter: Letter, fetch: Fetch) -> Settled:
    """The same, in a fifth of the time: most opens are the first of their message, and alone."""
    second = seconds(fetch.at)
    sort = sort_of(final(fetch, letter, second))
    times = {sort.pair: [second]}
    seen = Seen(_RANKED[sort.rank], 0, None, times) if sort.rank else Seen(_RANKED[0], 1, fetch.at, times)
    return Settled(seen, (Row(fetch, sort, second),), 0, 0)


def seen_in(rows: Iterable[tuple[datetime, Judgement]]) -> Seen | None:
    """From all rows of a message, in any order. None where there is none."""
    known = _Known(None)
    for at, judgement in rows:
        known.add(sort_of(judgement), seconds(at), at)
    return known.seen() if known.rows else None


_at = attrgetter("at")


class _Known:
    """A `Seen` while rows are added to it."""

    __slots__ = ("first_human_at", "rank", "rows", "sessions", "times")

    def __init__(self, seen: Seen | None) -> None:
        self.rank, self.sessions, self.rows = len(_RANKED), 0, 0
        self.first_human_at: datetime | None = None
        self.times: dict[str, list[int]] = {}
        if seen is not None:
            self.rank, self.sessions = _RANKED.index(seen.standing), seen.sessions
            self.first_human_at = seen.first_human_at
            self.times = {pair: list(times) for pair, times in seen.times.items()}
            self.rows = sum([len(times) for times in self.times.values()])

    def seen(self) -> Seen:
        return Seen(_RANKED[self.rank], self.sessions, self.first_human_at, self.times)

    def has_near(self, pair: str, second: int) -> bool:
        times = self.times.get(pair)
        if times is None:
            return False
        place = bisect(times, second)
        if place and second - times[place - 1] < REPEAT:
            return True
        # One that comes late may be just before another.
        return place < len(times) and times[place] - second < REPEAT

    def is_full(self, rank: int) -> bool:
        """As long as nothing human is there, the last place waits for it."""
        return self.rows >= (MAX_ROWS if 0 in (rank, self.rank) else MAX_ROWS - 1)

    def add(self, sort: Sort, second: int, at: datetime) -> None:
        self.rows += 1
        self.rank = min(self.rank, sort.rank)
        insort(self.times.setdefault(sort.pair, []), second)
        if sort.rank:
            return
        if self.first_human_at is None:
            self.first_human_at, self.sessions = at, 1
            return
        self.first_human_at = min(self.first_human_at, at)
        # Counted anew: one that comes late may close the gap between two others.
        human = sorted([time for pair, times in self.times.items() if pair.startswith(_HUMAN) for time in times])
        self.sessions = 1 + sum([later - earlier >= SESSION for earlier, later in pairwise(human)])
