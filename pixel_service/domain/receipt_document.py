"""A consent record as JSON-LD with the terms of the W3C Data Privacy Vocabulary (DPV 2), GDPR profile (E7).

The keys are ours; `schemas/consent-record.context.json` says which DPV, Dublin Core or schema.org term each one is, and
stands inside every document, so no reader has to fetch anything. Processes are an array: published examples repeat a
JSON key, and a parser then loses a purpose. What is said here of data, storage and rights is what the notice says.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote

from pixel_service.domain.consent import Purpose, kind_of
from pixel_service.domain.receipt_facts import CATEGORIES, HANDLING, RIGHTS, Datum, Practice
from pixel_service.domain.receipts import (
    UNDETERMINED,
    VALID_STATUSES,
    ConsentEvent,
    ConsentProcess,
    ConsentRecord,
    ShownText,
    Status,
)
from pixel_service.domain.wordings import Processor

Json = Mapping[str, object]

_PROFILE = "https://w3id.org/dpv/schema/dpv-27560"


def receipt_document(record: ConsentRecord, practice: Practice, *, at: datetime) -> Json:
    """The person's copy: the record and who issued it when."""
    return {
        "id": f"{_record_iri(record, practice)}-receipt",
        "type": "dpv:ConsentReceipt",
        "conformsTo": f"{_PROFILE}#receipt",
        "identifier": f"{record.identifier}-receipt",
        "created": _moment(at),
        "publisher": _controller_iri(practice),
        "audience": "dpv:DataSubject",
        "records": [record_document(record, practice)],
    }


def record_document(record: ConsentRecord, practice: Practice) -> Json:
    subject = f"{practice.base_url}/privacy#subject-{record.subject}"
    return {
        "id": _record_iri(record, practice),
        "type": "dpv:ConsentRecord",
        "conformsTo": f"{_PROFILE}#record-eu-gdpr",
        "identifier": record.identifier,
        "subject": {"id": subject, "type": "dpv:DataSubject", "identifier": record.subject},
        "notices": [_notice(text, practice) for text in record.shown] or [_unrecorded(practice)],
        "processes": [_process(process, subject, practice) for process in record.processes],
        "parties": [_controller(practice)],
    }


def _record_iri(record: ConsentRecord, practice: Practice) -> str:
    """A fragment: the page behind it is public and tells nothing, and no server is told which record it was."""
    return f"{practice.base_url}/privacy#record-{record.identifier}"


def _controller_iri(practice: Practice) -> str:
    return f"{practice.base_url}/imprint#company"


