"""Signed heads of the ledger's chain, one row per checkpoint."""

from sqlalchemy import Row, insert, select

from pixel_service.domain.checkpoints import Checkpoint
from pixel_service.storage.engine import Connection
from pixel_service.storage.schema import checkpoints


async def add(connection: Connection, checkpoint: Checkpoint) -> None:
    """The caller holds `dialect.lock_ledger`."""
    await connection.execute(
        insert(checkpoints).values(
            seq=checkpoint.seq,
            head=checkpoint.head,
            at=checkpoint.at,
            signature=checkpoint.signature,
            public_key=checkpoint.public_key,
        )
    )


async def newest(connection: Connection) -> Checkpoint | None:
    row = (await connection.execute(select(checkpoints).order_by(checkpoints.c.seq.desc()).limit(1))).first()
    return _checkpoint(row) if row else None


async def read_all(connection: Connection) -> list[Checkpoint]:
    """In order of `seq`: one a day and one per thousand entries, so ten million entries have some ten thousand."""
    rows = await connection.execute(select(checkpoints).order_by(checkpoints.c.seq))
    return [_checkpoint(row) for row in rows]


def _checkpoint(row: Row[tuple[object, ...]]) -> Checkpoint:
    values = row._mapping  # noqa: SLF001  SQLAlchemy's documented way to read a row by name
    return Checkpoint(**{name: values[name] for name in Checkpoint.__slots__})
