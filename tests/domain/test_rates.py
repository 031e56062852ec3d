"""How sure a share is, and the difference of two."""

import pytest
from hypothesis import given, strategies as st

from pixel_service.domain.rates import Rate, difference, rate


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


def _of(count: int, base: int) -> Rate:
    found = rate(count, base)
    assert found is not None
    return found


@pytest.mark.parametrize(
    "one, other, value, low, high",
    [
        # Newcombe, Statistics in Medicine 17 (1998) 873, table II, method 10.
        ((56, 70), (48, 80), 0.2, 0.0524, 0.3339),
        # Both Wilson intervals reach 0.1135 inwards; nothing lies beyond 1.
        ((30, 30), (0, 30), 1.0, 1 - 2**0.5 * 0.1135, 1.0),
    ],
)
def test_a_difference_stands_between_the_ends_of_newcombes_interval(
    one: tuple[int, int], other: tuple[int, int], value: float, low: float, high: float
) -> None:
    found = difference(_of(*one), _of(*other))
    assert found is not None
    assert [found.value, found.low, found.high] == pytest.approx([value, low, high], abs=5e-4)


def test_without_both_shares_there_is_no_difference() -> None:
    assert difference(None, _of(3, 30)) is None
    assert difference(_of(3, 30), None) is None


def test_a_difference_of_nothing_holds_nothing() -> None:
    found = difference(_of(10, 50), _of(10, 50))
    assert found is not None
    assert found.low < found.value == 0 < found.high
