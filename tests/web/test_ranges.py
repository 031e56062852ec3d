"""The measures of the drawings on the campaign page."""

import pytest

from pixel_service.domain.rates import Rate, rate
from pixel_service.domain.timing import Cell
from pixel_service.web.bars import CAPTIONS, PHONE_CAPTIONS, chart
from pixel_service.web.ranges import SHADES, axis_end, lengths, span, week


def of(value: float, low: float, high: float) -> Rate:
    return Rate(value=value, low=low, high=high, count=0, base=0)


@pytest.mark.parametrize(
    "highest, end", [(0.0, 5), (0.05, 5), (0.051, 10), (0.2, 20), (0.3, 50), (0.74, 75), (0.751, 100), (1.0, 100)]
)
def test_an_axis_is_as_long_as_its_intervals_need(highest: float, end: int) -> None:
    assert axis_end([of(0.01, 0.0, 0.02), None, of(highest, 0.0, highest)] if highest else [None]) == end


def test_a_share_lies_where_it_belongs_on_its_axis() -> None:
    drawn = span(of(0.3, 0.25, 0.4), 50)
    assert drawn is not None
    assert (drawn.value, drawn.low, drawn.high, drawn.width) == (60, 50, 80, 30)


def test_what_has_no_share_is_not_drawn() -> None:
    assert span(None, 50) is None
    assert span(rate(5, 29), 50) is None


def test_bars_are_as_long_as_their_counts() -> None:
    assert lengths([5, 20, 0]) == [25, 100, 0]
    assert lengths([0, 0]) == [0, 0]
    assert lengths([]) == []


def test_every_hour_of_the_week_has_its_place_and_shade() -> None:
    cells = [Cell(weekday=1, hour=0, opens=20), Cell(weekday=1, hour=1, opens=100), Cell(weekday=7, hour=23, opens=61)]
    drawn = week(cells)
    first, second, last = drawn.tiles
    assert first.x == drawn.gutter
    assert first.x + first.width < second.x
    assert last.x + last.width <= 100
    assert last.y + last.height <= drawn.height
    assert [tile.shade for tile in drawn.tiles] == [1, SHADES, 4]
    assert len(drawn.rows) == 7
    assert all(tile.y < drawn.rows[tile.cell.weekday - 1] < tile.y + tile.height for tile in drawn.tiles)


def test_a_week_without_opens_has_days_and_hours() -> None:
    drawn = week([])
    assert (drawn.tiles, [caption.hour for caption in drawn.captions]) == ((), [0, 3, 6, 9, 12, 15, 18, 21])
    assert [caption.hour for caption in drawn.captions if not caption.wide] == [0, 6, 12, 18]


@pytest.mark.parametrize("bars", [1, 5, 13, 49, 50, 55, 60, 99, 100])
def test_captions_of_the_time_line_keep_their_distance(bars: int) -> None:
    drawn = chart([{"label": str(n), "opens": 1, "machine": 0} for n in range(bars)]).bars
    shown = [index for index, bar in enumerate(drawn) if bar.caption != "none"]
    on_phones = [index for index, bar in enumerate(drawn) if bar.caption == ""]
    every = -(-bars // CAPTIONS)
    assert shown == list(range(0, bars, every))
    assert set(on_phones) <= set(shown)
    assert len(on_phones) <= PHONE_CAPTIONS
