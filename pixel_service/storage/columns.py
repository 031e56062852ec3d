"""Column types that read and write the same on SQLite and PostgreSQL."""

from datetime import UTC, datetime

from sqlalchemy import DateTime, Dialect, LargeBinary, String
from sqlalchemy.types import TypeDecorator

#: 26 characters of base32: 128 random bits.
ID_LENGTH = 26


class Moment(TypeDecorator[datetime]):
    """Aware UTC in and out. PostgreSQL stores timestamptz; SQLite stores naive UTC text, which also sorts by time."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment needs its time zone")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def id_type() -> String:
    return String(ID_LENGTH)


def event_id_type() -> LargeBinary:
    """16 bytes: 6 of milliseconds since the epoch, 10 random; grows with time so that inserts stay at the index's end."""
    return LargeBinary(16)


def sqlite_text(moment: datetime) -> str:
    """The text `Moment` stores on SQLite, for the hot statement that goes to the driver directly."""
    return moment.astimezone(UTC).isoformat(" ", "microseconds")[:26]
