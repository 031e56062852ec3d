"""A withdrawal that another program took, such as a customer portal, and passes on by address (W6)."""

from dataclasses import dataclass

from pixel_service.domain.address import Address
from pixel_service.domain.consent import Purpose
from pixel_service.storage import subscribers
from pixel_service.usecases.context import Context
from pixel_service.usecases.withdraw import Receipt, Source, end, end_all


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    address: Address
    #: None: everything on record, and tracking.
    purposes: tuple[Purpose, ...] | None
    api_key_id: str


async def withdraw_address(ctx: Context, command: Withdrawal) -> Receipt | None:
    """None for an address that is not on record. The ledger keeps which key passed it on."""
    key, said = command.address.key, {"api_key": command.api_key_id}
    async with ctx.db.write() as connection:
        known = (await subscribers.find(connection, [key])).get(key)
        if known is None:
            return None
        if command.purposes is None:
            return await end_all(ctx, connection, known.subscriber_id, Source.API, said)
        return await end(ctx, connection, known.subscriber_id, command.purposes, Source.API, said)
