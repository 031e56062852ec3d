"""The sample company, as settings would describe it."""

from dataclasses import replace

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
