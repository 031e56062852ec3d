"""Processors are told what happened to a person, and it is known whether they heard it (R11, Art. 19 GDPR).

`announce` stands in the transaction that makes the change, so a notice exists exactly when the change was committed.
`deliver_webhooks` posts: at least once, under one id, in order per person and endpoint; no transaction is open meanwhile.
"""

import asyncio
import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import httpx
import structlog

from pixel_service.domain.consent import Purpose
from pixel_service.domain.webhooks import (
    LEASE,
    ONCE_GIVEN,
    SECRET_LENGTH,
    TIMEOUT,
    Answer,
    DeliveryStatus,
    EndpointId,
    Notice,
    Sealer,
    WebhookEvent,
    WebhookId,
    body_of,
    judge_status,
    next_pause,
    signed_headers,
)
from pixel_service.storage import webhooks
from pixel_service.storage.consent import Consent
from pixel_service.storage.engine import Connection
from pixel_service.storage.subscribers import Subscriber
from pixel_service.storage.webhooks import Claimed, Endpoint, NewDelivery, Result
from pixel_service.usecases.context import Context

_log = structlog.get_logger()
#: Notices per endpoint and claim: a dead endpoint holds a batch up for one time limit, and the others wait no longer.
BATCH = 10


def _not_counted(outcome: str) -> None:
    """For whoever keeps no figures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookDesk:
    """What a worker keeps between batches."""

    #: Which certificates are trusted; built once, it takes 20 ms.
    trust: ssl.SSLContext = field(default_factory=ssl.create_default_context)
    #: For one try, from connecting to the status of the answer.
    timeout: timedelta = TIMEOUT
    #: Told of each try that ended: ``delivered``, ``failed`` or ``given_up``.
    count: Callable[[str], None] = _not_counted


def bodies(ctx: Context) -> Sealer:
    """Each is bound to its webhook id."""
    return Sealer(ctx.tokens.secrets_for("webhook bodies", length=SECRET_LENGTH))


def signing_secrets(ctx: Context) -> Sealer:
    """Each is bound to its endpoint."""
    return Sealer(ctx.tokens.secrets_for("webhook secrets", length=SECRET_LENGTH))


def about(ctx: Context, event: WebhookEvent, person: Subscriber, purposes: tuple[Purpose, ...] = ()) -> Notice:
    """What happened just now."""
    return Notice(
        event=event, subscriber_id=person.subscriber_id, address=person.address, purposes=purposes, at=ctx.clock()
    )


def once_given(on_record: Mapping[Purpose, Consent], purposes: Iterable[Purpose]) -> tuple[Purpose, ...]:
    """Those of them that a processor may have been told of; `on_record` is what stood before."""
    return tuple(one for one in purposes if one in on_record and on_record[one].state in ONCE_GIVEN)


async def announce(ctx: Context, connection: Connection, notice: Notice) -> None:
    """Queue it for every endpoint that wants such notices, inside the caller's transaction."""
    listening = await webhooks.listeners(connection, notice.event)
    if not listening:
        return
    body, sealer = body_of(notice), bodies(ctx)
    new = [(WebhookId(ctx.ids()), endpoint_id) for endpoint_id in listening]
    await webhooks.enqueue(
        connection,
        [
            NewDelivery(
                webhook_id=webhook_id,
                endpoint_id=endpoint_id,
                subject=notice.subscriber_id,
                event=notice.event,
                payload=sealer.seal(body, webhook_id),
                queued_at=ctx.clock(),
            )
            for webhook_id, endpoint_id in new
        ],
    )


async def deliver_webhooks(ctx: Context, desk: WebhookDesk) -> int:
    """Claim and post one batch per endpoint; returns how many notices were claimed."""
    lease = ctx.ids()
    claimed = await _claim(ctx, lease)
    if not claimed:
        return 0
    # Neither a proxy nor anything else of the environment; a redirect is a failed try.
    async with httpx.AsyncClient(verify=desk.trust, trust_env=False, follow_redirects=False) as client:
        ended = await asyncio.gather(*(_post(ctx, desk, client, one) for one in claimed), return_exceptions=True)
    results = [one for one in ended if isinstance(one, Result)]
    await _record(ctx, desk, results, lease)
    gone = {one.endpoint.endpoint_id for one, end in zip(claimed, ended, strict=True) if _is_gone(end)}
    for endpoint_id in sorted(gone):
        dropped = await disable(ctx, endpoint_id)
        _log.warning("endpoint_gone", action="webhooks", endpoint_id=endpoint_id, dropped=dropped)
    for one in ended:
        # What went wrong with one notice must not make the others go out twice.
        if isinstance(one, BaseException):
            raise one
    return len(claimed)


