"""What the tests of composing share: a small folder of templates, a sender, a recipient, and how to read a mail back."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from gettext import NullTranslations
from pathlib import Path
from typing import Any

from pixel_service.domain.wordings import Company
from pixel_service.mail.compose import Composer, Prepared, Recipient, Sender, Source
from pixel_service.mail.templates import MailTemplates, find_templates_folder

BASE_URL = "https://mail.nordlicht.example"
PIXEL_URL = f"{BASE_URL}/o/{'q' * 26}.gif"
LINKS = {
    "unsubscribe_url": f"{BASE_URL}/u/{'u' * 26}",
    "preferences_url": f"{BASE_URL}/p/{'p' * 26}",
    "stop_tracking_url": f"{BASE_URL}/t/{'t' * 26}",
}
COMPANY = Company(
    name="Nordlicht & Söhne GmbH",
    street="Speicherstraße 1",
    postal_code="20457",
    city="Hamburg",
    country="Deutschland",
    managing_directors="Anna Nord",
    register_entry="Amtsgericht Hamburg, HRB 123456",
    vat_id="DE123456789",
    email="kontakt@nordlicht.example",
    phone="+49 40 123456",
    privacy_email="datenschutz@nordlicht.example",
    data_protection_officer="Dr. Deich",
    supervisory_authority="HmbBfDI",
    website="https://nordlicht.example",
    brand_colour="#0b5fa5",
)
#: The parts that belong to composing, with a short imprint.
PARTS = {
    name: (find_templates_folder() / name).read_text(encoding="utf-8")
    for name in ("_footer.html.j2", "_footer.txt.j2", "_appended_footer.html.j2", "_appended_footer.txt.j2")
} | {"_imprint.html.j2": "<p>{{ company.name }}</p>", "_imprint.txt.j2": "{{ company.name }}"}


class Words(NullTranslations):
    """German for two words, so that a test sees which language was asked for."""

    def gettext(self, message: str) -> str:
        return {"Unsubscribe": "Abbestellen", "Hello,": "Guten Tag,"}.get(message, message)


def templates(folder: Path, files: Mapping[str, str] | None = None) -> MailTemplates:
    for name, text in {**PARTS, **(files or {})}.items():
        (folder / name).write_text(text, encoding="utf-8")
    return MailTemplates(folder, lambda language: Words() if language == "de" else NullTranslations(), COMPANY)


def composer(folder: Path, files: Mapping[str, str] | None = None) -> Composer:
    sender = Sender(
        from_name="Nordlicht – Blog", from_address="blog@nordlicht.example", reply_to="kontakt@nordlicht.example"
    )
    return Composer(templates(folder, files), sender, base_url=BASE_URL)


Prepare = Callable[..., Prepared]


def source(html: str | None = "<p>Hi</p>", **given: Any) -> Source:
    return Source(**{"subject": "News", "html": html, "variables": {}, "marketing": True, **given})


def recipient(*, tracked: bool = True, **given: Any) -> Recipient:
    variables = {**LINKS, **given.pop("variables", {})}
    return Recipient(
        **{
            "address": "anna@kunde.example",
            "display_name": "Anna Müller",
            "variables": variables,
            "pixel_url": PIXEL_URL if tracked else None,
            "message_id": "m1@nordlicht.example",
            "sent_at": datetime(2026, 11, 22, 10, 30, tzinfo=UTC),
            **given,
        }
    )


def read(data: bytes) -> EmailMessage:
    message = message_from_bytes(data, policy=policy.default)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    return message


def html_of(data: bytes) -> str:
    return _part(data, "html")


def text_of(data: bytes) -> str:
    return _part(data, "plain")


def _part(data: bytes, kind: str) -> str:
    part = read(data).get_body((kind,))
    assert isinstance(part, EmailMessage)
    assert not part.defects
    content = part.get_content()
    assert isinstance(content, str)
    return content.replace("\r\n", "\n")
