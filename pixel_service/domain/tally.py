"""What a batch of opens adds to the figures, without counting all rows again; `storage.figures` counts them, and a property
test compares the two."""

from collections.abc import Iterable, Iterator

from pixel_service.domain.figures import SECONDS_PER_HOUR, Group, Kind, Standing, delay_name
from pixel_service.domain.messages import CampaignId, Tracking
from pixel_service.domain.settling import Letter, Seen, Settled, Sort, seconds

#: Campaign, kind, name, hour.
Key = tuple[str, str, str, int]

# Plain strings: the hash of an enum's member is a call.
_MESSAGE, _STANDING, _OPENS, _VERDICT, _UNIQUE, _CLIENT, _FIRST, _DELAY, _SESSION = (kind.value for kind in Kind)
_TRACKED = Tracking.TRACKED.value
_GROUP_OF = {
    Standing.HUMAN.value: Group.OPENS.value,
    Standing.MPP.value: Group.MACHINE.value,
    Standing.UNKNOWN.value: Group.UNKNOWN.value,
    Standing.MACHINE.value: Group.MACHINE.value,
}


class Tally:
    """Changes of figures, added up. What comes to nothing is left out of `changes`."""

    __slots__ = ("_amounts", "_firsts")

    def __init__(self) -> None:
        self._amounts: dict[Key, int] = {}
        #: First opens that change the same figures: most of a batch, and few differ.
        self._firsts: dict[_First, int] = {}

    def changes(self) -> dict[Key, int]:
        for (campaign_id, sort, hour, delay), number in self._firsts.items():
            for key, amount in _of_first(campaign_id, sort, hour, delay):
                self.add(key, amount * number)
        self._firsts.clear()
        return {key: amount for key, amount in self._amounts.items() if amount}

    def add(self, key: Key, amount: int) -> None:
        self._amounts[key] = self._amounts.get(key, 0) + amount

    def add_message(
        self, campaign_id: CampaignId, tracking: str, letter: Letter, before: Seen | None, settled: Settled
    ) -> None:
        """One message whose rows became more by `settled`."""
        rows = settled.rows
        if before is None and letter.accepted is None and rows:
            # Opened, so it is out, whatever became of the worker that handed it over.
            self.add((campaign_id, _MESSAGE, tracking, 0), 1)
        if tracking != _TRACKED:
            return
        if before is None and len(rows) == 1:
            row = rows[0]
            first = campaign_id, row.sort, row.second // SECONDS_PER_HOUR, _delay(letter, row.second)
            self._firsts[first] = self._firsts.get(first, 0) + 1
            return
        for row in rows:
            self.add((campaign_id, _OPENS, row.sort.group, row.second // SECONDS_PER_HOUR), 1)
            self.add((campaign_id, _VERDICT, row.sort.name, 0), 1)
        if rows and settled.seen is not None:
            for key, amount in _of_message(campaign_id, letter, settled.seen):
                self.add(key, amount)
            if before is not None:
                for key, amount in _of_message(campaign_id, letter, before):
                    self.add(key, -amount)


#: Campaign, what the only row is, its hour, and the name of its delay.
_First = tuple[str, Sort, int, str | None]


def _of_first(campaign: str, sort: Sort, hour: int, delay: str | None) -> Iterator[tuple[Key, int]]:
    """What a message with one row counts for, and its row."""
    yield (campaign, _OPENS, sort.group, hour), 1
    yield (campaign, _VERDICT, sort.name, 0), 1
    standing = sort.pair.partition("/")[0]
    yield from _of_mail(campaign, standing, (sort.pair,), None if sort.rank else hour, delay, 1)


def _delay(letter: Letter, first: int) -> str | None:
    return None if letter.accepted is None else delay_name(first - letter.accepted)


def _of_message(campaign: str, letter: Letter, seen: Seen) -> Iterator[tuple[Key, int]]:
    """What one message counts for, but for its single rows."""
    first = None if seen.first_human_at is None else seconds(seen.first_human_at)
    hour, delay = (None, None) if first is None else (first // SECONDS_PER_HOUR, _delay(letter, first))
    return _of_mail(campaign, seen.standing.value, seen.times, hour, delay, seen.sessions)


def _of_mail(
    campaign: str, standing: str, pairs: Iterable[str], hour: int | None, delay: str | None, sessions: int
) -> Iterator[tuple[Key, int]]:
    """`hour` and `delay` are of the first human open."""
    yield (campaign, _STANDING, standing, 0), 1
    split = [pair.partition("/") for pair in pairs]
    for group in {_GROUP_OF[one] for one, _, _ in split}:
        yield (campaign, _UNIQUE, group, 0), 1
    for one, _, family in split:
        if one == "human":
            yield (campaign, _CLIENT, family, 0), 1
    if hour is None:
        return
    yield (campaign, _FIRST, "", hour), 1
    yield (campaign, _SESSION, "", 0), sessions
    if delay is not None:
        yield (campaign, _DELAY, delay, 0), 1
