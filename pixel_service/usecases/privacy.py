"""What is held of one person, put together for themselves, or for a colleague who must answer a letter (R1, R5, R9, W6).

Reading changes nothing; a colleague's look is on record before it happens. What the buttons of the person's page
do stands in `rights.py`, `withdraw.py` and `erase.py`; here a copy and a withdrawal are noted with their clock (R10).
"""

from collections.abc import Collection

from pixel_service.domain.consent import Purpose
from pixel_service.domain.evidence import prove, read, texts_named
from pixel_service.domain.messages import SubscriberId
from pixel_service.domain.personal_data import Holder, PersonalData
from pixel_service.domain.rights import RightsRequestKind
from pixel_service.storage import address_changes, consent, evidence, ledger, privacy, rights_requests
from pixel_service.storage.engine import Connection
from pixel_service.usecases.context import Context
from pixel_service.usecases.evidence import Inquiry
from pixel_service.usecases.identify import identify
from pixel_service.usecases.rights_requests import Asked, note_request
from pixel_service.usecases.withdraw import Receipt, Source, end, end_all

#: Mails shown; the download has all.
SHOWN_MAILS = 100
#: Letters, requests and looks shown of each.
SHOWN_OTHERS = 50
#: In the audit log.
ACT = "person"
_ON_PAGE = Asked(source=Source.PRIVACY_PAGE)


async def look(ctx: Context, subscriber_id: SubscriberId) -> PersonalData | None:
    """For the person. None once they are erased."""
    async with ctx.db.read() as connection:
        return await _read(ctx, connection, subscriber_id)


async def look_for(ctx: Context, inquiry: Inquiry) -> PersonalData | None:
    """For a colleague, with a reason; on record also when nobody was found."""
    subscriber_id = await identify(ctx, inquiry, act=ACT)
    return await look(ctx, subscriber_id) if subscriber_id else None


async def take_copy(ctx: Context, subscriber_id: SubscriberId) -> Holder | None:
    """Note that the person downloads their data; whose it is."""
    async with ctx.db.write() as connection:
        person = await privacy.holder(connection, subscriber_id)
        if person is not None:
            await note_request(ctx, connection, subscriber_id, RightsRequestKind.PORTABILITY, _ON_PAGE, done=True)
        return person


async def withdraw_on_page(
    ctx: Context, subscriber_id: SubscriberId, purposes: Collection[Purpose] | None
) -> Receipt | None:
    """End these purposes, or with None everything. None for a person who is gone."""
    async with ctx.db.write() as connection:
        if purposes is None:
            receipt = await end_all(ctx, connection, subscriber_id, Source.PRIVACY_PAGE)
        else:
            receipt = await end(ctx, connection, subscriber_id, purposes, Source.PRIVACY_PAGE)
        if receipt is not None:
            kind, part = RightsRequestKind.WITHDRAWAL, purposes is not None
            await note_request(ctx, connection, subscriber_id, kind, _ON_PAGE, done=True, part=part)
        return receipt


async def _read(ctx: Context, connection: Connection, subscriber_id: SubscriberId) -> PersonalData | None:
    person = await privacy.holder(connection, subscriber_id)
    if person is None:
        return None
    on_record = await consent.consents_of(connection, subscriber_id)
    statements = read(await ledger.entries_of(connection, subscriber_id))
    return PersonalData(
        at=ctx.clock(),
        person=person,
        purposes=prove(statements, await evidence.texts_of(connection, texts_named(statements))),
        since={purpose: one.decided_at for purpose, one in on_record.items()},
        mails=await privacy.newest_mails(connection, subscriber_id, limit=SHOWN_MAILS),
        counts=await privacy.counts(connection, subscriber_id),
        letters=await privacy.letters(connection, person, limit=SHOWN_OTHERS),
        looks=await privacy.looks(connection, subscriber_id, limit=SHOWN_OTHERS),
        address_changes=await address_changes.of_person(connection, subscriber_id),
        requests=tuple(await rights_requests.of_person(connection, subscriber_id))[:SHOWN_OTHERS],
    )
