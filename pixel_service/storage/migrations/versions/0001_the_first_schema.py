"""The first schema."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from pixel_service.storage import columns

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("api_key_id", sa.String(length=26), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("scopes", sa.String(length=80), nullable=False),
        sa.Column("created_at", columns.Moment(timezone=True), nullable=False),
        sa.Column("expires_at", columns.Moment(timezone=True), nullable=True),
        sa.Column("revoked_at", columns.Moment(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("api_key_id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("name", name=op.f("uq_api_keys_name")),
    )
    op.create_table(
        "campaigns",
        sa.Column("campaign_id", sa.String(length=26), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("purpose", sa.String(length=60), nullable=False),
        sa.Column("created_at", columns.Moment(timezone=True), nullable=False),
        sa.Column("paused_at", columns.Moment(timezone=True), nullable=True),
        sa.Column("cancelled_at", columns.Moment(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("campaign_id", name=op.f("pk_campaigns")),
        sa.UniqueConstraint("name", name=op.f("uq_campaigns_name")),
    )
    op.create_table(
        "ledger",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("subscriber_id", sa.String(length=26), nullable=False),
        sa.Column("purpose", sa.String(length=60), nullable=False),
        sa.Column("act", sa.String(length=20), nullable=False),
        sa.Column("at", columns.Moment(timezone=True), nullable=False),
        sa.Column("content", sa.Text(), nullable=True),
        sa.Column("salt", sa.String(length=32), nullable=True),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("previous_hash", sa.String(length=64), nullable=False),
        sa.Column("entry_hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_ledger")),
    )
    op.create_index(op.f("ix_ledger_subscriber_id"), "ledger", ["subscriber_id"], unique=False)
    op.create_table(
        "login_failures",
        sa.Column("failure_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("account_hash", sa.String(length=64), nullable=False),
        sa.Column("failed_at", columns.Moment(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("failure_id", name=op.f("pk_login_failures")),
    )
    op.create_index(
        "ix_login_failures_account_hash_failed_at", "login_failures", ["account_hash", "failed_at"], unique=False
    )
    op.create_table(
        "published_texts",
        sa.Column("purpose", sa.String(length=60), nullable=False),
        sa.Column("version", sa.String(length=20), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("text_hash", sa.String(length=64), nullable=False),
        sa.Column("published_at", columns.Moment(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("purpose", "version", "language", name=op.f("pk_published_texts")),
    )
    op.create_table(
        "subscribers",
        sa.Column("subscriber_id", sa.String(length=26), nullable=False),
        sa.Column("address", sa.String(length=254), nullable=False),
        sa.Column("address_key", sa.String(length=254), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=True),
        sa.Column("salutation", sa.String(length=40), server_default="", nullable=False),
        sa.Column("first_name", sa.String(length=80), server_default="", nullable=False),
        sa.Column("last_name", sa.String(length=80), server_default="", nullable=False),
        sa.Column("company", sa.String(length=120), server_default="", nullable=False),
        sa.Column("phone", sa.String(length=40), server_default="", nullable=False),
        sa.Column("function", sa.String(length=120), server_default="", nullable=False),
        sa.Column("interests", sa.String(length=300), server_default="", nullable=False),
        sa.Column("created_at", columns.Moment(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("subscriber_id", name=op.f("pk_subscribers")),
        sa.UniqueConstraint("address_key", name=op.f("uq_subscribers_address_key")),
    )
    op.create_table(
        "users",
        sa.Column("user_id", sa.String(length=26), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("password_hash", sa.String(length=200), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("created_at", columns.Moment(timezone=True), nullable=False),
        sa.Column("disabled_at", columns.Moment(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_users")),
        sa.UniqueConstraint("email", name=op.f("uq_users_email")),
    )
    op.create_table(
        "consents",
        sa.Column("subscriber_id", sa.String(length=26), nullable=False),
        sa.Column("purpose", sa.String(length=60), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("decided_at", columns.Moment(timezone=True), nullable=False),
        sa.Column("ledger_seq", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["subscriber_id"], ["subscribers.subscriber_id"], name=op.f("fk_consents_subscriber_id")
        ),
        sa.PrimaryKeyConstraint("subscriber_id", "purpose", name=op.f("pk_consents")),
    )
    op.create_index("ix_consents_purpose_state", "consents", ["purpose", "state", "subscriber_id"], unique=False)
    op.create_table(
        "sends",
        sa.Column("send_id", sa.String(length=26), nullable=False),
        sa.Column("campaign_id", sa.String(length=26), nullable=False),
        sa.Column("api_key_id", sa.String(length=26), nullable=False),
        sa.Column("idempotency_key", sa.String(length=255), nullable=False),
        sa.Column("body_hash", sa.String(length=64), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("personal_content", sa.Boolean(), nullable=False),
        sa.Column("warnings", sa.JSON(), nullable=False),
        sa.Column("created_at", columns.Moment(timezone=True), nullable=False),
        sa.Column("results", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("cursor", sa.String(length=26), nullable=True),
        sa.Column("expanded_at", columns.Moment(timezone=True), nullable=True),
        sa.Column("tracked", sa.Integer(), server_default="0", nullable=False),
        sa.Column("untracked", sa.Integer(), server_default="0", nullable=False),
        sa.Column("refused", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaigns.campaign_id"], name=op.f("fk_sends_campaign_id")),
        sa.PrimaryKeyConstraint("send_id", name=op.f("pk_sends")),
        sa.UniqueConstraint("api_key_id", "idempotency_key", name=op.f("uq_sends_api_key_id_idempotency_key")),
    )
    op.create_index(op.f("ix_sends_campaign_id"), "sends", ["campaign_id"], unique=False)
    op.create_index("ix_sends_expanded_at", "sends", ["expanded_at"], unique=False)
    op.create_table(
        "sessions",
        sa.Column("session_hash", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=26), nullable=False),
        sa.Column("created_at", columns.Moment(timezone=True), nullable=False),
        sa.Column("expires_at", columns.Moment(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name=op.f("fk_sessions_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("session_hash", name=op.f("pk_sessions")),
    )
    op.create_index(op.f("ix_sessions_expires_at"), "sessions", ["expires_at"], unique=False)
    op.create_index(op.f("ix_sessions_user_id"), "sessions", ["user_id"], unique=False)
    op.create_table(
        "sign_ups",
        sa.Column("sign_up_id", sa.String(length=26), nullable=False),
        sa.Column("subscriber_id", sa.String(length=26), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("profile", sa.JSON(), nullable=False),
        sa.Column("created_at", columns.Moment(timezone=True), nullable=False),
        sa.Column("expires_at", columns.Moment(timezone=True), nullable=False),
        sa.Column("confirmed_at", columns.Moment(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["subscriber_id"], ["subscribers.subscriber_id"], name=op.f("fk_sign_ups_subscriber_id")
        ),
        sa.PrimaryKeyConstraint("sign_up_id", name=op.f("pk_sign_ups")),
    )
    op.create_index(op.f("ix_sign_ups_expires_at"), "sign_ups", ["expires_at"], unique=False)
    op.create_index(op.f("ix_sign_ups_subscriber_id"), "sign_ups", ["subscriber_id"], unique=False)
    op.create_table(
        "messages",
        sa.Column("message_id", sa.String(length=26), nullable=False),
        sa.Column("subscriber_id", sa.String(length=26), nullable=False),
        sa.Column("send_id", sa.String(length=26), nullable=True),
        sa.Column("campaign_id", sa.String(length=26), nullable=True),
        sa.Column("purpose", sa.String(length=60), nullable=False),
        sa.Column("template", sa.String(length=40), nullable=True),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("variables", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("tracking", sa.String(length=10), server_default="none", nullable=False),
        sa.Column("queued_at", columns.Moment(timezone=True), nullable=False),
        sa.Column("due_at", columns.Moment(timezone=True), nullable=False),
        sa.Column("lease", sa.String(length=26), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("sent_at", columns.Moment(timezone=True), nullable=True),
        sa.Column("last_reply", sa.String(length=500), nullable=True),
        sa.Column("reason", sa.String(length=40), nullable=True),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaigns.campaign_id"], name=op.f("fk_messages_campaign_id")),
        sa.ForeignKeyConstraint(["send_id"], ["sends.send_id"], name=op.f("fk_messages_send_id")),
        sa.ForeignKeyConstraint(
            ["subscriber_id"], ["subscribers.subscriber_id"], name=op.f("fk_messages_subscriber_id")
        ),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_messages")),
        sa.UniqueConstraint("send_id", "subscriber_id", name=op.f("uq_messages_send_id_subscriber_id")),
    )
    op.create_index("ix_messages_campaign_id_tracking", "messages", ["campaign_id", "tracking"], unique=False)
    op.create_index("ix_messages_status_due_at", "messages", ["status", "due_at"], unique=False)
    op.create_index(op.f("ix_messages_subscriber_id"), "messages", ["subscriber_id"], unique=False)
    op.create_table(
        "sign_up_purposes",
        sa.Column("sign_up_id", sa.String(length=26), nullable=False),
        sa.Column("purpose", sa.String(length=60), nullable=False),
        sa.Column("wording_version", sa.String(length=20), nullable=False),
        sa.Column("wording_hash", sa.String(length=64), nullable=False),
        sa.Column("answer", sa.String(length=10), nullable=True),
        sa.ForeignKeyConstraint(
            ["sign_up_id"], ["sign_ups.sign_up_id"], name=op.f("fk_sign_up_purposes_sign_up_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("sign_up_id", "purpose", name=op.f("pk_sign_up_purposes")),
    )
    op.create_table(
        "opens",
        sa.Column("open_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("message_id", sa.String(length=26), nullable=False),
        sa.Column("opened_at", columns.Moment(timezone=True), nullable=False),
        sa.Column("verdict", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.Column("client_family", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(["message_id"], ["messages.message_id"], name=op.f("fk_opens_message_id")),
        sa.PrimaryKeyConstraint("open_id", name=op.f("pk_opens")),
    )
    op.create_index(op.f("ix_opens_message_id"), "opens", ["message_id"], unique=False)
    op.create_table(
        "pixels",
        sa.Column("pixel_id", sa.String(length=26), nullable=False),
        sa.Column("message_id", sa.String(length=26), nullable=False),
        sa.Column("subscriber_id", sa.String(length=26), nullable=False),
        sa.Column("closes_at", columns.Moment(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["message_id"], ["messages.message_id"], name=op.f("fk_pixels_message_id")),
        sa.ForeignKeyConstraint(["subscriber_id"], ["subscribers.subscriber_id"], name=op.f("fk_pixels_subscriber_id")),
        sa.PrimaryKeyConstraint("pixel_id", name=op.f("pk_pixels")),
        sa.UniqueConstraint("message_id", name=op.f("uq_pixels_message_id")),
    )
    op.create_index(op.f("ix_pixels_subscriber_id"), "pixels", ["subscriber_id"], unique=False)
