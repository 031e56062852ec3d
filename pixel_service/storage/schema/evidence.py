"""What proves it: the ledger, the texts shown, the mails that asked, and who looked. No foreign keys to people: evidence outlives
their rows."""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, PrimaryKeyConstraint, String, Table, Text

from pixel_service.storage.columns import Moment, id_type
from pixel_service.storage.schema.naming import metadata

#: BIGINT on PostgreSQL; SQLite numbers rows by itself only for INTEGER.
_Serial = BigInteger().with_variant(Integer(), "sqlite")

#: Append-only. No foreign key to subscribers: evidence outlives the person's row.
ledger = Table(
    "ledger",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("subscriber_id", id_type(), nullable=False, index=True),
    Column("purpose", String(60), nullable=False),
    Column("act", String(20), nullable=False),
    Column("at", Moment, nullable=False, index=True),
    #: Canonical JSON; None once dropped by erasure or retention.
    Column("content", Text),
    Column("salt", String(32)),
    Column("content_hash", String(64), nullable=False),
    Column("previous_hash", String(64), nullable=False),
    Column("entry_hash", String(64), nullable=False),
)


#: Every text a person was ever shown, as it was (S5, S6). `purpose` is "notice" for the privacy notice.
published_texts = Table(
    "published_texts",
    metadata,
    Column("purpose", String(60), nullable=False),
    Column("version", String(20), nullable=False),
    Column("language", String(8), nullable=False),
    Column("text", Text, nullable=False),
    Column("text_hash", String(64), nullable=False),
    Column("published_at", Moment, nullable=False),
    PrimaryKeyConstraint("purpose", "version", "language"),
)


#: The mail that asked, as it was handed over (E4). No foreign keys: evidence outlives the rows it is about.
confirmation_mails = Table(
    "confirmation_mails",
    metadata,
    Column("message_id", id_type(), primary_key=True),
    Column("sign_up_id", id_type(), nullable=False),
    Column("subscriber_id", id_type(), nullable=False, index=True),
    #: When the relay accepted it, and what it said.
    Column("sent_at", Moment, nullable=False),
    Column("relay_reply", String(500), nullable=False),
    #: Every byte, headers included; its SHA-256 stands in the ledger.
    Column("data", LargeBinary, nullable=False),
)


#: Signed heads of the ledger's chain: what was removed from its end is missed here (E3).
checkpoints = Table(
    "checkpoints",
    metadata,
    #: The last entry it covers.
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    #: `entry_hash` of that entry.
    Column("head", String(64), nullable=False),
    Column("at", Moment, nullable=False),
    #: Ed25519, hex, and the public key it verifies under.
    Column("signature", String(128), nullable=False),
    Column("public_key", String(64), nullable=False),
)


#: What people asked for by right, and until when it must be done (R10). No foreign key: it outlives the person's row.
rights_requests = Table(
    "rights_requests",
    metadata,
    Column("request_id", id_type(), primary_key=True),
    Column("subscriber_id", id_type(), nullable=False, index=True),
    #: See `RightsRequestKind`.
    Column("kind", String(20), nullable=False),
    #: How the person said it; see `Source`.
    Column("source", String(20), nullable=False),
    Column("asked_at", Moment, nullable=False),
    #: One month later (GDPR Art. 12(3)).
    Column("due_at", Moment, nullable=False),
    #: None while it is open.
    Column("done_at", Moment),
    #: A colleague's own words, such as the number of a letter.
    Column("note", String(500), nullable=False, server_default=""),
    Index("ix_rights_requests_done_at", "done_at", "due_at"),
)


#: The journal of withdrawals this database writes to: one row, or none where no journal is kept (Q5).
journals = Table(
    "journals",
    metadata,
    Column("journal_id", id_type(), primary_key=True),
    Column("bound_at", Moment, nullable=False),
)


#: Who looked at whose personal data, and why (A1).
audit_log = Table(
    "audit_log",
    metadata,
    Column("audit_id", _Serial, primary_key=True),
    Column("at", Moment, nullable=False, index=True),
    #: A colleague's address, or ``command line: NAME``.
    Column("who", String(254), nullable=False),
    Column("act", String(40), nullable=False),
    #: The opaque id of a person on record, else a keyed hash of the address that was asked for.
    Column("subject", String(70), nullable=False, index=True),
    Column("reason", String(500), nullable=False),
)
