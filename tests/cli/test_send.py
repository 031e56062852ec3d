"""`pixel-service send` against a service that answers what a test tells it: what is asked, shown, and never shown."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer
from typer.testing import CliRunner, Result

from pixel_service.cli.send import SendFailed, _read_request, run, send

KEY = "pk_" + "a" * 26 + "_" + "b" * 52
REQUEST = {"campaign": "November", "purpose": "newsletter:blog", "html": "<p>x</p>", "audience": "subscribers"}
NOTHING = {"queued": 0, "sent": 0, "failed": 0, "cancelled": 0}

app = typer.Typer()
app.command()(send)


def accepted(**changes: Any) -> dict[str, Any]:
    counts = {"tracked": 2, "untracked": 1, "refused": 0}
    told = {"send_id": "s1", "campaign_id": "c1", "counts": counts, "finished": True, "warnings": [], "results": []}
    return told | changes


def progress(*, finished: bool = True, **delivery: int) -> dict[str, Any]:
    counts = {"tracked": 2, "untracked": 1, "refused": 0}
    return {"send_id": "s1", "finished": finished, "counts": counts, "delivery": NOTHING | delivery}


class Service:
    """Gives the prepared answers one after the other; an exception is raised instead."""

    def __init__(self, *answers: tuple[int, object] | Exception) -> None:
        self.asked: list[httpx.Request] = []
        self._answers: Iterator[tuple[int, object] | Exception] = iter(answers)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        status, body = answer
        return httpx.Response(status, json=body) if isinstance(body, dict) else httpx.Response(status, text=str(body))

    def client(self) -> httpx.Client:
        return httpx.Client(base_url="https://news.example", transport=httpx.MockTransport(self))


def no_sleep(_seconds: float) -> None:
    return


def watch(*answers: tuple[int, object] | Exception, key: str | None = None) -> tuple[int, Service]:
    service = Service(*answers)
    with service.client() as client:
        return run(client, REQUEST, key, no_sleep), service


# --- asking and watching ----------------------------------------------------------------------------------------


def test_a_send_is_watched_until_nothing_is_queued(capsys: pytest.CaptureFixture[str]) -> None:
    failed, service = watch(
        (202, accepted(finished=False, results=None)),
        (200, progress(finished=False)),
        (200, progress(finished=False, queued=500)),
        (200, progress(queued=2, sent=498)),
        (200, progress(sent=499, cancelled=1)),
    )
    assert failed == 0
    assert [request.url.path for request in service.asked] == ["/v1/send", *["/v1/sends/s1"] * 4]
    assert "Sent 499, failed 0, cancelled 1." in capsys.readouterr().out


def test_failed_mails_are_told_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    failed, _ = watch((202, accepted()), (200, progress(sent=1, failed=2)))
    assert failed == 2
    assert "failed 2" in capsys.readouterr().out


def test_the_same_request_has_the_same_key_and_another_one_another() -> None:
    keys = []
    for request in (REQUEST, dict(reversed(list(REQUEST.items()))), REQUEST | {"campaign": "December"}):
        service = Service((202, accepted()))
        with service.client() as client:
            run(client, request, None, None)
        keys.append(service.asked[0].headers["Idempotency-Key"])
    assert keys[0] == keys[1] != keys[2]
    _, service = watch((202, accepted()), (200, progress()), key="mine")
    assert service.asked[0].headers["Idempotency-Key"] == "mine"


def test_without_waiting_it_is_not_watched() -> None:
    service = Service((202, accepted()))
    with service.client() as client:
        assert run(client, REQUEST, None, None) == 0
    assert len(service.asked) == 1


def test_verdicts_are_summed_up_without_an_address(capsys: pytest.CaptureFixture[str]) -> None:
    results = [
        {"verdict": "refused", "reason": reason, "address": "anna@example.com"}
        for reason in ("unknown_address", "no_consent", "unknown_address")
    ]
    watch((200, accepted(send_id=None, warnings=["long"], results=results)))
    shown = capsys.readouterr()
    assert "Tracked 2, untracked 1, refused 0." in shown.out
    assert "refused, unknown_address: 2" in shown.out
    assert "dry run" in shown.out
    assert "Warning: long" in shown.err
    assert "anna@example.com" not in shown.out + shown.err


def test_the_verdicts_on_an_audience_are_told_when_it_has_been_looked_up(capsys: pytest.CaptureFixture[str]) -> None:
    nobody = {"tracked": 0, "untracked": 0, "refused": 0}
    looked_up = progress(sent=2) | {"counts": {"tracked": 1, "untracked": 1, "refused": 4}}
    watch((202, accepted(finished=False, results=None, counts=nobody)), (200, looked_up))
    shown = capsys.readouterr().out
    assert "Tracked 0" not in shown
    assert "Tracked 1, untracked 1, refused 4.\nSent 2, failed 0" in shown


def test_a_service_that_restarts_is_waited_for_but_not_for_ever() -> None:
    down = httpx.ConnectError("refused")
    failed, _ = watch((202, accepted()), down, (503, "busy"), (200, progress(sent=3)))
    assert failed == 0
    with pytest.raises(SendFailed):
        watch((202, accepted()), *[down] * 50)


# --- refusals -------------------------------------------------------------------------------------------------------


def test_a_problem_is_told_field_by_field() -> None:
    errors = [{"field": "recipients[3].variables.code", "detail": "missing"}, {"field": "html", "detail": "broken"}]
    with pytest.raises(SendFailed) as refused:
        watch((422, {"status": 422, "title": "Invalid input", "detail": "…", "errors": errors}))
    assert str(refused.value).splitlines() == [
        "422 Invalid input",
        "  recipients[3].variables.code: missing",
        "  html: broken",
    ]


@pytest.mark.parametrize(
    "answer, said",
    [
        ((409, {"status": 409, "title": "Idempotency conflict", "detail": "used before"}), "used before"),
        ((502, "<html>Bad gateway"), "502 Bad Gateway from news.example"),
        ((404, {"unexpected": "shape"}), "404 Not Found from news.example"),
        ((200, "<html>Welcome"), "not the service"),
        (httpx.ConnectError("nobody listens"), "nobody listens"),
        (httpx.ReadTimeout("slow"), "does no harm"),
    ],
    ids=str,
)
def test_every_other_failure_is_one_clear_line(answer: tuple[int, object] | Exception, said: str) -> None:
    with pytest.raises(SendFailed, match=said):
        watch(answer)


# --- the command ----------------------------------------------------------------------------------------------------


@pytest.fixture
def call(tmp_path: Path) -> Callable[..., Result]:
    (tmp_path / "send.json").write_text(json.dumps(REQUEST), encoding="utf-8")

    def called(*options: str, key: str | None = KEY, file: str | None = None, stdin: str = "") -> Result:
        # Port 9 is "discard": nobody listens there.
        environment = {"PIXEL_API_KEY": key, "PIXEL_BASE_URL": "http://127.0.0.1:9", "NO_PROXY": "*"}
        return CliRunner().invoke(app, [file or str(tmp_path / "send.json"), *options], env=environment, input=stdin)

    return called


def test_a_service_that_is_not_there_is_named_and_the_key_is_not(call: Callable[..., Result]) -> None:
    result = call()
    assert result.exit_code == 1
    assert "http://127.0.0.1:9" in result.output
    assert KEY not in result.output


@pytest.mark.parametrize("key", [None, "", "nonsense", f"{KEY}\r\nX-Evil: 1"])
def test_without_a_usable_key_nothing_is_asked_and_it_is_not_shown(
    call: Callable[..., Result], key: str | None
) -> None:
    result = call(key=key)
    assert result.exit_code == 1
    assert "API key" in result.output
    assert not key or key.strip() not in result.output
    assert "127.0.0.1" not in result.output


def test_the_key_may_stand_in_a_file(call: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{KEY}\n", encoding="utf-8")
    assert "http://127.0.0.1:9" in call("--key-file", str(tmp_path / "key"), key=None).output
    assert "can not be read" in call("--key-file", str(tmp_path / "none")).output


@pytest.mark.parametrize("content, said", [("{", "not valid JSON"), ("[]", "a JSON object is needed")])
def test_a_file_that_is_no_request_is_refused_before_anything_is_asked(
    call: Callable[..., Result], content: str, said: str
) -> None:
    result = call(file="-", stdin=content)
    assert result.exit_code == 1
    assert said in result.output


def test_a_file_that_is_not_there_is_named(call: Callable[..., Result]) -> None:
    assert "none.json: No such file" in call(file="none.json").output


def test_a_dry_run_asks_for_one(tmp_path: Path) -> None:
    path = tmp_path / "send.json"
    path.write_text(json.dumps(REQUEST), encoding="utf-8")
    assert _read_request(path, dry_run=True) == REQUEST | {"dry_run": True}
    assert _read_request(path, dry_run=False) == REQUEST
