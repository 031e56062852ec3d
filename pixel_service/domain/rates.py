"""How sure a share is: Wilson's interval around one, Newcombe's around the difference of two (O1).

Both are two-sided 95 % intervals for chance alone: that people are like those who were counted. What no mail program
tells (images switched off, a scanner that poses as a person) is in neither.
"""

from dataclasses import dataclass
from math import sqrt

#: Below this base a share says more about chance than about the mailing.
SMALLEST_BASE = 30
#: Two-sided 95 % of the normal distribution.
_Z = 1.959963984540054


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """`count` of `base` as a share, 0 to 1, between the ends of its interval."""

    value: float
    low: float
    high: float
    count: int
    base: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One share less another, -1 to 1; the interval holds 0 where chance alone may explain it."""

    value: float
    low: float
    high: float


def rate(count: int, base: int) -> Rate | None:
    """None below `SMALLEST_BASE`. Wilson's score interval: unlike the textbook one it stays between 0 and 1 and is right
    near both."""
    if base < SMALLEST_BASE:
        return None
    share = count / base
    stretch = 1 + _Z**2 / base
    middle = (share + _Z**2 / (2 * base)) / stretch
    reach = _Z * sqrt(share * (1 - share) / base + _Z**2 / (4 * base**2)) / stretch
    # The bounds of none and of all are exact, and would be missed by a rounding error.
    low, high = (0.0 if count == 0 else middle - reach), (1.0 if count == base else middle + reach)
    return Rate(value=share, low=low, high=high, count=count, base=base)


def difference(one: Rate | None, other: Rate | None) -> Difference | None:
    """`one` less `other`, by Newcombe's hybrid score method (Statistics in Medicine 17 (1998) 873, method 10)."""
    if one is None or other is None:
        return None
    value = one.value - other.value
    down = sqrt((one.value - one.low) ** 2 + (other.high - other.value) ** 2)
    up = sqrt((one.high - one.value) ** 2 + (other.value - other.low) ** 2)
    return Difference(value=value, low=value - down, high=value + up)
