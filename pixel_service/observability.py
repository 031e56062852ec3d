"""Logs and metrics without personal data: an action, ids and counts; never an address, a token or an IP (P5, Q4)."""

import logging
import sys
from collections.abc import MutableMapping
from functools import partial
from typing import Any, TextIO

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from pixel_service.domain.canaries import Report, Result


def configure_logging(*, level: str, json: bool, stream: TextIO | None = None) -> None:
    """Everything that logs ends in one line per event, on standard error unless told otherwise. Libraries below WARNING are not ours to tell:
    their lines may hold addresses (aiosmtplib) or whole requests (access logs)."""
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(sort_keys=True) if json else structlog.dev.ConsoleRenderer(colors=False)
    )
    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _name_exceptions_only,
    ]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(stream or sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(processors=[_library_line, renderer], foreign_pre_chain=shared)
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)


def _name_exceptions_only(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A traceback or an exception's text may quote what a person typed: only the chain of types is kept."""
    found = event.pop("exc_info", None)
    error = sys.exc_info()[1] if found is True else found[1] if isinstance(found, tuple) else found
    names = []
    while isinstance(error, BaseException):
        names.append(type(error).__name__)
        error = error.__cause__
    if names:
        event["error"] = " < ".join(names)
    return event


def _library_line(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Of a library's warning: who warned, not what it quoted."""
    record = event.pop("_record", None)
    event.pop("_from_structlog", None)
    event["event"] = "library_warning"
    if record is not None:
        event["library"] = record.name
        event["place"] = f"{record.module}:{record.lineno}"
    return event


class Metrics:
    """Process-wide figures; no label ever names a campaign or a person (P9)."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        counter, gauge = partial(Counter, registry=self._registry), partial(Gauge, registry=self._registry)
        self._not_recorded = counter(
            "pixel_opens_not_recorded",
            "Pixel requests that were answered and not stored, by reason",
            ["reason"],
        )
        self._recorded = counter("pixel_opens_recorded", "Opens stored")
        self._delivered = counter("pixel_mails_claimed", "Mails claimed for delivery by this process")
        self._received = counter("pixel_mails_received", "Incoming mails handled, by outcome", ["outcome"])
        self._step_failures = counter("pixel_job_failures", "Job steps that raised, by step", ["step"])
        self._purged = counter("pixel_rows_purged", "Rows whose period was over, by class of data", ["kind"])
        self._webhooks = counter(
            "pixel_webhooks",
            "Notices to processors, by how a try ended: delivered, failed (tried again), given_up",
            ["outcome"],
        )
        self._webhooks_waiting = gauge("pixel_webhooks_waiting", "Notices to processors that are not delivered yet")
        self._requests = gauge(
            "pixel_rights_requests",
            "Open requests of people, by whether their month is over",
            ["due"],
        )
        self._canary_runs = counter(
            "pixel_canary_runs",
            "Runs of the canaries, by how they ended: clean, fault (less measured than agreed to), violation",
            ["result"],
        )
        for result in Result:
            self._canary_runs.labels(result.value)
        self._violations = counter(
            "consent_violations",
            "What was measured without consent, as canaries and a look at the rows found it; anything but 0 is an alarm",
        )
        #: How the canaries' last run in this process ended.
        self.last_canaries: Report | None = None
        self._up = gauge("pixel_up", "1 while the process serves")
        self._up.set(1)

    def count_open(self, reason: str, number: int = 1) -> None:
        """`reason` is ``recorded`` or why an open was not stored."""
        if reason == "recorded":
            self._recorded.inc(number)
        else:
            self._not_recorded.labels(reason).inc(number)

    def count_claimed(self, number: int) -> None:
        self._delivered.inc(number)

    def count_received(self, outcome: str) -> None:
        self._received.labels(outcome).inc()

    def count_failure(self, step: str) -> None:
        self._step_failures.labels(step).inc()

    def count_purged(self, kind: str, number: int) -> None:
        self._purged.labels(kind).inc(number)

    def count_webhook(self, outcome: str) -> None:
        self._webhooks.labels(outcome).inc()

    def set_webhooks_waiting(self, number: int) -> None:
        self._webhooks_waiting.set(number)

    def set_rights_requests(self, *, in_time: int, overdue: int) -> None:
        self._requests.labels("in_time").set(in_time)
        self._requests.labels("overdue").set(overdue)

    def count_canaries(self, report: Report) -> None:
        self._canary_runs.labels(report.result.value).inc()
        self._violations.inc(report.violations)
        self.last_canaries = report

    def opens(self, reason: str) -> int:
        """What `count_open` counted so far."""
        if reason == "recorded":
            return int(self._registry.get_sample_value("pixel_opens_recorded_total") or 0)
        return int(self._registry.get_sample_value("pixel_opens_not_recorded_total", {"reason": reason}) or 0)

    @property
    def violations(self) -> int:
        return int(self._registry.get_sample_value("consent_violations_total") or 0)

    def render(self) -> bytes:
        """Prometheus text format."""
        return generate_latest(self._registry)
