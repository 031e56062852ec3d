"""After a restore nothing outside brings back what people ended: no import, and no processor's endpoint (Q5, E9, R11)."""

import io
from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import SecretStr

from pixel_service.domain.imports import Code
from pixel_service.domain.messages import SubscriberId
from pixel_service.domain.webhooks import WebhookEvent
from pixel_service.settings import Settings
from pixel_service.storage import subscribers, webhooks
from pixel_service.storage.schema import erased_addresses, webhook_deliveries
from pixel_service.usecases.backup import take
from pixel_service.usecases.context import Context
from pixel_service.usecases.erase import erase
from pixel_service.usecases.import_contacts import Order, begin, import_slices, open_file, rejected
from pixel_service.usecases.rights import delete_my_opens, lift, object_to_marketing, restrict
from pixel_service.usecases.webhook_endpoints import add_endpoint, disable_endpoint
from pixel_service.usecases.withdraw import withdraw_all
from tests.builders import BLOG, OPENS, join
from tests.usecases.test_restore import ASKED, GIVEN, PAGE, move, restore, running, settings_of, states
from tests.usecases.test_withdraw import rows

HEADER = "address,purpose,language,requested_at,confirmed_at,confirmed_by,form_url,wording_text\n"
PROOF = "de,2026-05-01T10:00:00+02:00,2026-05-01T10:05:00+02:00,double_opt_in,https://alt.example/f,Ja."
NEWCOMERS = ("anna", "ben", "carla", "dora", "erik", "fritz")


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return settings_of(database_url, tmp_path)


async def import_file(ctx: Context, *addresses: str) -> Mapping[str, Code]:
    """Who was refused, and why."""
    lines = "".join(f"{address},{BLOG},{PROOF}\n" for address in addresses)
    file = open_file(io.BytesIO((HEADER + lines).encode()))
    progress = await begin(ctx, Order(file=file, source="old tool", by="mia", again=True))
    async for after in import_slices(ctx, file, progress):
        progress = after
    refused = [(one.row, one.code) async for one in rejected(ctx, progress.import_id)]
    assert progress.good + len(refused) == len(addresses)
    # The header is the first row.
    return {addresses[row - 2]: code for row, code in refused}


async def person_at(ctx: Context, address: str) -> SubscriberId:
    async with ctx.db.read() as connection:
        return (await subscribers.find(connection, [address]))[address].subscriber_id


async def test_who_came_by_an_import_and_left_after_the_backup_is_not_imported_again(
    settings: Settings, tmp_path: Path
) -> None:
    file, addresses = tmp_path / "backup", [f"{name}@example.com" for name in NEWCOMERS]
    async with running(settings) as ctx:
        await take(ctx, file)
        assert await import_file(ctx, *addresses) == {}
        people = {name: await person_at(ctx, f"{name}@example.com") for name in NEWCOMERS}
        await erase(ctx, people["anna"], ASKED)
        await withdraw_all(ctx, people["ben"], PAGE)
        await object_to_marketing(ctx, people["carla"], ASKED)
        await restrict(ctx, people["dora"], ASKED)
        await move(ctx, people["erik"], "erik@elsewhere.example.com")
        # Neither keeps anybody out.
        await delete_my_opens(ctx, people["fritz"], ASKED)
        await lift(ctx, people["fritz"], ASKED)
    restored = await restore(settings, file)
    assert (restored.applied, restored.strangers) == ({}, 7)
    async with running(settings) as ctx:
        refused = await import_file(ctx, *addresses)
        assert refused == {f"{name}@example.com": Code.ERASED for name in NEWCOMERS if name != "fritz"}
        # Their own act, as after an erasure.
        ben = await join(ctx, "ben@example.com", BLOG)
        assert await states(ctx, ben) == GIVEN
        assert len(await rows(ctx.db, erased_addresses)) == len(NEWCOMERS) - 2


async def test_addresses_after_and_between_moves_are_known_to_no_backup_and_kept_out_too(
    settings: Settings, tmp_path: Path
) -> None:
    """The person is in the backup, under an address they have given up since."""
    file = tmp_path / "backup"
    async with running(settings) as ctx:
        anna = await join(ctx, "anna@example.com", BLOG)
        ben = await join(ctx, "ben@example.com", BLOG)
        await take(ctx, file)
        await move(ctx, anna, "anna@elsewhere.example.com")
        await withdraw_all(ctx, anna, PAGE)
        await withdraw_all(ctx, ben, PAGE)
    await restore(settings, file)
    async with running(settings) as ctx:
        refused = await import_file(ctx, "anna@elsewhere.example.com", "anna@example.com", "ben@example.com")
        assert refused == {
            "anna@elsewhere.example.com": Code.ERASED,
            "anna@example.com": Code.RESTRICTED,
            "ben@example.com": Code.ON_RECORD,
        }
        # What is on record protects those who are on record under that address.
        assert len(await rows(ctx.db, erased_addresses)) == 1


async def test_a_hash_under_a_key_that_was_replaced_since_keeps_out_all_the_same(
    settings: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "backup"
    async with running(settings) as ctx:
        await take(ctx, file)
        await import_file(ctx, "anna@example.com")
        await withdraw_all(ctx, await person_at(ctx, "anna@example.com"), PAGE)
    rotated = settings.model_copy(update={"secret_keys": (SecretStr("n" * 64), *settings.secret_keys)})
    await restore(rotated, file)
    async with running(rotated) as ctx:
        assert await import_file(ctx, "anna@example.com") == {"anna@example.com": Code.ERASED}
        await join(ctx, "anna@example.com", BLOG)
        assert await rows(ctx.db, erased_addresses) == []


async def test_the_journal_names_an_address_only_by_a_hash_that_needs_the_keys(settings: Settings) -> None:
    async with running(settings) as ctx:
        anna = await join(ctx, "anna@example.com", BLOG)
        await withdraw_all(ctx, anna, PAGE)
        await delete_my_opens(ctx, anna, ASKED)
        assert ctx.journal is not None
        assert "anna" not in ctx.journal.path.read_text()
        withdrawn, deleted = ctx.journal.lines(after=0)
    assert (len(withdrawn.note.address_hash or ""), deleted.note.address_hash) == (64, None)


async def test_a_restore_tells_processors_nothing_and_enables_no_endpoint_again(
    settings: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "backup"
    async with running(settings) as ctx:
        left, _ = await add_endpoint(ctx, "https://old-processor.example/hook", list(WebhookEvent))
        stays, _ = await add_endpoint(ctx, "https://processor.example/hook", list(WebhookEvent))
        never, _ = await add_endpoint(ctx, "https://gone.example/hook", list(WebhookEvent))
        await disable_endpoint(ctx, never)
        anna = await join(ctx, "anna@example.com", BLOG, OPENS)
        await take(ctx, file)
        await erase(ctx, anna, ASKED)
        await disable_endpoint(ctx, left)
    restored = await restore(settings, file)
    assert restored.endpoints == 2
    async with running(settings) as ctx:
        async with ctx.db.read() as connection:
            found = await webhooks.all_endpoints(connection)
            assert await webhooks.waiting(connection) == {}
        assert {one.endpoint_id for one in found if one.disabled_at is not None} == {left, stays, never}
        told = await rows(ctx.db, webhook_deliveries)
        assert {(row.event, row.status, row.payload) for row in told} == {("confirmed", "given_up", None)}
