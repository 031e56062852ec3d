"""What is done with the data behind each kind of consent, as the privacy notice tells it, in DPV terms (E7)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from pixel_service.domain.wordings import Company, Language, Processor

#: GDPR article -> what a person may do; each stands in DPV's GDPR extension.
RIGHTS: Mapping[str, str] = {
    "A7-3": "Withdraw consent",
    "A15": "Access",
    "A16": "Rectification",
    "A17": "Erasure",
    "A18": "Restriction of processing",
    "A20": "Data portability",
    "A21": "Objection",
    "A77": "Complaint to a supervisory authority",
}
#: Field of the form -> DPV category of personal data.
CATEGORIES: Mapping[str, str] = {
    "salutation": "pd:Name",
    "first_name": "pd:Name",
    "last_name": "pd:Name",
    "company": "pd:Professional",
    "phone": "pd:TelephoneNumber",
    "function": "pd:Job",
    "interests": "pd:Interest",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Practice:
    """What settings say about how data is handled."""

    #: Without a trailing slash.
    base_url: str
    company: Company
    #: ISO 3166-1 alpha-2, or ``EU``.
    locations: tuple[str, ...]
    #: Mails sent here withdraw.
    withdraw_address: str
    #: Life of a request.
    confirm_within: timedelta
    #: ISO 8601 duration: the longest that opens are kept.
    opens_kept: str
    #: Who handles data for the company, told in `language`.
    processors: tuple[Processor, ...]
    language: Language


@dataclass(frozen=True, slots=True, kw_only=True)
class Datum:
    #: DPV category of personal data, never a value.
    category: str
    title: str
    necessity: str = "dpv:Required"
    #: Observed in what a person does, else given by the person.
    observed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Handling:
    """How the data of one kind of purpose is handled, as the privacy notice tells it."""

    purpose: str
    legal_basis: str
    data: tuple[Datum, ...]
    processing: tuple[str, ...]


_EMAIL = Datum(category="pd:EmailAddress", title="address")
_MAILING = ("dpv:Collect", "dpv:Store", "dpv:Use")
HANDLING: Mapping[str, Handling] = {
    "newsletter": Handling(
        purpose="dpv:DirectMarketing", legal_basis="eu-gdpr:A6-1-a", data=(_EMAIL,), processing=_MAILING
    ),
    "whitepaper": Handling(
        purpose="dpv:RequestedServiceProvision", legal_basis="eu-gdpr:A6-1-b", data=(_EMAIL,), processing=_MAILING
    ),
    "tracking": Handling(
        purpose="dpv:ServiceUsageAnalytics",
        legal_basis="eu-gdpr:A6-1-a",
        data=(
            Datum(category="pd:ServiceConsumptionBehavior", title="time an image of a mail was loaded", observed=True),
            Datum(category="pd:DeviceSoftware", title="kind of mail program", observed=True),
        ),
        processing=("dpv:Observe", "dpv:Store", "dpv:Analyse"),
    ),
}
