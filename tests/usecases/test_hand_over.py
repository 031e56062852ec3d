"""When a hand-over may begin: never so late that it could outlast its lease, never faster than the relay allows (D8)."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from pixel_service.app import policy_of
from pixel_service.domain.consent import SERVICE
from pixel_service.mail.transport import Envelope, Outcome, Withheld
from pixel_service.storage.engine import Database
from pixel_service.usecases.context import Context
from pixel_service.usecases.deliver import deliver_batch
from tests.access import Clock
from tests.builders import Relay, context, deliver, settings
from tests.usecases.test_deliver import Interrupted, desk, mails, parsed, send_to, started, the_mail

TICK = timedelta(microseconds=1)
#: Hand-overs 0.1 s apart.
PER_MINUTE = 600
#: A timer of the event loop may fire so early, in seconds.
EARLY = 0.001


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ctx(db: Database, clock: Clock) -> Context:
    return context(db, clock)


async def send_service_mails(ctx: Context, count: int) -> None:
    await send_to(ctx, *(f"person{number}@example.com" for number in range(count)), purpose=SERVICE)


def slow_relay(clock: Clock, takes: timedelta) -> Interrupted:
    """Needs so long for its first mail, and no time for any other."""

    async def time_passes() -> None:
        clock.move(takes)

    return Interrupted(happening=time_passes)


def longest_wait(ctx: Context) -> timedelta:
    """After the claim: a hand-over that begins then could last just as long as the lease."""
    return ctx.policy.lease - ctx.policy.slowest_hand_over


# --- the lease -------------------------------------------------------------------------------------------------


async def test_no_hand_over_begins_that_could_outlast_its_lease(ctx: Context, clock: Clock) -> None:
    await send_service_mails(ctx, 3)
    slow = slow_relay(clock, longest_wait(ctx))
    assert await deliver_batch(started(ctx, slow), desk(1)) == 3
    assert len(slow.taken) == 1
    assert sorted(row.status for row in await mails(ctx.db)) == ["queued", "queued", "sent"]


async def test_a_hand_over_begins_as_long_as_it_can_not_outlast_its_lease(ctx: Context, clock: Clock) -> None:
    await send_service_mails(ctx, 3)
    slow = slow_relay(clock, longest_wait(ctx) - TICK)
    await deliver_batch(started(ctx, slow), desk(1))
    assert len(slow.taken) == 3


async def test_mails_a_worker_had_no_time_for_go_out_once_when_its_lease_ends(ctx: Context, clock: Clock) -> None:
    await send_service_mails(ctx, 3)
    relay = slow_relay(clock, longest_wait(ctx))
    await deliver_batch(started(ctx, relay), desk(1))
    assert len(relay.taken) == 1
    clock.move(ctx.policy.slowest_hand_over - TICK)
    assert await deliver_batch(started(ctx, relay), desk(1)) == 0
    clock.move(TICK)
    await deliver(started(ctx, relay))
    wanted = {f"<{row.message_id}@news.example>" for row in await mails(ctx.db)}
    sent = [parsed(one)["Message-ID"] for one in relay.taken]
    assert (len(sent), set(sent)) == (3, wanted)
    assert [(row.status, row.attempts) for row in await mails(ctx.db)] == [("sent", 0)] * 3


async def test_a_mail_that_is_written_again_and_again_is_let_go_before_its_lease_ends(
    ctx: Context, clock: Clock
) -> None:
    await send_service_mails(ctx, 1)
    fickle = Unhurried(clock=clock, answers=[Withheld()] * 20)
    await deliver_batch(started(ctx, fickle), desk())
    begun_after = [at - fickle.begun_at[0] for at in fickle.begun_at]
    assert begun_after == [timedelta(minutes=minutes) for minutes in range(4)]
    assert fickle.taken == []
    assert (await the_mail(ctx.db)).status == "queued"


@dataclass(slots=True)
class Unhurried(Relay):
    """A minute passes with every mail."""

    clock: Clock = field(default_factory=Clock)
    begun_at: list[datetime] = field(default_factory=list)

    async def send(self, envelope: Envelope) -> Outcome:
        self.begun_at.append(self.clock())
        self.clock.move(timedelta(minutes=1))
        return await Relay.send(self, envelope)


async def test_waiting_for_the_pace_of_the_relay_is_no_excuse_to_begin_too_late(ctx: Context, clock: Clock) -> None:
    await send_service_mails(ctx, 1)
    relay, at_work, loop = Relay(), desk(), asyncio.get_running_loop()
    at_work.next_at = loop.time() + 1
    later = loop.call_later(0.5, clock.move, longest_wait(ctx))
    await deliver_batch(started(paced(ctx), relay), at_work)
    later.cancel()
    assert relay.taken == []
    assert (await the_mail(ctx.db)).status == "queued"


def test_the_slowest_hand_over_is_a_dead_connection_a_new_one_and_a_mail_at_their_time_limits() -> None:
    policy = policy_of(settings(smtp_timeout_seconds="7", lease_seconds="100"))
    assert (policy.slowest_hand_over, policy.lease) == (timedelta(seconds=21), timedelta(seconds=100))


# --- the pace --------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Watched(Relay):
    """Notes when each hand-over began, in the time of the event loop."""

    begun_at: list[float] = field(default_factory=list)

    async def send(self, envelope: Envelope) -> Outcome:
        self.begun_at.append(asyncio.get_running_loop().time())
        return await Relay.send(self, envelope)


def paced(ctx: Context, per_minute: int = PER_MINUTE) -> Context:
    return replace(ctx, policy=replace(ctx.policy, mails_per_minute=per_minute))


def assert_spread(begun_at: Sequence[float], since: float) -> None:
    """Lower bounds only: a slow machine is no failure."""
    too_early = [number for number, at in enumerate(begun_at) if at < since + number * 60 / PER_MINUTE - EARLY]
    assert too_early == []


async def test_hand_overs_are_spread_evenly_over_the_minute(ctx: Context) -> None:
    await send_service_mails(ctx, 4)
    relay, begun = Watched(), asyncio.get_running_loop().time()
    await deliver_batch(started(paced(ctx), relay), desk(4))
    assert len(relay.taken) == 4
    assert_spread(relay.begun_at, begun)


async def test_a_slow_pace_makes_small_batches_so_that_acceptance_is_soon_recorded(ctx: Context) -> None:
    """Whoever opens before that is taken for a machine."""
    await send_service_mails(ctx, 3)
    for per_minute in (11, 1):
        assert await deliver_batch(started(paced(ctx, per_minute), Relay()), desk(4)) == 1


async def test_a_new_batch_keeps_the_pace_of_the_one_before(ctx: Context) -> None:
    relay, at_work, begun = Watched(), desk(4), asyncio.get_running_loop().time()
    for _ in range(3):
        await send_service_mails(ctx, 1)
        await deliver_batch(started(paced(ctx), relay), at_work)
    assert len(relay.taken) == 3
    assert_spread(relay.begun_at, begun)


async def test_a_quiet_spell_is_not_made_up_for_in_a_burst(ctx: Context) -> None:
    relay, at_work = Watched(), desk(4)
    await send_service_mails(ctx, 1)
    await deliver_batch(started(paced(ctx), relay), at_work)
    await asyncio.sleep(0.5)
    await send_service_mails(ctx, 4)
    begun = asyncio.get_running_loop().time()
    await deliver_batch(started(paced(ctx), relay), at_work)
    assert len(relay.taken) == 5
    assert_spread(relay.begun_at[1:], begun)


async def test_without_a_limit_no_hand_over_waits_for_its_turn(ctx: Context) -> None:
    await send_service_mails(ctx, 4)
    relay, at_work = Relay(), desk(4)
    await deliver_batch(started(paced(ctx, 0), relay), at_work)
    assert len(relay.taken) == 4
    assert at_work.next_at == 0


def test_the_pace_is_a_setting_and_by_default_there_is_none() -> None:
    assert policy_of(settings()).mails_per_minute == 0
    assert policy_of(settings(smtp_mails_per_minute="600")).mails_per_minute == 600
