"""Mails that came in: which were seen before, and the list of those a person has to read.

Not here: what they ask for (domain/inbound.py), and the mails we send (messages.py).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NewType

from sqlalchemy import delete, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from pixel_service.domain.address import Address
from pixel_service.domain.consent import Purpose
from pixel_service.domain.messages import MessageId, SubscriberId
from pixel_service.storage.engine import Connection
from pixel_service.storage.mentions import named_in
from pixel_service.storage.schema import inbound_mails, inbound_unclear, messages

InboundId = NewType("InboundId", str)
_OPEN, _DONE = "open", "done"
#: Where an address stood. No longer than any address, so that every column still holds it.
_STRUCK = "[…]"


async def note(connection: Connection, fingerprint: str, *, at: datetime, verdict: str) -> bool:
    """False for a mail that was noted before. Waits for another transaction that is noting the same one."""
    dialect = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    noted = await connection.execute(
        dialect(inbound_mails)
        .values(fingerprint=fingerprint, received_at=at, verdict=verdict)
        .on_conflict_do_nothing(index_elements=["fingerprint"])
    )
    return noted.rowcount == 1


async def counts(connection: Connection) -> dict[str, int]:
    """How many mails of each sort came in, of those still noted."""
    query = select(inbound_mails.c.verdict, func.count()).group_by(inbound_mails.c.verdict)
    return {str(verdict): int(number) for verdict, number in await connection.execute(query)}


@dataclass(frozen=True, slots=True)
class Answered:
    """A mail of ours that somebody answers."""

    subscriber_id: SubscriberId
    purpose: Purpose


async def answered(connection: Connection, message_ids: Sequence[MessageId]) -> list[Answered]:
    """Those of `message_ids` that exist, in that order."""
    rows = await connection.execute(
        select(messages.c.message_id, messages.c.subscriber_id, messages.c.purpose).where(
            messages.c.message_id.in_(message_ids)
        )
    )
    found = {row.message_id: Answered(SubscriberId(row.subscriber_id), Purpose(row.purpose)) for row in rows}
    return [found[message_id] for message_id in message_ids if message_id in found]


# --- the operator's list -------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class UnclearMail:
    inbound_id: InboundId
    received_at: datetime
    #: Whose mail it is as far as we know; None for a stranger.
    subscriber_id: SubscriberId | None
    #: The address in From.
    sender: str
    subject: str
    excerpt: str
    #: The mail's own Message-ID; empty when it has none.
    message_id_header: str


async def keep(connection: Connection, mail: UnclearMail) -> None:
    await connection.execute(
        insert(inbound_unclear).values(
            inbound_id=mail.inbound_id,
            received_at=mail.received_at,
            subscriber_id=mail.subscriber_id,
            sender=mail.sender,
            subject=mail.subject,
            excerpt=mail.excerpt,
            message_id_header=mail.message_id_header,
            state=_OPEN,
        )
    )


async def open_mails(connection: Connection, *, limit: int) -> tuple[list[UnclearMail], int]:
    """The longest waiting first, and how many wait in all."""
    waiting = inbound_unclear.c.state == _OPEN
    rows = await connection.execute(
        select(inbound_unclear)
        .where(waiting)
        .order_by(inbound_unclear.c.received_at, inbound_unclear.c.inbound_id)
        .limit(limit)
    )
    number = await connection.execute(select(func.count()).select_from(inbound_unclear).where(waiting))
    return [
        UnclearMail(
            inbound_id=InboundId(row.inbound_id),
            received_at=row.received_at,
            subscriber_id=SubscriberId(row.subscriber_id) if row.subscriber_id else None,
            sender=row.sender,
            subject=row.subject,
            excerpt=row.excerpt,
            message_id_header=row.message_id_header,
        )
        for row in rows
    ], int(number.scalar_one())


async def finish(
    connection: Connection, inbound_id: InboundId, *, at: datetime, by: str, about: SubscriberId | None = None
) -> str | None:
    """Take a mail off the list; returns its own Message-ID. None when it is not on the list, or no longer. `about` is whom
    it was decided on, whoever wrote it: the mail is theirs from then on."""
    whose = {"subscriber_id": about} if about else {}
    row = (
        await connection.execute(
            update(inbound_unclear)
            .where(inbound_unclear.c.inbound_id == inbound_id, inbound_unclear.c.state == _OPEN)
            .values(state=_DONE, done_at=at, done_by=by, **whose)
            .returning(inbound_unclear.c.message_id_header)
        )
    ).first()
    return str(row.message_id_header) if row else None


async def attach(connection: Connection, subscriber_id: SubscriberId, address_key: str) -> None:
    """Letters from an address that its owner gives up are found from the owner alone."""
    await connection.execute(
        update(inbound_unclear)
        .where(inbound_unclear.c.sender == address_key, inbound_unclear.c.subscriber_id.is_(None))
        .values(subscriber_id=subscriber_id)
    )


# --- erasure and retention -----------------------------------------------------


async def erase_of(connection: Connection, subscriber_id: SubscriberId, address_key: str) -> int:
    """Everything a person wrote to us, open or done; returns how many mails."""
    gone = await connection.execute(
        delete(inbound_unclear).where(
            or_(inbound_unclear.c.subscriber_id == subscriber_id, inbound_unclear.c.sender == address_key)
        )
    )
    return gone.rowcount


async def strike_out(connection: Connection, address: Address) -> None:
    """An address in letters of others. An open letter loses the address only, for somebody has to answer the rest; of one
    that is settled nothing is left to read."""
    query = (
        select(inbound_unclear)
        .where(or_(named_in(inbound_unclear.c.subject, address), named_in(inbound_unclear.c.excerpt, address)))
        .order_by(inbound_unclear.c.inbound_id)
        .with_for_update(skip_locked=True)
    )
    pattern = _pattern(address)
    for row in (await connection.execute(query)).all():
        struck = {name: pattern.sub(_STRUCK, getattr(row, name)) for name in ("subject", "excerpt")}
        if struck == {"subject": row.subject, "excerpt": row.excerpt}:
            continue
        await connection.execute(
            update(inbound_unclear)
            .where(inbound_unclear.c.inbound_id == row.inbound_id)
            .values(struck if row.state == _OPEN else dict.fromkeys(struck, ""))
        )


def _pattern(address: Address) -> re.Pattern[str]:
    """Not the end of a longer local part, which is somebody else's."""
    spellings = "|".join(re.escape(one) for one in sorted({address.key, address.normalised}))
    return re.compile(rf"(?<!\w)(?<!\w[.+-])(?:{spellings})(?!\w)", re.IGNORECASE)


async def forget_before(connection: Connection, *, noted_before: datetime, done_before: datetime, limit: int) -> int:
    """One slice of what is too old: notes of mails, and mails that are done. What waits for a person stays."""
    noted = select(inbound_mails.c.fingerprint).where(inbound_mails.c.received_at < noted_before).limit(limit)
    done = (
        select(inbound_unclear.c.inbound_id)
        .where(inbound_unclear.c.state == _DONE, inbound_unclear.c.done_at < done_before)
        .limit(limit)
    )
    first = await connection.execute(delete(inbound_mails).where(inbound_mails.c.fingerprint.in_(noted)))
    second = await connection.execute(delete(inbound_unclear).where(inbound_unclear.c.inbound_id.in_(done)))
    return first.rowcount + second.rowcount
