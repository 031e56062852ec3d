"""Response times of the four kinds of pixel tokens, taken from the real service in random order."""

import asyncio
import random
import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

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

Asked = tuple[str, bytes]


@dataclass(slots=True)
class Timed:
    #: By kind of token, seconds.
    times: dict[str, list[float]] = field(default_factory=dict)
    #: Every answer there was, without its Date.
    answers: set[tuple[bytes, bytes]] = field(default_factory=set)

    def note(self, kind: str, answer: Answer) -> None:
        self.times.setdefault(kind, []).append(answer.took)
        self.answers.add((_without_date(answer.head), answer.body))


async def measure(url: str, each: int, connections: Sequence[int], chance: random.Random) -> dict[int, Timed]:
    """By number of connections. `url` is migrated and empty; no path is asked for twice."""
    paths = await _paths(url, each * len(connections), chance)
    found = {}
    variables = environment(url, port=free_port(), smtp_port=9)
    with process(variables, "serve", "--no-jobs") as service:
        await until_ready(service, _PATIENCE)
        port = service.settings.listen_port
        for place, number in enumerate(connections):
            asked = [
                (kind, request(path, _AGENT))
                for kind, all_ in paths.items()
                for path in all_[place * each : (place + 1) * each]
            ]
            chance.shuffle(asked)
            run = _one_by_one(port, asked) if number == 1 else _at_once(port, asked, number)
            found[number] = await run
    return found


async def _paths(url: str, each: int, chance: random.Random) -> Mapping[str, Sequence[str]]:
    seeded = await asyncio.to_thread(seed, url, 2 * each)
    database = Database(url)
    async with database.write() as connection:
        await count_anew(connection)
    for start in range(each, 2 * each, _AT_ONCE):
        await _withdraw(database, [SubscriberId(one) for one in seeded.subscriber_ids[start : start + _AT_ONCE]])
    await database.close()
    genuine = [TOKENS.mint_pixel(PixelId(an_id())) for _ in range(2 * each)]
    return {
        "valid": seeded.paths[:each],
        "withdrawn": seeded.paths[each:],
        "forged": [_path(_with_another(token, chance.randrange(len(token) - 1), chance)) for token in genuine[:each]],
        "garbled": [_path(_garbled(token, chance)) for token in genuine[each:]],
    }


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


async def _one_by_one(port: int, asked: Sequence[Asked]) -> Timed:
    return await asyncio.to_thread(_ask_one_by_one, port, asked)


def _ask_one_by_one(port: int, asked: Sequence[Asked]) -> Timed:
    """One connection, the next request as soon as the last is answered: each waits for a commit of its own."""
    timed = Timed()
    with Blocking(port) as connection:
        for _ in range(_WARM_UP):
            connection.ask(asked[-1][1])
        for kind, one in asked[:-1]:
            timed.note(kind, connection.ask(one))
    return timed


async def _at_once(port: int, asked: Sequence[Asked], connections: int) -> Timed:
    """Several connections, so that requests of all kinds share commits."""
    timed, left = Timed(), iter(asked)
    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(_ask_all(port, left, timed))
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
