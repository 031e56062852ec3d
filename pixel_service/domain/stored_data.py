"""Every column that is stored, the class of data it belongs to, and the words in which people are told of it (N1).

A test compares this with the schema: a new column without a line here fails, and so does a line without a column. Which
class is kept how long, why and on which legal basis stands in `notice.py`. The words are msgids of `locales/*/notice.po`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum


class DataClass(StrEnum):
    """In the order in which the notice tells them."""

    CONTACT = "contact"
    SIGN_UP = "sign_up"
    CHOICES = "choices"
    OPENS = "opens"
    CONTENT = "content"
    DELIVERY = "delivery"
    INBOX = "inbox"
    EVIDENCE = "evidence"
    ERASED = "erased"
    REQUESTS = "requests"
    PROCESSORS = "processors"
    ACCESS = "access"


@dataclass(frozen=True, slots=True)
class Held:
    """Some columns of one table. `data` is None for what tells nothing about a person: texts, figures, keys of rows."""

    data: DataClass | None
    words: str
    columns: str

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns.split())


_WHEN = "when each of these happened"
#: Keys of rows; told last in every class.
INTERNAL_NUMBERS = "internal numbers that link these entries"


def _no_person(columns: str) -> tuple[Held, ...]:
    return (Held(None, "", columns),)


STORED: Mapping[str, tuple[Held, ...]] = {
    "subscribers": (
        Held(DataClass.CONTACT, "e-mail address", "address address_key"),
        Held(DataClass.CONTACT, "language", "language"),
        Held(DataClass.CONTACT, "if you give them: salutation and name", "salutation first_name last_name"),
        Held(
            DataClass.CONTACT,
            "if you give them: company, function, phone and interests",
            "company function phone interests",
        ),
        Held(
            DataClass.CONTACT,
            "when we first stored the address, and when we last wrote to it",
            "created_at last_mailed_at",
        ),
        Held(
            DataClass.CONTACT,
            "whether and since when you restricted the use of your data or objected to marketing",
            "restricted_at objected_at",
        ),
        Held(DataClass.CONTACT, INTERNAL_NUMBERS, "subscriber_id"),
    ),
    "address_changes": (
        Held(
            DataClass.CONTACT,
            "a new address that you ask for, and the one it is to replace",
            "address address_key previous_address",
        ),
        Held(
            DataClass.CONTACT,
            "when you asked for it, until when its link is valid, when you confirmed it",
            "asked_at expires_at confirmed_at",
        ),
        Held(DataClass.CONTACT, INTERNAL_NUMBERS, "change_id subscriber_id"),
    ),
    "sign_ups": (
        Held(DataClass.SIGN_UP, "language of the form", "language"),
        Held(DataClass.SIGN_UP, "what you entered in the form", "profile"),
        Held(
            DataClass.SIGN_UP,
            "when you signed up, until when the link is valid, when you confirmed",
            "created_at expires_at confirmed_at",
        ),
        Held(
            DataClass.SIGN_UP,
            "when we asked you to confirm, and how many wrong codes were typed",
            "mailed_at accepted_at reminded_at wrong_codes",
        ),
        Held(DataClass.SIGN_UP, INTERNAL_NUMBERS, "sign_up_id subscriber_id"),
    ),
    "sign_up_purposes": (
        Held(DataClass.SIGN_UP, "what you chose, with the version of its text", "purpose wording_version wording_hash"),
        Held(DataClass.SIGN_UP, "your answer to each choice", "answer"),
        Held(DataClass.SIGN_UP, INTERNAL_NUMBERS, "sign_up_id"),
    ),
    "consents": (
        Held(
            DataClass.CHOICES,
            "for each choice whether you agreed, refused or withdrew, and since when",
            "state purpose decided_at",
        ),
        Held(DataClass.CHOICES, INTERNAL_NUMBERS, "subscriber_id ledger_seq"),
    ),
    "ledger": (
        Held(DataClass.EVIDENCE, "what you requested, confirmed, refused or withdrew", "purpose act"),
        Held(DataClass.EVIDENCE, _WHEN, "at"),
        Held(
            DataClass.EVIDENCE,
            "with which text, in which language and on which page, and what you entered there",
            "content",
        ),
        Held(
            DataClass.EVIDENCE,
            "check sums, which make a later change visible",
            "salt content_hash previous_hash entry_hash",
        ),
        Held(DataClass.EVIDENCE, INTERNAL_NUMBERS, "seq subscriber_id"),
    ),
    "confirmation_mails": (
        Held(DataClass.EVIDENCE, "the e-mail that asked you to confirm, as it was sent", "data"),
        Held(DataClass.EVIDENCE, "the answer of the mail server that took it", "relay_reply"),
        Held(DataClass.EVIDENCE, _WHEN, "sent_at"),
        Held(DataClass.EVIDENCE, INTERNAL_NUMBERS, "message_id sign_up_id subscriber_id"),
    ),
    "published_texts": _no_person("purpose version language text text_hash published_at"),
    "checkpoints": _no_person("seq head at signature public_key"),
    "journals": _no_person("journal_id bound_at"),
    "campaigns": _no_person("campaign_id name purpose created_at paused_at cancelled_at tags"),
    "sends": (
        Held(
            None,
            "",
            "send_id campaign_id api_key_id idempotency_key body_hash content personal_content warnings created_at cursor expanded_at tracked untracked refused",
        ),
        Held(DataClass.DELIVERY, "whether an e-mail was sent to you or why not, without your address", "results"),
    ),
    "audience_rulings": (
        Held(None, "", "send_id first"),
        Held(DataClass.DELIVERY, "whether an e-mail was sent to you or why not, without your address", "results"),
    ),
    "messages": (
        Held(DataClass.CONTENT, "what stands in the e-mail for you alone, such as your name", "variables"),
        Held(DataClass.DELIVERY, "which e-mail, in which language", "send_id campaign_id purpose template language"),
        Held(
            DataClass.DELIVERY,
            "when it was queued, tried and taken by the mail server",
            "queued_at due_at sent_at attempts lease",
        ),
        Held(
            DataClass.DELIVERY,
            "whether it arrived there, and what the mail server answered",
            "status last_reply reason",
        ),
        Held(DataClass.DELIVERY, "whether it carries a tracking pixel", "tracking"),
        Held(DataClass.DELIVERY, INTERNAL_NUMBERS, "message_id subscriber_id"),
    ),
    "pixels": (
        Held(
            DataClass.OPENS,
            "which tracking pixel is in which e-mail to you, and from when until when it counts",
            "pixel_id message_id subscriber_id handed_over_at closes_at reopened_at",
        ),
    ),
    "opens": (
        Held(DataClass.OPENS, "when the pixel of which e-mail was loaded", "opened_at message_id"),
        Held(
            DataClass.OPENS,
            "whether rather a person or a program loaded it, and how we can tell",
            "verdict reason rules",
        ),
        Held(DataClass.OPENS, "kind of mail program, such as Outlook", "client_family"),
        Held(DataClass.OPENS, INTERNAL_NUMBERS, "open_id"),
    ),
    "message_opens": (
        Held(
            DataClass.OPENS,
            "for each e-mail what follows from this: whether you opened it, when first, and how often",
            "message_id standing sessions first_human_at times",
        ),
    ),
    # Sums over many people.
    "campaign_figures": _no_person("campaign_id kind name hour amount"),
    "users": (
        Held(
            DataClass.ACCESS,
            "accounts of our colleagues: e-mail address, role, password as a hash",
            "email role password_hash created_at disabled_at",
        ),
        Held(DataClass.ACCESS, INTERNAL_NUMBERS, "user_id"),
    ),
    "sessions": (
        Held(DataClass.ACCESS, "until when a colleague is logged in", "session_hash user_id created_at expires_at"),
    ),
    "login_failures": (
        Held(DataClass.ACCESS, "failed log-ins per account, as a hash", "failure_id account_hash failed_at"),
    ),
    "api_keys": _no_person("api_key_id name secret_hash scopes created_at expires_at revoked_at"),
    "imports": _no_person("import_id file_hash source started_at finished_at position last_row good unknown refused"),
    "import_refusals": _no_person("import_id row field code reason"),
    "scrubs": _no_person("scrub_id scope done_at"),
    "inbound_mails": (
        Held(
            DataClass.INBOX,
            "that an e-mail came in, what sort it was and when, with a check sum",
            "fingerprint received_at verdict",
        ),
    ),
    "inbound_unclear": (
        Held(
            DataClass.INBOX,
            "what a person has to read: sender, subject, beginning of the text",
            "sender subject excerpt",
        ),
        Held(DataClass.INBOX, "when it came in, who of us dealt with it and when", "received_at state done_at done_by"),
        Held(DataClass.INBOX, INTERNAL_NUMBERS, "inbound_id subscriber_id message_id_header"),
    ),
    "rights_requests": (
        Held(
            DataClass.REQUESTS,
            "which of your rights you used and how, until when we had to answer, and when it was done",
            "kind source asked_at due_at done_at note",
        ),
        Held(DataClass.REQUESTS, INTERNAL_NUMBERS, "request_id subscriber_id"),
    ),
    "sealed_evidence": (
        Held(
            DataClass.EVIDENCE,
            "after an erasure: that proof, encrypted, with a keyed check sum of your address",
            "address_hash sealed_at ends_at data",
        ),
        Held(DataClass.EVIDENCE, INTERNAL_NUMBERS, "subscriber_id"),
    ),
    "erased_addresses": (
        Held(
            DataClass.ERASED,
            "a keyed check sum of your address, from which nobody can read it, and when we erased your data, or you gave up the address or ended what a restored backup does not know of",
            "address_hash erased_at",
        ),
    ),
    "webhook_endpoints": _no_person("endpoint_id url events secret old_secret old_secret_until created_at disabled_at"),
    "webhook_deliveries": (
        Held(DataClass.PROCESSORS, "what we tell, with your address, encrypted", "payload"),
        Held(DataClass.PROCESSORS, "which service provider was told of what", "endpoint_id event"),
        Held(
            DataClass.PROCESSORS,
            "when, how often, and what its server answered",
            "queued_at due_at lease attempts status last_answer ended_at",
        ),
        Held(DataClass.PROCESSORS, INTERNAL_NUMBERS, "number webhook_id subject"),
    ),
    "audit_log": (
        Held(
            DataClass.ACCESS,
            "which colleague looked at whose data or changed it, when and why",
            "who act subject reason at",
        ),
        Held(DataClass.ACCESS, INTERNAL_NUMBERS, "audit_id"),
    ),
}
