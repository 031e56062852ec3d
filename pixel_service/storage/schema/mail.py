"""Mail in both directions, opens, and what is still to be rewritten on disk."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from pixel_service.storage.columns import Moment, event_id_type, id_type
from pixel_service.storage.schema.naming import metadata

#: BIGINT on PostgreSQL; SQLite numbers rows by itself only for INTEGER.
_Serial = BigInteger().with_variant(Integer(), "sqlite")

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
    #: Topics it is about, for reports: at most 10 slugs of at most 40 characters.
    Column("tags", JSON, nullable=False, server_default="[]"),
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
    #: The first acceptance of a campaign, from which its age counts.
    Index("ix_messages_campaign_id_sent_at", "campaign_id", "sent_at"),
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
    #: When the person last had their opens deleted (R9): the window begins there. Otherwise it begins with the mail.
    Column("reopened_at", Moment),
    #: When its mail was handed over at the latest; stands in for the acceptance while that is not recorded.
    Column("handed_over_at", Moment),
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
    #: Version of the rules that judged it; 0 is from before they had one.
    Column("rules", SmallInteger, nullable=False, server_default="0"),
)


#: What is known of each message that was opened: derived from its rows in `opens`, deleted with the last of them.
message_opens = Table(
    "message_opens",
    metadata,
    Column("message_id", ForeignKey("messages.message_id"), primary_key=True),
    #: `domain.figures.Standing`.
    Column("standing", String(10), nullable=False),
    #: Of human opens; a new one begins after 30 minutes of silence.
    Column("sessions", Integer, nullable=False),
    Column("first_human_at", Moment),
    #: "standing/client family" of a row -> when such rows were, in whole seconds since 1970, oldest first: tells repeats.
    Column("times", JSON, nullable=False),
    # One look-up and one page to write per open instead of two.
    sqlite_with_rowid=False,
)


#: What reports show, added up: no row holds 0, and nothing here names a person. Every transaction that changes the rows
#: it counts changes it too; `domain.figures` says what each kind counts.
campaign_figures = Table(
    "campaign_figures",
    metadata,
    Column("campaign_id", ForeignKey("campaigns.campaign_id"), nullable=False),
    #: `domain.figures.Kind`.
    Column("kind", String(10), nullable=False),
    Column("name", String(110), nullable=False),
    #: Hours since 1970 in UTC; 0 where the kind has none.
    Column("hour", Integer, nullable=False),
    Column("amount", BigInteger, nullable=False),
    PrimaryKeyConstraint("campaign_id", "kind", "name", "hour"),
    sqlite_with_rowid=False,
)


#: Every mail that came in, once: a mail that is delivered again acts no second time, and each sort can be counted.
inbound_mails = Table(
    "inbound_mails",
    metadata,
    #: SHA-256 over what tells one mail from another.
    Column("fingerprint", String(64), primary_key=True),
    Column("received_at", Moment, nullable=False, index=True),
    #: What it was taken for: unsubscribe, remove_me, bounce, auto_reply, unclear.
    Column("verdict", String(20), nullable=False),
)


#: Mails that a person has to read.
inbound_unclear = Table(
    "inbound_unclear",
    metadata,
    Column("inbound_id", id_type(), primary_key=True),
    Column("received_at", Moment, nullable=False),
    #: Whom it is from, as far as that is proven or claimed; once it is settled, whom it was decided on. No foreign key: the
    #: list must not keep anybody from being erased.
    Column("subscriber_id", id_type(), index=True),
    #: The address in From, lower-case where it is one.
    Column("sender", String(254), nullable=False, index=True),
    Column("subject", String(200), nullable=False),
    #: At most 2,000 characters.
    Column("excerpt", Text, nullable=False),
    Column("message_id_header", String(200), nullable=False),
    #: open or done.
    Column("state", String(10), nullable=False),
    #: When it was done, and by whom.
    Column("done_at", Moment),
    Column("done_by", id_type()),
    Index("ix_inbound_unclear_state_received_at", "state", "received_at"),
)


#: Deleted rows whose bytes shall leave the files too (W4); one row per deleting transaction.
scrubs = Table(
    "scrubs",
    metadata,
    Column("scrub_id", _Serial, primary_key=True),
    #: Which tables: opens or person.
    Column("scope", String(10), nullable=False),
    #: None while it waits.
    Column("done_at", Moment),
)
