"""Accounts, log-in, sessions and API keys on both databases."""

import asyncio
from datetime import timedelta

import pytest
from argon2 import PasswordHasher, extract_parameters
from sqlalchemy import select

from pixel_service.domain.accounts import ApiKey, Role, Scope
from pixel_service.domain.errors import InvalidInput, NotFound
from pixel_service.storage import schema
from pixel_service.storage.accounts import all_keys, all_users
from pixel_service.storage.engine import Database
from pixel_service.usecases.accounts import (
    TRIES,
    LoggedIn,
    NewUser,
    TooManyTries,
    WrongCredentials,
    create_user,
    disable_user,
    enable_user,
    end_sessions,
    forget_stale,
    log_in,
    log_out,
    session_of,
    set_password,
)
from pixel_service.usecases.api_keys import NewKey, authenticate, create_key, revoke_key
from pixel_service.usecases.context import Context
from pixel_service.usecases.passwords import UNMATCHED_HASH, hash_password, verify_password
from tests.access import Clock, context_of

ADA, PASSWORD = "ada@nordlicht.de", "correct horse battery"
WRONG = "incorrect horse battery"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ctx(db: Database, clock: Clock) -> Context:
    return context_of(db, clock)


async def _ada(ctx: Context, role: Role = Role.ADMIN) -> None:
    await create_user(ctx, NewUser(email=ADA, role=role, password=PASSWORD))


async def _session(ctx: Context) -> str:
    outcome = await log_in(ctx, ADA, PASSWORD)
    assert isinstance(outcome, LoggedIn)
    return outcome.session


async def _stored(ctx: Context) -> str:
    """Everything the tables of this feature hold, as text."""
    tables = (schema.users, schema.sessions, schema.login_failures, schema.api_keys)
    async with ctx.db.read() as connection:
        return "\n".join([repr((await connection.execute(select(table))).all()) for table in tables])


# --- users ------------------------------------------------------------------


async def test_a_user_logs_in_and_is_known_by_the_cookie(ctx: Context) -> None:
    await _ada(ctx, Role.ANALYST)
    outcome = await log_in(ctx, "  ADA@nordlicht.de", PASSWORD)
    assert isinstance(outcome, LoggedIn)
    assert outcome.expires_at == ctx.clock() + timedelta(hours=12)
    user = await session_of(ctx, outcome.session)
    assert user is not None
    assert (user.email, user.role) == (ADA, Role.ANALYST)


async def test_neither_password_nor_session_nor_key_can_be_read_from_the_tables(ctx: Context) -> None:
    await _ada(ctx)
    session = await _session(ctx)
    await log_in(ctx, "someone@else.de", WRONG)
    _, credential = await create_key(ctx, NewKey(name="cms", scopes=frozenset({Scope.SEND})))
    stored = await _stored(ctx)
    assert "$argon2id$" in stored
    for secret in (PASSWORD, WRONG, session, credential.secret, "someone@else.de"):
        assert secret not in stored


async def test_an_address_has_one_account_whatever_its_spelling(ctx: Context) -> None:
    await _ada(ctx)
    with pytest.raises(InvalidInput, match="email"):
        await create_user(ctx, NewUser(email=ADA.upper(), role=Role.VIEWER, password=PASSWORD))


async def test_a_weak_password_makes_no_account(ctx: Context) -> None:
    with pytest.raises(InvalidInput, match="password"):
        await create_user(ctx, NewUser(email=ADA, role=Role.ADMIN, password="short"))
    async with ctx.db.read() as connection:
        assert await all_users(connection) == []


@pytest.mark.parametrize("act", [disable_user, enable_user, end_sessions])
async def test_acting_on_an_unknown_user_is_an_error(ctx: Context, act: object) -> None:
    assert callable(act)
    with pytest.raises(NotFound):
        await act(ctx, ADA)


async def test_a_new_password_replaces_the_old_one_and_ends_every_session(ctx: Context) -> None:
    await _ada(ctx)
    session = await _session(ctx)
    await set_password(ctx, ADA, "another long password")
    assert await session_of(ctx, session) is None
    assert await log_in(ctx, ADA, PASSWORD) == WrongCredentials()
    assert isinstance(await log_in(ctx, ADA, "another long password"), LoggedIn)


async def test_a_disabled_user_is_out_at_once_and_in_again_when_enabled(ctx: Context) -> None:
    await _ada(ctx)
    session = await _session(ctx)
    await disable_user(ctx, ADA)
    assert await session_of(ctx, session) is None
    assert await log_in(ctx, ADA, PASSWORD) == WrongCredentials()
    await enable_user(ctx, ADA)
    assert await session_of(ctx, session) is None
    await _session(ctx)


