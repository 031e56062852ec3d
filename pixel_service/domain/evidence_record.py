"""The proof as data: everything the readable document says, for programs and archives, and the mails byte by byte as soon
as their links have expired."""

from base64 import b64encode
from dataclasses import asdict
from datetime import datetime

from pixel_service.domain.evidence import Evidence, PurposeProof, ReadMail, Statement

#: Named in the record, so that a reader years later knows what it holds.
FORMAT = "pixel-service evidence 1"
Record = dict[str, object]


def as_record(evidence: Evidence) -> Record:
    """Ready for `json.dumps`; times are ISO 8601 in UTC."""
    covered = evidence.chain.covered
    return {
        "format": FORMAT,
        "address": evidence.address,
        "subscriber_id": evidence.subscriber_id,
        "made_at": _time(evidence.at),
        "asked_for_by": evidence.by,
        "reason": evidence.reason,
        "purposes": [_purpose(proof) for proof in evidence.purposes],
        "confirmation_mails": [_mail(mail) for mail in evidence.mails],
        "ledger_entries": [_entry(one) for one in evidence.statements],
        "chain": {
            "entries": evidence.chain.entries,
            "public_key": evidence.chain.public_key,
            "checkpoint": asdict(covered) | {"at": _time(covered.at)} if covered else None,
        },
        "ip_addresses": "neither stored nor needed",
        "sealed_since": _time(evidence.sealed.sealed_at) if evidence.sealed else None,
        "sealed_until": _time(evidence.sealed.ends_at) if evidence.sealed else None,
        "seal_opens": evidence.sealed.opens if evidence.sealed else None,
        "before_earlier_erasures": [as_record(one) for one in evidence.earlier],
    }


def _purpose(proof: PurposeProof) -> Record:
    text = proof.text
    return {
        "purpose": proof.purpose,
        "state": proof.state,
        "consent_stands": proof.valid,
        "requested_at": _at(proof.requested),
        "confirmed_at": _time(proof.confirmed_at) if proof.confirmed_at else None,
        "imported_at": _at(proof.imported),
        "withdrawn_at": _at(proof.withdrawn),
        "wording": {
            "version": text.version,
            "language": text.language,
            "sha256": text.hash,
            "text": text.shown.text if text.shown else None,
            "text_matches": text.matches,
        }
        if text
        else None,
        "notice_version": proof.requested.text("notice_version") if proof.requested else None,
    }


def _mail(mail: ReadMail) -> Record:
    return {
        "sent_at": _time(mail.sent.sent_at),
        "relay_reply": mail.sent.relay_reply,
        "headers": [list(header) for header in mail.headers],
        "text": mail.text,
        "sha256": mail.sent.hash,
        "in_ledger": mail.in_ledger,
        "source_base64": None if mail.link_lives else b64encode(mail.sent.data).decode(),
        "source_withheld": "until its confirmation link has expired" if mail.link_lives else None,
    }


def _entry(one: Statement) -> Record:
    return asdict(one.entry) | {"at": _time(one.entry.at), "intact": one.intact}


def _at(one: Statement | None) -> str | None:
    return _time(one.entry.at) if one else None


def _time(at: datetime) -> str:
    return at.isoformat()
