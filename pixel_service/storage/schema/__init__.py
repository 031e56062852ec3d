"""One schema for both databases. `#:` says what a column holds; a test compares it with the migrations.

What must hold: a person's opens and pixel mappings are found by index from their subscriber id and are deleted in the
transaction that withdraws; the ledger is only ever appended to; nothing here stores an IP address or a user agent.
"""

from pixel_service.storage.schema.access import api_keys, login_failures, sessions, users
from pixel_service.storage.schema.evidence import audit_log, checkpoints, confirmation_mails, ledger, published_texts
from pixel_service.storage.schema.mail import (
    audience_rulings,
    campaigns,
    inbound_mails,
    inbound_unclear,
    messages,
    opens,
    pixels,
    scrubs,
    sends,
)
from pixel_service.storage.schema.naming import metadata
from pixel_service.storage.schema.people import consents, sign_up_purposes, sign_ups, subscribers

__all__ = [
    "api_keys",
    "audience_rulings",
    "audit_log",
    "campaigns",
    "checkpoints",
    "confirmation_mails",
    "consents",
    "inbound_mails",
    "inbound_unclear",
    "ledger",
    "login_failures",
    "messages",
    "metadata",
    "opens",
    "pixels",
    "published_texts",
    "scrubs",
    "sends",
    "sessions",
    "sign_up_purposes",
    "sign_ups",
    "subscribers",
    "users",
]
