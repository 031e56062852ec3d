"""Which addresses were erased, given up, or left by people a restored backup does not know, by a keyed hash only (E9, R12,
Q5): no import may bring such a person back."""

import hashlib
import hmac

from pixel_service.domain.address import Address
from pixel_service.storage import erasure
from pixel_service.storage.engine import Connection
from pixel_service.usecases.context import Context

_USE = "erased addresses"


async def is_erased(ctx: Context, connection: Connection, address: Address) -> bool:
    """Whether the person had this address erased, and has not confirmed a sign-up since."""
    return await erasure.is_noted(connection, address_hashes(ctx, address))


async def welcome_back(ctx: Context, connection: Connection, address: Address) -> None:
    """The person themselves confirmed a new sign-up: what was erased is erased, and they may be imported again."""
    await erasure.forget_address(connection, address_hashes(ctx, address))


def address_hashes(ctx: Context, address: Address) -> tuple[str, ...]:
    """Under every secret key, newest first: rows are written under the newest one and found under any."""
    key = address.key.encode()
    return tuple(hmac.digest(secret, key, hashlib.sha256).hex() for secret in ctx.tokens.secrets_for(_USE))
