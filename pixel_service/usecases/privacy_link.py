"""The way to one's own data: asked for by anybody who types an address, mailed to whom it belongs (R1, S4).

The page shows and ends everything, so no lasting link leads to it: a forwarded newsletter must export and erase nobody.
The link of this mail is bound to this one use and to the address, and expires. Who asks learns nothing about the address.
"""

import asyncio
from datetime import timedelta

from pixel_service.domain.address import Address
from pixel_service.domain.messages import SubscriberId
from pixel_service.domain.rights import RequestId, RightsRequest, RightsRequestKind, one_month_after
from pixel_service.domain.tokens import Link
from pixel_service.storage import messages, privacy, rights_requests, subscribers
from pixel_service.storage.dialect import lock_ledger
from pixel_service.storage.engine import Connection
from pixel_service.usecases import service_mails
from pixel_service.usecases.context import Context
from pixel_service.usecases.links import my_data_subject
from pixel_service.usecases.withdraw import Source

_DAY = timedelta(days=1)


async def mail_link(ctx: Context, address: Address, language: str) -> None:
    """The same for everybody, and for as long: a stranger's address is not told from a subscriber's."""
    loop = asyncio.get_running_loop()
    answer_at = loop.time() + ctx.policy.sign_up_takes.total_seconds()
    async with ctx.db.write() as connection:
        # Of two forms sent at once, the second sees the mail of the first.
        await lock_ledger(connection)
        known = (await subscribers.find(connection, [address.key])).get(address.key)
        if known is not None:
            await _mail(ctx, connection, known.subscriber_id, known.language or language)
    await asyncio.sleep(answer_at - loop.time())


async def _mail(ctx: Context, connection: Connection, subscriber_id: SubscriberId, language: str) -> None:
    if await privacy.links_since(connection, subscriber_id, ctx.clock() - _DAY) >= ctx.policy.privacy_links_per_day:
        return
    await messages.enqueue(connection, [service_mails.my_data(ctx, subscriber_id, language)])
    await rights_requests.add(connection, _access(ctx, subscriber_id))


def _access(ctx: Context, subscriber_id: SubscriberId) -> RightsRequest:
    """Answered by the mail. An open request, from a letter say, stays open: anybody may have typed this address."""
    now = ctx.clock()
    return RightsRequest(
        request_id=RequestId(ctx.ids()),
        subscriber_id=subscriber_id,
        kind=RightsRequestKind.ACCESS,
        source=Source.PRIVACY_PAGE.value,
        asked_at=now,
        due_at=one_month_after(now, ctx.policy.timezone),
        done_at=now,
        note="",
    )


class LinkExpired:
    """Genuine and past its time."""


async def read_link(ctx: Context, token: str) -> SubscriberId | LinkExpired | None:
    """None for anything else than a link that was mailed to the address this person has today. Changes nothing."""
    read = ctx.tokens.read(Link.PRIVACY, token, now=ctx.clock())
    if read is None:
        return None
    subscriber_id = SubscriberId(read.subject.partition("/")[0])
    async with ctx.db.read() as connection:
        person = await subscribers.get(connection, subscriber_id)
    if person is None or my_data_subject(person) != read.subject:
        return None
    return LinkExpired() if read.expired else subscriber_id
