"""What is known of each opened message, beside its rows in `opens`, from which all of it follows.

The recorder stores what `domain.settling` decided; whoever deletes rows says `recount`. The caller holds the messages.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import delete, select

from pixel_service.domain.figures import Standing
from pixel_service.domain.messages import MessageId
from pixel_service.domain.opens import Judgement, Verdict
from pixel_service.domain.settling import Seen, seen_in
from pixel_service.storage.columns import moment_of, sqlite_text
from pixel_service.storage.dialect import Statement, straight
from pixel_service.storage.engine import Connection
from pixel_service.storage.schema import message_opens, opens

_WRITE = """
INSERT INTO message_opens (message_id, standing, sessions, first_human_at, times)
{rows}
ON CONFLICT (message_id) DO UPDATE SET standing = excluded.standing, sessions = excluded.sessions,
  first_human_at = excluded.first_human_at, times = excluded.times
"""
_ON_SQLITE = _WRITE.format(
    rows="SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),"
    " json_extract(value, '$[3]'), json_extract(value, '$[4]') FROM json_each(?1) WHERE true"
)
_ON_POSTGRESQL = _WRITE.format(
    rows="SELECT message_id, standing, sessions, first_human_at, times::json FROM unnest($1::varchar[], $2::varchar[],"
    " $3::integer[], $4::timestamptz[], $5::text[]) AS seen (message_id, standing, sessions, first_human_at, times)"
)


def read(standing: str, sessions: int, first_human_at: str | datetime | None, times: str) -> Seen:
    """From the values of either driver."""
    return Seen(Standing(standing), sessions, moment_of(first_human_at), json.loads(times))


def writing(dialect: str, seen: Mapping[MessageId, Seen]) -> Statement:
    """Stores `seen` in place of what was known; the opposite of `read`."""
    if dialect == "postgresql":
        return _ON_POSTGRESQL, (
            list(seen),
            [one.standing.value for one in seen.values()],
            [one.sessions for one in seen.values()],
            [one.first_human_at for one in seen.values()],
            [json.dumps(one.times) for one in seen.values()],
        )
    rows = [
        (
            message_id,
            one.standing,
            one.sessions,
            sqlite_text(one.first_human_at) if one.first_human_at else None,
            one.times,
        )
        for message_id, one in seen.items()
    ]
    return _ON_SQLITE, (json.dumps(rows),)


async def in_rows(connection: Connection, message_ids: Sequence[MessageId]) -> dict[MessageId, Seen]:
    """What the rows in `opens` say; messages without any are left out."""
    query = select(opens.c.message_id, opens.c.opened_at, opens.c.verdict, opens.c.reason, opens.c.client_family)
    rows: dict[MessageId, list[tuple[datetime, Judgement]]] = {}
    for row in await connection.execute(query.where(opens.c.message_id.in_(message_ids))):
        judgement = Judgement(Verdict(row.verdict), row.reason, row.client_family)
        rows.setdefault(MessageId(row.message_id), []).append((row.opened_at, judgement))
    known = {message_id: seen_in(found) for message_id, found in rows.items()}
    return {message_id: seen for message_id, seen in known.items() if seen is not None}


async def stored(connection: Connection, message_ids: Sequence[MessageId]) -> dict[MessageId, Seen]:
    rows = await connection.execute(select(message_opens).where(message_opens.c.message_id.in_(message_ids)))
    return {
        MessageId(row.message_id): Seen(Standing(row.standing), row.sessions, row.first_human_at, row.times)
        for row in rows
    }


async def recount(connection: Connection, message_ids: Sequence[MessageId]) -> None:
    await connection.execute(delete(message_opens).where(message_opens.c.message_id.in_(message_ids)))
    if left := await in_rows(connection, message_ids):
        await straight(connection, *writing(connection.dialect.name, left))
