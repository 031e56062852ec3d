"""What a send asks for, and the verdict for each recipient (D1-D4). Pure: the use case brings the facts."""

from collections.abc import Mapping
from dataclasses import dataclass

from pixel_service.domain.consent import SERVICE, Purpose, State, is_valid
from pixel_service.domain.messages import MessageId, Reason, Verdict

MAX_RECIPIENTS = 10_000
#: Topics of a campaign.
MAX_TAGS = 10

JsonValue = None | bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientAsked:
    """One recipient as the pipeline named it."""

    address: str
    variables: Mapping[str, str]
    language: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the record says of one person for the mail's purpose and for tracking, with the entries that say so."""

    mail: State
    mail_seq: int | None
    tracking: State
    tracking_seq: int | None
    #: The person restricted the use of their data: no mail at all goes.
    restricted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """The answer for one recipient; `ledger_seq` is the entry that decided it."""

    verdict: Verdict
    reason: Reason
    ledger_seq: int | None = None
    message_id: MessageId | None = None


_REFUSALS = {
    State.WITHDRAWN: Reason.CONSENT_WITHDRAWN,
    State.EXPIRED: Reason.CONSENT_EXPIRED,
    State.OBJECTED: Reason.OBJECTED,
}


def rule(purpose: Purpose, standing: Standing, *, personal_content: bool) -> Ruling:
    """`personal_content`: the untracked form of this mail would still differ per person (D4). Service mail answers the
    person's own act, so an objection to marketing does not stop it; a restriction does."""
    if standing.restricted:
        return Ruling(verdict=Verdict.REFUSED, reason=Reason.RESTRICTED, ledger_seq=standing.mail_seq)
    if purpose == SERVICE:
        return _service(personal_content=personal_content)
    if not is_valid(standing.mail):
        reason = _REFUSALS.get(standing.mail, Reason.NO_CONSENT)
        return Ruling(verdict=Verdict.REFUSED, reason=reason, ledger_seq=standing.mail_seq)
    if is_valid(standing.tracking):
        return Ruling(verdict=Verdict.TRACKED, reason=Reason.TRACKING_CONSENT, ledger_seq=standing.tracking_seq)
    # The entry that says no to tracking; for somebody who was never asked, the one that says yes to the mail.
    seq = standing.mail_seq if standing.tracking_seq is None else standing.tracking_seq
    if personal_content:
        return Ruling(verdict=Verdict.REFUSED, reason=Reason.PERSONAL_CONTENT, ledger_seq=seq)
    return Ruling(verdict=Verdict.UNTRACKED, reason=Reason.NO_TRACKING_CONSENT, ledger_seq=seq)


def _service(*, personal_content: bool) -> Ruling:
    if personal_content:
        return Ruling(verdict=Verdict.REFUSED, reason=Reason.PERSONAL_CONTENT)
    return Ruling(verdict=Verdict.UNTRACKED, reason=Reason.SERVICE_MAIL)
