"""One schema for both databases. `#:` says what a column holds; a test compares it with the migrations.

What must hold: a person's opens and pixel mappings are found by index from their subscriber id and are deleted in the
transaction that withdraws; the ledger is only ever appended to; nothing here stores an IP address or a user agent.
"""

from pixel_service.storage.schema.access import api_keys, login_failures, sessions, users
from pixel_service.storage.schema.erasure import erased_addresses, sealed_evidence
from pixel_service.storage.schema.evidence import (
    audit_log,
    checkpoints,
    confirmation_mails,
    journals,
    ledger,
    published_texts,
    rights_requests,
)
from pixel_service.storage.schema.imports import import_refusals, imports
from pixel_service.storage.schema.mail import (
    audience_rulings,
    campaign_figures,
    campaigns,
    inbound_mails,
    inbound_unclear,
    message_opens,
    messages,
    opens,
    pixels,
    scrubs,
    sends,
)
from pixel_service.storage.schema.naming import metadata
from pixel_service.storage.schema.people import address_changes, consents, sign_up_purposes, sign_ups, subscribers
from pixel_service.storage.schema.webhooks import webhook_deliveries, webhook_endpoints

__all__ = [
    "address_changes",
    "api_keys",
    "audience_rulings",
    "audit_log",
    "campaign_figures",
    "campaigns",
    "checkpoints",
    "confirmation_mails",
    "consents",
    "erased_addresses",
    "import_refusals",
    "imports",
    "inbound_mails",
    "inbound_unclear",
    "journals",
    "ledger",
    "login_failures",
    "message_opens",
    "messages",
    "metadata",
    "opens",
    "pixels",
    "published_texts",
    "rights_requests",
    "scrubs",
    "sealed_evidence",
    "sends",
    "sessions",
    "sign_up_purposes",
    "sign_ups",
    "subscribers",
    "users",
    "webhook_deliveries",
    "webhook_endpoints",
]
