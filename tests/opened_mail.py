"""Opens written straight to the table, judged as they are told, and everything that follows from them counted anew."""

from datetime import datetime

from sqlalchemy import insert

from pixel_service.domain.messages import CampaignId, MessageId, Tracking
from pixel_service.domain.opens import Judgement, Verdict
from pixel_service.storage.engine import Connection
from pixel_service.storage.figures_check import differences
from pixel_service.storage.schema import opens
from tests.tracked_mail import NOW, TrackedMail, add_mail, add_person, fetch

GMAIL = Judgement(Verdict.PROXY_OPEN, "gmail", "Gmail")
OUTLOOK = Judgement(Verdict.HUMAN_CLIENT, "mail_client", "Outlook")
MPP = Judgement(Verdict.PREFETCH, "apple_mpp", "Apple Mail")
EARLY = Judgement(Verdict.PREFETCH, "early")
SCANNER = Judgement(Verdict.SCANNER, "security_product")
BOT = Judgement(Verdict.BOT, "http_tool")
UNKNOWN = Judgement(Verdict.UNKNOWN, "unrecognised")
PREVIEW = Judgement(Verdict.PREVIEW, "own")


async def add_open(connection: Connection, message_id: str, judgement: Judgement, *, at: datetime = NOW) -> None:
    await connection.execute(
        insert(opens).values(
            open_id=fetch(None).open_id,
            message_id=message_id,
            opened_at=at,
            verdict=judgement.verdict.value,
            reason=judgement.reason,
            client_family=judgement.client_family,
        )
    )


async def count_anew(connection: Connection) -> None:
    """What the recorder and deliveries keep up with their rows."""
    async for _ in differences(connection, repair=True):
        pass


async def add_to(
    connection: Connection,
    campaign: CampaignId,
    *judgements: Judgement,
    tracking: Tracking = Tracking.TRACKED,
    sent_at: datetime | None = NOW,
    at: datetime = NOW,
) -> TrackedMail:
    """One more mail of the campaign, to somebody new, fetched once by each of these."""
    person = await add_person(connection)
    mail = await add_mail(connection, person, campaign_id=campaign, tracking=tracking, sent_at=sent_at)
    for judgement in judgements:
        await add_open(connection, mail.message_id, judgement, at=at)
    return mail


async def add_many(
    connection: Connection, campaign: CampaignId, number: int, *judgements: Judgement, sent_at: datetime = NOW
) -> list[MessageId]:
    mails = [await add_to(connection, campaign, *judgements, sent_at=sent_at, at=sent_at) for _ in range(number)]
    return [mail.message_id for mail in mails]
