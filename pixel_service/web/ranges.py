"""Geometry of the horizontal drawings on the campaign page: shares with their intervals, bars, and the hours of the week.

As in `bars.py`, horizontal measures are percentages and vertical ones pixels; the stylesheet gives the colours.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pixel_service.domain.rates import Rate
from pixel_service.domain.timing import Cell

#: Ends of the axis that read well, in per cent.
_ENDS = (5, 10, 20, 25, 50, 75, 100)
#: Shades of the hours of the week, lightest 1.
SHADES = 5
#: Room for the names of the days, in per cent of the width.
GUTTER = 9.0
ROW, GAP, HEAD = 24, 2, 20
_COLUMN = (100 - GUTTER) / 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A share on its axis: all in per cent of the axis's length."""

    value: float
    low: float
    high: float
    width: float


def axis_end(rates: Iterable[Rate | None]) -> int:
    """The shortest axis, in per cent, that holds all intervals."""
    highest = max((rate.high * 100 for rate in rates if rate), default=0.0)
    return next(end for end in _ENDS if highest <= end or end == _ENDS[-1])


def span(rate: Rate | None, end: int) -> Span | None:
    """On an axis from 0 to `end` per cent."""
    if rate is None:
        return None
    value, low, high = (round(share * 10_000 / end, 2) for share in (rate.value, rate.low, rate.high))
    return Span(value=value, low=low, high=high, width=round(high - low, 2))


def lengths(counts: Sequence[int]) -> list[float]:
    """Bars for these counts, in per cent of the longest."""
    longest = max(counts, default=0)
    return [round(count * 100 / longest, 2) if longest else 0.0 for count in counts]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    cell: Cell
    x: float
    y: int
    width: float
    height: int
    #: 1 to `SHADES`.
    shade: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Caption:
    hour: int
    x: float
    #: On wide screens only.
    wide: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Week:
    height: int
    gutter: float
    #: The middle of each day's row, Monday first.
    rows: tuple[int, ...]
    tiles: tuple[Tile, ...]
    captions: tuple[Caption, ...]


def week(cells: Sequence[Cell]) -> Week:
    most = max((cell.opens for cell in cells), default=1)
    return Week(
        height=HEAD + 7 * ROW,
        gutter=GUTTER,
        rows=tuple(HEAD + day * ROW + ROW // 2 for day in range(7)),
        tiles=tuple(
            Tile(
                cell=cell,
                x=round(GUTTER + cell.hour * _COLUMN, 3),
                y=HEAD + (cell.weekday - 1) * ROW,
                width=round(_COLUMN * 0.92, 3),
                height=ROW - GAP,
                shade=-(-SHADES * cell.opens // most),
            )
            for cell in cells
        ),
        captions=tuple(
            Caption(hour=hour, x=round(GUTTER + hour * _COLUMN, 3), wide=hour % 6 != 0) for hour in range(0, 24, 3)
        ),
    )
