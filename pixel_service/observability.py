"""Logs and metrics without personal data: an action, ids and counts; never an address, a token or an IP (P5, Q4)."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest


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
        self._not_recorded = Counter(
            "pixel_opens_not_recorded",
            "Pixel requests that were answered and not stored, by reason",
            ["reason"],
            registry=self._registry,
        )
        self._recorded = Counter("pixel_opens_recorded", "Opens stored", registry=self._registry)
        self._delivered = Counter(
            "pixel_mails_claimed", "Mails claimed for delivery by this process", registry=self._registry
        )
        self._received = Counter(
            "pixel_mails_received", "Incoming mails handled, by outcome", ["outcome"], registry=self._registry
        )
        self._step_failures = Counter(
            "pixel_job_failures", "Job steps that raised, by step", ["step"], registry=self._registry
        )
        self._purged = Counter(
            "pixel_rows_purged", "Rows whose period was over, by class of data", ["kind"], registry=self._registry
        )
        self._webhooks = Counter(
            "pixel_webhooks",
            "Notices to processors, by how a try ended: delivered, failed (tried again), given_up",
            ["outcome"],
            registry=self._registry,
        )
        self._webhooks_waiting = Gauge(
            "pixel_webhooks_waiting", "Notices to processors that are not delivered yet", registry=self._registry
        )
        self._requests = Gauge(
            "pixel_rights_requests",
            "Open requests of people, by whether their month is over",
            ["due"],
            registry=self._registry,
        )
        self._up = Gauge("pixel_up", "1 while the process serves", registry=self._registry)
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

    def render(self) -> bytes:
        """Prometheus text format."""
        return generate_latest(self._registry)
