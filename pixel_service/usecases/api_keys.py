"""Programs prove who they are by an API key: made, checked, revoked (A2).

A key is shown once, when it is made; only the hash of its secret is stored.
"""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import timedelta

from pixel_service.domain.accounts import ApiKey, ApiKeyId, Credential, Scope, parse_key_name, read_credential
from pixel_service.domain.errors import InvalidInput, NotFound
from pixel_service.storage import accounts
from pixel_service.usecases.context import Context


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    name: str
    scopes: frozenset[Scope]
    #: None: valid until revoked.
    expires_in: timedelta | None = None


async def create_key(ctx: Context, new: NewKey) -> tuple[ApiKey, Credential]:
    """`str(credential)` is the key; it can not be shown again. Raises `InvalidInput`."""
    now = ctx.clock()
    key = ApiKey(
        api_key_id=ApiKeyId(ctx.ids()),
        name=parse_key_name(new.name),
        scopes=_some(new.scopes),
        created_at=now,
        expires_at=now + new.expires_in if new.expires_in else None,
        revoked_at=None,
    )
    credential = Credential(key.api_key_id, ctx.ids() + ctx.ids())
    async with ctx.db.write() as connection:
        if await accounts.find_key_by_name(connection, key.name):
            raise InvalidInput("name", "there is a key with this name already; revoked keys keep theirs")
        await accounts.add_key(connection, accounts.StoredKey(key, _secret_hash(credential)))
    return key, credential


async def revoke_key(ctx: Context, name: str) -> None:
    """From now on, for good. Raises `NotFound`."""
    async with ctx.db.write() as connection:
        key = await accounts.find_key_by_name(connection, name.strip())
        if key is None:
            raise NotFound("API key")
        await accounts.store_revoked(connection, key.api_key_id, ctx.clock())


async def authenticate(ctx: Context, bearer: str) -> ApiKey | None:
    """The key behind a bearer token, if it is genuine, not revoked and not expired."""
    credential = read_credential(bearer)
    if credential is None:
        return None
    async with ctx.db.read() as connection:
        stored = await accounts.find_key(connection, credential.api_key_id)
    expected = stored.secret_hash if stored else bytes(32)
    genuine = hmac.compare_digest(_secret_hash(credential), expected)
    return stored.key if stored and genuine and stored.key.is_valid(ctx.clock()) else None


def _secret_hash(credential: Credential) -> bytes:
    """Plain SHA-256 is enough for 256 random bits: there is nothing to guess."""
    return hashlib.sha256(credential.secret.encode()).digest()


def _some(scopes: frozenset[Scope]) -> frozenset[Scope]:
    if not scopes:
        raise InvalidInput("scopes", "at least one scope")
    return scopes
