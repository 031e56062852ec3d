"""Response times of the four kinds of pixel tokens, taken from the real service in random order."""

import asyncio
import random
import string
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from pixel_service.domain.consent import TRACKING_OPENS, Event
from pixel_service.domain.messages import PixelId, SubscriberId
from pixel_service.storage import consent
from pixel_service.storage.consent import Happening
from pixel_service.storage.engine import Database
from pixel_service.storage.opens import erase_opens
from tests.benchmarks.seed import seed
from tests.journeys.seed import TOKENS, an_id
from tests.journeys.service import environment, free_port, process, until_ready
from tests.opened_mail import count_anew
from tests.proofs.clients import Answer, Blocking, Waiting, request

_AGENT = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Thunderbird/140.3.0"
#: Requests before the first that counts, per connection.
_WARM_UP = 200
#: Seconds for the service to start.
_PATIENCE = 600.0
#: People who withdraw in one transaction.
_AT_ONCE = 500
_FEW = 8
#: Pixels of somebody's own, all withdrawn, that are asked for together with the one they want to know about: the commit that
#: carries them all stores one row, or none.
_DECOYS = 31

Asked = tuple[str, bytes]


class Way(StrEnum):
    """How tokens are asked for."""

    #: The next as soon as the last is answered: each waits for a commit of its own, which is the most telling.
    ALONE = "one connection"
    #: Requests of all kinds share commits.
    TOGETHER = f"{_FEW} connections"
    AMONG_DECOYS = f"together with {_DECOYS} that are withdrawn"


@dataclass(slots=True)
class Timed:
    #: By kind of token, seconds.
    times: dict[str, list[float]] = field(default_factory=dict)
    #: Every answer there was, without its Date.
    answers: set[tuple[bytes, bytes]] = field(default_factory=set)

    def note(self, kind: str, answer: Answer) -> None:
        self.times.setdefault(kind, []).append(answer.took)
        self.answers.add((_without_date(answer.head), answer.body))


async def measure(url: str, each: Mapping[Way, int], chance: random.Random) -> dict[Way, Timed]:
    """`each` says how many of each kind. `url` is migrated and empty; no path is asked for twice but those of decoys."""
    paths, decoys = await _paths(url, sum(each.values()), chance)
    found: dict[Way, Timed] = {}
    first = 0
    variables = environment(url, port=free_port(), smtp_port=9)
    with process(variables, "serve", "--no-jobs") as service:
        await until_ready(service, _PATIENCE)
        port = service.settings.listen_port
        for way, number in each.items():
            asked = [
                (kind, request(path, _AGENT)) for kind, all_ in paths.items() for path in all_[first : first + number]
            ]
            first += number
            chance.shuffle(asked)
            match way:
                case Way.ALONE:
                    found[way] = await asyncio.to_thread(_ask_one_by_one, port, asked)
                case Way.TOGETHER:
                    found[way] = await _ask_together(port, asked)
                case Way.AMONG_DECOYS:
                    found[way] = await _ask_among_decoys(port, asked, [request(path, _AGENT) for path in decoys])
    return found


async def _paths(url: str, each: int, chance: random.Random) -> tuple[Mapping[str, Sequence[str]], Sequence[str]]:
    """By kind of token, and those of decoys."""
    seeded = await asyncio.to_thread(seed, url, 2 * each + _DECOYS)
    withdrawn = seeded.subscriber_ids[each:]
    database = Database(url)
    async with database.write() as connection:
        await count_anew(connection)
    for start in range(0, len(withdrawn), _AT_ONCE):
        await _withdraw(database, [SubscriberId(one) for one in withdrawn[start : start + _AT_ONCE]])
    await database.close()
    genuine = [TOKENS.mint_pixel(PixelId(an_id())) for _ in range(2 * each)]
    return {
        "valid": seeded.paths[:each],
        "withdrawn": seeded.paths[each : 2 * each],
        "forged": [_path(_with_another(token, chance.randrange(len(token) - 1), chance)) for token in genuine[:each]],
        "garbled": [_path(_garbled(token, chance)) for token in genuine[each:]],
    }, seeded.paths[2 * each :]


async def _withdraw(database: Database, people: Sequence[SubscriberId]) -> None:
    now = datetime.now(UTC)
    async with database.write() as connection:
        happenings = [
            Happening(subscriber_id=one, purpose=TRACKING_OPENS, event=Event.WITHDRAW, at=now, content={}, salt=an_id())
            for one in people
        ]
        await consent.record_all(connection, happenings)
        await erase_opens(connection, *people)


def _path(token: str) -> str:
    return f"/o/{token}.gif"


def _with_another(token: str, place: int, chance: random.Random) -> str:
    """Of a genuine one's shape."""
    letter = chance.choice([one for one in string.ascii_lowercase if one != token[place]])
    return f"{token[:place]}{letter}{token[place + 1 :]}"


def _garbled(token: str, chance: random.Random) -> str:
    """Cut, doubled, in capitals, or with a letter no token has."""
    place = chance.randrange(1, len(token))
    return chance.choice([token[:place], token + token[:place], token.upper(), f"{token[:place]}1{token[place + 1 :]}"])


def _ask_one_by_one(port: int, asked: Sequence[Asked]) -> Timed:
    timed = Timed()
    with Blocking(port) as connection:
        for _ in range(_WARM_UP):
            connection.ask(asked[-1][1])
        for kind, one in asked[:-1]:
            timed.note(kind, connection.ask(one))
    return timed


async def _ask_together(port: int, asked: Sequence[Asked]) -> Timed:
    timed, left = Timed(), iter(asked)
    async with asyncio.TaskGroup() as group:
        for _ in range(_FEW):
            group.create_task(_ask_all(port, left, timed))
    return timed


async def _ask_among_decoys(port: int, asked: Sequence[Asked], decoys: Sequence[bytes]) -> Timed:
    timed = Timed()
    with ExitStack() as stack:
        connections = [await Waiting.connect(port) for _ in range(len(decoys) + 1)]
        for connection in connections:
            stack.callback(connection.close)
        for kind, one in asked:
            answer, *_ = await asyncio.gather(
                connections[-1].ask(one),
                *(connection.ask(decoy) for connection, decoy in zip(connections, decoys, strict=False)),
            )
            timed.note(kind, answer)
    return timed


async def _ask_all(port: int, left: Iterator[Asked], timed: Timed) -> None:
    connection = await Waiting.connect(port)
    for _ in range(_WARM_UP):
        await connection.ask(request("/o/x.gif", _AGENT))
    for kind, one in left:
        timed.note(kind, await connection.ask(one))
    connection.close()


def _without_date(head: bytes) -> bytes:
    return b"\r\n".join(line for line in head.split(b"\r\n") if not line.lower().startswith(b"date:"))
