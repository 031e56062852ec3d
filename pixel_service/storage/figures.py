"""The figures of campaigns: counted from rows, changed together with them, and nowhere else (DESIGN rule 13).

What must hold at every commit: `campaign_figures` says what `figures_of` counts. The recorder adds what
`domain.tally` works out; whoever else changes a message, its opens or what is known of them does so inside `kept`.
Nothing that could wait is locked after them. They are locked in the order of their keys, and no row is left at 0: at a rare hour it would be a trace of a
person.
"""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from sqlalchemy import (
    CTE,
    Column,
    ColumnElement,
    Integer,
    Select,
    String,
    Subquery,
    bindparam,
    case,
    delete,
    distinct,
    func,
    literal_column,
    select,
    union_all,
)

from pixel_service.domain.figures import DELAYS, SECONDS_PER_HOUR, Group, Kind
from pixel_service.domain.messages import CampaignId, MessageId, Tracking
from pixel_service.domain.opens import LIKELY_HUMAN, MACHINE
from pixel_service.domain.tally import Key, Tally
from pixel_service.storage.columns import whole_seconds
from pixel_service.storage.dialect import Statement, straight
from pixel_service.storage.engine import Connection
from pixel_service.storage.schema import campaign_figures, message_opens, messages, opens

# --- counting ---------------------------------------------------------------------------------------------------------

_GROUP = case(
    (opens.c.verdict.in_([verdict.value for verdict in sorted(LIKELY_HUMAN)]), Group.OPENS.value),
    (opens.c.verdict.in_([verdict.value for verdict in sorted(MACHINE)]), Group.MACHINE.value),
    else_=Group.UNKNOWN.value,
)
_NAME = opens.c.verdict + "/" + opens.c.reason + "/" + opens.c.client_family
_NOTHING = literal_column("''", String)


def figures_of(which: ColumnElement[bool]) -> Select[tuple[str, str, str, int, int]]:
    """Campaign, kind, name, hour and amount of all that the chosen messages count for."""
    mails = (
        select(
            messages.c.message_id,
            messages.c.campaign_id,
            messages.c.tracking,
            whole_seconds(messages.c.sent_at).label("accepted"),
            message_opens.c.standing,
            message_opens.c.sessions,
            whole_seconds(message_opens.c.first_human_at).label("first"),
        )
        .outerjoin(message_opens, message_opens.c.message_id == messages.c.message_id)
        .where(which, messages.c.campaign_id.is_not(None))
        .cte("mails")
    )
    rows = (
        select(
            mails.c.campaign_id,
            opens.c.message_id,
            _GROUP.label("of_group"),
            _NAME.label("name"),
            opens.c.client_family,
            _hour(whole_seconds(opens.c.opened_at)).label("hour"),
        )
        .join_from(mails, opens, opens.c.message_id == mails.c.message_id)
        .where(mails.c.tracking == Tracking.TRACKED.value)
        .cte("rows_of_opens")
    )
    found: Subquery = union_all(*_of_mails(mails), *_of_rows(rows)).subquery("found")
    return select(*found.c).where(found.c.amount != 0)


def _of_mails(mails: CTE) -> list[Select[tuple[str, str, str, int, int]]]:
    number = func.count()
    out = mails.c.accepted.is_not(None) | mails.c.standing.is_not(None)
    seen = mails.c.tracking == Tracking.TRACKED.value, mails.c.standing.is_not(None)
    read = *seen, mails.c.first.is_not(None)
    delay = mails.c.first - mails.c.accepted
    bounds = [(delay < end, name) for name, end in DELAYS.items() if end is not None]
    return [
        _part(mails, Kind.MESSAGE, mails.c.tracking, number).where(out),
        _part(mails, Kind.STANDING, mails.c.standing, number).where(*seen),
        _part(mails, Kind.FIRST, _NOTHING, number, _hour(mails.c.first)).where(*read),
        _part(mails, Kind.DELAY, case(*bounds, else_=list(DELAYS)[-1]), number).where(*read, delay >= 0),
        _part(mails, Kind.SESSION, _NOTHING, func.sum(mails.c.sessions)).where(*read),
    ]


def _of_rows(rows: CTE) -> list[Select[tuple[str, str, str, int, int]]]:
    mails = func.count(distinct(rows.c.message_id))
    human = rows.c.of_group == Group.OPENS.value
    return [
        _part(rows, Kind.OPENS, rows.c.of_group, func.count(), rows.c.hour),
        _part(rows, Kind.VERDICT, rows.c.name, func.count()),
        _part(rows, Kind.UNIQUE, rows.c.of_group, mails),
        _part(rows, Kind.CLIENT, rows.c.client_family, mails).where(human),
    ]


def _part(
    source: CTE,
    kind: Kind,
    name: ColumnElement[str],
    amount: ColumnElement[int],
    hour: ColumnElement[int] | None = None,
) -> Select[tuple[str, str, str, int, int]]:
    at = literal_column("0", Integer) if hour is None else hour
    inner = select(
        source.c.campaign_id,
        literal_column(f"'{kind.value}'", String).label("kind"),
        name.label("name"),
        at.label("hour"),
        amount.label("amount"),
    )
    return inner.group_by(source.c.campaign_id, literal_column("3"), literal_column("4"))


def _hour(seconds: ColumnElement[int]) -> ColumnElement[int]:
    return seconds // SECONDS_PER_HOUR


