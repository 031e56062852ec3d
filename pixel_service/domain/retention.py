"""How long each class of data is kept, and what is therefore due (T1, T2). Pure arithmetic on moments.

Unconfirmed sign-ups have their own journey (`usecases/retain.py`); a withdrawal deletes at once and waits for nothing.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo


class Kept(StrEnum):
    """Classes of data that end by themselves, in the order in which they are purged: what others point at goes last."""

    UNUSED_CONSENT = "unused_consent"
    #: New addresses that were not confirmed, or of which there is no consent left to prove.
    ADDRESS_CHANGES = "address_changes"
    OPENS = "opens"
    PIXELS = "pixels"
    MESSAGES = "messages"
    SENDS = "sends"
    EVIDENCE = "evidence"
    STRANGERS = "strangers"
    AUDIT = "audit"
    #: Notices to processors, from when they were delivered or given up.
    WEBHOOKS = "webhooks"
    #: Of people who had themselves erased.
    SEALED_EVIDENCE = "sealed_evidence"
    #: Rights that people used; open requests never end by themselves.
    REQUESTS = "requests"


@dataclass(frozen=True, slots=True, kw_only=True)
class Periods:
    """What an operator may set."""

    opens: timedelta = timedelta(days=180)
    #: Mails and sends, from when they ended.
    delivery: timedelta = timedelta(days=180)
    #: From the last act or mail.
    unused_consent: timedelta = timedelta(days=730)
    #: Full years after the one of the last mail or act.
    evidence_years: int = 3
    #: Addresses without any consent on record and without mails.
    strangers: timedelta = timedelta(days=14)
    audit: timedelta = timedelta(days=1095)
    webhooks: timedelta = timedelta(days=180)
    #: Requests by right, from when they were done.
    requests: timedelta = timedelta(days=1095)
    #: Where years begin.
    timezone: str = "Europe/Berlin"

    def whole_since(self, now: datetime) -> datetime:
        """A campaign made later has lost nothing to its age: mails and opens that go one after the other distort every share."""
        return now - min(self.opens, self.delivery)


def due_before(kind: Kept, periods: Periods, now: datetime) -> datetime:
    """What ended, or was last used, at or before this moment is due. Aware UTC in and out."""
    if kind is Kept.EVIDENCE:
        return _evidence_before(periods, now)
    return (
        now
        - {
            Kept.UNUSED_CONSENT: periods.unused_consent,
            # A day longer than the link serves at most: how many were asked for within a day is limited.
            Kept.ADDRESS_CHANGES: timedelta(days=1),
            Kept.OPENS: periods.opens,
            # They say themselves when their recording window closes.
            Kept.PIXELS: timedelta(),
            Kept.MESSAGES: periods.delivery,
            Kept.SENDS: periods.delivery,
            Kept.STRANGERS: periods.strangers,
            Kept.AUDIT: periods.audit,
            Kept.WEBHOOKS: periods.webhooks,
            # Its end stands on the seal.
            Kept.SEALED_EVIDENCE: timedelta(),
            Kept.REQUESTS: periods.requests,
        }[kind]
    )


def evidence_ends_at(last_mail_at: datetime, periods: Periods) -> datetime:
    """The first moment after 31 December of the third year that follows the last mail's, by the local calendar."""
    zone = ZoneInfo(periods.timezone)
    year = last_mail_at.astimezone(zone).year + periods.evidence_years + 1
    return datetime(year, 1, 1, tzinfo=zone).astimezone(last_mail_at.tzinfo)


def _evidence_before(periods: Periods, now: datetime) -> datetime:
    """The last moment of the newest year whose evidence has ended: `evidence_ends_at` of it is not after `now`."""
    zone = ZoneInfo(periods.timezone)
    first_kept_year = now.astimezone(zone).year - periods.evidence_years
    return datetime(first_kept_year, 1, 1, tzinfo=zone).astimezone(now.tzinfo) - timedelta(microseconds=1)
