"""Imports: how far they have come, whom a slice of rows is about, and which rows were not taken.

What must hold: progress is committed with what became of the rows it covers, and only by the process that read them, so
that a killed import goes on at the right row and no row is decided twice.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Row, bindparam, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from pixel_service.domain.consent import Act
from pixel_service.domain.imports import Code, ImportRow, Rejected
from pixel_service.domain.messages import SubscriberId
from pixel_service.domain.signup import Profile
from pixel_service.storage.engine import Connection
from pixel_service.storage.schema import erased_addresses, import_refusals, imports, ledger, subscribers


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    import_id: str
    file_hash: str
    source: str
    started_at: datetime
    finished_at: datetime | None = None
    #: Everything up to this byte and row is done; the header's before the first slice.
    position: int
    last_row: int = 1
    good: int = 0
    unknown: int = 0
    refused: int = 0

    @property
    def rows(self) -> int:
        return self.good + self.unknown + self.refused


async def newest(connection: Connection, file_hash: str) -> Progress | None:
    """The last import of this very file."""
    query = (
        select(imports)
        .where(imports.c.file_hash == file_hash)
        .order_by(imports.c.started_at.desc(), imports.c.import_id.desc())
        .limit(1)
    )
    row = (await connection.execute(query)).first()
    return _progress(row) if row else None


def _progress(row: Row[tuple[object, ...]]) -> Progress:
    return Progress(**row._mapping)  # noqa: SLF001  SQLAlchemy's documented way to read a row by name


async def start(connection: Connection, new: Progress) -> None:
    await connection.execute(
        insert(imports).values(**{name: getattr(new, name) for name in Progress.__slots__}),
    )


async def advance(connection: Connection, before: Progress, after: Progress) -> bool:
    """False when another process was faster; then nothing of this transaction may be kept."""
    changed = {name: getattr(after, name) for name in Progress.__slots__}
    done = await connection.execute(
        update(imports)
        .where(imports.c.import_id == before.import_id, imports.c.position == before.position)
        .values(**changed)
    )
    return done.rowcount == 1


# --- people -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    subscriber_id: SubscriberId
    restricted: bool
    objected: bool


async def people(connection: Connection, keys: Collection[str]) -> dict[str, Person]:
    """By address key; on PostgreSQL they can not be deleted until the transaction ends."""
    rows = await connection.execute(
        select(
            subscribers.c.address_key,
            subscribers.c.subscriber_id,
            subscribers.c.restricted_at,
            subscribers.c.objected_at,
        )
        .where(subscribers.c.address_key.in_(keys))
        .order_by(subscribers.c.subscriber_id)
        .with_for_update(read=True, key_share=True)
    )
    return {
        row.address_key: Person(
            subscriber_id=SubscriberId(row.subscriber_id),
            restricted=row.restricted_at is not None,
            objected=row.objected_at is not None,
        )
        for row in rows
    }


async def erased(connection: Connection, address_hashes: Collection[str]) -> set[str]:
    """Which of these keyed hashes belong to people who had themselves erased."""
    rows = await connection.execute(
        select(erased_addresses.c.address_hash).where(erased_addresses.c.address_hash.in_(address_hashes))
    )
    return set(rows.scalars())


async def entries_of(connection: Connection, import_id: str, seqs: Collection[int]) -> set[int]:
    """Which of these ledger entries this import has made."""
    if not seqs:
        return set()
    rows = await connection.execute(
        select(ledger.c.seq, ledger.c.content).where(
            ledger.c.seq.in_(seqs), ledger.c.act == Act.IMPORTED.value, ledger.c.content.is_not(None)
        )
    )
    return {row.seq for row in rows if json.loads(row.content).get("import") == import_id}


async def add_people(connection: Connection, rows: Mapping[SubscriberId, ImportRow], *, at: datetime) -> None:
    """New people, each by a row that tells of them. Who came in by another way meanwhile stays as they are."""
    if rows:
        dialect = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        await connection.execute(
            dialect(subscribers).on_conflict_do_nothing(index_elements=["address_key"]),
            [
                {
                    "subscriber_id": subscriber_id,
                    "address": one.address.normalised,
                    "address_key": one.address.key,
                    "created_at": at,
                    "last_mailed_at": one.last_mailed_at,
                    "language": one.language,
                    **_profile(one),
                }
                for subscriber_id, one in rows.items()
            ],
        )


async def complete_people(connection: Connection, rows: Sequence[ImportRow]) -> None:
    """What a row tells of people who are on record and never told us themselves; and when they were last mailed."""
    if rows:
        told = [{"of_key": one.address.key, "language": one.language, **_profile(one)} for one in rows]
        await connection.execute(_COMPLETE, told)
    mailed = [{"of_key": one.address.key, "mailed_at": one.last_mailed_at} for one in rows if one.last_mailed_at]
    if mailed:
        await connection.execute(_MAILED, mailed)


#: Who confirmed anything here has a language, and gave their details here; an older file does not know better.
_COMPLETE = update(subscribers).where(
    subscribers.c.address_key == bindparam("of_key"), subscribers.c.language.is_(None)
)
_MAILED = (
    update(subscribers)
    .where(
        subscribers.c.address_key == bindparam("of_key"),
        or_(subscribers.c.last_mailed_at.is_(None), subscribers.c.last_mailed_at < bindparam("mailed_at")),
    )
    .values(last_mailed_at=bindparam("mailed_at"))
)


def _profile(one: ImportRow) -> dict[str, str]:
    return {name: getattr(one.profile, name) for name in Profile.__slots__}


# --- rows that were not taken -----------------------------------------------------------------------------------------


async def keep_rejected(connection: Connection, import_id: str, rejected: Sequence[Rejected]) -> None:
    if rejected:
        await connection.execute(
            insert(import_refusals),
            [
                {
                    "import_id": import_id,
                    "row": one.row,
                    "field": one.field,
                    "code": one.code.value,
                    "reason": one.reason,
                }
                for one in rejected
            ],
        )


async def rejected_after(connection: Connection, import_id: str, row: int, *, limit: int) -> list[Rejected]:
    """The next ones in order of their rows."""
    rows = await connection.execute(
        select(import_refusals)
        .where(import_refusals.c.import_id == import_id, import_refusals.c.row > row)
        .order_by(import_refusals.c.row)
        .limit(limit)
    )
    return [Rejected(row=one.row, field=one.field, code=Code(one.code), reason=one.reason) for one in rows]


async def count_by_code(connection: Connection, import_id: str) -> dict[Code, int]:
    rows = await connection.execute(
        select(import_refusals.c.code, func.count())
        .where(import_refusals.c.import_id == import_id)
        .group_by(import_refusals.c.code)
        .order_by(import_refusals.c.code)
    )
    return {Code(code): number for code, number in rows}
