"""Evidence and rights."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from pixel_service.storage import columns

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "audit_log",
        sa.Column("audit_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", columns.Moment(timezone=True), nullable=False),
        sa.Column("who", sa.String(length=254), nullable=False),
        sa.Column("act", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=70), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.PrimaryKeyConstraint("audit_id", name=op.f("pk_audit_log")),
    )
    op.create_index(op.f("ix_audit_log_at"), "audit_log", ["at"], unique=False)
    op.create_index(op.f("ix_audit_log_subject"), "audit_log", ["subject"], unique=False)
    op.create_table(
        "checkpoints",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("head", sa.String(length=64), nullable=False),
        sa.Column("at", columns.Moment(timezone=True), nullable=False),
        sa.Column("signature", sa.String(length=128), nullable=False),
        sa.Column("public_key", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_checkpoints")),
    )
    op.create_table(
        "confirmation_mails",
        sa.Column("message_id", sa.String(length=26), nullable=False),
        sa.Column("sign_up_id", sa.String(length=26), nullable=False),
        sa.Column("subscriber_id", sa.String(length=26), nullable=False),
        sa.Column("sent_at", columns.Moment(timezone=True), nullable=False),
        sa.Column("relay_reply", sa.String(length=500), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_confirmation_mails")),
    )
    op.create_index(op.f("ix_confirmation_mails_subscriber_id"), "confirmation_mails", ["subscriber_id"], unique=False)
    op.create_table(
        "erased_addresses",
        sa.Column("address_hash", sa.String(length=64), nullable=False),
        sa.Column("erased_at", columns.Moment(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("address_hash", name=op.f("pk_erased_addresses")),
    )
    op.create_table(
        "imports",
        sa.Column("import_id", sa.String(length=26), nullable=False),
        sa.Column("file_hash", sa.String(length=64), nullable=False),
        sa.Column("source", sa.String(length=500), nullable=False),
        sa.Column("started_at", columns.Moment(timezone=True), nullable=False),
        sa.Column("finished_at", columns.Moment(timezone=True), nullable=True),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("last_row", sa.BigInteger(), nullable=False),
        sa.Column("good", sa.BigInteger(), nullable=False),
        sa.Column("unknown", sa.BigInteger(), nullable=False),
        sa.Column("refused", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("import_id", name=op.f("pk_imports")),
    )
    op.create_index(op.f("ix_imports_file_hash"), "imports", ["file_hash"], unique=False)
    op.create_table(
        "inbound_mails",
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("received_at", columns.Moment(timezone=True), nullable=False),
        sa.Column("verdict", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("fingerprint", name=op.f("pk_inbound_mails")),
    )
    op.create_index(op.f("ix_inbound_mails_received_at"), "inbound_mails", ["received_at"], unique=False)
    op.create_table(
        "inbound_unclear",
        sa.Column("inbound_id", sa.String(length=26), nullable=False),
        sa.Column("received_at", columns.Moment(timezone=True), nullable=False),
        sa.Column("subscriber_id", sa.String(length=26), nullable=True),
        sa.Column("sender", sa.String(length=254), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("excerpt", sa.Text(), nullable=False),
        sa.Column("message_id_header", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("done_at", columns.Moment(timezone=True), nullable=True),
        sa.Column("done_by", sa.String(length=26), nullable=True),
        sa.PrimaryKeyConstraint("inbound_id", name=op.f("pk_inbound_unclear")),
    )
    op.create_index(op.f("ix_inbound_unclear_sender"), "inbound_unclear", ["sender"], unique=False)
    op.create_index("ix_inbound_unclear_state_received_at", "inbound_unclear", ["state", "received_at"], unique=False)
    op.create_index(op.f("ix_inbound_unclear_subscriber_id"), "inbound_unclear", ["subscriber_id"], unique=False)
    op.create_table(
        "journals",
        sa.Column("journal_id", sa.String(length=26), nullable=False),
        sa.Column("bound_at", columns.Moment(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("journal_id", name=op.f("pk_journals")),
    )
    op.create_table(
        "rights_requests",
        sa.Column("request_id", sa.String(length=26), nullable=False),
        sa.Column("subscriber_id", sa.String(length=26), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("source", sa.String(length=20), nullable=False),
        sa.Column("asked_at", columns.Moment(timezone=True), nullable=False),
        sa.Column("due_at", columns.Moment(timezone=True), nullable=False),
        sa.Column("done_at", columns.Moment(timezone=True), nullable=True),
        sa.Column("note", sa.String(length=500), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_rights_requests")),
    )
    op.create_index("ix_rights_requests_done_at", "rights_requests", ["done_at", "due_at"], unique=False)
    op.create_index(op.f("ix_rights_requests_subscriber_id"), "rights_requests", ["subscriber_id"], unique=False)
    op.create_table(
        "scrubs",
        sa.Column("scrub_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("scope", sa.String(length=10), nullable=False),
        sa.Column("done_at", columns.Moment(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("scrub_id", name=op.f("pk_scrubs")),
    )
    op.create_table(
        "sealed_evidence",
        sa.Column("subscriber_id", sa.String(length=26), nullable=False),
        sa.Column("address_hash", sa.String(length=64), nullable=False),
        sa.Column("sealed_at", columns.Moment(timezone=True), nullable=False),
        sa.Column("ends_at", columns.Moment(timezone=True), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("subscriber_id", name=op.f("pk_sealed_evidence")),
    )
    op.create_index(op.f("ix_sealed_evidence_address_hash"), "sealed_evidence", ["address_hash"], unique=False)
    op.create_index(op.f("ix_sealed_evidence_ends_at"), "sealed_evidence", ["ends_at"], unique=False)
    op.create_table(
        "webhook_endpoints",
        sa.Column("endpoint_id", sa.String(length=26), nullable=False),
        sa.Column("url", sa.String(length=500), nullable=False),
        sa.Column("events", sa.String(length=200), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("old_secret", sa.LargeBinary(), nullable=True),
        sa.Column("old_secret_until", columns.Moment(timezone=True), nullable=True),
        sa.Column("created_at", columns.Moment(timezone=True), nullable=False),
        sa.Column("disabled_at", columns.Moment(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("endpoint_id", name=op.f("pk_webhook_endpoints")),
    )
    op.create_table(
        "address_changes",
        sa.Column("change_id", sa.String(length=26), nullable=False),
        sa.Column("subscriber_id", sa.String(length=26), nullable=False),
        sa.Column("address", sa.String(length=254), nullable=False),
        sa.Column("address_key", sa.String(length=254), nullable=False),
        sa.Column("previous_address", sa.String(length=254), nullable=False),
        sa.Column("asked_at", columns.Moment(timezone=True), nullable=False),
        sa.Column("expires_at", columns.Moment(timezone=True), nullable=False),
        sa.Column("confirmed_at", columns.Moment(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["subscriber_id"], ["subscribers.subscriber_id"], name=op.f("fk_address_changes_subscriber_id")
        ),
        sa.PrimaryKeyConstraint("change_id", name=op.f("pk_address_changes")),
    )
    op.create_index(op.f("ix_address_changes_address_key"), "address_changes", ["address_key"], unique=False)
    op.create_index(op.f("ix_address_changes_expires_at"), "address_changes", ["expires_at"], unique=False)
    op.create_index(op.f("ix_address_changes_subscriber_id"), "address_changes", ["subscriber_id"], unique=False)
    op.create_table(
        "import_refusals",
        sa.Column("import_id", sa.String(length=26), nullable=False),
        sa.Column("row", sa.BigInteger(), nullable=False),
        sa.Column("field", sa.String(length=120), nullable=False),
        sa.Column("code", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["import_id"], ["imports.import_id"], name=op.f("fk_import_refusals_import_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("import_id", "row", name=op.f("pk_import_refusals")),
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("webhook_id", sa.String(length=26), nullable=False),
        sa.Column("endpoint_id", sa.String(length=26), nullable=False),
        sa.Column("subject", sa.String(length=26), nullable=False),
        sa.Column("event", sa.String(length=20), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=True),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("queued_at", columns.Moment(timezone=True), nullable=False),
        sa.Column("due_at", columns.Moment(timezone=True), nullable=False),
        sa.Column("lease", sa.String(length=26), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("last_answer", sa.String(length=40), server_default="", nullable=False),
        sa.Column("ended_at", columns.Moment(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["webhook_endpoints.endpoint_id"], name=op.f("fk_webhook_deliveries_endpoint_id")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_webhook_deliveries")),
        sa.UniqueConstraint("webhook_id", name=op.f("uq_webhook_deliveries_webhook_id")),
    )
    op.create_index(op.f("ix_webhook_deliveries_ended_at"), "webhook_deliveries", ["ended_at"], unique=False)
    op.create_index(
        "ix_webhook_deliveries_status_endpoint_id_due_at",
        "webhook_deliveries",
        ["status", "endpoint_id", "due_at"],
        unique=False,
    )
    op.create_index("ix_webhook_deliveries_subject_status", "webhook_deliveries", ["subject", "status"], unique=False)
    op.add_column("sign_ups", sa.Column("mailed_at", columns.Moment(timezone=True), nullable=True))
    op.add_column("sign_ups", sa.Column("accepted_at", columns.Moment(timezone=True), nullable=True))
    op.add_column("sign_ups", sa.Column("reminded_at", columns.Moment(timezone=True), nullable=True))
    op.add_column("sign_ups", sa.Column("wrong_codes", sa.Integer(), server_default="0", nullable=False))
    op.add_column("subscribers", sa.Column("last_mailed_at", columns.Moment(timezone=True), nullable=True))
    op.add_column("subscribers", sa.Column("restricted_at", columns.Moment(timezone=True), nullable=True))
    op.add_column("subscribers", sa.Column("objected_at", columns.Moment(timezone=True), nullable=True))
