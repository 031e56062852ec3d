"""Where others name an address that is erased: a change they asked for, the mail that asks for it, answers of relays.

Whoever calls this holds `dialect.lock_ledger`. What was written to us is in inbound.py.
"""

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update

from pixel_service.domain.address import Address
from pixel_service.domain.messages import MessageId, Reason, Status, SubscriberId
from pixel_service.storage.engine import Connection
from pixel_service.storage.schema import address_changes, messages


def named_in(text: ColumnElement[str], address: Address) -> ColumnElement[bool]:
    """In either spelling, and also inside of a longer address."""
    spellings = sorted({address.key, address.normalised.lower()})
    return or_(*(func.lower(text).contains(one, autoescape=True) for one in spellings))


def _wished(address: Address) -> ColumnElement[bool]:
    """A confirmed change stays: it is the proof of whoever asked for it."""
    return and_(address_changes.c.address_key == address.key, address_changes.c.confirmed_at.is_(None))


def _going_there(address: Address) -> ColumnElement[bool]:
    """Mails that wait and go to the address, as that of a change."""
    return and_(
        messages.c.status == Status.QUEUED.value,
        messages.c.template == "new_address",
        messages.c.variables["change_id"].as_string().in_(select(address_changes.c.change_id).where(_wished(address))),
    )


async def hold_mails(connection: Connection, subscriber_id: SubscriberId, address: Address) -> list[MessageId]:
    """Lock the person's mails and those of others that name the address, together, for everybody locks several in one
    order. Returns those of others. Answers stand in no index: every mail is looked at."""
    rows = await connection.execute(
        select(messages.c.message_id, messages.c.subscriber_id)
        .where(
            or_(
                messages.c.subscriber_id == subscriber_id,
                named_in(messages.c.last_reply, address),
                _going_there(address),
            )
        )
        .order_by(messages.c.message_id)
        .with_for_update(key_share=True)
    )
    return [MessageId(row.message_id) for row in rows if row.subscriber_id != subscriber_id]


async def forget(connection: Connection, address: Address, held: list[MessageId]) -> None:
    """`held` comes from `hold_mails`. Whoever has one of the mails in hand loses it, and its answer is recorded nowhere."""
    theirs = messages.c.message_id.in_(held)
    await connection.execute(
        update(messages)
        .where(theirs, _going_there(address))
        .values(status=Status.CANCELLED.value, reason=Reason.NO_LONGER_NEEDED.value, lease=None, variables={})
    )
    await connection.execute(update(messages).where(theirs).values(last_reply=None))
    await connection.execute(delete(address_changes).where(_wished(address)))
