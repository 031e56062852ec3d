"""Whether what is kept beside the rows of opens is what the rows say, all of it, and its repair (DESIGN rule 13).

A campaign at a time and a page of messages at a time, so that memory stays bounded. The caller's transaction must show one
moment: a snapshot to compare, `hold_everything` to repair.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Table, select, text

from pixel_service.domain.messages import CampaignId, MessageId
from pixel_service.domain.settling import Seen
from pixel_service.domain.tally import Key, Tally
from pixel_service.storage import figures, seen
from pixel_service.storage.engine import Connection
from pixel_service.storage.schema import campaign_figures, campaigns, message_opens, messages, opens

_PAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenDifference:
    """None: nothing there."""

    message_id: MessageId
    stored: Seen | None
    counted: Seen | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureDifference:
    campaign_id: CampaignId
    kind: str
    name: str
    hour: int
    #: What a repair adds to come from one to the other.
    stored: int
    counted: int


Difference = SeenDifference | FigureDifference


async def take_time(connection: Connection) -> None:
    """No bound on a statement: counting ten million rows takes its time."""
    if connection.dialect.name == "postgresql":
        await connection.execute(text("SET LOCAL statement_timeout = 0"))


async def hold_everything(connection: Connection) -> None:
    """Recording and everything else that changes opens waits until the transaction ends. SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        names = ", ".join(table.name for table in (messages, opens, message_opens, campaign_figures))
        await connection.execute(text(f"LOCK TABLE {names} IN EXCLUSIVE MODE"))


async def differences(connection: Connection, *, repair: bool) -> AsyncIterator[Difference]:
    """Messages first: the figures are counted from what is known of them."""
    async for ids in _pages(connection):
        async for different in _in_messages(connection, ids, repair=repair):
            yield different
    for campaign_id in (await connection.execute(select(campaigns.c.campaign_id))).scalars().all():
        async for off in _in_campaign(connection, CampaignId(campaign_id), repair=repair):
            yield off


async def _pages(connection: Connection) -> AsyncIterator[Sequence[MessageId]]:
    """Messages with rows, or with anything known of them, in their order."""
    last = ""
    while True:
        ids = {*await _next(connection, opens, last), *await _next(connection, message_opens, last)}
        if not ids:
            return
        page = sorted(ids)[:_PAGE]
        yield page
        last = page[-1]


async def _next(connection: Connection, table: Table, last: str) -> Sequence[MessageId]:
    key = table.c.message_id
    query = select(key).where(key > last).distinct().order_by(key).limit(_PAGE)
    return (await connection.execute(query)).scalars().all()


async def _in_messages(
    connection: Connection, ids: Sequence[MessageId], *, repair: bool
) -> AsyncIterator[SeenDifference]:
    counted = await seen.in_rows(connection, ids)
    stored = await seen.stored(connection, ids)
    off = [one for one in ids if counted.get(one) != stored.get(one)]
    for one in off:
        yield SeenDifference(message_id=one, stored=stored.get(one), counted=counted.get(one))
    if off and repair:
        await seen.recount(connection, off)


async def _in_campaign(
    connection: Connection, campaign_id: CampaignId, *, repair: bool
) -> AsyncIterator[FigureDifference]:
    counted = await figures.counted(connection, figures.BY_CAMPAIGN, [campaign_id])
    rows = await connection.execute(select(campaign_figures).where(campaign_figures.c.campaign_id == campaign_id))
    stored: dict[Key, int] = {(row.campaign_id, row.kind, row.name, row.hour): row.amount for row in rows}
    tally = Tally()
    # A row that holds 0 is a difference too.
    for key in sorted({key for key in {*counted, *stored} if counted.get(key) != stored.get(key)}):
        _, kind, name, hour = key
        was, is_ = stored.get(key, 0), counted.get(key, 0)
        yield FigureDifference(campaign_id=campaign_id, kind=kind, name=name, hour=hour, stored=was, counted=is_)
        tally.add(key, is_ - was)
    if repair:
        await figures.add(connection, tally.changes())
        await figures.drop_empty(connection, campaign_id)
