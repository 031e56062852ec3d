"""How well response times tell kinds of requests apart, and how well they would by chance alone.

Two adversaries look at each pair of kinds. The first has one threshold: the largest distance D between the two cumulative
distributions (Kolmogorov-Smirnov); the best threshold is then right in (1 + D) / 2 of the cases (Youden). The second learns
from one half of the times, drawn by lot, which of 32 ranges belongs to which kind, and guesses the other half: it finds a
difference in shape too. The error of both comes from the same times with their labels shuffled.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

_RANGES = 32
#: Of the shuffles, by the best guess at any pair: what chance alone exceeds once in a hundred proofs.
_SHARE = 0.99
#: Places between two looks at the distance, which grows no more than by so many of all times meanwhile.
_EVERY = 8


@dataclass(frozen=True, slots=True)
class Told:
    one: str
    other: str
    #: Share of right guesses; 0.5 is a coin.
    threshold: float
    learned: float


@dataclass(frozen=True, slots=True)
class Comparison:
    pairs: Sequence[Told]
    #: The best guess at any of the pairs that chance alone makes.
    threshold_by_chance: float
    learned_by_chance: float

    @property
    def is_like_chance(self) -> bool:
        return all(
            one.threshold <= self.threshold_by_chance and one.learned <= self.learned_by_chance for one in self.pairs
        )


def compare(times: Mapping[str, Sequence[float]], chance: random.Random, *, shuffles: int) -> Comparison:
    kinds = sorted(times)
    ordered = sorted((took, number) for number, kind in enumerate(kinds) for took in times[kind])
    labels = [number for _, number in ordered]
    # A threshold can not stand between two equal times.
    ends = [place for place in range(_EVERY, len(ordered) - 1, _EVERY) if ordered[place - 1][0] != ordered[place][0]]
    thresholds, learned = _thresholds(labels, ends, len(kinds)), _learned(labels, len(kinds), chance)
    by_threshold, by_learning = [], []
    for _ in range(shuffles):
        chance.shuffle(labels)
        by_threshold.append(max(_thresholds(labels, ends, len(kinds)).values()))
        by_learning.append(max(_learned(labels, len(kinds), chance).values()))
    pairs = [Told(kinds[one], kinds[other], thresholds[one, other], learned[one, other]) for one, other in thresholds]
    return Comparison(pairs, _quantile(by_threshold), _quantile(by_learning))


def _quantile(values: list[float]) -> float:
    return sorted(values)[min(int(_SHARE * len(values)), len(values) - 1)]


def _thresholds(labels: Sequence[int], ends: Sequence[int], kinds: int) -> dict[tuple[int, int], float]:
    """`labels` in the order of time; a threshold may stand before each place of `ends`."""
    totals = [labels.count(kind) for kind in range(kinds)]
    seen, last = [0] * kinds, 0
    best = dict.fromkeys(combinations(range(kinds), 2), 0.5)
    for end in ends:
        part = labels[last:end]
        last = end
        for kind in range(kinds):
            seen[kind] += part.count(kind)
        for one, other in best:
            distance = abs(seen[one] / totals[one] - seen[other] / totals[other])
            best[one, other] = max(best[one, other], (1 + distance) / 2)
    return best


def _learned(labels: Sequence[int], kinds: int, chance: random.Random) -> dict[tuple[int, int], float]:
    size = len(labels)
    #: Half, range, kind.
    counts = [[[0] * kinds for _ in range(_RANGES)] for _ in range(2)]
    for place, label in enumerate(labels):
        counts[chance.random() < 0.5][place * _RANGES // size][label] += 1
    totals = [[sum(part[kind] for part in half) or 1 for kind in range(kinds)] for half in counts]
    found = {}
    for one, other in combinations(range(kinds), 2):
        right = 0.0
        for known, asked in zip(*counts, strict=True):
            is_one = known[one] / totals[0][one] > known[other] / totals[0][other]
            right += asked[one] / totals[1][one] if is_one else asked[other] / totals[1][other]
        found[one, other] = right / 2
    return found
