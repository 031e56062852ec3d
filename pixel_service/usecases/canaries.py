"""Canaries: made-up subscribers in every state of consent go through the real path and show whether it holds (P10).

Each lives in a rehearsal: one transaction on the real database that is rolled back. It signs up, confirms, is mailed and
loads the image by the same use cases, statements and tables as everybody, and afterwards was never there: no report,
audience, export, ledger or clock knows it, nothing grows, and a crash leaves nothing. What a rehearsal can not show, such as
a commit that did not last, shows in the rows of people, which are counted too.

Not here: an erased canary. An erasure leaves nobody to measure, and walks the whole mail log, too much for every hour.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeVar

import structlog

from pixel_service.domain.canaries import Finding, Report, Trouble
from pixel_service.domain.consent import TRACKING_OPENS, Purpose, State, is_valid
from pixel_service.storage import canaries, journals
from pixel_service.storage.dialect import lock_ledger
from pixel_service.storage.engine import Connection
from pixel_service.storage.rehearsal import rehearse
from pixel_service.usecases import retain_data
from pixel_service.usecases.canary import Canary, LoadImage, hatch
from pixel_service.usecases.context import Context
from pixel_service.usecases.rights import object_to_marketing, restrict
from pixel_service.usecases.rights_requests import Asked
from pixel_service.usecases.withdraw import Source, withdraw

#: How far back opens of people are looked at: no run is further from the next (`PIXEL_CANARY_EVERY_MINUTES`).
_OF_LATE = timedelta(days=1)
#: A canary holds locks as long as it flies.
_LONGEST = timedelta(seconds=10)

#: Rows looked at in one statement.
_SLICE = 10_000
Key = TypeVar("Key", str, bytes)

_log = structlog.get_logger(__name__)


# --- the roads to each state ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Road:
    #: How a canary gets to its state, or to an agreement that `then` ends.
    there: Callable[[Canary], Awaitable[None]]
    then: Callable[[Canary], Awaitable[None]] | None = None


async def _read_only(canary: Canary) -> None:
    await canary.confirm(await canary.ask(canary.newsletter), canary.newsletter)


async def _request(canary: Canary) -> None:
    await _read_only(canary)
    await canary.ask(canary.newsletter, TRACKING_OPENS)


async def _refuse(canary: Canary) -> None:
    await canary.confirm(await canary.ask(canary.newsletter, TRACKING_OPENS), canary.newsletter)


async def _agree(canary: Canary) -> None:
    await canary.confirm(await canary.ask(canary.newsletter, TRACKING_OPENS), canary.newsletter, TRACKING_OPENS)


async def _agree_twice(canary: Canary) -> None:
    """By two mails: whoever agreed already is not asked."""
    for token in [await canary.ask(canary.newsletter, TRACKING_OPENS) for _ in range(2)]:
        await canary.confirm(token, canary.newsletter, TRACKING_OPENS)


async def _withdraw(canary: Canary) -> None:
    await withdraw(canary.ctx, canary.subscriber_id, {TRACKING_OPENS}, Source.STOP_TRACKING_PAGE)


async def _expire(canary: Canary) -> None:
    """As if it was due; looking for what is due would look at everybody."""
    async with canary.ctx.db.write() as connection:
        await retain_data.expire(canary.ctx, connection, [(canary.subscriber_id, TRACKING_OPENS)])


async def _restrict(canary: Canary) -> None:
    await restrict(canary.ctx, canary.subscriber_id, Asked(source=Source.PRIVACY_PAGE))


async def _object(canary: Canary) -> None:
    await object_to_marketing(canary.ctx, canary.subscriber_id, Asked(source=Source.PRIVACY_PAGE))


_ROADS: Mapping[State, _Road] = {
    State.UNKNOWN: _Road(_read_only),
    State.REQUESTED: _Road(_request),
    State.REFUSED: _Road(_refuse),
    State.GIVEN: _Road(_agree),
    State.RENEWED: _Road(_agree_twice),
    State.WITHDRAWN: _Road(_agree, _withdraw),
    State.EXPIRED: _Road(_agree, _expire),
    State.RESTRICTED: _Road(_agree, _restrict),
    State.OBJECTED: _Road(_agree, _object),
}


# --- a run ------------------------------------------------------------------------------------------------------------


async def run_canaries(ctx: Context, load: LoadImage) -> Report:
    """One canary after the other, and a count of what is held of people without their consent."""
    findings: list[Finding] = []
    # Without a newsletter there is nothing that could carry a pixel.
    newsletters = [one.purpose for one in ctx.catalogue.newsletters.values()][:1]
    flights = [(state, newsletter) for newsletter in newsletters for state in _ROADS]
    for state, newsletter in flights:
        found = await _fly(ctx, load, state, newsletter)
        findings += [Finding(trouble, state) for trouble in found]
    rows = await _count(ctx, canaries.unfounded_pixels, "")
    rows += await _count(ctx, canaries.unfounded_opens, canaries.first_open_id(ctx.clock() - _OF_LATE))
    if rows:
        findings.append(Finding(Trouble.ROWS_WITHOUT_CONSENT, None, rows))
    report = Report(at=ctx.clock(), canaries=len(flights), findings=tuple(findings))
    if findings:
        tell = _log.error if report.violations else _log.warning
        tell(f"canaries found a {report.result}", action="canaries", found=[str(one) for one in findings])
    return report


async def _count(
    ctx: Context, look: Callable[[Connection, Key, int], Awaitable[tuple[int, Key | None]]], first: Key
) -> int:
    """A slice per transaction: nobody waits, and no statement takes long."""
    found, after = 0, first
    while True:
        async with ctx.db.read() as connection:
            number, last = await look(connection, after, _SLICE)
        found += number
        if last is None:
            return found
        after = last


async def _fly(ctx: Context, load: LoadImage, state: State, newsletter: Purpose) -> list[Trouble]:
    road = _ROADS[state]
    async with asyncio.timeout(_LONGEST.total_seconds()), rehearse(ctx.db) as db:
        async with db.write() as connection:
            await lock_ledger(connection)
            # No restore shall repeat a withdrawal that never happened.
            await journals.bind(connection, None, at=ctx.clock())
        canary = hatch(replace(ctx, db=db), load, newsletter)
        await road.there(canary)
        found = await _try_agreeing(canary) if is_valid(await canary.state()) else []
        if road.then is not None:
            canary.wait()
            await road.then(canary)
        if await canary.state() is not state:
            found.append(Trouble.OTHER_STATE)
        return found if is_valid(state) else [*found, *await _try_disagreeing(canary, state)]


async def _try_agreeing(canary: Canary) -> list[Trouble]:
    if not await canary.get_mail():
        return [Trouble.NO_PIXEL]
    return [] if (await canary.load_images()).opens else [Trouble.OPEN_LOST]


async def _try_disagreeing(canary: Canary, state: State) -> list[Trouble]:
    """Mails may have gone out before: their pixels are loaded too."""
    kept = (await canary.traces()).opens if state is State.RESTRICTED else 0
    found = [Trouble.PIXEL_WITHOUT_CONSENT] if await canary.get_mail() else []
    await canary.keep_pixels()
    left = await canary.load_images()
    if left.opens > kept or left.figures:
        found.append(Trouble.OPEN_WITHOUT_CONSENT)
    return found
