"""Evidence and retention."""

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
        "scrubs",
        sa.Column("scrub_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("scope", sa.String(length=10), nullable=False),
        sa.Column("done_at", columns.Moment(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("scrub_id", name=op.f("pk_scrubs")),
    )
    op.add_column("sign_ups", sa.Column("mailed_at", columns.Moment(timezone=True), nullable=True))
    op.add_column("sign_ups", sa.Column("accepted_at", columns.Moment(timezone=True), nullable=True))
    op.add_column("sign_ups", sa.Column("reminded_at", columns.Moment(timezone=True), nullable=True))
    op.add_column("sign_ups", sa.Column("wrong_codes", sa.Integer(), server_default="0", nullable=False))
    op.add_column("subscribers", sa.Column("last_mailed_at", columns.Moment(timezone=True), nullable=True))
