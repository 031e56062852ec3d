"""Moments are kept to a fraction of a millisecond, whatever woke the event loop before."""

import asyncio
import time
from collections.abc import Iterator

import pytest

from pixel_service.usecases.timekeeper import Timekeeper


@pytest.fixture
def timekeeper() -> Iterator[Timekeeper]:
    keeper = Timekeeper()
    keeper.start()
    yield keeper
    keeper.stop()


async def test_calls_come_in_the_order_of_their_moments_and_never_early(timekeeper: Timekeeper) -> None:
    now, called = time.monotonic(), dict[str, float]()
    last = asyncio.Event()

    def note(name: str) -> None:
        called[name] = time.monotonic() - now
        if len(called) == 3:
            last.set()

    for name, delay in (("late", 0.09), ("past", -1.0), ("soon", 0.03)):
        timekeeper.call_at(now + delay, lambda name=name: note(name))  # type: ignore[misc]
    await last.wait()
    assert list(called) == ["past", "soon", "late"]
    assert called["soon"] >= 0.03
    assert called["late"] >= 0.09


async def test_a_loop_that_was_woken_in_between_does_not_make_a_call_late(timekeeper: Timekeeper) -> None:
    """Woken half a millisecond after a whole one, the loop would keep its own timers half a millisecond late."""
    late = []
    for _ in range(30):
        called = asyncio.get_running_loop().create_future()
        moment = time.monotonic() + 0.005
        timekeeper.call_at(moment, lambda called=called: called.set_result(time.monotonic()))  # type: ignore[misc]
        await asyncio.to_thread(time.sleep, 0.0005)
        late.append(await called - moment)
    assert min(late) < 0.0004


async def test_what_is_due_when_it_stops_is_called_and_nothing_after(timekeeper: Timekeeper) -> None:
    called = asyncio.Event()
    timekeeper.call_at(time.monotonic() + 3600, called.set)
    timekeeper.stop()
    await called.wait()


async def test_what_is_due_before_it_starts_is_called_then() -> None:
    keeper, called = Timekeeper(), asyncio.Event()
    keeper.call_at(time.monotonic(), called.set)
    keeper.start()
    await called.wait()
    keeper.stop()
