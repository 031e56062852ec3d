"""Group commit: requests wait for the one transaction that carries them all (DESIGN rule 4).

What must hold: while the database is healthy an answered open is on disk (P4); when it is not, the answer comes at the
deadline and the open stays in the buffer; a failed commit keeps its batch and the id of each open makes the repeat
harmless. Whether an open may be stored is decided in storage, in that transaction, never here.
"""

import asyncio
import contextlib
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from heapq import nlargest

import structlog

from pixel_service.domain.opens import Fetch
from pixel_service.storage.engine import Database
from pixel_service.storage.recording import Stored, store_alone
from pixel_service.usecases.timekeeper import Timekeeper

_log = structlog.get_logger(__name__)


class Outcome(StrEnum):
    """What became of a request, mostly why it left no open; counted for the whole process, never per campaign or person (P9)."""

    FORGED = "forged"
    RECORDED = "recorded"
    #: The same mail program asked again within a minute: one open.
    COLLAPSED = "collapsed"
    #: Genuine, but consent or mapping is gone, or it happened outside the recording window.
    NOT_CONSENTED = "not_consented"
    HEAD = "head"
    #: The message has as many rows as are kept.
    OVER_LIMIT = "over_limit"
    #: Sec-GPC or DNT.
    OPTED_OUT = "opted_out"
    #: The buffer was full, or the process ended without a database.
    DROPPED = "dropped"


