"""The sample company, as settings would describe it, and the periods they would set."""

from dataclasses import replace

from pixel_service.domain.notice import Span, Terms, Unit
from pixel_service.domain.wordings import Company


def nordlicht(**changes: str) -> Company:
    company = Company(
        name="Nordlicht Telekom GmbH",
        street="Speicherstraße 12",
        postal_code="20457",
        city="Hamburg",
        country="Deutschland",
        managing_directors="Dr. Anna Petersen, Jens Brandt",
        register_entry="Amtsgericht Hamburg, HRB 123456",
        vat_id="DE123456789",
        email="info@nordlicht-telekom.example",
        phone="+49 40 1234567",
        privacy_email="datenschutz@nordlicht-telekom.example",
        data_protection_officer="Dr. Mara Lindt",
        supervisory_authority="Der Hamburgische Beauftragte für Datenschutz und Informationsfreiheit",
        website="https://www.nordlicht-telekom.example",
        brand_colour="#0b5fa5",
    )
    return replace(company, **changes)


def terms(**changes: object) -> Terms:
    """Of settings at their defaults."""
    days = {
        "confirm_within": 7,
        "erase_unconfirmed_after": 14,
        "download_within": 30,
        "ask_again_after": 183,
        "recording_window": 30,
        "keep_opens": 180,
        "keep_delivery": 180,
        "keep_unused_consent": 730,
        "keep_strangers": 14,
        "keep_audit": 1095,
        "keep_webhooks": 180,
        "keep_requests": 1095,
        "keep_journal": 90,
    }
    spans = {name: Span(number, Unit.DAYS) for name, number in days.items()}
    fixed = {
        "unsubscribe_address": "stop@news.example",
        "data_locations": "EU",
        "rights_url": "https://news.example/privacy/request",
        "keep_evidence": Span(3, Unit.YEARS),
    }
    return Terms(**{**fixed, **spans, **changes})  # type: ignore[arg-type]
