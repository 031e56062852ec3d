"""One schema for both databases. `#:` says what a column holds; a test compares it with the migrations.

What must hold: a person's opens and pixel mappings are found by index from their subscriber id and are deleted in the
transaction that withdraws; the ledger is only ever appended to; nothing here stores an IP address or a user agent.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from pixel_service.storage.columns import Moment, event_id_type, id_type

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
#: BIGINT on PostgreSQL; SQLite numbers rows by itself only for INTEGER.
_Serial = BigInteger().with_variant(Integer(), "sqlite")

subscribers = Table(
    "subscribers",
    metadata,
    Column("subscriber_id", id_type(), primary_key=True),
    #: Where mail goes, normalised.
    Column("address", String(254), nullable=False),
    #: Case-folded; one person per key.
    Column("address_key", String(254), nullable=False, unique=True),
    #: Language of the last confirmed sign-up; None until then.
    Column("language", String(8)),
    Column("salutation", String(40), nullable=False, server_default=""),
    Column("first_name", String(80), nullable=False, server_default=""),
    Column("last_name", String(80), nullable=False, server_default=""),
    Column("company", String(120), nullable=False, server_default=""),
    Column("phone", String(40), nullable=False, server_default=""),
    Column("function", String(120), nullable=False, server_default=""),
    Column("interests", String(300), nullable=False, server_default=""),
    Column("created_at", Moment, nullable=False),
)

sign_ups = Table(
    "sign_ups",
    metadata,
    Column("sign_up_id", id_type(), primary_key=True),
    Column("subscriber_id", ForeignKey("subscribers.subscriber_id"), nullable=False, index=True),
    Column("language", String(8), nullable=False),
    #: The optional fields as typed; copied to the subscriber only when the person confirms.
    Column("profile", JSON, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False, index=True),
    Column("confirmed_at", Moment),
)

sign_up_purposes = Table(
    "sign_up_purposes",
    metadata,
    Column("sign_up_id", ForeignKey("sign_ups.sign_up_id", ondelete="CASCADE"), nullable=False),
    Column("purpose", String(60), nullable=False),
    Column("wording_version", String(20), nullable=False),
    Column("wording_hash", String(64), nullable=False),
    #: confirmed, refused, cancelled; None while it waits for the person.
    Column("answer", String(10)),
    PrimaryKeyConstraint("sign_up_id", "purpose"),
)

#: State, derived: replaying the ledger gives exactly these rows (E2).
consents = Table(
    "consents",
    metadata,
    Column("subscriber_id", ForeignKey("subscribers.subscriber_id"), nullable=False),
    Column("purpose", String(60), nullable=False),
    Column("state", String(10), nullable=False),
    #: When the state last changed.
    Column("decided_at", Moment, nullable=False),
    #: The ledger entry that made it so.
    Column("ledger_seq", BigInteger, nullable=False),
    PrimaryKeyConstraint("subscriber_id", "purpose"),
    Index("ix_consents_purpose_state", "purpose", "state", "subscriber_id"),
)

#: Append-only. No foreign key to subscribers: evidence outlives the person's row.
ledger = Table(
    "ledger",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("subscriber_id", id_type(), nullable=False, index=True),
    Column("purpose", String(60), nullable=False),
    Column("act", String(20), nullable=False),
    Column("at", Moment, nullable=False),
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

campaigns = Table(
    "campaigns",
    metadata,
    Column("campaign_id", id_type(), primary_key=True),
    #: The pipeline's own name for the mailing.
    Column("name", String(120), nullable=False, unique=True),
    Column("purpose", String(60), nullable=False),
    Column("created_at", Moment, nullable=False),
    #: While set, its waiting mails are not claimed.
    Column("paused_at", Moment),
    Column("cancelled_at", Moment),
)

sends = Table(
    "sends",
    metadata,
    Column("send_id", id_type(), primary_key=True),
    Column("campaign_id", ForeignKey("campaigns.campaign_id"), nullable=False, index=True),
    #: Name of the API key, and the key of its own that makes a repeat harmless.
    Column("api_key_id", String(26), nullable=False),
    Column("idempotency_key", String(255), nullable=False),
    #: SHA-256 over the canonical request.
    Column("body_hash", String(64), nullable=False),
    #: Subject, template or html, text, send-level variables.
    Column("content", JSON, nullable=False),
    #: Judged once, at acceptance: the content differs per person even without a pixel; what its author should know.
    Column("personal_content", Boolean, nullable=False),
    Column("warnings", JSON, nullable=False),
    Column("created_at", Moment, nullable=False),
    #: Verdict, reason, ledger entry and message per recipient, in the order asked; no address. None for an audience.
    Column("results", JSON(none_as_null=True)),
    #: Audience sends only: the last subscriber decided, and whether all are.
    Column("cursor", String(26)),
    Column("expanded_at", Moment),
    Column("tracked", Integer, nullable=False, server_default="0"),
    Column("untracked", Integer, nullable=False, server_default="0"),
    Column("refused", Integer, nullable=False, server_default="0"),
    UniqueConstraint("api_key_id", "idempotency_key"),
    Index("ix_sends_expanded_at", "expanded_at"),
)

#: What was decided for each person of an audience, a slice a row (D1).
audience_rulings = Table(
    "audience_rulings",
    metadata,
    Column("send_id", ForeignKey("sends.send_id", ondelete="CASCADE"), nullable=False),
    #: Place of the slice's first person in the walk.
    Column("first", Integer, nullable=False),
    #: As in `sends.results`: no address.
    Column("results", JSON, nullable=False),
    PrimaryKeyConstraint("send_id", "first"),
)


messages = Table(
    "messages",
    metadata,
    Column("message_id", id_type(), primary_key=True),
    Column("subscriber_id", ForeignKey("subscribers.subscriber_id"), nullable=False, index=True),
    #: None for the service's own mails.
    Column("send_id", ForeignKey("sends.send_id")),
    Column("campaign_id", ForeignKey("campaigns.campaign_id")),
    Column("purpose", String(60), nullable=False),
    #: Template of one of the service's own mails; None when the send carries the content.
    Column("template", String(40)),
    Column("language", String(8), nullable=False),
    #: Recipient-level values; emptied once the mail is out or given up.
    Column("variables", JSON, nullable=False),
    Column("status", String(10), nullable=False),
    Column("tracking", String(10), nullable=False, server_default="none"),
    Column("queued_at", Moment, nullable=False),
    #: When it may next be claimed; a claim moves it to the end of the lease.
    Column("due_at", Moment, nullable=False),
    #: Which claim holds it; a result is recorded only by the holder.
    Column("lease", String(26)),
    Column("attempts", Integer, nullable=False, server_default="0"),
    #: When the relay accepted it.
    Column("sent_at", Moment),
    Column("last_reply", String(500)),
    #: Reason of a failure or cancellation.
    Column("reason", String(40)),
    Index("ix_messages_status_due_at", "status", "due_at"),
    Index("ix_messages_campaign_id_tracking", "campaign_id", "tracking"),
    UniqueConstraint("send_id", "subscriber_id"),
)

#: Pixel id -> message, a table of its own: deleting a row makes the pixel in a sent mail a stranger's (P2, DESIGN rule 5).
pixels = Table(
    "pixels",
    metadata,
    Column("pixel_id", id_type(), primary_key=True),
    Column("message_id", ForeignKey("messages.message_id"), nullable=False, unique=True),
    Column("subscriber_id", ForeignKey("subscribers.subscriber_id"), nullable=False, index=True),
    #: End of the recording window (P8).
    Column("closes_at", Moment, nullable=False),
)

opens = Table(
    "opens",
    metadata,
    #: Made by the recorder; a retried batch inserts nothing twice.
    Column("open_id", event_id_type(), primary_key=True),
    Column("message_id", ForeignKey("messages.message_id"), nullable=False, index=True),
    Column("opened_at", Moment, nullable=False),
    Column("verdict", String(20), nullable=False),
    Column("reason", String(40), nullable=False),
    Column("client_family", String(40), nullable=False),
)

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
