"""A restored backup does not bring back what people took away since (Q5)."""

import asyncio
import hashlib
import itertools
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from pixel_service.app import open_context
from pixel_service.cli.backup import Wish, restore_backup
from pixel_service.domain.address import parse_address
from pixel_service.domain.consent import State
from pixel_service.domain.errors import BackupUnusable, JournalBroken, StorageUnavailable
from pixel_service.domain.journal import Line, Noted
from pixel_service.domain.messages import SubscriberId
from pixel_service.domain.tokens import Link
from pixel_service.settings import Settings, load_settings
from pixel_service.storage.engine import Database
from pixel_service.storage.journal import Journal
from pixel_service.storage.recording import store
from pixel_service.storage.schema import address_changes, messages, opens, pixels, sends, subscribers
from pixel_service.usecases.backup import take
from pixel_service.usecases.context import Context
from pixel_service.usecases.erase import erase
from pixel_service.usecases.ledger import replay, verify
from pixel_service.usecases.links import unsubscribe_url
from pixel_service.usecases.rectify import Changed, ask_new_address, confirm_new_address
from pixel_service.usecases.restore import Restored, examine
from pixel_service.usecases.retain import remind
from pixel_service.usecases.rights import Asked, delete_my_opens, lift, object_to_marketing, restrict
from pixel_service.usecases.withdraw import Source, end, withdraw, withdraw_all
from tests.builders import BLOG, OPENS, Relay, ask, deliver, dump, join, ledger_of, queued, states_of, web
from tests.conftest import NewDatabase
from tests.journeys.service import environment
from tests.usecases.test_withdraw import mailing, rows, seen

ASKED = Asked(source=Source.PRIVACY_PAGE)
PAGE = Source.PREFERENCES_PAGE
GIVEN = {State.GIVEN}


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return settings_of(database_url, tmp_path)


def settings_of(database_url: str, tmp_path: Path) -> Settings:
    """On PostgreSQL the journal must be named; on SQLite it stands beside the database."""
    named = {} if database_url.startswith("sqlite") else {"journal_path": str(tmp_path / "withdrawals")}
    return load_settings(environment(database_url, port=8000, smtp_port=25, **named))


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Context]:
    """The service, with a relay that takes everything."""
    async with open_context(settings) as ctx:
        yield replace(ctx, transport=Relay(), policy=replace(ctx.policy, sign_up_takes=timedelta()))


async def restore(
    settings: Settings,
    file: Path,
    *,
    over: bool = True,
    journal: Path | None = None,
    watch: Callable[[Iterable[Line]], Iterable[Line]] = iter,
) -> Restored:
    wish = Wish(file=file, journal=journal or settings.journal_file, replace=over, trusted=())
    return await restore_backup(settings, wish, watch)


def pulled_after_three(lines: Iterable[Line]) -> Iterator[Line]:
    """The plug."""
    yield from itertools.islice(lines, 3)
    raise RuntimeError("pulled")


async def mailed(ctx: Context, *names: str) -> dict[str, SubscriberId]:
    """People who agreed to everything and opened the mail they got."""
    people = {name: await join(ctx, f"{name}@example.com", BLOG, OPENS) for name in names}
    await mailing(ctx)
    await deliver(ctx)
    fetches = [seen(ctx, row.pixel_id) for row in await rows(ctx.db, pixels)]
    async with ctx.db.write() as connection:
        batch = [one._replace(open_id=hashlib.md5(one.open_id).digest()) for one in fetches]
        assert (await store(connection, batch)).recorded == len(people)
    return people


async def move(ctx: Context, person: SubscriberId, to: str) -> None:
    assert await ask_new_address(ctx, person, parse_address(to), ASKED)
    (change,) = await rows(ctx.db, address_changes)
    token = ctx.tokens.mint(Link.NEW_ADDRESS, change.change_id, expires_at=change.expires_at)
    assert isinstance(await confirm_new_address(ctx, token), Changed)