#: Called with a reason and how many requests.
Count = Callable[[Outcome, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecorderLimits:
    #: Requests kept in memory, about 400 bytes each.
    capacity: int = 20_000
    #: Requests in one transaction.
    batch: int = 1_000
    #: Requests of one group: they are answered in one turn of the event loop.
    group: int = 32
    #: Answers leave at whole paces after the first request of their group, and a pace is whole beats. Storing rows is more work
    #: than storing none, and the time of an answer must not tell a living pixel from a forged or withdrawn one (P1).
    beat: timedelta = timedelta(milliseconds=4)
    #: A pace is `margin` times as long as requests waited for the slowest of the last `remembered` commits, but for the
    #: `spared` slowest: those are the disk's, whatever they carry.
    margin: float = 1.25
    remembered: int = 64
    spared: int = 2
    #: Rounded up to whole beats.
    longest_pace: timedelta = timedelta(milliseconds=50)
    #: Beats begin up to so much later, by chance: how busy the machine was before their end moves it by some microseconds.
    blur: timedelta = timedelta(milliseconds=1)
    #: Longest a request waits for its commit.
    deadline: timedelta = timedelta(milliseconds=250)
    #: Wait after a failed commit: the first, doubled up to the longest.
    first_retry: timedelta = timedelta(milliseconds=50)
    longest_retry: timedelta = timedelta(seconds=5)
    #: How long `stop` tries to empty the buffer.
    drain: timedelta = timedelta(seconds=10)


@dataclass(slots=True)
class _Group:
    """Requests that are stored and answered together. It takes no more of them after its first beat, or once it is full."""

    #: In beats.
    pace: int
    #: When its beats begin, by `time.monotonic`, in seconds.
    began_at: float
    #: How many are over.
    beats: int = 0
    fetches: list[Fetch] = field(default_factory=list)
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    stored: bool = False
    deadline: asyncio.TimerHandle = field(init=False)


class Recorder:
    """One per process. `record` may be called before `start` and after `stop`: it answers by the deadline."""

    def __init__(
        self,
        db: Database,
        *,
        count: Count,
        limits: RecorderLimits | None = None,
        chance: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """`chance` gives numbers from 0 up to 1."""
        self.count = count
        self._chance = chance
        self._db = db
        self._limits = limits or RecorderLimits()
        self._groups: deque[_Group] = deque()
        #: Seconds that the oldest request of each of the last commits waited: for the commit before, and for its own.
        self._waits: deque[float] = deque(maxlen=self._limits.remembered)
        #: The newest group while it takes more requests.
        self._open: _Group | None = None
        self._waiting = 0
        self._wake = asyncio.Event()
        self._stopping = False
        self._timekeeper = Timekeeper()
        self._task: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Requests not yet stored."""
        return self._waiting

    async def record(self, fetch: Fetch) -> None:
        """Return when `fetch` is committed, or at the deadline; it is then still to be stored."""
        if self._waiting >= self._limits.capacity:
            self.count(Outcome.DROPPED, 1)
            return
        group = self._open or self._open_group()
        group.fetches.append(fetch)
        self._waiting += 1
        self._wake.set()
        if len(group.fetches) >= min(self._limits.group, self._limits.batch):
            self._close(group)
        await group.answered.wait()

    def _open_group(self) -> _Group:
        loop = asyncio.get_running_loop()
        blurred = self._chance() * self._limits.blur.total_seconds()
        group = self._open = _Group(self._pace(), time.monotonic() + blurred)
        group.deadline = loop.call_later(self._limits.deadline.total_seconds(), self._answer, group)
        self._await_beat(group)
        self._groups.append(group)
        return group

    def _pace(self) -> int:
        """Whatever the commits carried: one that is slow because it stores must not be late alone."""
        slowest = nlargest(self._limits.spared + 1, self._waits)
        needed = min(slowest[-1] * self._limits.margin if slowest else 0.0, self._limits.longest_pace.total_seconds())
        return max(1, math.ceil(needed / self._limits.beat.total_seconds()))

    def _await_beat(self, group: _Group) -> None:
        moment = group.began_at + (group.beats + 1) * self._limits.beat.total_seconds()
        self._timekeeper.call_at(moment, lambda: self._end_beat(group))

    def _end_beat(self, group: _Group) -> None:
        """After the first, a request would wait for less than its deadline here, and takes a group of its own."""
        group.beats += 1
        self._close(group)
        if group.stored and (group.beats % group.pace == 0 or self._stopping):
            self._answer(group)
        elif not group.answered.is_set():
            self._await_beat(group)

    def _answer(self, group: _Group) -> None:
        group.answered.set()
        group.deadline.cancel()
        self._close(group)

    def _close(self, group: _Group) -> None:
        """It takes no more requests."""
        if self._open is group:
            self._open = None

    def start(self) -> None:
        self._timekeeper.start()
        self._task = asyncio.create_task(self._run(), name="recorder")

    async def stop(self) -> None:
        """Store what is waiting, for as long as the drain allows."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=self._limits.drain.total_seconds())
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
            self._timekeeper.stop()
        if self._waiting:
            self.count(Outcome.DROPPED, self._waiting)
            _log.error("opens lost at stop", action="record_opens", opens=self._waiting)

    async def _run(self) -> None:
        while not self._stopping or self._groups:
            if self._groups:
                await self._commit(self._take())
            else:
                self._wake.clear()
                await self._wake.wait()

    def _take(self) -> list[_Group]:
        """The oldest groups, as many as fit one transaction."""
        self._open = None
        taken = [self._groups.popleft()]
        size = len(taken[0].fetches)
        while self._groups and size + len(self._groups[0].fetches) <= self._limits.batch:
            taken.append(self._groups.popleft())
            size += len(taken[-1].fetches)
        return taken

    async def _commit(self, groups: list[_Group]) -> None:
        """Try until it is stored."""
        batch = [fetch for group in groups for fetch in group.fetches]
        delay = self._limits.first_retry
        while (stored := await self._try_to_store(batch)) is None:
            await asyncio.sleep(delay.total_seconds())
            delay = min(delay * 2, self._limits.longest_retry)
        self._waits.append(time.monotonic() - groups[0].began_at)
        self._waiting -= len(batch)
        for group in groups:
            group.stored = True
        self._count(stored)

    async def _try_to_store(self, batch: list[Fetch]) -> Stored | None:
        try:
            return await store_alone(self._db, batch)
        except Exception as error:  # noqa: BLE001  this loop outlives whatever a database does; the batch is kept
            _log.warning("opens not stored yet", action="record_opens", opens=len(batch), error=type(error).__name__)
            return None

    def _count(self, stored: Stored) -> None:
        outcomes = {
            Outcome.RECORDED: stored.recorded,
            Outcome.COLLAPSED: stored.collapsed,
            Outcome.OVER_LIMIT: stored.over_limit,
            Outcome.NOT_CONSENTED: stored.not_consented,
            Outcome.FORGED: stored.forged,
        }
        for outcome, number in outcomes.items():
            if number:
                self.count(outcome, number)
