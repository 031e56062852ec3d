"""Geometry of the bar chart on the campaign page.

Horizontal measures are percentages, vertical ones pixels: the drawing then fits every width without
scaling its text, and needs neither a script nor a style attribute, which the page's policy forbids.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

HEIGHT, TOP, FOOT = 240, 12, 28
#: Room for the figures of the axis, in per cent of the width.
GUTTER = 8.0
#: How many captions fit under the bars on a desk and on a phone.
CAPTIONS, PHONE_CAPTIONS = 12, 4
_FLOOR = HEIGHT - FOOT
#: A lone bar as wide as the chart would not read as one.
_WIDEST = 9.0


class TimelinePoint(TypedDict):
    """One step of time: images loaded by people's mail programs, and by machines, apart."""

    label: str
    opens: int
    machine: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One stacked bar; `opens` stand on the axis, `machine` on top of them."""

    label: str
    #: left edge, width and centre in per cent
    x: float
    width: float
    centre: float
    #: top and height in pixels
    opens_y: float
    opens_height: float
    machine_y: float
    machine_height: float
    #: "" always shown, "wide" on wide screens only, "none" never
    caption: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    height: int
    floor: int
    gutter: float
    bars: tuple[Bar, ...]
    #: (height in pixels, figure) of each grid line
    ticks: tuple[tuple[float, int], ...]


def chart(timeline: Sequence[TimelinePoint]) -> Chart:
    """The drawing for a timeline; without any count the axis still ends at a round figure."""
    highest = max((point["opens"] + point["machine"] for point in timeline), default=0)
    ceiling, step = _scale(highest)
    slot = (100 - GUTTER) / max(len(timeline), 1)
    return Chart(
        height=HEIGHT,
        floor=_FLOOR,
        gutter=GUTTER,
        bars=tuple(_bar(index, point, slot, ceiling) for index, point in enumerate(timeline)),
        ticks=tuple((round(_FLOOR - _pixels(figure, ceiling), 1), figure) for figure in range(0, ceiling + 1, step)),
    )


def _bar(index: int, point: TimelinePoint, slot: float, ceiling: int) -> Bar:
    opens, machine = _pixels(point["opens"], ceiling), _pixels(point["machine"], ceiling)
    centre, width = GUTTER + (index + 0.5) * slot, min(slot * 0.72, _WIDEST)
    return Bar(
        label=point["label"],
        x=round(centre - width / 2, 3),
        width=round(width, 3),
        centre=round(centre, 3),
        opens_y=round(_FLOOR - opens, 1),
        opens_height=round(opens, 1),
        machine_y=round(_FLOOR - opens - machine, 1),
        machine_height=round(machine, 1),
        caption=_caption(index, slot),
    )


def _caption(index: int, slot: float) -> str:
    bars = round((100 - GUTTER) / slot)
    every = -(-bars // CAPTIONS)
    # A multiple, or the captions of one screen would stand on those of the other.
    phone = every * -(-bars // (PHONE_CAPTIONS * every))
    if index % phone == 0:
        return ""
    return "wide" if index % every == 0 else "none"


def _pixels(figure: int, ceiling: int) -> float:
    return figure / ceiling * (_FLOOR - TOP)


def _scale(highest: int) -> tuple[int, int]:
    """A round ceiling at or above the highest figure, and the step of its three to five grid lines."""
    unit = 1
    while True:
        for step in (unit, 2 * unit, 5 * unit):
            if highest <= 4 * step:
                return max(-(-highest // step), 2) * step, step
        unit *= 10
