"""What is added up per campaign: the words of the table that every report is made of (O1, DESIGN rule 13).

A figure is (campaign, kind, name, hour) and an amount. Every kind but `MESSAGE` counts tracked messages only, so withdrawn
and restricted people are in none of them. A new kind is counted in `storage.figures.figures_of`, added up in `tally`, and
read in `reports.figures_in`.
"""

from bisect import bisect
from collections.abc import Mapping
from enum import StrEnum


class Group(StrEnum):
    """How verdicts are added up."""

    #: Human client and proxy opens: the floor.
    OPENS = "opens"
    #: Prefetch, scanner and bot.
    MACHINE = "machine"
    #: Everything else: shown, in no rate.
    UNKNOWN = "unknown"


class Standing(StrEnum):
    """What is believed of a message by the best of its rows; best first."""

    HUMAN = "human"
    #: Apple's privacy protection fetched it: opened or not, nobody can tell.
    MPP = "mpp"
    UNKNOWN = "unknown"
    MACHINE = "machine"


class Kind(StrEnum):
    """What is counted; below, `name` of each. `hour` is in whole hours since 1970, UTC, and 0 unless it is told here."""

    #: Messages that are out (accepted by the relay, or opened), by `Tracking`.
    MESSAGE = "message"
    #: Messages with a row, by `Standing`.
    STANDING = "standing"
    #: Rows, by `Group` and the hour of the open.
    OPENS = "opens"
    #: Rows, by "verdict/reason/client family".
    VERDICT = "verdict"
    #: Messages with a row of a `Group`.
    UNIQUE = "unique"
    #: Messages with a human row of a client family.
    CLIENT = "client"
    #: Messages, by the hour of their first human open; the name is empty.
    FIRST = "first"
    #: Messages, by the time from acceptance to their first human open, see `DELAYS`; where both are known.
    DELAY = "delay"
    #: Human sessions; the name is empty.
    SESSION = "session"


#: Names of `Kind.DELAY`, shortest first, each with its end in seconds (which is not in it); the last has none.
DELAYS: Mapping[str, int | None] = {
    "1m": 60,
    "10m": 600,
    "1h": 3600,
    "6h": 6 * 3600,
    "1d": 24 * 3600,
    "3d": 3 * 24 * 3600,
    "7d": 7 * 24 * 3600,
    "30d": 30 * 24 * 3600,
    "later": None,
}
SECONDS_PER_HOUR = 3600


_NAMES = tuple(DELAYS)
_ENDS = [end for end in DELAYS.values() if end is not None]


def delay_name(seconds: int) -> str:
    return _NAMES[bisect(_ENDS, seconds)]
