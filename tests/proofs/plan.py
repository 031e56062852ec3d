"""What a round of interleavings does, from a seed alone: people with a mail each, their opens in the batches of recorders,
and what each of them says meanwhile. The same seed and number make the same round, in every process that asks.

One interleaving is one person's: the transactions that carry the opens (one to four, each with opens of others, some sent a
second time as after a commit whose answer got lost) run beside the transaction in which this person withdraws, objects,
restricts or deletes. Who else is in each of them is drawn anew for everybody, so that hardly two people share both.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TypeVar

from pixel_service.domain.messages import CampaignId, MessageId, PixelId, SubscriberId
from pixel_service.domain.opens import Fetch
from pixel_service.domain.tokens import encode_id
from tests.opened_mail import BOT, GMAIL, MPP, OUTLOOK, SCANNER, UNKNOWN

T = TypeVar("T")

SENT = datetime(2026, 11, 3, 9, 0, tzinfo=UTC)
AGREED = SENT - timedelta(days=1)
#: When the right is used, by the clock of the use cases: among the opens, so that their times alone decide nothing.
SAID = SENT + timedelta(hours=5)
CLOSES = SENT + timedelta(days=30)

_JUDGEMENTS = (GMAIL, GMAIL, OUTLOOK, OUTLOOK, MPP, MPP, SCANNER, BOT, UNKNOWN)
_MOST_IN_BATCH = 120
_MOST_LEAVE = 80
#: Share of a round within which what concerns one person is begun, before and after: so much of it runs at once.
_NEAR = 0.02


class Fate(StrEnum):
    STAYS = "stays"
    #: Many in one transaction, as when consent lapses.
    WITHDRAWS = "withdraws"
    #: Withdraws, and agrees again at once.
    RETURNS = "returns"
    #: From here on everybody alone, through the use case.
    WITHDRAWS_ALONE = "withdraws alone"
    OBJECTS = "objects"
    DELETES = "deletes"
    RESTRICTS = "restricts"
    LIFTS = "lifts"


#: Whose transactions cost as much as those of twenty others: so many of each in every round.
_EACH = 4
_ALONE = (Fate.WITHDRAWS_ALONE, Fate.OBJECTS, Fate.DELETES, Fate.RESTRICTS, Fate.LIFTS)
_SHARES = {Fate.WITHDRAWS: 80, Fate.RETURNS: 10, Fate.STAYS: 10}
TOGETHER = (Fate.WITHDRAWS, Fate.RETURNS)
#: Afterwards nothing of the person is left.
GONE = (Fate.WITHDRAWS, Fate.RETURNS, Fate.WITHDRAWS_ALONE, Fate.OBJECTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    subscriber_id: SubscriberId
    campaign_id: CampaignId
    message_id: MessageId
    pixel_id: PixelId
    fate: Fate


@dataclass(frozen=True, slots=True)
class Record:
    """One transaction of a recorder."""

    batch: Sequence[Fetch]


@dataclass(frozen=True, slots=True)
class Say:
    """One transaction, or two, of the same fate for all."""

    fate: Fate
    people: Sequence[Person]


Step = Record | Say
#: A step with its place in the round, 0 to 1.
_Turn = tuple[float, Step]


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    #: In the first, everybody leaves; the second has all fates.
    campaigns: tuple[CampaignId, CampaignId]
    people: Sequence[Person]
    #: In the order in which they are begun, several at once.
    steps: Sequence[Step]


def plan(seed: int, number: int, size: int) -> Round:
    chance = random.Random(f"{seed}/{number}")
    campaigns = CampaignId(_an_id(chance)), CampaignId(_an_id(chance))
    fates = _fates(chance, size)
    everybody = [_person(chance, campaigns[fate[0]], fate[1]) for fate in fates]
    turns = {one.pixel_id: chance.random() for one in everybody}
    records = _records(chance, turns)
    again = [(turn + _NEAR, step) for turn, step in chance.sample(records, len(records) // 10)]
    steps = [*records, *again, *_said(chance, everybody, turns)]
    return Round(campaigns=campaigns, people=everybody, steps=[step for _, step in sorted(steps, key=_turn)])


def _records(chance: random.Random, turns: Mapping[PixelId, float]) -> list[_Turn]:
    fetches = [
        (turn + chance.gauss(0, _NEAR), _fetch(chance, pixel_id, at))
        for pixel_id, turn in turns.items()
        for at in _times(chance)
    ]
    fetches += [(chance.random(), _fetch(chance, None, SENT)) for _ in range(len(fetches) // 20)]
    parts = _parts(chance, sorted(fetches, key=_turn), _MOST_IN_BATCH)
    return [(_middle(part), Record([fetch for _, fetch in part])) for part in parts]


def _said(chance: random.Random, everybody: Sequence[Person], turns: Mapping[PixelId, float]) -> Iterator[_Turn]:
    said = [(turns[one.pixel_id] + chance.gauss(0, _NEAR), one) for one in everybody]
    for fate in TOGETHER:
        leaving = sorted([(turn, one) for turn, one in said if one.fate is fate], key=_turn)
        for part in _parts(chance, leaving, _MOST_LEAVE):
            yield _middle(part), Say(fate, [one for _, one in part])
    for turn, one in said:
        if one.fate not in {*TOGETHER, Fate.STAYS}:
            yield turn, Say(one.fate, [one])


def _middle(part: Sequence[tuple[float, object]]) -> float:
    return part[len(part) // 2][0]


def _turn(step: tuple[float, object]) -> float:
    return step[0]


def _fates(chance: random.Random, size: int) -> list[tuple[int, Fate]]:
    """With the place of the campaign: half of the people in each."""
    of_second = [fate for fate in _ALONE for _ in range(_EACH)]
    of_second += chance.choices(list(_SHARES), list(_SHARES.values()), k=max(0, size // 2 - len(of_second)))
    return [(0, chance.choice(TOGETHER)) for _ in range(size // 2)] + [(1, fate) for fate in of_second]


def _person(chance: random.Random, campaign_id: CampaignId, fate: Fate) -> Person:
    return Person(
        subscriber_id=SubscriberId(_an_id(chance)),
        campaign_id=campaign_id,
        message_id=MessageId(_an_id(chance)),
        pixel_id=PixelId(_an_id(chance)),
        fate=fate,
    )


def _times(chance: random.Random) -> list[datetime]:
    """Near one another, so that repeats and sessions come up too."""
    first = SENT + timedelta(seconds=chance.randint(0, 36_000))
    return [first + timedelta(seconds=chance.choice((0, 20, 50, 2000))) for _ in range(chance.randint(1, 4))]


def _fetch(chance: random.Random, pixel_id: PixelId | None, at: datetime) -> Fetch:
    return Fetch(open_id=chance.randbytes(16), pixel_id=pixel_id, at=at, judgement=chance.choice(_JUDGEMENTS))


def _parts(chance: random.Random, everything: Sequence[T], most: int) -> list[list[T]]:
    """All of them, in parts of 1 to `most`."""
    left, parts = list(everything), []
    while left:
        size = chance.randint(1, most)
        parts.append(left[:size])
        left = left[size:]
    return parts


def _an_id(chance: random.Random) -> str:
    return encode_id(chance.randbytes(16))