async def openers(ctx: Context) -> set[str]:
    """Who has opens on record."""
    query = select(messages.c.subscriber_id).join(opens, opens.c.message_id == messages.c.message_id)
    async with ctx.db.read() as connection:
        return set((await connection.execute(query)).scalars())


async def states(ctx: Context, person: SubscriberId) -> set[State]:
    return set((await states_of(ctx, person)).values())


# --- the promise ----------------------------------------------------------------------------------------------------


async def test_what_people_took_away_after_the_backup_does_not_come_back(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "backup"
    async with running(settings) as ctx:
        people = await mailed(ctx, "anna", "ben", "carla", "dora", "erik", "fritz", "greta", "hans")
        await restrict(ctx, people["dora"], ASKED)
        await take(ctx, file)
        await withdraw(ctx, people["anna"], (OPENS,), PAGE)
        await object_to_marketing(ctx, people["ben"], ASKED)
        await restrict(ctx, people["carla"], ASKED)
        await lift(ctx, people["dora"], ASKED)
        await erase(ctx, people["erik"], ASKED)
        await delete_my_opens(ctx, people["fritz"], ASKED)
        await move(ctx, people["hans"], "hans@elsewhere.example.com")
        await restrict(ctx, people["hans"], ASKED)
        await lift(ctx, people["hans"], ASKED)
        late = await join(ctx, "late@example.com", BLOG, OPENS)
        await withdraw_all(ctx, late, PAGE)
    restored = await restore(settings, file)
    assert restored.applied == {**dict.fromkeys(Noted, 1), Noted.RESTRICTED: 2, Noted.LIFTED: 2}
    assert restored.strangers == 1
    async with running(settings) as ctx:
        assert await states_of(ctx, people["anna"]) == {BLOG: State.GIVEN, OPENS: State.WITHDRAWN}
        assert await states(ctx, people["ben"]) == {State.OBJECTED}
        assert await states(ctx, people["carla"]) == {State.RESTRICTED}
        assert await states(ctx, people["dora"]) == GIVEN
        assert await states(ctx, people["erik"]) == set()
        assert await states(ctx, people["fritz"]) == GIVEN
        assert await states(ctx, people["greta"]) == GIVEN
        # The address in the backup is no longer his.
        assert await states(ctx, people["hans"]) == {State.RESTRICTED}
        left = {people[name] for name in ("dora", "greta", "carla", "hans")}
        assert await openers(ctx) <= left
        assert {people["dora"], people["greta"]} <= await openers(ctx)
        gone = {people[name] for name in ("anna", "ben", "erik")}
        assert gone & {row.subscriber_id for row in await rows(ctx.db, pixels)} == set()
        assert "erik@example.com" not in {row.address for row in await rows(ctx.db, subscribers)}
        assert await replay(ctx) == []
        proof = await verify(ctx, lambda _: None)
        assert (proof.entries, proof.head) == (restored.proof.entries, restored.proof.head)
        said = [content["source"] for _, _, content in await ledger_of(ctx, people["anna"]) if "source" in content]
        assert said[-1] == "restore"


async def test_nothing_is_mailed_twice_after_a_restore(settings: Settings, tmp_path: Path) -> None:
    """Mails that waited in the backup were sent since, and an audience that was being walked was walked to its end."""
    file = tmp_path / "backup"
    async with running(settings) as ctx:
        await join(ctx, "anna@example.com", BLOG)
        await deliver(ctx)
        await mailing(ctx)
        await ask(ctx, "ben@example.com", BLOG)
        async with ctx.db.write() as connection:
            await connection.execute(update(sends).values(expanded_at=None, cursor=None))
        await take(ctx, file)
        await deliver(ctx)
    restored = await restore(settings, file)
    assert restored.cancelled == 2
    async with running(settings) as ctx:
        assert await queued(ctx) == []
        assert [row.expanded_at is not None for row in await rows(ctx.db, sends)] == [True]
        later = replace(ctx, clock=lambda: ctx.clock() + timedelta(days=4))
        assert await remind(replace(later, policy=replace(ctx.policy, reminder_after=timedelta(days=3)))) == 0
        assert {row.reason for row in await rows(ctx.db, messages) if row.status == "cancelled"} >= {"restored"}


async def test_a_backup_of_a_busy_service_holds_one_moment_and_the_journal_the_rest(
    settings: Settings, tmp_path: Path
) -> None:
    """Whoever withdrew is either withdrawn in the copy or noted behind it; nobody falls between."""
    async with running(settings) as ctx:
        people = [await join(ctx, f"p{number}@example.com", BLOG, OPENS) for number in range(24)]
        late, over = people[-2:], asyncio.Event()

        async def copy() -> list[int]:
            taken = [await take(ctx, tmp_path / f"backup-{number}") for number in range(2)]
            over.set()
            return [one.journal.number for one in taken]

        async def stop() -> None:
            for person in people[:-2]:
                await withdraw_all(ctx, person, PAGE)
                if over.is_set():
                    break

        positions, _ = await asyncio.gather(copy(), stop())
        for person in people:
            await withdraw_all(ctx, person, PAGE)
    for number, position in enumerate(positions):
        restored = await restore(settings, tmp_path / f"backup-{number}")
        assert restored.applied[Noted.WITHDRAWN] == len(people) - position >= len(late)
        async with running(settings) as ctx:
            assert [await states(ctx, person) for person in people] == [{State.WITHDRAWN}] * len(people)


async def test_a_backup_waits_for_whoever_has_noted_and_not_yet_committed(settings: Settings, tmp_path: Path) -> None:
    """Else the line would count as known and the withdrawal be missing."""
    async with running(settings) as ctx:
        anna = await join(ctx, "anna@example.com", BLOG, OPENS)
        async with ctx.db.write() as connection:
            await end(ctx, connection, anna, (BLOG, OPENS), PAGE)
            taking = asyncio.create_task(take(ctx, tmp_path / "backup"))
            await asyncio.sleep(0.3)
            assert not taking.done()
        assert (await taking).journal.number == 1
    assert (await restore(settings, tmp_path / "backup")).applied == {}
    async with running(settings) as ctx:
        assert await states(ctx, anna) == {State.WITHDRAWN}


async def test_what_was_noted_and_then_rolled_back_is_done_by_a_restore(settings: Settings, tmp_path: Path) -> None:
    """The person asked for it and was told to try again: done is what they wanted."""
    async with running(settings) as ctx:
        anna = await join(ctx, "anna@example.com", BLOG, OPENS)
        await take(ctx, tmp_path / "backup")
        async with ctx.db.write() as connection:
            await end(ctx, connection, anna, (BLOG, OPENS), PAGE)
            await connection.rollback()
        assert await states(ctx, anna) == GIVEN
    await restore(settings, tmp_path / "backup")
    async with running(settings) as ctx:
        assert await states(ctx, anna) == {State.WITHDRAWN}


async def test_a_backup_can_be_restored_again_and_consent_given_since_then_stays(
    settings: Settings, tmp_path: Path
) -> None:
    """Numbers of the ledger begin anew with every restore; lines of the journal do not."""
    first, second = tmp_path / "first", tmp_path / "second"
    async with running(settings) as ctx:
        anna = await join(ctx, "anna@example.com", BLOG)
        ben = await join(ctx, "ben@example.com", BLOG)
        await take(ctx, first)
        await withdraw_all(ctx, anna, PAGE)
    await restore(settings, first)
    async with running(settings) as ctx:
        assert await states(ctx, anna) == {State.WITHDRAWN}
        await join(ctx, "anna@example.com", BLOG)
        await take(ctx, second)
        await withdraw_all(ctx, ben, PAGE)
    assert (await restore(settings, second)).applied == {Noted.WITHDRAWN: 1}
    async with running(settings) as ctx:
        assert (await states_of(ctx, anna))[BLOG] is State.GIVEN
        assert await states(ctx, ben) == {State.WITHDRAWN}
    assert (await restore(settings, first)).applied == {Noted.WITHDRAWN: 2}
    async with running(settings) as ctx:
        assert await states(ctx, anna) == await states(ctx, ben) == {State.WITHDRAWN}


# --- noting ---------------------------------------------------------------------------------------------------------


async def test_a_withdrawal_that_can_not_be_noted_is_not_done(settings: Settings, tmp_path: Path) -> None:
    async with running(settings) as ctx:
        anna = await join(ctx, "anna@example.com", BLOG, OPENS)
        before = await dump(ctx.db)
        assert ctx.journal is not None
        ctx.journal.path.rename(tmp_path / "elsewhere")
        with pytest.raises(StorageUnavailable):
            await withdraw_all(ctx, anna, PAGE)
        assert await dump(ctx.db) == before
        async with web(ctx) as browser:
            pressed = await browser.post(unsubscribe_url(ctx, anna, BLOG), data={"List-Unsubscribe": "One-Click"})
        assert pressed.status_code == 503
        assert await dump(ctx.db) == before
        Journal(ctx.journal.path).begin("another")
        with pytest.raises(JournalBroken, match="replaced"):
            await withdraw_all(ctx, anna, PAGE)
        assert await dump(ctx.db) == before


async def test_the_journal_holds_opaque_ids_and_no_second_line_for_a_repeat(settings: Settings) -> None:
    async with running(settings) as ctx:
        anna = await join(ctx, "anna@example.com", BLOG, OPENS)
        for _ in range(3):
            await withdraw_all(ctx, anna, PAGE)
        assert ctx.journal is not None
        noted = ctx.journal.path.read_text()
        (line,) = ctx.journal.lines(after=0)
    assert (line.note.subscriber_id, line.note.purposes) == (anna, (BLOG, OPENS))
    assert "anna@" not in noted
    assert "example.com" not in noted


async def test_a_service_does_not_start_beside_another_journal(settings: Settings) -> None:
    async with running(settings):
        pass
    assert settings.journal_file is not None
    settings.journal_file.unlink()
    with pytest.raises(JournalBroken, match="not the journal of this database"):
        async with running(settings):
            pass


async def test_a_process_that_began_before_there_was_a_journal_takes_no_withdrawal(
    new_postgres: NewDatabase, tmp_path: Path
) -> None:
    named = settings_of(new_postgres(), tmp_path)
    async with running(named.model_copy(update={"journal_path": None})) as ctx:
        anna = await join(ctx, "anna@example.com", BLOG, OPENS)
        await withdraw(ctx, anna, (OPENS,), PAGE)
        async with running(named):
            pass
        with pytest.raises(JournalBroken, match="PIXEL_JOURNAL_PATH"):
            await withdraw_all(ctx, anna, PAGE)
        assert await states_of(ctx, anna) == {BLOG: State.GIVEN, OPENS: State.WITHDRAWN}


async def test_a_host_that_notes_nowhere_does_not_start(new_postgres: NewDatabase, tmp_path: Path) -> None:
    settings = settings_of(new_postgres(), tmp_path)
    async with running(settings):
        pass
    with pytest.raises(JournalBroken, match="PIXEL_JOURNAL_PATH"):
        async with running(settings.model_copy(update={"journal_path": None})):
            pass


# --- what is refused ------------------------------------------------------------------------------------------------


async def backed_up(settings: Settings, file: Path) -> None:
    async with running(settings) as ctx:
        anna = await join(ctx, "anna@example.com", BLOG, OPENS)
        await withdraw_all(ctx, anna, PAGE)
        await take(ctx, file)


async def content(settings: Settings) -> object:
    database = Database(settings.database_url.get_secret_value())
    try:
        return await dump(database)
    finally:
        await database.close()


async def test_a_damaged_backup_is_refused_and_nothing_has_changed(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "backup"
    await backed_up(settings, file)
    before, whole = await content(settings), file.read_bytes()
    for damage in (b"", whole[:300], whole[: len(whole) // 2], b"nonsense" * 500):
        file.write_bytes(damage)
        with pytest.raises(BackupUnusable, match="damaged"):
            await restore(settings, file)
    for place in (len(whole) // 2, 600):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(BackupUnusable, match=r"damaged|altered"):
            await restore(settings, file)
    assert await content(settings) == before


async def test_a_journal_that_is_not_the_right_one_is_refused(settings: Settings, tmp_path: Path) -> None:
    file, wrong = tmp_path / "backup", Journal(tmp_path / "wrong")
    assert settings.journal_file is not None
    journal = settings.journal_file
    async with running(settings) as ctx:
        anna = await join(ctx, "anna@example.com", BLOG, OPENS)
        too_old = journal.read_bytes()
        await withdraw_all(ctx, anna, PAGE)
        await take(ctx, file)
    before = await content(settings)
    wrong.begin("another")
    with pytest.raises(BackupUnusable, match="not the journal that was kept"):
        await restore(settings, file, journal=wrong.path)
    wrong.path.write_bytes(too_old)
    with pytest.raises(BackupUnusable, match="ends before the backup"):
        await restore(settings, file, journal=wrong.path)
    wrong.path.write_bytes(journal.read_bytes().replace(b'"n": 1', b'"n": 3'))
    with pytest.raises(JournalBroken, match="line 1 of the journal is missing"):
        await restore(settings, file, journal=wrong.path)
    assert await content(settings) == before


async def test_a_backup_older_than_the_journal_reaches_back_is_refused(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "backup"
    async with running(settings) as ctx:
        anna = await join(ctx, "anna@example.com", BLOG, OPENS)
        await take(ctx, file)
        await withdraw_all(ctx, anna, PAGE)
        assert ctx.journal is not None
        assert ctx.journal.prune(ctx.clock() + timedelta(days=1)) == 1
    with pytest.raises(BackupUnusable, match="older than the journal reaches back"):
        await restore(settings, file)


async def test_a_database_in_use_or_with_people_in_it_is_not_replaced_by_accident(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pixel_service.storage.restoring._TRIES", 2)
    file = tmp_path / "backup"
    await backed_up(settings, file)
    before = await content(settings)
    with pytest.raises(BackupUnusable, match="not empty"):
        await restore(settings, file, over=False)
    async with running(settings) as ctx:
        async with ctx.db.read() as connection:
            await connection.execute(select(subscribers))
        with pytest.raises(BackupUnusable, match="in use"):
            await restore(settings, file)
    assert await content(settings) == before


async def test_a_backup_of_a_newer_version_is_refused(settings: Settings, tmp_path: Path) -> None:
    async with running(settings) as ctx:
        newer = replace(await take(ctx, tmp_path / "backup"), revision="9999")
        with pytest.raises(BackupUnusable, match="newer version"):
            examine(newer, is_sqlite=ctx.db.is_sqlite, journal=None)


async def test_without_a_journal_there_is_no_backup(settings: Settings, tmp_path: Path) -> None:
    async with running(settings) as ctx:
        with pytest.raises(BackupUnusable, match="PIXEL_JOURNAL_PATH"):
            await take(replace(ctx, journal=None), tmp_path / "backup")


# --- a restore that breaks off --------------------------------------------------------------------------------------


async def test_a_restore_that_breaks_off_is_run_again_and_nobody_works_on_half_of_it(
    settings: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "backup"
    async with running(settings) as ctx:
        people = [await join(ctx, f"p{number}@example.com", BLOG, OPENS) for number in range(6)]
        await take(ctx, file)
        for person in people:
            await withdraw_all(ctx, person, PAGE)
    before = await content(settings)
    assert settings.journal_file is not None
    whole = settings.journal_file.read_bytes()
    with pytest.raises(RuntimeError, match="pulled"):
        await restore(settings, file, watch=pulled_after_three)
    if settings.journal_path is None:
        assert await content(settings) == before
    else:
        with pytest.raises(BackupUnusable, match="not finished"):
            async with running(settings):
                pass
    assert settings.journal_file.read_bytes() == whole
    await restore(settings, file)
    async with running(settings) as ctx:
        assert [await states(ctx, person) for person in people] == [{State.WITHDRAWN}] * len(people)
        assert await replay(ctx) == []
