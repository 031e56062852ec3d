"""What a batch of opens adds to the figures, without counting all rows again; `storage.figures` counts them, and a property
test compares the two."""

from collections.abc import Iterator

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
    yield (campaign, _UNIQUE, sort.group, 0), 1
    standing, _, family = sort.pair.partition("/")
    yield (campaign, _STANDING, standing, 0), 1
    if sort.rank:
        return
    yield (campaign, _CLIENT, family, 0), 1
    yield (campaign, _FIRST, "", hour), 1
    yield (campaign, _SESSION, "", 0), 1
    if delay is not None:
        yield (campaign, _DELAY, delay, 0), 1


def _delay(letter: Letter, first: int) -> str | None:
    if letter.accepted is None or first < letter.accepted:
        return None
    return delay_name(first - letter.accepted)


def _of_message(campaign: str, letter: Letter, seen: Seen) -> Iterator[tuple[Key, int]]:
    """What one message counts for, but for its single rows."""
    yield (campaign, _STANDING, seen.standing.value, 0), 1
    groups = set()
    for pair in seen.times:
        standing, _, family = pair.partition("/")
        groups.add(_GROUP_OF[standing])
        if standing == "human":
            yield (campaign, _CLIENT, family, 0), 1
    for group in groups:
        yield (campaign, _UNIQUE, group, 0), 1
    if seen.first_human_at is None:
        return
    first = seconds(seen.first_human_at)
    yield (campaign, _FIRST, "", first // SECONDS_PER_HOUR), 1
    yield (campaign, _SESSION, "", 0), seen.sessions
    if (delay := _delay(letter, first)) is not None:
        yield (campaign, _DELAY, delay, 0), 1
