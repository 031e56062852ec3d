"""What a run of the canaries can find, and how bad it is (P10). How they run is in usecases/canaries.py."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pixel_service.domain.consent import State


class Trouble(StrEnum):
    #: A canary that does not agree got a pixel.
    PIXEL_WITHOUT_CONSENT = "pixel_without_consent"
    #: An image loaded for a canary that does not agree left a trace.
    OPEN_WITHOUT_CONSENT = "open_without_consent"
    #: Pixels or opens are held of people whose consent does not stand.
    ROWS_WITHOUT_CONSENT = "rows_without_consent"
    #: A canary that agrees got no pixel.
    NO_PIXEL = "no_pixel"
    #: The open of a canary that agrees was not recorded.
    OPEN_LOST = "open_lost"
    #: A canary is not in its state of consent, so it proves nothing.
    OTHER_STATE = "other_state"


VIOLATIONS = frozenset({Trouble.PIXEL_WITHOUT_CONSENT, Trouble.OPEN_WITHOUT_CONSENT, Trouble.ROWS_WITHOUT_CONSENT})


@dataclass(frozen=True, slots=True)
class Finding:
    trouble: Trouble
    #: Of the canary; None for rows of people, who are only counted.
    state: State | None
    number: int = 1

    def __str__(self) -> str:
        """For a log: names nobody."""
        return f"{self.state or 'people'}: {self.trouble} ({self.number})"


class Result(StrEnum):
    CLEAN = "clean"
    #: Less was measured than people agreed to; nobody's right is touched.
    FAULT = "fault"
    #: Somebody was measured without consent, or would have been.
    VIOLATION = "violation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One run."""

    at: datetime
    #: Canaries that ran.
    canaries: int
    findings: tuple[Finding, ...]

    @property
    def violations(self) -> int:
        return sum(one.number for one in self.findings if one.trouble in VIOLATIONS)

    @property
    def result(self) -> Result:
        if self.violations:
            return Result.VIOLATION
        return Result.FAULT if self.findings else Result.CLEAN
