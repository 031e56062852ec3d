"""Imports of contacts: how far each has come, and which rows it did not take. Nothing of a row itself stands here."""

from sqlalchemy import BigInteger, Column, ForeignKey, PrimaryKeyConstraint, String, Table

from pixel_service.storage.columns import Moment, id_type
from pixel_service.storage.schema.naming import metadata

imports = Table(
    "imports",
    metadata,
    Column("import_id", id_type(), primary_key=True),
    #: SHA-256 of the file, hex: the same file goes on where it was interrupted.
    Column("file_hash", String(64), nullable=False, index=True),
    #: Where the operator says the contacts come from.
    Column("source", String(500), nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("finished_at", Moment),
    #: Everything up to this byte and row is done; committed with what became of these rows.
    Column("position", BigInteger, nullable=False),
    Column("last_row", BigInteger, nullable=False),
    Column("good", BigInteger, nullable=False),
    Column("unknown", BigInteger, nullable=False),
    Column("refused", BigInteger, nullable=False),
)


#: Numbers of rows and reasons, so that a report is exact however often the import was interrupted.
import_refusals = Table(
    "import_refusals",
    metadata,
    Column("import_id", ForeignKey("imports.import_id", ondelete="CASCADE"), nullable=False),
    Column("row", BigInteger, nullable=False),
    Column("field", String(120), nullable=False),
    #: See `domain.imports.Code`.
    Column("code", String(20), nullable=False),
    Column("reason", String(200), nullable=False),
    PrimaryKeyConstraint("import_id", "row"),
)
