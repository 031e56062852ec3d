"""The proof of an erased person: sealed by the erasure, opened by whoever may look into evidence (R12)."""

from collections.abc import Sequence

from pixel_service.domain import sealed_evidence
from pixel_service.domain.address import Address
from pixel_service.domain.ledger import Entry
from pixel_service.domain.sealed_evidence import SECRET_LENGTH, Kept, Label
from pixel_service.storage import address_changes, erasure, evidence, ledger, unconfirmed
from pixel_service.storage.engine import Connection
from pixel_service.storage.erasure import SealedRow
from pixel_service.usecases.context import Context
from pixel_service.usecases.erased_addresses import address_hashes

_USE = "sealed evidence"


def proves_something(entries: Sequence[Entry]) -> bool:
    """Of who was only ever asked there is nothing to prove: such requests go after 14 days anyway (S12)."""
    return any(entry.act.value not in unconfirmed.ASKING for entry in entries)


async def seal(ctx: Context, connection: Connection, label: Label, address: str) -> None:
    """Everything that proves, as it stands now. The caller holds `lock_ledger` and drops it afterwards."""
    kept = sealed_evidence.of(
        address,
        await ledger.entries_of(connection, label.subscriber_id),
        await evidence.mails_of(connection, label.subscriber_id),
        await address_changes.confirmed_of(connection, label.subscriber_id),
    )
    secret = ctx.tokens.secrets_for(_USE, length=SECRET_LENGTH)[0]
    row = SealedRow(
        subscriber_id=label.subscriber_id,
        address_hash=label.address_hash,
        sealed_at=label.sealed_at,
        ends_at=label.ends_at,
        data=sealed_evidence.seal(secret, label, kept),
    )
    await erasure.keep_sealed(connection, row)


async def find(ctx: Context, connection: Connection, address: Address) -> list[SealedRow]:
    """Newest first; nothing is opened."""
    return await erasure.sealed_under(connection, address_hashes(ctx, address))


def unseal(ctx: Context, row: SealedRow) -> Kept:
    """Raises `SealBroken`."""
    label = Label(
        subscriber_id=row.subscriber_id,
        address_hash=row.address_hash,
        sealed_at=row.sealed_at,
        ends_at=row.ends_at,
    )
    return sealed_evidence.unseal(ctx.tokens.secrets_for(_USE, length=SECRET_LENGTH), label, row.data)