@dataclass(frozen=True, slots=True)
class Choice:
    """Which messages, by keys that are bound to "keys". Written once: building these statements anew takes 3 ms."""

    #: Locks them, in the order in which everybody locks messages.
    hold: Select[tuple[str]]
    out: Select[tuple[str, str, int, int]]
    figures: Select[tuple[str, str, str, int, int]]


def _choice(column: Column[str]) -> Choice:
    which = column.in_(bindparam("keys", expanding=True))
    out = messages.c.sent_at.is_not(None) | message_opens.c.standing.is_not(None)
    return Choice(
        hold=select(messages.c.message_id).where(which).order_by(messages.c.message_id).with_for_update(key_share=True),
        out=select(messages.c.campaign_id, messages.c.tracking, func.count().label("amount"))
        .add_columns(func.count(message_opens.c.standing).label("opened"))
        .outerjoin(message_opens, message_opens.c.message_id == messages.c.message_id)
        .where(which, messages.c.campaign_id.is_not(None), out)
        .group_by(messages.c.campaign_id, messages.c.tracking),
        figures=figures_of(which),
    )


BY_PERSON = _choice(messages.c.subscriber_id)
BY_MESSAGE = _choice(messages.c.message_id)
BY_CAMPAIGN = _choice(messages.c.campaign_id)


async def counted(connection: Connection, choice: Choice, keys: Sequence[str]) -> dict[Key, int]:
    """`figures_of`, in less time as long as none of them was opened."""
    sent = (await connection.execute(choice.out, {"keys": keys})).all()
    if not any(row.opened for row in sent):
        return {(row.campaign_id, Kind.MESSAGE.value, row.tracking, 0): row.amount for row in sent}
    rows = await connection.execute(choice.figures, {"keys": keys})
    return {(row.campaign_id, row.kind, row.name, int(row.hour)): int(row.amount) for row in rows}


# --- changing ---------------------------------------------------------------------------------------------------------

_ADD_ON_SQLITE = """
INSERT INTO campaign_figures (campaign_id, kind, name, hour, amount)
SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
  json_extract(value, '$[3]'), json_extract(value, '$[4]')
FROM json_each(?1) WHERE true
ON CONFLICT (campaign_id, kind, name, hour) DO UPDATE SET amount = campaign_figures.amount + excluded.amount
"""
_ADD_ON_POSTGRESQL = """
INSERT INTO campaign_figures (campaign_id, kind, name, hour, amount)
SELECT * FROM unnest($1::varchar[], $2::varchar[], $3::varchar[], $4::integer[], $5::bigint[]) AS change
  (campaign_id, kind, name, hour, amount)
ORDER BY campaign_id, kind, name, hour
ON CONFLICT (campaign_id, kind, name, hour) DO UPDATE SET amount = campaign_figures.amount + excluded.amount
"""
_DROP_ON_SQLITE = """
DELETE FROM campaign_figures WHERE amount = 0 AND (campaign_id, kind, name, hour) IN (
  SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'), json_extract(value, '$[3]')
  FROM json_each(?1))
"""
_DROP_ON_POSTGRESQL = """
DELETE FROM campaign_figures AS figure
USING unnest($1::varchar[], $2::varchar[], $3::varchar[], $4::integer[]) AS change (campaign_id, kind, name, hour)
WHERE figure.amount = 0 AND figure.campaign_id = change.campaign_id AND figure.kind = change.kind
  AND figure.name = change.name AND figure.hour = change.hour
"""


async def add(connection: Connection, changes: Mapping[Key, int]) -> None:
    """The last statement of a transaction that waits for others: everybody who counts in a campaign meets here."""
    for statement, parameters in additions(connection.dialect.name, changes):
        await straight(connection, statement, parameters)


def additions(dialect: str, changes: Mapping[Key, int]) -> Sequence[Statement]:
    """What `add` says, also when nothing changes, so that a forged pixel takes its time."""
    rows = sorted([(*key, amount) for key, amount in changes.items()])
    fewer = [row for row in rows if row[4] < 0]
    if dialect == "postgresql":
        said: list[Statement] = [(_ADD_ON_POSTGRESQL, _columns(rows)), (_DROP_ON_POSTGRESQL, _columns(fewer)[:4])]
    else:
        said = [(_ADD_ON_SQLITE, (json.dumps(rows),)), (_DROP_ON_SQLITE, (json.dumps(fewer),))]
    return said if fewer else said[:1]


def _columns(rows: list[tuple[str, str, str, int, int]]) -> list[list[str | int]]:
    return [[row[place] for row in rows] for place in range(5)]


async def drop_empty(connection: Connection, campaign_id: CampaignId) -> None:
    """For repair only: `add` leaves none."""
    empty = campaign_figures.c.campaign_id == campaign_id, campaign_figures.c.amount == 0
    await connection.execute(delete(campaign_figures).where(*empty))


@asynccontextmanager
async def kept(connection: Connection, choice: Choice, keys: Sequence[str]) -> AsyncIterator[None]:
    """Whatever the block does to the chosen messages, their opens and what is known of them, the figures follow. The
    messages are locked. Blocks do not nest: a change would count twice."""
    await connection.execute(choice.hold, {"keys": keys})
    tally = Tally()
    for key, amount in (await counted(connection, choice, keys)).items():
        tally.add(key, -amount)
    yield
    for key, amount in (await counted(connection, choice, keys)).items():
        tally.add(key, amount)
    if changes := tally.changes():
        await add(connection, changes)


def kept_of(connection: Connection, message_ids: Sequence[MessageId]) -> AbstractAsyncContextManager[None]:
    return kept(connection, BY_MESSAGE, message_ids)
