"""The loops around the steps: again at once while there is work, longer pauses after errors, an end after the batch."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

from pixel_service import jobs
from pixel_service.domain.canaries import Finding, Report, Trouble
from pixel_service.domain.consent import State
from pixel_service.jobs import Step, canary_steps, run_jobs, steps
from pixel_service.observability import Metrics
from pixel_service.storage.engine import Database
from tests.builders import BLOG, Relay, ask, context
from tests.conftest import NewDatabase

IDLE = timedelta(milliseconds=1)


async def run(work: Callable[[], Awaitable[int]], stop: asyncio.Event) -> Metrics:
    metrics = Metrics()
    async with asyncio.timeout(10):
        await jobs._repeat(Step(name="step", run=work, idle=IDLE), metrics, stop)
    return metrics


async def test_a_step_runs_again_until_told_to_stop_and_then_ends_after_its_batch() -> None:
    stop, done = asyncio.Event(), []

    async def work() -> int:
        done.append("begun")
        if len(done) == 3:
            stop.set()
        await asyncio.sleep(0)
        return 1

    await run(work, stop)
    assert done == ["begun"] * 3


async def test_an_error_is_counted_and_the_loop_goes_on() -> None:
    stop, tries = asyncio.Event(), []

    async def work() -> int:
        tries.append(1)
        if len(tries) < 3:
            raise ValueError("anna@example.com")
        stop.set()
        return 0

    metrics = await run(work, stop)
    assert b'pixel_job_failures_total{step="step"} 2.0' in metrics.render()


async def test_an_idle_step_waits_and_wakes_at_once_when_stopped() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def work() -> int:
        loop.call_soon(stop.set)
        return 0

    async with asyncio.timeout(5):
        await jobs._repeat(Step(name="step", run=work, idle=timedelta(hours=1)), Metrics(), stop)


async def test_the_jobs_of_the_service_deliver_what_waits(db: Database) -> None:
    relay, stop = Relay(), asyncio.Event()
    ctx = context(db, relay=relay)
    await ask(ctx, "anna@example.com", BLOG)
    running = asyncio.create_task(run_jobs(steps(ctx, Metrics()), Metrics(), stop))
    async with asyncio.timeout(20):
        while not relay.taken:  # noqa: ASYNC110  the relay is a list, not an event
            await asyncio.sleep(0.01)
    stop.set()
    await running
    assert [envelope.rcpt_to for envelope in relay.taken] == ["anna@example.com"]


async def test_stale_sessions_are_looked_for_once_per_pause(db: Database) -> None:
    (forget,) = (step for step in steps(context(db), Metrics()) if step.name == "forget_stale")
    assert await forget.run() == 0
    assert forget.idle == timedelta(hours=1)


async def test_the_log_of_sqlite_is_copied_every_second(new_sqlite: NewDatabase) -> None:
    url = new_sqlite()
    db = Database(url)
    (fold,) = (step for step in steps(context(db), Metrics()) if step.name == "fold_wal")
    await ask(context(db), "anna@example.com", BLOG)
    file = Path(url.removeprefix("sqlite:///"))
    assert b"anna@example.com" not in await asyncio.to_thread(file.read_bytes)
    assert await fold.run() == 0
    assert b"anna@example.com" in await asyncio.to_thread(file.read_bytes)
    assert fold.idle == timedelta(seconds=1)
    await db.close()


async def test_canaries_fly_once_per_pause_and_what_they_find_is_counted(db: Database) -> None:
    ctx, metrics, found = context(db), Metrics(), Finding(Trouble.PIXEL_WITHOUT_CONSENT, State.REFUSED, 2)
    reports = [Report(at=ctx.clock(), canaries=9, findings=one) for one in ((), (found,))]

    async def run() -> Report:
        return reports[len(seen)]

    seen: list[int] = []
    (step,) = canary_steps(run, metrics, timedelta(minutes=60))
    assert step.idle == timedelta(minutes=60)
    for violations, runs in ((0, ("1", "0")), (2, ("1", "1"))):
        seen.append(await step.run())
        text = metrics.render().decode()
        assert f"consent_violations_total {violations}.0" in text
        for result, number in zip(("clean", "violation"), runs, strict=True):
            assert f'pixel_canary_runs_total{{result="{result}"}} {number}.0' in text
        assert metrics.last_canaries is reports[len(seen) - 1]
    assert seen == [0, 0]


def test_without_a_period_no_canary_flies() -> None:
    async def run() -> Report:
        raise AssertionError

    assert canary_steps(run, Metrics(), timedelta(0)) == ()