async def disable(ctx: Context, endpoint_id: EndpointId) -> int:
    """Stop sending there, also what waits; returns how many notices that gave up. A transaction of its own: whoever records
    results holds notices, and this locks the endpoint first."""
    async with ctx.db.write() as connection:
        return await webhooks.disable(connection, endpoint_id, at=ctx.clock())


async def count_waiting(ctx: Context) -> int:
    async with ctx.db.read() as connection:
        return sum((await webhooks.waiting(connection)).values())


async def _claim(ctx: Context, lease: str) -> list[Claimed]:
    now = ctx.clock()
    async with ctx.db.read() as connection:
        endpoints = await webhooks.endpoints_due(connection, now)
    claimed: list[Claimed] = []
    for endpoint in endpoints:
        async with ctx.db.write() as connection:
            claimed += await webhooks.claim_due(
                connection, endpoint, now=now, lease=lease, lease_for=LEASE, limit=BATCH
            )
    return claimed


async def _post(ctx: Context, desk: WebhookDesk, client: httpx.AsyncClient, claimed: Claimed) -> Result:
    body = bodies(ctx).open(claimed.payload, claimed.webhook_id)
    secrets = _secrets_of(ctx, claimed.endpoint)
    if body is None or not secrets:
        # The key may come back; a new secret of the endpoint helps too.
        return _failed(ctx, claimed, "sealed under a lost key", None)
    headers = signed_headers(secrets, claimed.webhook_id, ctx.clock(), body)
    try:
        # The whole try, not each step of it. Of the answer only the head is read.
        async with (
            asyncio.timeout(desk.timeout.total_seconds()),
            client.stream("POST", claimed.endpoint.url, content=body, headers=headers, timeout=None) as response,
        ):
            code, retry_after = response.status_code, response.headers.get("retry-after")
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, TimeoutError) as error:
        # InvalidURL and ValueError (IDNA): an address that httpx refuses is not one to try for ever.
        return _failed(ctx, claimed, type(error).__name__, None)
    judged = judge_status(code)
    if judged is Answer.TAKEN:
        return _ended(ctx, claimed, DeliveryStatus.DELIVERED, str(code))
    if judged is Answer.GONE:
        return _given_up(ctx, claimed, _GONE)
    return _failed(ctx, claimed, str(code), retry_after)


_GONE = "410"


def _is_gone(ended: Result | BaseException) -> bool:
    return isinstance(ended, Result) and ended.answer == _GONE


def _secrets_of(ctx: Context, endpoint: Endpoint) -> list[bytes]:
    """The newest first; the old one for a while longer."""
    still = endpoint.old_secret_until is not None and ctx.clock() < endpoint.old_secret_until
    sealed = [endpoint.secret, endpoint.old_secret if still else None]
    sealer = signing_secrets(ctx)
    opened = (sealer.open(one, endpoint.endpoint_id) for one in sealed if one is not None)
    return [secret for secret in opened if secret is not None]


def _failed(ctx: Context, claimed: Claimed, answer: str, retry_after: str | None) -> Result:
    pause = next_pause(claimed.attempts + 1, claimed.webhook_id, retry_after)
    if pause is None:
        return _given_up(ctx, claimed, answer)
    now = ctx.clock()
    return Result(
        webhook_id=claimed.webhook_id, status=DeliveryStatus.WAITING, answer=answer, at=now, due_at=now + pause
    )


def _given_up(ctx: Context, claimed: Claimed, answer: str) -> Result:
    return _ended(ctx, claimed, DeliveryStatus.GIVEN_UP, answer)


def _ended(ctx: Context, claimed: Claimed, status: DeliveryStatus, answer: str) -> Result:
    return Result(webhook_id=claimed.webhook_id, status=status, answer=answer, at=ctx.clock())


async def _record(ctx: Context, desk: WebhookDesk, results: list[Result], lease: str) -> None:
    async with ctx.db.write() as connection:
        recorded = [one for one in results if await webhooks.record_result(connection, one, lease=lease)]
    for one in recorded:
        desk.count("failed" if one.status is DeliveryStatus.WAITING else one.status.value)
        if one.status is DeliveryStatus.GIVEN_UP:
            _log.error("webhook_given_up", action="webhooks", webhook_id=one.webhook_id, answer=one.answer)
