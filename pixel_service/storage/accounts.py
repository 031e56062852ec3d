"""Users, their sessions, failed log-ins and API keys. Secrets come in hashed; nothing here can show one."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Row, delete, func, insert, select, update

from pixel_service.domain.accounts import ApiKey, ApiKeyId, Role, Scope, User, UserId
from pixel_service.storage.engine import Connection
from pixel_service.storage.schema import api_keys, login_failures, sessions, users

# --- users ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StoredUser:
    user: User
    #: argon2id, PHC string.
    password_hash: str


async def add_user(connection: Connection, user: User, password_hash: str) -> None:
    await connection.execute(
        insert(users).values(
            user_id=user.user_id,
            email=user.email,
            password_hash=password_hash,
            role=user.role.value,
            created_at=user.created_at,
            disabled_at=user.disabled_at,
        )
    )


async def find_user(connection: Connection, email: str, *, lock: bool = False) -> StoredUser | None:
    """`lock`: the row stays as read until the transaction ends."""
    query = select(users).where(users.c.email == email)
    row = (await connection.execute(query.with_for_update() if lock else query)).first()
    return StoredUser(_user(row), row.password_hash) if row else None


async def all_users(connection: Connection) -> list[User]:
    return [_user(row) for row in await connection.execute(select(users).order_by(users.c.email))]


async def store_password(connection: Connection, user_id: UserId, password_hash: str) -> None:
    await connection.execute(update(users).where(users.c.user_id == user_id).values(password_hash=password_hash))


async def store_disabled(connection: Connection, user_id: UserId, disabled_at: datetime | None) -> None:
    await connection.execute(update(users).where(users.c.user_id == user_id).values(disabled_at=disabled_at))


def _user(row: Row[tuple[object, ...]]) -> User:
    return User(
        user_id=UserId(row.user_id),
        email=row.email,
        role=Role(row.role),
        created_at=row.created_at,
        disabled_at=row.disabled_at,
    )


# --- sessions ---------------------------------------------------------------


async def add_session(
    connection: Connection, session_hash: str, user_id: UserId, *, created_at: datetime, expires_at: datetime
) -> None:
    await connection.execute(
        insert(sessions).values(
            session_hash=session_hash, user_id=user_id, created_at=created_at, expires_at=expires_at
        )
    )


async def user_of_session(connection: Connection, session_hash: str, now: datetime) -> User | None:
    """None for an unknown or expired session and for a disabled user."""
    query = (
        select(users)
        .join(sessions, sessions.c.user_id == users.c.user_id)
        .where(sessions.c.session_hash == session_hash, sessions.c.expires_at > now, users.c.disabled_at.is_(None))
    )
    row = (await connection.execute(query)).first()
    return _user(row) if row else None


async def delete_session(connection: Connection, session_hash: str) -> None:
    await connection.execute(delete(sessions).where(sessions.c.session_hash == session_hash))


async def delete_sessions_of(connection: Connection, user_id: UserId) -> int:
    return (await connection.execute(delete(sessions).where(sessions.c.user_id == user_id))).rowcount


async def delete_expired_sessions(connection: Connection, now: datetime) -> int:
    return (await connection.execute(delete(sessions).where(sessions.c.expires_at <= now))).rowcount


# --- failed log-ins ---------------------------------------------------------


async def add_try(connection: Connection, account_hash: str, failed_at: datetime) -> int:
    """Returns the id of the try, to take it back by."""
    added = await connection.execute(
        insert(login_failures)
        .values(account_hash=account_hash, failed_at=failed_at)
        .returning(login_failures.c.failure_id)
    )
    return int(added.scalar_one())


async def count_tries(connection: Connection, account_hash: str, since: datetime) -> int:
    query = select(func.count()).where(
        login_failures.c.account_hash == account_hash, login_failures.c.failed_at > since
    )
    return int((await connection.execute(query)).scalar_one())


async def delete_try(connection: Connection, failure_id: int) -> None:
    await connection.execute(delete(login_failures).where(login_failures.c.failure_id == failure_id))


async def delete_tries_of(connection: Connection, account_hash: str) -> None:
    await connection.execute(delete(login_failures).where(login_failures.c.account_hash == account_hash))


async def delete_old_tries(connection: Connection, until: datetime) -> int:
    return (await connection.execute(delete(login_failures).where(login_failures.c.failed_at <= until))).rowcount


# --- API keys ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StoredKey:
    key: ApiKey
    #: SHA-256 of the secret.
    secret_hash: bytes


async def add_key(connection: Connection, stored: StoredKey) -> None:
    key = stored.key
    await connection.execute(
        insert(api_keys).values(
            api_key_id=key.api_key_id,
            name=key.name,
            secret_hash=stored.secret_hash,
            scopes=" ".join(sorted(key.scopes)),
            created_at=key.created_at,
            expires_at=key.expires_at,
            revoked_at=key.revoked_at,
        )
    )


async def find_key(connection: Connection, api_key_id: ApiKeyId) -> StoredKey | None:
    row = (await connection.execute(select(api_keys).where(api_keys.c.api_key_id == api_key_id))).first()
    return StoredKey(_key(row), bytes(row.secret_hash)) if row else None


async def find_key_by_name(connection: Connection, name: str) -> ApiKey | None:
    row = (await connection.execute(select(api_keys).where(api_keys.c.name == name))).first()
    return _key(row) if row else None


async def all_keys(connection: Connection) -> list[ApiKey]:
    return [_key(row) for row in await connection.execute(select(api_keys).order_by(api_keys.c.name))]


async def store_revoked(connection: Connection, api_key_id: ApiKeyId, revoked_at: datetime) -> None:
    await connection.execute(
        update(api_keys)
        .where(api_keys.c.api_key_id == api_key_id, api_keys.c.revoked_at.is_(None))
        .values(revoked_at=revoked_at)
    )


def _key(row: Row[tuple[object, ...]]) -> ApiKey:
    return ApiKey(
        api_key_id=ApiKeyId(row.api_key_id),
        name=row.name,
        scopes=frozenset(Scope(scope) for scope in row.scopes.split()),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )
