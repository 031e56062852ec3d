"""Which step runs how often; one supervised loop per step. A step does one batch and says how much it did:
work left means again at once, none means wait, an error means wait longer, and stop means after the current batch."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta

import structlog

from pixel_service.domain.canaries import Report
from pixel_service.observability import Metrics
from pixel_service.usecases import accounts, inbox, journal, retain, rights_requests
from pixel_service.usecases.checkpoints import write_checkpoint
from pixel_service.usecases.context import Context
from pixel_service.usecases.deliver import Desk, deliver_batch
from pixel_service.usecases.retain_data import purge_slice
from pixel_service.usecases.scrub import scrub
from pixel_service.usecases.send import expand_audience
from pixel_service.usecases.webhooks import WebhookDesk, count_waiting, deliver_webhooks

_log = structlog.get_logger()
_LONGEST_BACK_OFF = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    name: str
    run: Callable[[], Awaitable[int]]
    #: Pause after a run that found nothing to do.
    idle: timedelta


def steps(ctx: Context, metrics: Metrics) -> tuple[Step, ...]:
    desk = Desk(slots=asyncio.Semaphore(ctx.policy.smtp_connections))
    webhooks = WebhookDesk(count=metrics.count_webhook)

    async def deliver() -> int:
        claimed = await deliver_batch(ctx, desk)
        metrics.count_claimed(claimed)
        return claimed

    async def tell_processors() -> int:
        claimed = await deliver_webhooks(ctx, webhooks)
        metrics.set_webhooks_waiting(await count_waiting(ctx))
        return claimed

    async def watch_requests() -> int:
        in_time, overdue = await rights_requests.count_open(ctx)
        metrics.set_rights_requests(in_time=in_time, overdue=overdue)
        return 0

    async def purge() -> int:
        gone = await purge_slice(ctx)
        for kind, number in gone.items():
            metrics.count_purged(kind.value, number)
        return sum(gone.values())

    return (
        Step(name="expand_audience", run=lambda: expand_audience(ctx), idle=timedelta(seconds=1)),
        Step(name="deliver", run=deliver, idle=timedelta(milliseconds=500)),
        Step(name="tell_processors", run=tell_processors, idle=timedelta(seconds=2)),
        Step(name="checkpoint", run=lambda: _once(write_checkpoint(ctx)), idle=timedelta(minutes=5)),
        Step(name="fold_wal", run=lambda: _once(ctx.db.fold_wal()), idle=timedelta(seconds=1)),
        Step(name="erase_unconfirmed", run=lambda: retain.erase_unconfirmed(ctx), idle=timedelta(hours=1)),
        Step(name="remind", run=lambda: retain.remind(ctx), idle=timedelta(minutes=10)),
        Step(name="watch_requests", run=watch_requests, idle=timedelta(minutes=5)),
        Step(name="purge", run=purge, idle=timedelta(hours=1)),
        Step(name="prune_journal", run=lambda: _once(journal.prune(ctx)), idle=timedelta(hours=1)),
        Step(name="scrub", run=lambda: scrub(ctx), idle=timedelta(seconds=10)),
        Step(name="forget_inbound", run=lambda: inbox.forget_old(ctx), idle=timedelta(hours=1)),
        Step(name="forget_stale", run=lambda: _once(accounts.forget_stale(ctx)), idle=timedelta(hours=1)),
    )


def canary_steps(run: Callable[[], Awaitable[Report]], metrics: Metrics, every: timedelta) -> tuple[Step, ...]:
    """None where `every` is zero. For processes that serve: only there somebody reads what is counted."""

    async def fly() -> int:
        metrics.count_canaries(await run())
        return 0

    return (Step(name="canaries", run=fly, idle=every),) if every else ()


async def _once(work: Awaitable[object]) -> int:
    """For a step that leaves nothing over: it waits its time whatever it did."""
    await work
    return 0


async def run_jobs(to_do: Iterable[Step], metrics: Metrics, stop: asyncio.Event) -> None:
    """Until `stop` is set; returns when every loop has finished its batch."""
    async with asyncio.TaskGroup() as group:
        for step in to_do:
            group.create_task(_repeat(step, metrics, stop), name=step.name)


async def _repeat(step: Step, metrics: Metrics, stop: asyncio.Event) -> None:
    failures = 0
    while not stop.is_set():
        try:
            done = await step.run()
        except Exception as error:
            failures += 1
            metrics.count_failure(step.name)
            _log.error("step_failed", action=step.name, failures=failures, exc_info=error)
            await _pause(stop, min(step.idle * 2 ** min(failures, 10), _LONGEST_BACK_OFF))
            continue
        failures = 0
        if done == 0:
            await _pause(stop, step.idle)


async def _pause(stop: asyncio.Event, how_long: timedelta) -> None:
    try:
        async with asyncio.timeout(how_long.total_seconds()):
            await stop.wait()
    except TimeoutError:
        return
