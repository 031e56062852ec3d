"""How the service does, for admins: what this process recorded and what it did not, and what the canaries found (P9, P10).

Counted for the process as a whole; nothing here belongs to a campaign or a person.
"""

from collections.abc import Mapping
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response

from pixel_service.domain.canaries import Finding, Result, Trouble
from pixel_service.i18n import format_moment, format_number
from pixel_service.observability import Metrics
from pixel_service.settings import Settings
from pixel_service.usecases.evidence_words import STATES
from pixel_service.usecases.record_opens import Outcome
from pixel_service.web.console.login import require_admin
from pixel_service.web.language import language_of
from pixel_service.web.views import context_of, say, show

PAGE = "/console/operation"

#: What each counter is called and what it means.
COUNTED: Mapping[Outcome, tuple[str, str]] = {
    Outcome.RECORDED: ("Recorded", "Consent stood when the image was loaded: the open is stored."),
    Outcome.COLLAPSED: ("Repeated", "The same mail program asked again within a minute. Both together are one open."),
    Outcome.NOT_CONSENTED: (
        "Without consent",
        "The image is one of ours, but consent or its link to a mail is gone, or the mail is too old.",
    ),
    Outcome.FORGED: ("Forged", "The address of the image was never given out, or was garbled on its way."),
    Outcome.OPTED_OUT: (
        "Opted out",
        "The program said that its user does not want to be measured (Global Privacy Control or Do Not Track).",
    ),
    Outcome.OVER_LIMIT: ("Over the limit", "The mail has as many opens as are kept of one."),
    Outcome.HEAD: ("Only asked about", "A program asked whether there is an image, and did not load it."),
    Outcome.DROPPED: (
        "Dropped",
        "Too many waited at once, or the process ended without its database: these opens are lost.",
    ),
}
SAID: Mapping[Result, str] = {
    Result.CLEAN: "Clean: in every state of consent exactly what was agreed to was measured, and nothing is held of "
    "anybody whose consent does not stand.",
    Result.FAULT: "A fault: less is measured than people agreed to. Nobody's rights are touched.",
    Result.VIOLATION: "Alarm: somebody is measured without consent, or would be. Stop sending until the cause is found.",
}
TROUBLES: Mapping[Trouble, str] = {
    Trouble.PIXEL_WITHOUT_CONSENT: "a mail carried a pixel",
    Trouble.OPEN_WITHOUT_CONSENT: "a loaded image left a trace",
    Trouble.ROWS_WITHOUT_CONSENT: "pixels or opens are held of people whose consent does not stand",
    Trouble.NO_PIXEL: "a mail carried no pixel",
    Trouble.OPEN_LOST: "an open was not recorded",
    Trouble.OTHER_STATE: "the canary did not reach its state of consent",
}
OFF = "The canaries are switched off by a setting (PIXEL_CANARY_EVERY_MINUTES)."
NOT_YET = "The canaries have not finished a run since this process started."
BEFORE = "An earlier run found a violation. It is counted until the process is restarted."


@require_admin
async def show_operation(request: Request) -> Response:
    """GET /console/operation"""
    language, metrics = language_of(request), _metrics(request)
    started_at = format_moment(request.app.state.started_at, language, ZoneInfo(context_of(request).policy.timezone))
    return show(
        request,
        "console/operation",
        language=language,
        path=PAGE,
        started_at=started_at,
        counted=[
            {
                "label": say(request, language, label),
                "value": format_number(metrics.opens(outcome.value), language),
                "hint": say(request, language, meaning),
            }
            for outcome, (label, meaning) in COUNTED.items()
        ],
        canaries=_canaries(request, language),
    )


def _metrics(request: Request) -> Metrics:
    metrics: Metrics = request.app.state.metrics
    return metrics


def _canaries(request: Request, language: str) -> Mapping[str, object]:
    settings: Settings = request.app.state.settings
    metrics = _metrics(request)
    report, violations = metrics.last_canaries, metrics.violations
    said = [] if report is None else [SAID[report.result]]
    if report is None:
        said = [NOT_YET if settings.canary_every_minutes else OFF]
    elif violations and report.result is not Result.VIOLATION:
        said.append(BEFORE)
    return {
        "tone": "good" if report and report.result is Result.CLEAN and not violations else "bad" if report else "",
        "said": [say(request, language, one) for one in said],
        "found": [_finding(request, language, one) for one in report.findings] if report else [],
        "ran_at": format_moment(report.at, language, ZoneInfo(context_of(request).policy.timezone)) if report else "",
        "flown": format_number(report.canaries, language) if report else "",
        "violations": format_number(violations, language),
    }


def _finding(request: Request, language: str, found: Finding) -> Mapping[str, str]:
    return {
        "state": say(request, language, STATES[found.state]) if found.state else "",
        "trouble": say(request, language, TROUBLES[found.trouble]),
        "number": format_number(found.number, language),
    }
