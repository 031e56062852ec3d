"""Everything held of one person, as they themselves read it (R1, R9). What the ledger proves comes as in `evidence.py`.

Bounded for reading: the newest mails, with how many there are in all. The download has every row.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pixel_service.domain.consent import Purpose
from pixel_service.domain.evidence import PurposeProof
from pixel_service.domain.figures import Standing
from pixel_service.domain.messages import MessageId, Status, SubscriberId, Tracking
from pixel_service.domain.opens import Verdict
from pixel_service.domain.rights import AddressChange, RightsRequest
from pixel_service.domain.signup import Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    at: datetime
    verdict: Verdict
    #: Which rule matched.
    reason: str
    #: Empty where there is none to tell.
    client_family: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    message_id: MessageId
    purpose: Purpose
    #: One of our own mails, by its template; None for a campaign's.
    template: str | None
    #: None for one of our own mails.
    campaign: str | None
    #: As the campaign wrote it, placeholders and all; None where its template makes it.
    subject: str | None
    status: Status
    tracking: Tracking
    queued_at: datetime
    sent_at: datetime | None
    #: Oldest first.
    opens: tuple[Open, ...] = ()
    #: What follows from them; None where there is none.
    standing: Standing | None = None
    #: Times a person looked, by half hours of silence between.
    sessions: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A mail of the person to us that somebody had to read."""

    received_at: datetime
    subject: str
    #: None while it waits.
    done_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LookedAt:
    """A colleague opened the person's data."""

    at: datetime
    act: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who it is about."""

    subscriber_id: SubscriberId
    address: str
    language: str | None
    profile: Profile
    created_at: datetime
    last_mailed_at: datetime | None
    #: Since when nothing is used (Art. 18); None: not restricted.
    restricted_at: datetime | None
    #: Since when the person objects to advertising (Art. 21).
    objected_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Rows in all, also those that are not shown."""

    mails: int
    opens: int
    #: Images that still count when they are loaded.
    pixels: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonalData:
    #: When this was read.
    at: datetime
    person: Holder
    purposes: tuple[PurposeProof, ...]
    #: When the state of each last changed: a form that somebody typed changes none.
    since: Mapping[Purpose, datetime]
    #: Newest first.
    mails: tuple[Mail, ...]
    counts: Counts
    letters: tuple[Letter, ...]
    looks: tuple[LookedAt, ...]
    requests: tuple[RightsRequest, ...]
    #: Oldest first; one that waits holds an address that may be mistyped.
    address_changes: tuple[AddressChange, ...] = ()
