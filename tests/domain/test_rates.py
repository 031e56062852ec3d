"""How sure a share is, and the difference of two groups."""

import random

import pytest
from hypothesis import given, strategies as st

from pixel_service.domain.rates import Difference, difference, rate


@pytest.mark.parametrize(
    "count, base, low, high",
    [
        # The first two: Newcombe, Statistics in Medicine 17 (1998) 857, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (1, 29 + 1, 0.0059, 0.1667),
        (0, 30, 0.0, 0.1135),
        (30, 30, 0.8865, 1.0),
    ],
)
def test_a_share_stands_between_the_ends_of_its_wilson_interval(count: int, base: int, low: float, high: float) -> None:
    found = rate(count, base)
    assert found is not None
    assert (found.value, found.count, found.base) == (count / base, count, base)
    assert [found.low, found.high] == pytest.approx([low, high], abs=5e-5)


@given(base=st.integers(30, 10**7), data=st.data())
def test_an_interval_holds_its_share_and_stays_between_nothing_and_all(base: int, data: st.DataObject) -> None:
    found = rate(data.draw(st.integers(0, base)), base)
    assert found is not None
    assert 0 <= found.low <= found.value <= found.high <= 1


@pytest.mark.parametrize("base", [0, 1, 29])
def test_a_small_base_has_no_share(base: int) -> None:
    assert rate(base, base) is None


def test_thirty_are_a_base() -> None:
    assert rate(0, 30) is not None


def test_a_difference_stands_between_the_ends_of_welchs_interval() -> None:
    """Values and 17 degrees of freedom as R's t.test(extra ~ group, data = sleep) says them: 17.776, -3.3654832 to 0.2054832;
    17 instead of 17.776 is a little wider."""
    ones = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
    others = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    found = difference(ones, others)
    assert found is not None
    assert [found.value, found.low, found.high] == pytest.approx([-1.58, -3.3654832, 0.2054832], abs=0.01)
    assert found.low < -3.3654832
    assert found.high > 0.2054832


@pytest.mark.parametrize("few", [[], [0.1], [0.1, 0.2]])
def test_below_three_mailings_there_is_no_difference(few: list[float]) -> None:
    assert difference(few, [0.1, 0.2, 0.3]) is None
    assert difference([0.1, 0.2, 0.3], few) is None


def test_a_difference_of_nothing_holds_nothing() -> None:
    found = difference([0.2, 0.3, 0.4], [0.2, 0.3, 0.4])
    assert found is not None
    assert found.low < found.value == 0 < found.high
    assert difference([0.5] * 3, [0.25] * 3) == Difference(value=0.25, low=0.25, high=0.25)


def test_topics_without_effect_show_none_in_nineteen_of_twenty_cases() -> None:
    """Mailings differ by 4 points; were their readers put into one pot, more than half of the intervals would not hold 0."""
    chance = random.Random(7)

    def mailings() -> list[float]:
        return [chance.gauss(0.3, 0.04) + chance.gauss(0, (0.21 / 2000) ** 0.5) for _ in range(10)]

    found = [difference(mailings(), mailings()) for _ in range(1000)]
    missed = sum(one is not None and not one.low <= 0 <= one.high for one in found)
    assert missed <= 65
