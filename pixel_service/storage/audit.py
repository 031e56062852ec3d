"""The audit log: one row per look at personal data, written in the transaction that looks (A1).

Append-only; what is too old is dropped by retention. A row names a person only by an opaque id or a keyed hash.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, select

from pixel_service.storage.engine import Connection
from pixel_service.storage.schema import audit_log


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Somebody looked at, or acted on, what is held of one person."""

    at: datetime
    #: A colleague's address, or ``command line: NAME``.
    who: str
    #: E.g. ``evidence``.
    act: str
    #: See the column.
    subject: str
    reason: str


async def record(connection: Connection, look: Look) -> None:
    await connection.execute(
        insert(audit_log).values(at=look.at, who=look.who, act=look.act, subject=look.subject, reason=look.reason)
    )


async def newest(connection: Connection, *, limit: int) -> list[Look]:
    """The last `limit` looks, newest first."""
    rows = await connection.execute(select(audit_log).order_by(audit_log.c.audit_id.desc()).limit(limit))
    return [Look(at=row.at, who=row.who, act=row.act, subject=row.subject, reason=row.reason) for row in rows]
