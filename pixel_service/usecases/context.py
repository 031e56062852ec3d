"""What every use case is handed: the database, the outside world as callables, and the rules an operator may set."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pixel_service.domain.address import Address
from pixel_service.domain.messages import RetryPolicy
from pixel_service.domain.retention import Periods
from pixel_service.domain.tokens import Tokens
from pixel_service.domain.wordings import Catalogue, Company
from pixel_service.i18n import Catalogues
from pixel_service.mail.compose import Composer
from pixel_service.mail.transport import Transport
from pixel_service.storage.engine import Database
from pixel_service.storage.journal import Journal


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Settings the use cases decide by."""

    #: Public address of the service, without a trailing slash. Never taken from a request.
    base_url: str
    #: Domain of Message-ID and of the VERP return path.
    mail_domain: str
    #: Where "please remove me" mails go; the mailto of List-Unsubscribe.
    unsubscribe_address: str
    default_language: str = "de"
    timezone: str = "Europe/Berlin"
    confirm_within: timedelta = timedelta(days=7)
    #: Confirmation mails to one address within 24 hours, whoever typed it.
    confirmation_mails_per_day: int = 3
    #: Of these, sent by forms that ask for the same thing while it is unanswered.
    confirmation_mails_per_offer: int = 1
    #: Requests that nobody confirmed are erased after so long (S12); never before their link has expired.
    unconfirmed_for: timedelta = timedelta(days=14)
    #: The one reminder of an unanswered request; zero: none.
    reminder_after: timedelta = timedelta()
    #: Ask machine-like clients for the code of the mail, so soon after the relay took it (S14).
    step_up: bool = True
    step_up_within: timedelta = timedelta(seconds=120)
    download_within: timedelta = timedelta(days=30)
    #: How long a link to the page of one's own data serves, and how many are mailed to one address within 24 hours.
    privacy_link_within: timedelta = timedelta(hours=24)
    privacy_links_per_day: int = 3
    #: How long the link to confirm a new address serves; and how many are mailed within 24 hours, for one person and to
    #: one address.
    new_address_within: timedelta = timedelta(hours=48)
    new_addresses_per_day: int = 3
    #: A refused or withdrawn tracking choice is not asked again for so long (W7).
    ask_again_after: timedelta = timedelta(days=183)
    #: Every sign-up is answered so long after it came, so that the time tells nothing about an address (S4).
    sign_up_takes: timedelta = timedelta(milliseconds=300)
    #: Opens later than this after acceptance are not recorded (P8).
    recording_window: timedelta = timedelta(days=30)
    #: Drop third-party 1x1 images instead of refusing the mail to those who did not agree (D4).
    strip_foreign_pixels: bool = False
    honour_gpc: bool = True
    #: The files are written anew at most so often, however many people withdraw (W4).
    scrub_every: timedelta = timedelta(hours=1)
    keep: Periods = field(default_factory=Periods)
    #: Lines of the journal of withdrawals; longer than the oldest backup that may be restored.
    keep_journal: timedelta = timedelta(days=90)
    #: Where data is stored and processed, as receipts tell it: ISO 3166-1 alpha-2 codes, or ``EU``.
    data_locations: tuple[str, ...] = ("EU",)
    lease: timedelta = timedelta(minutes=5)
    #: A pooled connection that turns out dead, a new one, and the mail, each at its time limit.
    slowest_hand_over: timedelta = timedelta(seconds=90)
    #: Mails handed over at the same time; the transport has as many connections.
    smtp_connections: int = 10
    #: At most so many by one process; 0 is no limit.
    mails_per_minute: int = 0
    retry: RetryPolicy = field(default_factory=RetryPolicy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    db: Database
    tokens: Tokens
    catalogue: Catalogue
    company: Company
    catalogues: Catalogues
    composer: Composer
    transport: Transport
    policy: Policy
    #: Aware UTC now.
    clock: Callable[[], datetime]
    #: Whether mail to an address can arrive at all.
    takes_mail: Callable[[Address], Awaitable[bool]]
    #: A fresh id: 26 characters of base32, 128 random bits.
    ids: Callable[[], str]
    #: Where withdrawals are noted for a restore; None: nowhere.
    journal: Journal | None = None
