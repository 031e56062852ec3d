"""Column types that read and write the same on SQLite and PostgreSQL."""

from datetime import UTC, datetime
from functools import lru_cache

from sqlalchemy import BigInteger, ColumnElement, DateTime, Dialect, LargeBinary, String
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
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


@lru_cache(maxsize=4096)
def sqlite_text(moment: datetime) -> str:
    """The text `Moment` stores on SQLite, for the hot statements that go to the driver directly. Each open's moment is
    written three times, and writing takes 1 us."""
    return moment.astimezone(UTC).isoformat(" ", "microseconds")[:26]


def moment_of(value: str | datetime | None) -> datetime | None:
    """The opposite of `sqlite_text`; drivers that have moments of their own are understood too."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


class whole_seconds(FunctionElement[int]):  # noqa: N801  used like the functions of `sqlalchemy.func`
    """Of a moment, since 1970: the same as ``int(moment.timestamp())``."""

    type = BigInteger()
    inherit_cache = True

    def __init__(self, moment: ColumnElement[datetime]) -> None:
        super().__init__(moment)


@compiles(whole_seconds, "sqlite")
def _on_sqlite(element: whole_seconds, compiler: SQLCompiler, **options: object) -> str:
    # Cut first: strftime rounds to milliseconds, half a millisecond before the hour is the next hour.
    return f"CAST(strftime('%s', substr({compiler.process(element.clauses, **options)}, 1, 19)) AS INTEGER)"


@compiles(whole_seconds, "postgresql")
def _on_postgresql(element: whole_seconds, compiler: SQLCompiler, **options: object) -> str:
    return f"CAST(floor(extract(epoch FROM {compiler.process(element.clauses, **options)})) AS BIGINT)"
