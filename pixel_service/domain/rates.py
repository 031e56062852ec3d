"""How sure a share is: Wilson's interval around one; and the difference of two groups of mailings: Welch's (O1).

Both are two-sided 95 % intervals for chance alone: that people, or mailings, are like those that were counted. What no mail
program tells (images switched off, a scanner that poses as a person) is in neither.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, variance

#: Below this base a share says more about chance than about the mailing.
SMALLEST_BASE = 30
#: Mailings of a group, for a difference: fewer say nothing of how mailings differ anyway.
FEWEST = 3
#: Two-sided 95 % of the normal distribution.
_Z = 1.959963984540054
#: Of Student's, by degrees of freedom from 1.
_T = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)


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
    """Mean share of some mailings less that of others; the interval holds 0 where chance alone may explain it."""

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


def difference(ones: Sequence[float], others: Sequence[float]) -> Difference | None:
    """Mean of `ones` less mean of `others`, with Welch's t interval; None below `FEWEST` on either side."""
    if min(len(ones), len(others)) < FEWEST:
        return None
    value = fmean(ones) - fmean(others)
    parts = [variance(each) / len(each) for each in (ones, others)]
    reach = _t(parts, (len(ones), len(others))) * sqrt(sum(parts))
    return Difference(value=value, low=value - reach, high=value + reach)


def _t(parts: Sequence[float], numbers: Sequence[int]) -> float:
    """At Welch's and Satterthwaite's degrees of freedom, rounded down; above 30 of them as at 30, a little too wide."""
    squares = sum(part**2 / (number - 1) for part, number in zip(parts, numbers, strict=True))
    freedom = int(sum(parts) ** 2 / squares) if squares else min(numbers) - 1
    return _T[min(freedom, len(_T)) - 1]
