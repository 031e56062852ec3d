"""The send endpoint's journey: decide per recipient, queue what is allowed, answer why for the rest (D1-D4).

One transaction per request: the verdicts answered are the mails queued. An audience is only registered here;
`expand_audience` walks it in slices, so a million people need no more memory than a thousand.
"""

from dataclasses import dataclass, replace

from pixel_service.domain.consent import SERVICE, Purpose, kind_of, slug_of
from pixel_service.domain.errors import IdempotencyConflict, InvalidFields, InvalidInput, NotFound
from pixel_service.domain.messages import CampaignId, SendId, Status
from pixel_service.domain.sends import RecipientAsked, Ruling
from pixel_service.storage import sends
from pixel_service.usecases.content import Content, Needs, needs_of
from pixel_service.usecases.context import Context
from pixel_service.usecases.rulings import (
    SLICE,
    Job,
    count_audience,
    known_people,
    progress,
    rule_recipients,
    rule_slice,
    unpack,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SendCommand:
    campaign: str
    purpose: Purpose
    content: Content
    #: None: everybody with valid consent for `purpose`.
    recipients: tuple[RecipientAsked, ...] | None
    api_key_id: str
    idempotency_key: str
    #: SHA-256 of the canonical request.
    body_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SendAnswer:
    """`rulings` in the order asked, None for an audience; counts are complete once `finished`."""

    send_id: SendId | None
    campaign_id: CampaignId | None
    rulings: tuple[Ruling, ...] | None
    tracked: int
    untracked: int
    refused: int
    finished: bool
    warnings: tuple[str, ...] = ()


async def send(ctx: Context, command: SendCommand) -> SendAnswer:
    """Raises `InvalidInput`/`InvalidFields` naming the field, `IdempotencyConflict`."""
    needs = _check(ctx, command)
    now = ctx.clock()
    async with ctx.db.write() as connection:
        campaign = await sends.hold_campaign(
            connection, name=command.campaign, purpose=command.purpose, new_id=CampaignId(ctx.ids()), at=now
        )
        repeat = await sends.find_repeat(
            connection, api_key_id=command.api_key_id, idempotency_key=command.idempotency_key
        )
        if repeat is not None:
            return _answer_again(repeat, command, needs)
        _check_campaign(campaign, command)
        new = _new_send(ctx, command, campaign.campaign_id)
        await sends.add(connection, new)
        if command.recipients is None:
            return _answer(new, None, needs)
        job = Job(purpose=command.purpose, campaign_id=campaign.campaign_id, send_id=new.send_id, needs=needs, now=now)
        rulings = await rule_recipients(ctx, connection, job, command.recipients)
        await sends.advance(connection, new.send_id, progress(rulings, finished_at=now, keep=True))
    return _answer(new, rulings, needs)


async def dry_run(ctx: Context, command: SendCommand) -> SendAnswer:
    """The same decisions, nothing written."""
    needs = _check(ctx, command)
    async with ctx.db.read() as connection:
        campaign = await sends.find_campaign(connection, command.campaign)
        if campaign is not None:
            _check_campaign(campaign, command)
        job = Job(
            purpose=command.purpose,
            campaign_id=campaign.campaign_id if campaign else None,
            send_id=None,
            needs=needs,
            now=ctx.clock(),
        )
        if command.recipients is not None:
            rulings = await rule_recipients(ctx, connection, job, command.recipients)
            counted = progress(rulings, finished_at=job.now, keep=False)
        else:
            rulings, counted = (), await count_audience(ctx, connection, job)
    return SendAnswer(
        send_id=None,
        campaign_id=job.campaign_id,
        rulings=None if command.recipients is None else rulings,
        tracked=counted.tracked,
        untracked=counted.untracked,
        refused=counted.refused,
        finished=True,
        warnings=needs.warnings,
    )


async def expand_audience(ctx: Context) -> int:
    """One slice of the oldest unfinished audience; returns the people decided, 0 when there is nothing to do."""
    async with ctx.db.write() as connection:
        current = await sends.next_to_expand(connection)
        if current is None:
            return 0
        await sends.hold(connection, current.campaign_id)
        job = Job(
            purpose=current.purpose,
            campaign_id=current.campaign_id,
            send_id=current.send_id,
            needs=needs_of(ctx, Content.from_json(current.content), current.purpose),
            now=ctx.clock(),
        )
        ids = await sends.audience_after(connection, job.purpose, cursor=current.cursor or "", limit=SLICE)
        rulings = await rule_slice(ctx, connection, job, await known_people(ctx, connection, ids))
        finished_at = job.now if len(ids) < SLICE else None
        step = replace(
            progress(rulings, finished_at=finished_at, keep=False), cursor=ids[-1] if ids else current.cursor
        )
        await sends.advance(connection, current.send_id, step)
    return max(len(ids), 1)


async def progress_of(ctx: Context, send_id: SendId) -> tuple[sends.Send, dict[Status, int]]:
    """How far a send got: its verdicts, and its mails by status. Raises `NotFound`."""
    async with ctx.db.read() as connection:
        found = await sends.get(connection, send_id)
        if found is None:
            raise NotFound("send")
        return found, await sends.delivery_counts(connection, send_id)


def _check(ctx: Context, command: SendCommand) -> Needs:
    """Everything that can be wrong without looking at a single person."""
    offered = kind_of(command.purpose) == "newsletter" and slug_of(command.purpose) in ctx.catalogue.newsletters
    if command.purpose != SERVICE and not offered:
        raise InvalidInput("purpose", "not a newsletter on offer, and not service")
    needs = needs_of(ctx, command.content, command.purpose)
    if command.recipients is None:
        if command.purpose == SERVICE:
            raise InvalidInput("audience", "service mail answers somebody's act and has no audience")
        if needs.variables:
            names = ", ".join(sorted(needs.variables))
            raise InvalidInput("variables", f"an audience has no recipient variables; missing: {names}")
        return needs
    problems = tuple(
        InvalidInput(f"recipients[{index}].variables.{name}", "missing, the content uses it")
        for index, recipient in enumerate(command.recipients)
        for name in sorted(needs.variables - recipient.variables.keys())
    )
    if problems:
        raise InvalidFields(problems[:100])
    return needs


def _check_campaign(campaign: sends.Campaign, command: SendCommand) -> None:
    if campaign.purpose != command.purpose:
        raise InvalidInput("purpose", "the campaign of this name has another purpose")
    if campaign.cancelled_at is not None:
        raise InvalidInput("campaign", "the campaign was cancelled")


def _new_send(ctx: Context, command: SendCommand, campaign_id: CampaignId) -> sends.NewSend:
    return sends.NewSend(
        send_id=SendId(ctx.ids()),
        campaign_id=campaign_id,
        api_key_id=command.api_key_id,
        idempotency_key=command.idempotency_key,
        body_hash=command.body_hash,
        content=command.content.to_json(),
        created_at=ctx.clock(),
    )


def _answer(new: sends.NewSend, rulings: tuple[Ruling, ...] | None, needs: Needs) -> SendAnswer:
    counted = progress(rulings or (), finished_at=None, keep=False)
    return SendAnswer(
        send_id=new.send_id,
        campaign_id=new.campaign_id,
        rulings=rulings,
        tracked=counted.tracked,
        untracked=counted.untracked,
        refused=counted.refused,
        finished=rulings is not None,
        warnings=needs.warnings,
    )


def _answer_again(found: sends.Send, command: SendCommand, needs: Needs) -> SendAnswer:
    """Same key, same body: the first answer again, from the row. Other body: a conflict."""
    if found.body_hash != command.body_hash:
        raise IdempotencyConflict
    return SendAnswer(
        send_id=found.send_id,
        campaign_id=found.campaign_id,
        rulings=None if found.results is None else unpack(found.results),
        tracked=found.tracked,
        untracked=found.untracked,
        refused=found.refused,
        finished=found.expanded_at is not None,
        warnings=needs.warnings,
    )
