"""The whole proof for one address, opened with a reason and on record (E5, A1)."""

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pixel_service.domain.address import Address
from pixel_service.domain.errors import SealBroken
from pixel_service.domain.evidence import (
    Chain,
    Evidence,
    ReadMail,
    SealedSince,
    SentMail,
    Statement,
    names_mail,
    prove,
    read,
    texts_named,
)
from pixel_service.domain.ledger import Entry
from pixel_service.domain.messages import SubscriberId
from pixel_service.domain.rights import AddressChange
from pixel_service.domain.tokens import Link
from pixel_service.mail.read_back import read_back
from pixel_service.storage import address_changes, audit, checkpoints, evidence, ledger, subscribers
from pixel_service.storage.audit import Look
from pixel_service.storage.engine import Connection
from pixel_service.storage.erasure import SealedRow
from pixel_service.usecases import sealing
from pixel_service.usecases.checkpoints import public_keys
from pixel_service.usecases.context import Context

#: In the audit log.
ACT = "evidence"
#: Whoever reads the proof must not be able to press the person's button.
_CONFIRM_LINK = re.compile(r"(/c/)([a-z2-7]{8})([a-z2-7]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Inquiry:
    address: Address
    #: Why somebody may know; kept in the audit log.
    reason: str
    #: As the audit log names people.
    by: str


async def gather(ctx: Context, inquiry: Inquiry) -> Evidence | None:
    """What proves the consents of this address, sealed evidence too. None for an address that nobody has or had; that
    somebody asked is on record all the same. A write transaction, because no look may go without its row in the audit log."""
    async with ctx.db.write() as connection:
        known = await whose(connection, inquiry.address)
        sealed = await sealing.find(ctx, connection, inquiry.address)
        people = [*([known] if known else ()), *(row.subscriber_id for row in sealed)]
        for subject in people or [keyed_hash(ctx, inquiry.address)]:
            look = Look(at=ctx.clock(), who=inquiry.by, act=ACT, subject=subject, reason=inquiry.reason)
            await audit.record(connection, look)
        found = [await _evidence(ctx, connection, inquiry, known)] if known else []
        found += [await _unsealed(ctx, connection, inquiry, row) for row in sealed]
    return replace(found[0], earlier=tuple(found[1:])) if found else None


async def whose(connection: Connection, address: Address) -> SubscriberId | None:
    """Who has this address, or else who moved away from it last: it is the one that they wrote, and agreed, from."""
    known = (await subscribers.find(connection, [address.key])).get(address.key)
    return known.subscriber_id if known else await address_changes.moved_from(connection, address)


def keyed_hash(ctx: Context, address: Address) -> str:
    """Names an address nobody can guess back without the secret key; equal for equal addresses under one key."""
    secret = ctx.tokens.secrets_for("audit log")[0]
    return "hash:" + hmac.digest(secret, address.key.encode(), hashlib.sha256).hex()


async def _evidence(ctx: Context, connection: Connection, inquiry: Inquiry, subscriber_id: SubscriberId) -> Evidence:
    entries = await ledger.entries_of(connection, subscriber_id)
    mails = await evidence.mails_of(connection, subscriber_id)
    moves = await address_changes.confirmed_of(connection, subscriber_id)
    found = _Found(subscriber_id, inquiry.address.normalised, entries, mails, moves)
    return await _put_together(ctx, connection, inquiry, found)


async def _unsealed(ctx: Context, connection: Connection, inquiry: Inquiry, row: SealedRow) -> Evidence:
    """What was sealed is held against the hashes that the ledger has today. A seal that does not open is shown as that."""
    entries = await ledger.entries_of(connection, row.subscriber_id)
    try:
        kept = sealing.unseal(ctx, row)
    except SealBroken:
        found, opens = _Found(row.subscriber_id, inquiry.address.normalised, entries, ()), False
    else:
        found, opens = _Found(row.subscriber_id, kept.address, kept.restore(entries), kept.mails, kept.moves), True
    put_together = await _put_together(ctx, connection, inquiry, found)
    return replace(put_together, sealed=SealedSince(sealed_at=row.sealed_at, ends_at=row.ends_at, opens=opens))


@dataclass(frozen=True, slots=True)
class _Found:
    subscriber_id: SubscriberId
    address: str
    entries: Sequence[Entry]
    mails: Sequence[SentMail]
    moves: tuple[AddressChange, ...] = ()


async def _put_together(ctx: Context, connection: Connection, inquiry: Inquiry, found: _Found) -> Evidence:
    statements = read(found.entries)
    head = await ledger.head(connection)
    return Evidence(
        address=found.address,
        subscriber_id=found.subscriber_id,
        at=ctx.clock(),
        by=inquiry.by,
        reason=inquiry.reason,
        purposes=prove(statements, await evidence.texts_of(connection, texts_named(statements))),
        mails=tuple(_read(ctx, statements, mail) for mail in found.mails),
        moves=found.moves,
        chain=Chain(entries=head.seq, covered=await checkpoints.newest(connection), public_key=public_keys(ctx)[0]),
    )


def _read(ctx: Context, statements: list[Statement], mail: SentMail) -> ReadMail:
    headers, text = read_back(mail.data)
    links = [
        ctx.tokens.read(Link.CONFIRM, "".join(found[1:]), now=ctx.clock()) for found in _CONFIRM_LINK.findall(text)
    ]
    return ReadMail(
        sent=mail,
        headers=headers,
        text=_CONFIRM_LINK.sub(r"\1\2…", text),
        in_ledger=names_mail(statements, mail),
        link_lives=any(link is not None and not link.expired for link in links),
    )
