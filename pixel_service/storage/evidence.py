"""What proves a consent beside the ledger: the confirmation mails as they were sent, and the texts as they were shown."""

from collections.abc import Collection

from sqlalchemy import insert, select, tuple_

from pixel_service.domain.evidence import SentMail, ShownText, TextKey
from pixel_service.domain.messages import MessageId, SignUpId, SubscriberId
from pixel_service.storage.engine import Connection
from pixel_service.storage.schema import confirmation_mails, published_texts


async def keep_mail(connection: Connection, mail: SentMail) -> None:
    await connection.execute(
        insert(confirmation_mails).values(
            message_id=mail.message_id,
            sign_up_id=mail.sign_up_id,
            subscriber_id=mail.subscriber_id,
            sent_at=mail.sent_at,
            relay_reply=mail.relay_reply,
            data=mail.data,
        )
    )


async def mails_of(connection: Connection, subscriber_id: SubscriberId) -> list[SentMail]:
    """Oldest first."""
    query = (
        select(confirmation_mails)
        .where(confirmation_mails.c.subscriber_id == subscriber_id)
        .order_by(confirmation_mails.c.sent_at, confirmation_mails.c.message_id)
    )
    return [
        SentMail(
            message_id=MessageId(row.message_id),
            sign_up_id=SignUpId(row.sign_up_id),
            subscriber_id=SubscriberId(row.subscriber_id),
            sent_at=row.sent_at,
            relay_reply=row.relay_reply,
            data=row.data,
        )
        for row in await connection.execute(query)
    ]


async def texts_of(connection: Connection, keys: Collection[TextKey]) -> dict[TextKey, ShownText]:
    """The texts as they were published; one that never was is missing."""
    named = tuple_(published_texts.c.purpose, published_texts.c.version, published_texts.c.language)
    rows = await connection.execute(select(published_texts).where(named.in_(sorted(keys))))
    return {
        (row.purpose, row.version, row.language): ShownText(text=row.text, published_at=row.published_at)
        for row in rows
    }