# --- sessions ---------------------------------------------------------------


async def test_a_session_ends_after_twelve_hours(ctx: Context, clock: Clock) -> None:
    await _ada(ctx)
    session = await _session(ctx)
    clock.move(timedelta(hours=12) - timedelta(seconds=1))
    assert await session_of(ctx, session) is not None
    clock.move(timedelta(seconds=1))
    assert await session_of(ctx, session) is None


async def test_logging_out_ends_this_session_only(ctx: Context) -> None:
    await _ada(ctx)
    one, other = await _session(ctx), await _session(ctx)
    await log_out(ctx, one)
    assert await session_of(ctx, one) is None
    assert await session_of(ctx, other) is not None


async def test_all_sessions_of_a_user_can_be_ended(ctx: Context) -> None:
    await _ada(ctx)
    sessions = [await _session(ctx), await _session(ctx)]
    assert await end_sessions(ctx, ADA) == 2
    assert [await session_of(ctx, session) for session in sessions] == [None, None]


@pytest.mark.parametrize("cookie", ["", "x", "\udcff", "\x00", "x" * 5000])
async def test_a_made_up_cookie_is_nobody(ctx: Context, cookie: str) -> None:
    assert await session_of(ctx, cookie) is None


async def test_expired_sessions_and_old_failures_are_forgotten_and_nothing_else(ctx: Context, clock: Clock) -> None:
    await _ada(ctx)
    await _session(ctx)
    await log_in(ctx, ADA, WRONG)
    clock.move(timedelta(hours=12))
    live = await _session(ctx)
    await log_in(ctx, "x@example.de", WRONG)
    # The successful log-in took Ada's failure away.
    assert await forget_stale(ctx) == 1
    clock.move(TRIES.window)
    assert await forget_stale(ctx) == 1
    assert await forget_stale(ctx) == 0
    assert await session_of(ctx, live) is not None


# --- guessing ---------------------------------------------------------------


@pytest.mark.parametrize("name", [ADA, "nobody@nordlicht.de", "not an address", "nul\x00", "\udcff"])
async def test_guessing_is_stopped_the_same_way_for_every_name(ctx: Context, clock: Clock, name: str) -> None:
    await _ada(ctx)
    for _ in range(TRIES.tries):
        assert await log_in(ctx, name, WRONG) == WrongCredentials()
    assert await log_in(ctx, name, PASSWORD) == TooManyTries(TRIES.window)
    clock.move(TRIES.window)
    expected = LoggedIn if name == ADA else WrongCredentials
    assert isinstance(await log_in(ctx, name, PASSWORD), expected)


async def test_hammering_does_not_lengthen_the_wait(ctx: Context, clock: Clock) -> None:
    await _ada(ctx)
    for _ in range(TRIES.tries):
        await log_in(ctx, ADA, WRONG)
    clock.move(TRIES.window / 2)
    for _ in range(3 * TRIES.tries):
        assert isinstance(await log_in(ctx, ADA, WRONG), TooManyTries)
    clock.move(TRIES.window / 2)
    await _session(ctx)


async def test_simultaneous_guesses_in_two_processes_are_limited_together(
    ctx: Context, clock: Clock, database_url: str
) -> None:
    await _ada(ctx)
    elsewhere = Database(database_url)
    other = context_of(elsewhere, clock)
    outcomes = await asyncio.gather(*(log_in(each, ADA, WRONG) for each in (ctx, other) for _ in range(10)))
    await elsewhere.close()
    assert sum(isinstance(outcome, WrongCredentials) for outcome in outcomes) <= TRIES.tries
    assert all(isinstance(outcome, WrongCredentials | TooManyTries) for outcome in outcomes)


async def test_other_accounts_are_not_locked_by_it(ctx: Context) -> None:
    await _ada(ctx)
    for _ in range(TRIES.tries + 1):
        await log_in(ctx, "eve@nordlicht.de", WRONG)
    await _session(ctx)


async def test_a_success_and_a_new_password_clear_the_failures(ctx: Context) -> None:
    await _ada(ctx)
    for _ in range(TRIES.tries - 1):
        await log_in(ctx, ADA, WRONG)
    await _session(ctx)
    for _ in range(TRIES.tries):
        assert await log_in(ctx, ADA, WRONG) == WrongCredentials()
    await set_password(ctx, ADA, PASSWORD)
    await _session(ctx)


