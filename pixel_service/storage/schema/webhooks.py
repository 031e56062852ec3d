"""Who is told what happened to a person, and what became of it (R11). No foreign keys to people: it must be told that they
are gone."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, String, Table

from pixel_service.storage.columns import Moment, id_type
from pixel_service.storage.schema.naming import metadata

webhook_endpoints = Table(
    "webhook_endpoints",
    metadata,
    Column("endpoint_id", id_type(), primary_key=True),
    Column("url", String(500), nullable=False),
    #: Space-separated: confirmed, withdrawn …
    Column("events", String(200), nullable=False),
    #: Signing secret, and the one before it as long as it signs too; sealed under a key derived from the service's.
    Column("secret", LargeBinary, nullable=False),
    Column("old_secret", LargeBinary),
    Column("old_secret_until", Moment),
    Column("created_at", Moment, nullable=False),
    #: By an operator, or because it answered 410.
    Column("disabled_at", Moment),
)


webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    #: Notices about one person reach an endpoint in this order.
    Column("number", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True),
    #: The same in every try.
    Column("webhook_id", id_type(), nullable=False, unique=True),
    Column("endpoint_id", ForeignKey("webhook_endpoints.endpoint_id"), nullable=False),
    #: Opaque id of the person; they may be gone.
    Column("subject", id_type(), nullable=False),
    Column("event", String(20), nullable=False),
    #: The body, sealed; it holds the address. None once delivered or given up.
    Column("payload", LargeBinary),
    #: waiting, delivered or given_up.
    Column("status", String(10), nullable=False),
    Column("queued_at", Moment, nullable=False),
    #: When it may next be claimed; a claim moves it to the end of the lease.
    Column("due_at", Moment, nullable=False),
    #: Which claim holds it; a result is recorded only by the holder.
    Column("lease", id_type()),
    Column("attempts", Integer, nullable=False, server_default="0"),
    #: Status code, or why there was none.
    Column("last_answer", String(40), nullable=False, server_default=""),
    #: When it was delivered or given up.
    Column("ended_at", Moment, index=True),
    Index("ix_webhook_deliveries_status_endpoint_id_due_at", "status", "endpoint_id", "due_at"),
    Index("ix_webhook_deliveries_subject_status", "subject", "status"),
)
