"""Colleagues and programs."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, String, Table

from pixel_service.storage.columns import Moment, id_type
from pixel_service.storage.schema.naming import metadata

#: BIGINT on PostgreSQL; SQLite numbers rows by itself only for INTEGER.
_Serial = BigInteger().with_variant(Integer(), "sqlite")

users = Table(
    "users",
    metadata,
    Column("user_id", id_type(), primary_key=True),
    Column("email", String(254), nullable=False, unique=True),
    #: argon2id, PHC string.
    Column("password_hash", String(200), nullable=False),
    Column("role", String(20), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("disabled_at", Moment),
)


sessions = Table(
    "sessions",
    metadata,
    #: SHA-256 of the cookie's value.
    Column("session_hash", String(64), primary_key=True),
    Column("user_id", ForeignKey("users.user_id", ondelete="CASCADE"), nullable=False, index=True),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False, index=True),
)


#: Failed log-ins per account, so that guessing is limited across processes.
login_failures = Table(
    "login_failures",
    metadata,
    Column("failure_id", _Serial, primary_key=True),
    #: Keyed hash of the typed account name.
    Column("account_hash", String(64), nullable=False),
    Column("failed_at", Moment, nullable=False),
    Index("ix_login_failures_account_hash_failed_at", "account_hash", "failed_at"),
)


api_keys = Table(
    "api_keys",
    metadata,
    Column("api_key_id", id_type(), primary_key=True),
    Column("name", String(80), nullable=False, unique=True),
    #: SHA-256 of the 256-bit secret.
    Column("secret_hash", LargeBinary(32), nullable=False),
    #: Space-separated: send, report.
    Column("scopes", String(80), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment),
    Column("revoked_at", Moment),
)
