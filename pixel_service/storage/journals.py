"""Which journal the database writes to. The journal itself is a file, see journal.py."""

from datetime import datetime

from sqlalchemy import delete, insert, select

from pixel_service.storage.engine import Connection
from pixel_service.storage.schema import journals


async def bound(connection: Connection) -> str | None:
    """The journal's id; None when none is kept."""
    return (await connection.execute(select(journals.c.journal_id))).scalar_one_or_none()


async def bind(connection: Connection, journal_id: str | None, *, at: datetime) -> None:
    """Instead of the one before. The caller holds `dialect.lock_ledger`."""
    await connection.execute(delete(journals))
    if journal_id is not None:
        await connection.execute(insert(journals).values(journal_id=journal_id, bound_at=at))
