"""`pixel-service send`: hand a request file to a running service and watch its mails go out.

It speaks the same API as any pipeline. The API key comes from a file or the environment, never from an argument (those
stand in process lists), and is never printed.
"""

import hashlib
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from pixel_service.domain.accounts import read_credential

#: Seconds between two looks at a send, and how many may fail in a row: a service that restarts is back by then.
_LOOK_EVERY = 1.0
_MOST_FAILED_LOOKS = 30
_TIMEOUT = httpx.Timeout(60.0, connect=5.0)

Answer = Mapping[str, Any]


class SendFailed(Exception):
    """What to tell, one line each. Holds neither the key nor a body."""

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))


def send(
    file: Annotated[Path, typer.Argument(help="The request, as JSON; - reads it from stdin.")],
    url: Annotated[
        str, typer.Option(envvar="PIXEL_BASE_URL", help="Where the service runs.")
    ] = "http://127.0.0.1:8000",
    key_file: Annotated[
        Path | None, typer.Option(help="File with the API key; else it is taken from PIXEL_API_KEY.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Decide for everybody, send nothing.")] = False,
    idempotency_key: Annotated[
        str | None,
        typer.Option(
            help="By default made from the request: the same file twice is one send. Name another to repeat it."
        ),
    ] = None,
    wait: Annotated[bool, typer.Option(help="Watch until every mail is sent, failed or cancelled.")] = True,
) -> None:
    """Send a mailing: prints who gets it and why others do not, then shows its progress."""
    try:
        request = _read_request(file, dry_run=dry_run)
        headers = {"Authorization": f"Bearer {_read_key(key_file)}"}
        with httpx.Client(base_url=url, headers=headers, timeout=_TIMEOUT) as client:
            failed = run(client, request, idempotency_key, time.sleep if wait else None)
    except SendFailed as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from None
    if failed:
        raise typer.Exit(1)


def run(
    client: httpx.Client,
    request: Mapping[str, Any],
    idempotency_key: str | None,
    sleep: Callable[[float], None] | None,
) -> int:
    """Returns how many mails failed. `sleep` None: do not wait for them. Raises `SendFailed`."""
    answer = _ask(
        client, "POST", "/v1/send", json=request, headers={"Idempotency-Key": idempotency_key or _key_of(request)}
    )
    _print_verdicts(answer)
    send_id = answer["send_id"]
    if send_id is None:
        typer.echo("This was a dry run: nothing is sent.")
        return 0
    if sleep is None:
        typer.echo(f"Queued as send {send_id}.")
        return 0
    try:
        last = _watch(client, str(send_id), sleep)
    except KeyboardInterrupt:
        typer.echo(f"No longer watching. The mails of send {send_id} still go out.", err=True)
        raise typer.Exit(130) from None
    if not answer["finished"]:
        _print_counts(last)
    delivery = last["delivery"]
    typer.echo(f"Sent {delivery['sent']}, failed {delivery['failed']}, cancelled {delivery['cancelled']}.")
    return int(delivery["failed"])


def _read_request(file: Path, *, dry_run: bool) -> dict[str, Any]:
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
        request = json.loads(text)
    except OSError as error:
        raise SendFailed(f"{file}: {error.strerror}") from None
    except ValueError as error:
        raise SendFailed(f"{file}: not valid JSON: {error}") from None
    if not isinstance(request, dict):
        raise SendFailed(f"{file}: a JSON object is needed")
    return request | ({"dry_run": True} if dry_run else {})


def _read_key(file: Path | None) -> str:
    """Checked here: a header with a stray line break would be quoted by whoever refuses it."""
    import os

    try:
        key = os.environ.get("PIXEL_API_KEY", "") if file is None else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise SendFailed(f"{file}: the key file can not be read") from None
    if not key.strip():
        raise SendFailed("an API key is needed: --key-file FILE or PIXEL_API_KEY")
    if read_credential(key.strip()) is None:
        raise SendFailed("this is no API key; `pixel-service key create` prints one, it begins with pk_")
    return key.strip()


def _key_of(request: Mapping[str, Any]) -> str:
    plain = json.dumps(request, sort_keys=True, separators=(",", ":"))
    return f"sha256-{hashlib.sha256(plain.encode()).hexdigest()}"


def _ask(client: httpx.Client, method: str, path: str, **more: Any) -> Answer:
    try:
        response = client.request(method, path, **more)
    except httpx.TimeoutException:
        raise SendFailed("the service did not answer in time; the same command again does no harm") from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise SendFailed(f"{client.base_url}: {error}") from None
    if not response.is_success:
        raise _refusal(response)
    try:
        answer: Answer = response.json()
    except ValueError:
        raise SendFailed(f"{client.base_url}: this answers, but it is not the service") from None
    return answer


def _refusal(response: httpx.Response) -> SendFailed:
    """A problem document (RFC 9457) in lines; anything else in one."""
    try:
        problem = response.json()
        heading = f"{problem['status']} {problem['title']}"
        errors = [f"  {one['field']}: {one['detail']}" for one in problem.get("errors", ())]
        return SendFailed(heading, *(errors or [f"  {problem['detail']}"]))
    except (ValueError, KeyError, TypeError):
        return SendFailed(f"{response.status_code} {response.reason_phrase} from {response.url.host}")


def _print_verdicts(answer: Answer) -> None:
    for warning in answer["warnings"]:
        typer.echo(f"Warning: {warning}", err=True)
    if answer["results"] is None and not answer["finished"]:
        typer.echo("Everybody who agreed to this gets it; they are looked up while the mails go out.")
        return
    _print_counts(answer)
    reasons = Counter(one["reason"] for one in answer["results"] or () if one["verdict"] == "refused")
    for reason, number in reasons.most_common():
        typer.echo(f"  refused, {reason}: {number}")


def _print_counts(answer: Answer) -> None:
    counts = answer["counts"]
    typer.echo(f"Tracked {counts['tracked']}, untracked {counts['untracked']}, refused {counts['refused']}.")


def _watch(client: httpx.Client, send_id: str, sleep: Callable[[float], None]) -> Answer:
    """Until nothing is queued any more. The total of an audience grows while it is looked up."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("mails"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("Sending", total=None)
        failed_looks = 0
        while True:
            try:
                seen = _ask(client, "GET", f"/v1/sends/{send_id}")
                failed_looks = 0
            except SendFailed:
                failed_looks += 1
                if failed_looks > _MOST_FAILED_LOOKS:
                    raise
                sleep(_LOOK_EVERY)
                continue
            queued, total = seen["delivery"]["queued"], sum(seen["delivery"].values())
            bar.update(task, total=total if seen["finished"] else None, completed=total - queued)
            if seen["finished"] and queued == 0:
                return seen
            sleep(_LOOK_EVERY)
