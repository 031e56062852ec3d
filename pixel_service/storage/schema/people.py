"""People and what they agreed to."""

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Index, Integer, PrimaryKeyConstraint, String, Table

from pixel_service.storage.columns import Moment, id_type
from pixel_service.storage.schema.naming import metadata

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
    #: Of the newest mail whose row retention deleted; starts the clock of the evidence.
    Column("last_mailed_at", Moment),
    #: Since when nothing held of the person is used (GDPR Art. 18); None unless restricted.
    Column("restricted_at", Moment),
    #: Since when the person wants no marketing at all (GDPR Art. 21); the person's own button ends it.
    Column("objected_at", Moment),
)


#: New addresses that people asked for: one that nobody confirms goes soon, one that was confirmed proves that it is theirs.
address_changes = Table(
    "address_changes",
    metadata,
    Column("change_id", id_type(), primary_key=True),
    Column("subscriber_id", ForeignKey("subscribers.subscriber_id"), nullable=False, index=True),
    #: The new one, normalised; it may be somebody else's until it is confirmed.
    Column("address", String(254), nullable=False),
    #: Case-folded.
    Column("address_key", String(254), nullable=False, index=True),
    #: On record when it was asked for: who reads there is told.
    Column("previous_address", String(254), nullable=False),
    Column("asked_at", Moment, nullable=False),
    #: Until when the link serves; a newer request ends it early.
    Column("expires_at", Moment, nullable=False, index=True),
    #: None until the button was pressed.
    Column("confirmed_at", Moment),
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
    #: When its confirmation mail was queued; None where a limit kept it back.
    Column("mailed_at", Moment),
    #: When the relay took that mail.
    Column("accepted_at", Moment),
    #: When the one reminder was queued, where reminders are on.
    Column("reminded_at", Moment),
    #: Wrong codes typed on its confirm page.
    Column("wrong_codes", Integer, nullable=False, server_default="0"),
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