async def test_a_password_that_changes_while_it_is_checked_opens_no_session(ctx: Context) -> None:
    """The stored hash is read before and compared again when the session is stored."""
    await _ada(ctx)
    outcomes = await asyncio.gather(log_in(ctx, ADA, PASSWORD), set_password(ctx, ADA, "another long password"))
    match outcomes[0]:
        case LoggedIn(session=session):
            assert await session_of(ctx, session) is None
        case other:
            assert other == WrongCredentials()


# --- hashing ----------------------------------------------------------------


async def test_an_unknown_account_costs_what_a_known_one_costs(ctx: Context) -> None:
    """The same parameters, so the same work; comparing clocks here would only measure this machine."""
    real = await hash_password(ctx, PASSWORD)
    assert extract_parameters(UNMATCHED_HASH) == extract_parameters(real)
    assert not await verify_password(UNMATCHED_HASH, PASSWORD)


async def test_hashes_are_salted_argon2id_of_at_least_46_mib(ctx: Context) -> None:
    one, other = await hash_password(ctx, PASSWORD), await hash_password(ctx, PASSWORD)
    assert one != other
    parameters = extract_parameters(one)
    assert parameters.type.name == "ID"
    assert parameters.memory_cost >= 46 * 1024
    assert PasswordHasher().verify(one, PASSWORD)


async def test_the_event_loop_runs_on_while_a_password_is_hashed(ctx: Context) -> None:
    hashing = asyncio.create_task(hash_password(ctx, PASSWORD))
    turns = 0
    while not hashing.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns > 10


# --- API keys ---------------------------------------------------------------


async def _cms(ctx: Context, expires_in: timedelta | None = None) -> tuple[ApiKey, str]:
    scopes = frozenset({Scope.SEND, Scope.REPORT})
    key, credential = await create_key(ctx, NewKey(name="cms", scopes=scopes, expires_in=expires_in))
    return key, str(credential)


async def test_a_program_is_known_by_its_key(ctx: Context) -> None:
    key, bearer = await _cms(ctx)
    assert bearer.startswith(f"pk_{key.api_key_id}_")
    assert await authenticate(ctx, bearer) == key
    async with ctx.db.read() as connection:
        assert await all_keys(connection) == [key]


async def test_a_key_with_another_secret_or_id_is_nobody(ctx: Context) -> None:
    key, bearer = await _cms(ctx)
    secret = bearer.rpartition("_")[2]
    assert await authenticate(ctx, f"pk_{key.api_key_id}_{ctx.ids()}{ctx.ids()}") is None
    assert await authenticate(ctx, f"pk_{ctx.ids()}_{secret}") is None
    assert await authenticate(ctx, "Basic nonsense") is None


async def test_the_secret_of_one_key_does_not_open_another(ctx: Context) -> None:
    _, bearer = await _cms(ctx)
    other, _ = await create_key(ctx, NewKey(name="crm", scopes=frozenset({Scope.SEND})))
    assert await authenticate(ctx, f"pk_{other.api_key_id}_{bearer.rpartition('_')[2]}") is None


async def test_a_revoked_key_is_nobody_for_good(ctx: Context, clock: Clock) -> None:
    _, bearer = await _cms(ctx)
    revoked_at = clock()
    await revoke_key(ctx, "cms")
    assert await authenticate(ctx, bearer) is None
    clock.move(timedelta(days=1))
    await revoke_key(ctx, "cms")
    async with ctx.db.read() as connection:
        assert [key.revoked_at for key in await all_keys(connection)] == [revoked_at]


async def test_a_key_expires(ctx: Context, clock: Clock) -> None:
    _, bearer = await _cms(ctx, timedelta(days=30))
    clock.move(timedelta(days=30) - timedelta(seconds=1))
    assert await authenticate(ctx, bearer) is not None
    clock.move(timedelta(seconds=1))
    assert await authenticate(ctx, bearer) is None


async def test_a_name_is_used_once_and_a_key_needs_a_scope(ctx: Context) -> None:
    await _cms(ctx)
    with pytest.raises(InvalidInput, match="name"):
        await create_key(ctx, NewKey(name=" cms ", scopes=frozenset({Scope.SEND})))
    with pytest.raises(InvalidInput, match="scopes"):
        await create_key(ctx, NewKey(name="crm", scopes=frozenset()))
    with pytest.raises(NotFound):
        await revoke_key(ctx, "crm")
