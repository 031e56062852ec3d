"""Data goes when its time is over: requests that nobody confirmed, and before that at most one reminder (S12).

Each function does one bounded slice and says how much it did; `jobs.py` repeats.
"""

from pixel_service.domain.consent import Event, Purpose, State, is_valid
from pixel_service.domain.signup import PendingSignUp
from pixel_service.storage import consent, messages, signups, unconfirmed
from pixel_service.storage.consent import Happening
from pixel_service.storage.dialect import lock_ledger
from pixel_service.storage.engine import Connection
from pixel_service.storage.unconfirmed import Lapsed
from pixel_service.usecases import service_mails
from pixel_service.usecases.context import Context
from pixel_service.usecases.sign_up import has_room

#: Sign-ups per transaction: each may write some entries of the ledger, which nobody else can meanwhile.
SLICE = 50


async def erase_unconfirmed(ctx: Context) -> int:
    """Returns how many sign-ups were erased. The chain of the ledger stays whole."""
    async with ctx.db.write() as connection:
        await lock_ledger(connection)
        found = await unconfirmed.lapsed(
            connection, created_before=ctx.clock() - ctx.policy.unconfirmed_for, limit=SLICE
        )
        for one in found:
            await _erase(ctx, connection, one)
        await unconfirmed.forget_strangers(connection, {one.subscriber_id for one in found})
    return len(found)


async def _erase(ctx: Context, connection: Connection, one: Lapsed) -> None:
    pending = await signups.get(connection, one.sign_up_id, lock=True)
    await unconfirmed.erase(connection, one)
    waiting = {asked.purpose for asked in pending.waiting()} if pending else set()
    on_record = await consent.consents_of(connection, one.subscriber_id)
    for purpose in sorted(waiting - await unconfirmed.open_questions(connection, one.subscriber_id)):
        # Only what is still a question lapses: it may have been answered by another mail meanwhile.
        if purpose in on_record and on_record[purpose].state is State.REQUESTED:
            await consent.record(connection, _lapse(ctx, one, purpose))


def _lapse(ctx: Context, one: Lapsed, purpose: Purpose) -> Happening:
    return Happening(
        subscriber_id=one.subscriber_id,
        purpose=purpose,
        event=Event.EXPIRE,
        at=ctx.clock(),
        content={"sign_up": one.sign_up_id, "source": "unconfirmed"},
        salt=ctx.ids(),
    )


async def remind(ctx: Context) -> int:
    """Queue the one reminder of people who did not answer; returns how many. Off unless a setting says when."""
    if not ctx.policy.reminder_after:
        return 0
    now, reminded = ctx.clock(), set()
    async with ctx.db.write() as connection:
        await lock_ledger(connection)
        due = await signups.due_for_reminder(
            connection, created_before=now - ctx.policy.reminder_after, now=now, limit=SLICE
        )
        for sign_up_id in due:
            pending = await signups.get(connection, sign_up_id)
            if pending is None or pending.subscriber_id in reminded:
                continue
            reminded.add(pending.subscriber_id)
            # Marked even where there is nothing left to ask, so that the next slice is another one.
            await signups.mark_reminded(connection, sign_up_id, at=now)
            if await _is_open(ctx, connection, pending):
                await messages.enqueue(connection, [service_mails.confirmation(ctx, pending)])
    return len(reminded)


async def _is_open(ctx: Context, connection: Connection, pending: PendingSignUp) -> bool:
    """Nobody is reminded of what they answered, by whatever mail."""
    on_record = await consent.consents_of(connection, pending.subscriber_id)
    answered = any(
        is_valid(on_record[asked.purpose].state) for asked in pending.waiting() if asked.purpose in on_record
    )
    return bool(pending.waiting()) and not answered and await has_room(ctx, connection, pending.subscriber_id)
