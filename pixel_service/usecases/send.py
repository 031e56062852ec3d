"""The send endpoint's journey: decide per recipient, queue what is allowed, answer why for the rest (D1-D4).

One transaction per request: the verdicts answered are the mails queued. An audience is only registered here;
`expand_audience` walks it in slices, so a million people need no more memory than a thousand.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from pixel_service.domain.consent import SERVICE, Purpose, kind_of, slug_of
from pixel_service.domain.errors import IdempotencyConflict, InvalidFields, InvalidInput, NotFound
from pixel_service.domain.messages import CampaignId, SendId, Status
from pixel_service.domain.sends import RecipientAsked, Ruling
from pixel_service.storage import audiences, sends
from pixel_service.storage.engine import Connection
from pixel_service.usecases import service_mails
from pixel_service.usecases.content import Content, Needs, needs_of
from pixel_service.usecases.context import Context
from pixel_service.usecases.rulings import (
    SLICE,
    Job,
    count_audience,
    known_people,
    pack,
    progress,
    read_addresses,
    rule_recipients,
    rule_slice,
    unpack,
)

#: Problems told at once; 10,000 recipients without a variable are one mistake.
_MOST_PROBLEMS = 100


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
    #: Topics of the campaign, sorted; None: whatever it has.
    tags: tuple[str, ...] | None = None


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
    async with ctx.db.read() as connection:
        repeat = await _find_repeat(connection, command)
    if repeat is not None:
        return repeat
    needs = _check(ctx, command)
    asked = None if command.recipients is None else await read_addresses(command.recipients)
    async with ctx.db.write() as connection:
        campaign = await sends.hold_campaign(
            connection, name=command.campaign, purpose=command.purpose, new_id=CampaignId(ctx.ids()), at=ctx.clock()
        )
        new = _new_send(ctx, command, campaign.campaign_id, needs)
        if not await sends.add(connection, new):
            # The same request a second time, while the first was under way.
            repeat = await _find_repeat(connection, command)
            assert repeat is not None
            return repeat
        _check_campaign(campaign, command)
        if command.tags and not campaign.tags:
            await sends.set_tags(connection, campaign.campaign_id, command.tags)
        if asked is None:
            return _answer(new, None)
        job = _job(command, needs, new)
        rulings = await rule_recipients(ctx, connection, job, asked)
        await sends.advance(connection, new.send_id, progress(rulings, finished_at=job.now, keep=True))
    return _answer(new, rulings)


async def dry_run(ctx: Context, command: SendCommand) -> SendAnswer:
    """The same decisions, nothing written."""
    needs = _check(ctx, command)
    asked = None if command.recipients is None else await read_addresses(command.recipients)
    async with ctx.db.read() as connection:
        campaign = await sends.find_campaign(connection, command.campaign)
        if campaign is not None:
            _check_campaign(campaign, command)
        job = Job(
            purpose=command.purpose,
            campaign_id=campaign.campaign_id if campaign else None,
            send_id=None,
            variables=needs.accepts,
            personal_content=needs.personal_content,
            now=ctx.clock(),
        )
        rulings = None if asked is None else await rule_recipients(ctx, connection, job, asked)
        if rulings is None:
            counted = await count_audience(ctx, connection, job)
        else:
            counted = progress(rulings, finished_at=None, keep=False)
    return SendAnswer(
        send_id=None,
        campaign_id=job.campaign_id,
        rulings=rulings,
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
        now = ctx.clock()
        campaign = await sends.hold(connection, current.campaign_id)
        if campaign.cancelled_at is not None:
            await sends.advance(connection, current.send_id, sends.Progress(finished_at=now))
            return 1
        job = Job(
            purpose=current.purpose,
            campaign_id=current.campaign_id,
            send_id=current.send_id,
            variables=frozenset(),
            personal_content=current.personal_content,
            now=now,
        )
        ids = await audiences.people_after(connection, job.purpose, cursor=current.cursor or "", limit=SLICE)
        rulings = await rule_slice(ctx, connection, job, await known_people(ctx, connection, ids))
        if rulings:
            await audiences.add_rulings(connection, current.send_id, first=current.decided, results=pack(rulings))
        step = progress(rulings, finished_at=now if len(ids) < SLICE else None, keep=False)
        await sends.advance(connection, current.send_id, replace(step, cursor=ids[-1] if ids else None))
    return max(len(ids), 1)


async def progress_of(ctx: Context, send_id: SendId) -> tuple[sends.Send, dict[Status, int]]:
    """How far a send got: its verdicts, and its mails by status. Raises `NotFound`."""
    async with ctx.db.read() as connection:
        found = await sends.get(connection, send_id)
        if found is None:
            raise NotFound("send")
        return found, await sends.delivery_counts(connection, send_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class RulingsPage:
    """`SLICE` rulings of a send in the order they were made; `next_page` is None where no more are decided yet."""

    first: int
    rulings: tuple[Ruling, ...]
    next_page: int | None
    #: Whether everybody is decided.
    finished: bool


async def rulings_of(ctx: Context, send_id: SendId, page: int) -> RulingsPage:
    """The verdict for each recipient, whoever named them (D1). Raises `NotFound`."""
    first = page * SLICE
    async with ctx.db.read() as connection:
        found = await sends.get(connection, send_id)
        if found is None:
            raise NotFound("send")
        if found.results is None:
            packed = await audiences.rulings_at(connection, send_id, first=first)
        else:
            packed = found.results[first : first + SLICE]
    return RulingsPage(
        first=first,
        rulings=unpack(packed),
        next_page=page + 1 if found.decided > first + SLICE else None,
        finished=found.expanded_at is not None,
    )


def _check(ctx: Context, command: SendCommand) -> Needs:
    """Everything that can be wrong without looking at a single person."""
    offered = kind_of(command.purpose) == "newsletter" and slug_of(command.purpose) in ctx.catalogue.newsletters
    if command.purpose != SERVICE and not offered:
        raise InvalidInput("purpose", "not a newsletter on offer, and not service")
    if command.content.template in service_mails.TEMPLATES:
        raise InvalidInput("template", "this template is for the service's own mails")
    needs = needs_of(ctx, command.content, command.purpose)
    if command.recipients is not None:
        problems = tuple(islice(_recipient_problems(ctx, command.recipients, needs), _MOST_PROBLEMS))
        if problems:
            raise InvalidFields(problems)
        return needs
    if command.purpose == SERVICE:
        raise InvalidInput("audience", "service mail answers somebody's act and has no audience")
    if needs.variables:
        names = ", ".join(sorted(needs.variables))
        raise InvalidInput("variables", f"an audience has no recipient variables; missing: {names}")
    return needs


def _recipient_problems(ctx: Context, recipients: Sequence[RecipientAsked], needs: Needs) -> Iterator[InvalidInput]:
    languages = ctx.catalogues.languages
    for index, recipient in enumerate(recipients):
        if recipient.language is not None and recipient.language not in languages:
            yield InvalidInput(f"recipients[{index}].language", f"must be one of: {', '.join(languages)}")
        for name in sorted(needs.variables - recipient.variables.keys()):
            yield InvalidInput(f"recipients[{index}].variables.{name}", "missing, the content uses it")


def _check_campaign(campaign: sends.Campaign, command: SendCommand) -> None:
    if campaign.purpose != command.purpose:
        raise InvalidInput("purpose", "the campaign of this name has another purpose")
    if campaign.cancelled_at is not None:
        raise InvalidInput("campaign", "the campaign was cancelled")
    # One campaign stands under one set of topics: the first send that names any decides.
    if command.tags is not None and campaign.tags and command.tags != campaign.tags:
        raise InvalidInput("tags", f"the campaign of this name has other tags: {', '.join(campaign.tags)}")


def _new_send(ctx: Context, command: SendCommand, campaign_id: CampaignId, needs: Needs) -> sends.NewSend:
    return sends.NewSend(
        send_id=SendId(ctx.ids()),
        campaign_id=campaign_id,
        api_key_id=command.api_key_id,
        idempotency_key=command.idempotency_key,
        body_hash=command.body_hash,
        content=command.content.to_json(),
        personal_content=needs.personal_content,
        warnings=needs.warnings,
        created_at=ctx.clock(),
    )


def _job(command: SendCommand, needs: Needs, new: sends.NewSend) -> Job:
    return Job(
        purpose=command.purpose,
        campaign_id=new.campaign_id,
        send_id=new.send_id,
        variables=needs.accepts,
        personal_content=needs.personal_content,
        now=new.created_at,
    )


async def _find_repeat(connection: Connection, command: SendCommand) -> SendAnswer | None:
    """Same key, same body: the first answer again, from the row. Other body: a conflict."""
    found = await sends.find_repeat(connection, api_key_id=command.api_key_id, idempotency_key=command.idempotency_key)
    if found is None:
        return None
    if found.body_hash != command.body_hash:
        raise IdempotencyConflict
    return _answer(found, None if found.results is None else unpack(found.results))


def _answer(accepted: sends.NewSend | sends.Send, rulings: tuple[Ruling, ...] | None) -> SendAnswer:
    """What was known when the request was accepted, and no more, so that a repeat is answered alike: an audience has
    its counts to come (`progress_of`)."""
    counted = progress(rulings or (), finished_at=None, keep=False)
    return SendAnswer(
        send_id=accepted.send_id,
        campaign_id=accepted.campaign_id,
        rulings=rulings,
        tracked=counted.tracked,
        untracked=counted.untracked,
        refused=counted.refused,
        finished=rulings is not None,
        warnings=accepted.warnings,
    )
