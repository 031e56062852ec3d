"""Logs and metrics: actions, types and counts; never what a person typed, a link, or where they were."""

import json
import logging
from collections.abc import Iterator
from io import StringIO

import pytest
import structlog

from pixel_service.observability import Metrics, configure_logging

ADDRESS = "anna@example.com"


class Lines:
    def __init__(self) -> None:
        self.stream = StringIO()

    def read(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]


@pytest.fixture
def stream_put_back() -> Iterator[None]:
    """Logging is one per process: leave it as it was found."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def lines(stream_put_back: None) -> Lines:
    found = Lines()
    configure_logging(level="info", json=True, stream=found.stream)
    return found


def test_a_line_says_what_happened_and_when(lines: Lines) -> None:
    structlog.get_logger().info("serving", action="serve", mails=3)
    (line,) = lines.read()
    assert (line["event"], line["action"], line["mails"], line["level"]) == ("serving", "serve", 3, "info")
    assert str(line["timestamp"]).endswith("Z")


def test_below_the_level_nothing_is_written(lines: Lines) -> None:
    structlog.get_logger().debug("detail")
    assert lines.read() == []


def test_an_exception_is_named_with_its_causes_and_never_quoted(lines: Lines) -> None:
    try:
        try:
            raise KeyError(ADDRESS)
        except KeyError as error:
            raise ValueError(ADDRESS) from error
    except ValueError as error:
        structlog.get_logger().error("step_failed", action="deliver", exc_info=error)
        structlog.get_logger().exception("step_failed")
    first, second = lines.read()
    assert first["error"] == second["error"] == "ValueError < KeyError"
    assert ADDRESS not in json.dumps([first, second])


def test_a_warning_of_a_library_says_who_warned_and_nothing_of_what_it_quoted(lines: Lines) -> None:
    logging.getLogger("some.library").warning("could not send to %s", ADDRESS, extra={"token": "secret"})
    logging.getLogger("some.library").info("sent to %s", ADDRESS)
    try:
        raise ValueError(ADDRESS)
    except ValueError:
        logging.getLogger("some.library").exception("failed")
    found = lines.read()
    assert [line["library"] for line in found] == ["some.library", "some.library"]
    assert found[1]["error"] == "ValueError"
    assert ADDRESS not in json.dumps(found)
    assert "secret" not in json.dumps(found)


def test_for_people_the_same_lines_read_like_text(stream_put_back: None) -> None:
    stream = StringIO()
    configure_logging(level="info", json=False, stream=stream)
    structlog.get_logger().info("serving", action="serve")
    assert "serving" in stream.getvalue()
    assert "{" not in stream.getvalue()


def test_metrics_count_what_was_recorded_and_why_something_was_not() -> None:
    metrics = Metrics()
    metrics.count_open("recorded", 2)
    metrics.count_open("forged")
    metrics.count_claimed(3)
    metrics.count_failure("deliver")
    text = metrics.render().decode()
    for line in (
        "pixel_opens_recorded_total 2.0",
        'pixel_opens_not_recorded_total{reason="forged"} 1.0',
        "pixel_mails_claimed_total 3.0",
        'pixel_job_failures_total{step="deliver"} 1.0',
        "pixel_up 1.0",
    ):
        assert line in text


def test_what_was_not_recorded_can_be_read_by_its_reason() -> None:
    metrics = Metrics()
    metrics.count_open("recorded", 2)
    metrics.count_open("forged", 3)
    assert [metrics.opens(reason) for reason in ("recorded", "forged", "head")] == [2, 3, 0]


def test_no_violation_is_told_from_the_start() -> None:
    """An alarm on a series that is not there yet would stay silent."""
    text = Metrics().render().decode()
    assert "\nconsent_violations_total 0.0\n" in text
    assert 'pixel_canary_runs_total{result="clean"} 0.0' in text
