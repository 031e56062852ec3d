"""Colleagues get an account, log in and log out (A1, A3). Every check happens here, none in a handler.

What must hold: no answer and no response time tells whether an account exists; guessing is limited per account across
all processes; what is stored can not be used to log in. Rights per page are not decided here, programs have keys
(`api_keys.py`) instead of accounts.
"""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pixel_service.domain.accounts import (
    SESSION_LIFE,
    Role,
    TriesLimit,
    User,
    UserId,
    parse_email,
    parse_password,
)
from pixel_service.domain.errors import InvalidInput, NotFound
from pixel_service.domain.tokens import Link
from pixel_service.storage import accounts
from pixel_service.storage.engine import Connection
from pixel_service.usecases.context import Context
from pixel_service.usecases.passwords import UNMATCHED_HASH, hash_password, verify_password

TRIES = TriesLimit()


# --- users ------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUser:
    email: str
    role: Role
    password: str = field(repr=False)


async def create_user(ctx: Context, new: NewUser) -> User:
    """Raises `InvalidInput` for a bad or taken address and for a weak password."""
    email, password = parse_email(new.email), parse_password(new.password)
    password_hash = await hash_password(ctx, password)
    user = User(user_id=UserId(ctx.ids()), email=email, role=new.role, created_at=ctx.clock(), disabled_at=None)
    async with ctx.db.write() as connection:
        if await accounts.find_user(connection, email):
            raise InvalidInput("email", "there is a user with this address already")
        await accounts.add_user(connection, user, password_hash)
    return user


async def set_password(ctx: Context, email: str, password: str) -> None:
    """Ends all sessions of the user and forgets failed tries. Raises `InvalidInput` and `NotFound`."""
    password_hash = await hash_password(ctx, parse_password(password))
    async with ctx.db.write() as connection:
        user = await _named(connection, email)
        await accounts.store_password(connection, user.user_id, password_hash)
        await accounts.delete_sessions_of(connection, user.user_id)
        await accounts.delete_tries_of(connection, _account_hash(ctx, user.email))


async def disable_user(ctx: Context, email: str) -> None:
    """No log-in from now on, and every session ends. Raises `NotFound`."""
    async with ctx.db.write() as connection:
        user = await _named(connection, email)
        await accounts.store_disabled(connection, user.user_id, ctx.clock())
        await accounts.delete_sessions_of(connection, user.user_id)


async def enable_user(ctx: Context, email: str) -> None:
    async with ctx.db.write() as connection:
        user = await _named(connection, email)
        await accounts.store_disabled(connection, user.user_id, None)


async def end_sessions(ctx: Context, email: str) -> int:
    """Log a user out everywhere; returns how many sessions ended. Raises `NotFound`."""
    async with ctx.db.write() as connection:
        user = await _named(connection, email)
        return await accounts.delete_sessions_of(connection, user.user_id)


async def _named(connection: Connection, email: str) -> User:
    """Locked, so that no session opens under a password or a state that this transaction is about to change."""
    stored = await accounts.find_user(connection, parse_email(email), lock=True)
    if stored is None:
        raise NotFound("user")
    return stored.user


# --- log-in -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LoggedIn:
    #: The cookie's value. Only its hash is stored.
    session: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class WrongCredentials:
    """Unknown, disabled or wrong password: the caller can not tell, and need not."""


@dataclass(frozen=True, slots=True)
class TooManyTries:
    retry_after: timedelta


async def log_in(ctx: Context, email: str, password: str) -> LoggedIn | WrongCredentials | TooManyTries:
    """The try is stored before the password is looked at and counted after that, so that of any number of
    simultaneous guesses, in any number of processes, at most `TRIES.tries` are answered."""
    name, now = _account_name(email), ctx.clock()
    account_hash = _account_hash(ctx, name)
    async with ctx.db.write() as connection:
        this_try = await accounts.add_try(connection, account_hash, now)
    async with ctx.db.read() as connection:
        tries = await accounts.count_tries(connection, account_hash, now - TRIES.window)
        stored = await accounts.find_user(connection, name)
    if tries > TRIES.tries:
        # Forgotten again: hammering must not lengthen the wait of the account's owner.
        async with ctx.db.write() as connection:
            await accounts.delete_try(connection, this_try)
        return TooManyTries(TRIES.window)
    if stored is None or stored.user.disabled_at is not None:
        await verify_password(UNMATCHED_HASH, password)
        return WrongCredentials()
    if not await verify_password(stored.password_hash, password):
        return WrongCredentials()
    return await _open_session(ctx, stored, account_hash)


async def _open_session(ctx: Context, verified: accounts.StoredUser, account_hash: str) -> LoggedIn | WrongCredentials:
    session, now = ctx.ids() + ctx.ids(), ctx.clock()
    expires_at = now + SESSION_LIFE
    async with ctx.db.write() as connection:
        # Password and state may have changed while the hash was computed.
        if await accounts.find_user(connection, verified.user.email, lock=True) != verified:
            return WrongCredentials()
        await accounts.delete_tries_of(connection, account_hash)
        await accounts.add_session(
            connection, _digest(session), verified.user.user_id, created_at=now, expires_at=expires_at
        )
    return LoggedIn(session, expires_at)


async def log_out(ctx: Context, session: str) -> None:
    async with ctx.db.write() as connection:
        await accounts.delete_session(connection, _digest(session))


async def session_of(ctx: Context, session: str) -> User | None:
    """Who holds this cookie; None when it is unknown, expired or ended."""
    async with ctx.db.read() as connection:
        return await accounts.user_of_session(connection, _digest(session), ctx.clock())


async def forget_stale(ctx: Context) -> int:
    """Retention of sessions and failed tries; returns how many rows went (T1)."""
    now = ctx.clock()
    async with ctx.db.write() as connection:
        sessions = await accounts.delete_expired_sessions(connection, now)
        return sessions + await accounts.delete_old_tries(connection, now - TRIES.window)


def _account_name(typed: str) -> str:
    """What was typed need not be an address: any name is limited and refused the same way. What no account can be
    called is looked up as a hash, for it may hold characters that a database refuses."""
    try:
        return parse_email(typed)
    except InvalidInput:
        return _digest(typed.strip().casefold())


def _account_hash(ctx: Context, name: str) -> str:
    """Keyed, so that the table does not tell who tried. A minted token is deterministic and needs the key; it is
    hashed once more, so what is stored can not be used as a link."""
    return _digest(ctx.tokens.mint(Link.PREFERENCES, f"log-in:{_digest(name)}"))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()
