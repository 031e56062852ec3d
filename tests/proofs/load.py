"""Many clients that open pixels while something is killed, and what they know for certain afterwards.

The service answers at its deadline also what is not stored yet, and what came within a pace of it. An answer that was faster is a
promise.
"""

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from time import perf_counter

from pixel_service.domain.user_agents import judge
from pixel_service.usecases.record_opens import RecorderLimits
from tests.journeys.seed import Sent
from tests.proofs.clients import Waiting, request

#: A mail client and an image proxy, both taken for people.
_AGENTS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Thunderbird/140.3.0",
    "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
)
_FAMILIES = {agent: judge(agent, "").client_family for agent in _AGENTS}
#: Seconds.
_PROMISED_WITHIN = (RecorderLimits().deadline - RecorderLimits().beat).total_seconds() - 0.01
#: Repeats closer than 60 s are one row; later ones are not asked for.
_ASK_AGAIN_WITHIN = 30.0
_LONGEST = 600.0

#: Message and mail client: one row.
Opening = tuple[str, str]


@dataclass(slots=True)
class Load:
    port: int
    left: Iterator[Sent]
    chance: random.Random
    clients: int = 16
    #: When each was first asked for.
    asked: dict[Opening, float] = field(default_factory=dict)
    answered: set[Opening] = field(default_factory=set)
    #: Answered while the database was healthy: must be on disk at once.
    promised: set[Opening] = field(default_factory=set)
    #: With repeats.
    answers: int = 0
    repeats: int = 0
    _asked_mails: list[tuple[Sent, str]] = field(default_factory=list)
    _stopped: bool = False
    _target: int = 0
    _reached: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Until `stop`, or until the service is gone."""
        self._stopped = False
        await asyncio.gather(*(self._client() for _ in range(self.clients)))

    def stop(self) -> None:
        self._stopped = True

    async def wait_for(self, number: int) -> None:
        """Until so many more have been answered."""
        self._target = self.answers + number
        self._reached.clear()
        await asyncio.wait_for(self._reached.wait(), _LONGEST)

    async def _client(self) -> None:
        try:
            connection = await Waiting.connect(self.port)
        except OSError:
            return
        try:
            while not self._stopped and (chosen := self._choose()):
                await self._open(connection, *chosen)
        except ConnectionError:
            pass
        finally:
            connection.close()

    def _choose(self) -> tuple[Sent, str] | None:
        """Mostly a new mail; sometimes one that was asked for, perhaps in vain before the last kill."""
        if self._asked_mails and self.chance.random() < 0.2:
            mail, agent = again = self.chance.choice(self._asked_mails[-200:])
            if perf_counter() - self.asked[mail.message_id, _FAMILIES[agent]] < _ASK_AGAIN_WITHIN:
                self.repeats += 1
                return again
        mail_ = next(self.left, None)
        return None if mail_ is None else (mail_, self.chance.choice(_AGENTS))

    async def _open(self, connection: Waiting, mail: Sent, agent: str) -> None:
        opening = mail.message_id, _FAMILIES[agent]
        now = perf_counter()
        self.asked.setdefault(opening, now)
        self._asked_mails.append((mail, agent))
        answer = await connection.ask(request(mail.path, agent))
        assert b" 200 " in answer.head[:16], answer.head
        self.answered.add(opening)
        self.answers += 1
        if self.answers >= self._target:
            self._reached.set()
        if answer.answered_at - now < _PROMISED_WITHIN:
            self.promised.add(opening)