def _moment(at: datetime) -> str:
    """ISO 8601, UTC with Z, as TS 27560 asks."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# --- notices ------------------------------------------------------------------


def _notice_iri(text: ShownText, practice: Practice) -> str:
    what = f"wording-{text.purpose.replace(':', '-')}" if text.purpose else "notice"
    return f"{practice.base_url}/privacy#{quote(f'{what}-{text.version}-{text.language}', safe='')}"


def _notice(text: ShownText, practice: Practice) -> Json:
    kind = "dpv:ConsentNotice" if text.purpose else "dpv:PrivacyNotice"
    proven: Json = {"sha256": text.hash} if text.hash else {}
    words: Json = {"text": text.text} if text.text else {}
    known = {"version": text.version, "language": text.language}
    return {"id": _notice_iri(text, practice), "type": kind, **known, **proven, **words}


def _unrecorded(practice: Practice) -> Json:
    """Nothing was ever shown (a withdrawal of what was never asked), or retention has dropped what was."""
    nothing = ShownText(purpose=Purpose("any"), version="unrecorded", language=UNDETERMINED)
    return _notice(nothing, practice)


# --- processes ----------------------------------------------------------------


def _process(process: ConsentProcess, subject: str, practice: Practice) -> Json:
    handling = HANDLING[kind_of(process.purpose)]
    locations = [f"loc:{code}" for code in practice.locations]
    return {
        "type": "dpv:Process",
        "purpose": {"type": "dpv:Purpose", "broader": handling.purpose, **_named(process)},
        "legalBasis": handling.legal_basis,
        "state": f"dpv:{process.status}",
        "personalData": [_datum(datum) for datum in (*handling.data, *_optional(process))],
        "processing": list(handling.processing),
        "processingConditions": [{"type": "dpv:ProcessingLocation", "locations": locations}],
        "storage": [
            {"type": "dpv:StorageLocation", "locations": locations},
            {"type": "dpv:StorageDuration", "duration": _kept(process.purpose, practice)},
        ],
        "controller": _controller_iri(practice),
        "recipients": [_controller_iri(practice), *(_processor(one, practice) for one in practice.processors)],
        "withdrawal": {"type": "dpv:WithdrawConsent", "exercisedAt": [_mailto(practice.withdraw_address)]},
        "jurisdiction": "loc:EU",
        "rights": [_right(article, practice) for article in RIGHTS],
        "authority": {
            "id": f"{practice.base_url}/imprint#authority",
            "type": "dpv:DataProtectionAuthority",
            "name": practice.company.supervisory_authority,
        },
        "events": [_event(event, subject, practice) for event in process.events],
    }


def _datum(datum: Datum) -> Json:
    processing = "dpv:Observe" if datum.observed else "dpv:Collect"
    return {
        "type": "dpv:PersonalData",
        "broader": datum.category,
        "title": datum.title,
        "necessity": datum.necessity,
        "collection": {"type": "dpv:DataSubjectDataSource", "processing": [processing]},
    }


def _named(process: ConsentProcess) -> Json:
    return {"identifier": process.purpose, "title": process.label}


def _optional(process: ConsentProcess) -> tuple[Datum, ...]:
    """What a person typed into the form besides the address; measuring uses none of it."""
    if kind_of(process.purpose) == "tracking":
        return ()
    return tuple(
        Datum(category=CATEGORIES[name], title=name, necessity="dpv:Optional")
        for name in process.fields
        if name in CATEGORIES
    )


def _kept(purpose: Purpose, practice: Practice) -> Json:
    if kind_of(purpose) == "tracking":
        return {"type": "dpv:TemporalDuration", "value": practice.opens_kept}
    return {"type": "dpv:UntilEventDuration", "value": "withdrawal"}


def _right(article: str, practice: Practice) -> Json:
    page, mail = f"{practice.base_url}/privacy", _mailto(practice.company.privacy_email)
    # The notice names the authority; a complaint about us does not go to us.
    places = {"A77": [page], "A7-3": [_mailto(practice.withdraw_address), mail]}.get(article, [mail, page])
    return {"type": ["dpv:DataSubjectRight", f"eu-gdpr:{article}"], "title": RIGHTS[article], "exercisedAt": places}


def _mailto(address: str) -> str:
    return f"mailto:{quote(address, safe='@')}"


# --- events -------------------------------------------------------------------


def _event(event: ConsentEvent, subject: str, practice: Practice) -> Json:
    """Event type and state are the two types of one node, as the DPV guide has it. A ticked box and a pressed button
    are expressed consent."""
    page: Json = {"page": event.page} if event.page else {}
    return {
        "type": [f"dpv:{event.status}", "dpv:ExpressedConsent"],
        "act": event.act.value,
        "at": _moment(event.at),
        "duration": _lasts(event.status, practice),
        "indicatedBy": subject if event.by_person else _controller_iri(practice),
        "method": event.method,
        **page,
        "shown": [_notice_iri(text, practice) for text in event.shown],
        "identifier": str(event.seq),
        "sha256": event.entry_hash,
    }


def _lasts(status: Status, practice: Practice) -> Json:
    if status in VALID_STATUSES:
        return {"type": "dpv:UntilEventDuration", "value": "withdrawal or expiry"}
    if status is Status.REQUESTED:
        return {"type": "dpv:TemporalDuration", "value": f"P{practice.confirm_within.days}D"}
    return {"type": "dpv:UntilEventDuration", "value": "another decision of the person"}


# --- parties ------------------------------------------------------------------


def _controller(practice: Practice) -> Json:
    """Contact and address have names of their own, so that many records merge into one description of the company."""
    company, imprint = practice.company, f"{practice.base_url}/imprint"
    return {
        "id": _controller_iri(practice),
        "type": ["dpv:Organisation", "dpv:DataController"],
        "name": company.name,
        "partyIdentifier": [_controller_iri(practice), company.register_entry],
        "contact": {
            "id": f"{imprint}#contact",
            "type": "schema:ContactPoint",
            "email": company.privacy_email,
            "telephone": company.phone,
            "title": company.data_protection_officer,
        },
        "address": {
            "id": f"{imprint}#address",
            "type": "schema:PostalAddress",
            "streetAddress": company.street,
            "postalCode": company.postal_code,
            "addressLocality": company.city,
            "addressCountry": company.country,
        },
    }


def _processor(processor: Processor, practice: Practice) -> Json:
    return {
        "id": f"{practice.base_url}/privacy#processor-{quote(processor.name, safe='')}",
        "type": "dpv:DataProcessor",
        "name": processor.name,
        "text": processor.described(practice.language),
    }
