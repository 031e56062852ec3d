"""An operator pauses, resumes and cancels a campaign (D8)."""

import pytest

from pixel_service.domain.errors import InvalidInput, NotFound
from pixel_service.storage.engine import Database
from pixel_service.usecases import campaigns
from pixel_service.usecases.context import Context
from pixel_service.usecases.send import send
from tests.builders import BLOG, Relay, context, deliver, join
from tests.usecases.test_send import command

ANNA, BERT = "anna@example.com", "bert@example.com"


async def running(db: Database) -> tuple[Context, Relay]:
    """Two people wait for "November"; nothing else waits."""
    relay = Relay()
    ctx = context(db, relay=relay)
    for address in (ANNA, BERT):
        await join(ctx, address, BLOG)
    await deliver(ctx)
    relay.taken.clear()
    await send(ctx, command(ANNA, BERT))
    return ctx, relay


async def test_a_paused_campaign_waits_and_a_resumed_one_goes_on(db: Database) -> None:
    ctx, relay = await running(db)
    await campaigns.pause(ctx, "November")
    await deliver(ctx)
    assert relay.taken == []
    await campaigns.resume(ctx, "November")
    await deliver(ctx)
    assert sorted(one.rcpt_to for one in relay.taken) == [ANNA, BERT]


async def test_a_cancelled_campaign_is_over_for_good(db: Database) -> None:
    ctx, relay = await running(db)
    assert await campaigns.cancel(ctx, "November") == 2
    await deliver(ctx)
    assert relay.taken == []
    with pytest.raises(InvalidInput, match="campaign: the campaign was cancelled"):
        await send(ctx, command(ANNA, key="k2"))
    with pytest.raises(InvalidInput, match="campaign: was cancelled"):
        await campaigns.resume(ctx, "November")


async def test_a_campaign_nobody_named_is_not_found(db: Database) -> None:
    with pytest.raises(NotFound):
        await campaigns.pause(context(db), "October")
