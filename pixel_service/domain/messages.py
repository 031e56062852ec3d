"""A message is one mail to one recipient: its identity, its life, and how its delivery is retried.

Not here: how a mail looks (mail/) or who may get one (consent.py).
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import NewType

#: All ids are 26 characters of lower-case base32: 128 random bits.
SubscriberId = NewType("SubscriberId", str)
SignUpId = NewType("SignUpId", str)
MessageId = NewType("MessageId", str)
CampaignId = NewType("CampaignId", str)
SendId = NewType("SendId", str)
PixelId = NewType("PixelId", str)


class Status(StrEnum):
    QUEUED = "queued"
    SENT = "sent"
    #: Given up after a permanent reply or too many attempts; `last_reply` says why.
    FAILED = "failed"
    #: Never handed over: consent ended, or the campaign was cancelled.
    CANCELLED = "cancelled"


class Tracking(StrEnum):
    """Whether a message carries a pixel."""

    NONE = "none"
    #: Composed with a pixel under valid consent.
    TRACKED = "tracked"
    #: Was tracked; the consent was withdrawn since and its opens were erased.
    WITHDRAWN = "withdrawn"
    #: Was tracked; its opens are kept and in no figure until the person lifts the restriction (GDPR Art. 18).
    RESTRICTED = "restricted"


class Verdict(StrEnum):
    """The answer per recipient of a send (D1)."""

    TRACKED = "tracked"
    UNTRACKED = "untracked"
    REFUSED = "refused"


class Reason(StrEnum):
    """Why a verdict is what it is; `CONSENT_*` names the state of the mail's own purpose."""

    TRACKING_CONSENT = "tracking_consent"
    NO_TRACKING_CONSENT = "no_tracking_consent"
    SERVICE_MAIL = "service_mail"
    NO_CONSENT = "no_consent"
    CONSENT_WITHDRAWN = "consent_withdrawn"
    CONSENT_EXPIRED = "consent_expired"
    #: The person wants nothing of theirs to be used for now (GDPR Art. 18): not even service mail goes.
    RESTRICTED = "restricted"
    #: The person objected to marketing (GDPR Art. 21).
    OBJECTED = "objected"
    UNKNOWN_ADDRESS = "unknown_address"
    INVALID_ADDRESS = "invalid_address"
    DUPLICATE = "duplicate"
    #: The content differs per person (or loads a third-party 1x1 image) and this person did not agree to measuring.
    PERSONAL_CONTENT = "personal_content"
    CAMPAIGN_CANCELLED = "campaign_cancelled"
    #: One of our own mails whose occasion has passed, e.g. a confirmation already given.
    NO_LONGER_NEEDED = "no_longer_needed"
    #: It waited in a backup that was restored, and may have been sent since.
    RESTORED = "restored"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Back-off for deferred mails: `first`, doubled per attempt up to `longest`, until `attempts` are spent.

    RFC 5321 section 4.5.4.1 asks for at least 30 minutes between tries and 4-5 days in all for a relay that talks to
    the world; behind a smart host shorter first steps are usual. 14 attempts with these defaults span about 53 hours.
    """

    first: timedelta = timedelta(minutes=1)
    longest: timedelta = timedelta(hours=12)
    attempts: int = 14

    def next_delay(self, attempts_made: int) -> timedelta | None:
        """None when the mail is to be given up."""
        if attempts_made >= self.attempts:
            return None
        doublings: int = 2 ** min(attempts_made - 1, 30)
        return min(self.first * doublings, self.longest)
