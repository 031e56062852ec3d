"""The proof of an erased person: opened with a reason and on record, whole and checkable, until its time is over (R12, E3, E9)."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, update

from pixel_service.domain.address import parse_address
from pixel_service.domain.consent import State
from pixel_service.domain.evidence import Evidence
from pixel_service.domain.evidence_document import as_text
from pixel_service.domain.evidence_record import as_record
from pixel_service.domain.messages import SubscriberId
from pixel_service.domain.retention import Kept, evidence_ends_at
from pixel_service.domain.tokens import Tokens
from pixel_service.storage.engine import Database
from pixel_service.storage.schema import audit_log, erased_addresses, ledger, sealed_evidence
from pixel_service.storage.texts import publish
from pixel_service.usecases.confirm import confirm
from pixel_service.usecases.context import Context
from pixel_service.usecases.erase import erase
from pixel_service.usecases.erased_addresses import is_erased
from pixel_service.usecases.evidence import Inquiry, gather
from pixel_service.usecases.evidence_document import document
from pixel_service.usecases.ledger import replay, verify
from pixel_service.usecases.retain_data import count_due, purge_slice
from pixel_service.usecases.rights_requests import Asked
from pixel_service.usecases.withdraw import Source, withdraw_all
from tests.access import Clock
from tests.builders import BLOG, KEY, OPENS, Relay, ask, confirm_link, context, deliver, join
from tests.usecases.test_withdraw import rows

ADDRESS = "anna@example.com"
ASKED = Asked(source=Source.PRIVACY_PAGE)
NEW_KEY = b"a-newer-key-of-the-tests-32-bytes-or-more"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def relay() -> Relay:
    return Relay()


@pytest.fixture
async def ctx(db: Database, clock: Clock, relay: Relay) -> Context:
    made = context(db, clock, relay)
    async with db.write() as connection:
        await publish(connection, made.catalogue, at=made.clock())
    return made


async def anna(ctx: Context) -> SubscriberId:
    """Asked by mail, and agreed."""
    person = await ask(ctx, ADDRESS, BLOG, OPENS, first_name="Anna")
    await deliver(ctx)
    await confirm(ctx, (await confirm_link(ctx, person)).rpartition("/")[2], (BLOG, OPENS))
    await deliver(ctx)
    return person


async def proof(ctx: Context) -> Evidence | None:
    return await gather(ctx, Inquiry(address=parse_address(ADDRESS), reason="claim 4", by="mia@example.com"))


async def proven(ctx: Context) -> Evidence:
    found = await proof(ctx)
    assert found is not None
    return found


async def known_as_erased(ctx: Context, address: str = ADDRESS) -> bool:
    async with ctx.db.read() as connection:
        return await is_erased(ctx, connection, parse_address(address))


# --- opening -----------------------------------------------------------------------------------------------------------


async def test_the_sealed_proof_is_as_complete_as_it_was_and_fits_the_ledger(
    ctx: Context, clock: Clock, relay: Relay
) -> None:
    person = await anna(ctx)
    before = await proven(ctx)
    clock.move(timedelta(days=1))
    await erase(ctx, person, ASKED)
    found = await proven(ctx)
    assert found.sealed is not None
    assert (found.sealed.sealed_at, found.subscriber_id, found.address) == (clock(), person, ADDRESS)
    assert found.mails == before.mails
    assert found.mails[0].sent.data == relay.taken[0].data
    assert found.mails[0].in_ledger
    assert all(one.intact and one.content for one in found.statements)
    assert [one.entry for one in found.statements][: len(before.statements)] == [one.entry for one in before.statements]
    assert {one.purpose: (one.state, one.text is not None) for one in found.purposes} == {
        BLOG: (State.ERASED, True),
        OPENS: (State.ERASED, True),
    }


async def test_opening_a_seal_is_on_record_and_says_whose(ctx: Context) -> None:
    person = await anna(ctx)
    await erase(ctx, person, ASKED)
    await proven(ctx)
    (look,) = await rows(ctx.db, audit_log)
    assert (look.who, look.act, look.subject, look.reason) == ("mia@example.com", "evidence", person, "claim 4")


async def test_the_document_and_the_record_say_that_it_was_sealed_and_until_when(ctx: Context, clock: Clock) -> None:
    person = await anna(ctx)
    clock.move(timedelta(days=1))
    await erase(ctx, person, ASKED)
    found = await proven(ctx)
    said = " ".join(as_text(document(ctx, found, "en")).split())
    for words in (
        "Sealed since: 3 November 2026",
        "Deleted on: 1 January 2030",
        "The person had their data erased. Only this proof was kept",
        "erased at the person's wish on 3 November 2026, 11:00 CET. The person had confirmed on 2 November 2026",
        "Typed into the form: E-mail address: anna@example.com; First name: Anna",
        "Erased on: 3 November 2026",
        "The ledger names exactly this mail: yes",
    ):
        assert words in said
    assert "NO" not in said.replace("NOvember", "")
    assert "Versiegelt seit: 3. November 2026" in " ".join(as_text(document(ctx, found, "de")).split())
    assert "The seal is unbroken: yes" in said
    record = as_record(found)
    assert (record["sealed_since"], record["before_earlier_erasures"]) == (clock().isoformat(), [])
    assert str(record["sealed_until"]).startswith("2029-12-31T23:00")


@pytest.mark.parametrize(
    "change",
    [
        {"data": b"x" * 200},
        {"ends_at": datetime.fromisoformat("2031-01-01T00:00+00:00")},
        {"sealed_at": datetime.fromisoformat("2026-01-01T00:00+00:00")},
        {"subscriber_id": "z" * 26},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_a_seal_that_was_altered_does_not_open_and_the_ledger_still_verifies(
    ctx: Context, change: dict[str, object]
) -> None:
    await erase(ctx, await anna(ctx), ASKED)
    async with ctx.db.write() as connection:
        await connection.execute(update(sealed_evidence).values(**change))
    found = await proven(ctx)
    assert not found.seals_open
    assert (as_record(found)["seal_opens"], found.mails) == (False, ())
    assert not any(one.content for one in found.statements)
    said = " ".join(as_text(document(ctx, found, "en")).split())
    assert "The seal is unbroken: NO" in said
    assert "The sealed proof does not open: it was altered" in said
    # Somebody looked all the same.
    assert [look.reason for look in await rows(ctx.db, audit_log)] == ["claim 4"]
    await verify(ctx, lambda _: None)
    assert await replay(ctx) == []


async def test_a_ledger_entry_that_was_altered_afterwards_is_told_when_the_seal_opens(ctx: Context) -> None:
    await erase(ctx, await anna(ctx), ASKED)
    async with ctx.db.write() as connection:
        await connection.execute(update(ledger).where(ledger.c.seq == 2).values(content_hash="0" * 64))
    assert [one.entry.seq for one in (await proven(ctx)).statements if not one.intact] == [2]


async def test_after_a_change_of_keys_the_old_seal_opens_as_long_as_its_key_is_named(ctx: Context) -> None:
    await erase(ctx, await anna(ctx), ASKED)
    both, new = (replace(ctx, tokens=Tokens(keys)) for keys in ([NEW_KEY, KEY], [NEW_KEY]))
    assert (await proven(both)).sealed is not None
    assert await known_as_erased(both)
    # Without the key nobody can even tell whose it is.
    assert await proof(new) is None
    assert not await known_as_erased(new)


# --- until it ends ------------------------------------------------------------------------------------------------------


async def test_the_seal_ends_with_the_years_of_the_last_mail_or_act_and_only_hashes_are_left(
    ctx: Context, clock: Clock
) -> None:
    person = await anna(ctx)
    await withdraw_all(ctx, person, Source.ONE_CLICK)
    await deliver(ctx)
    ends_at = evidence_ends_at(clock(), ctx.policy.keep)
    # The erasure, a year later, prolongs nothing.
    clock.move(timedelta(days=366))
    done = await erase(ctx, person, ASKED)
    assert done is not None
    assert done.sealed_until == ends_at
    clock.at = ends_at - timedelta(microseconds=1)
    assert (await count_due(ctx))[Kept.SEALED_EVIDENCE] == 0
    clock.at = ends_at
    assert (await count_due(ctx))[Kept.SEALED_EVIDENCE] == 1
    assert (await purge_slice(ctx))[Kept.SEALED_EVIDENCE] == 1
    assert await rows(ctx.db, sealed_evidence) == []
    assert {(row.content, row.salt) for row in await rows(ctx.db, ledger)} == {(None, None)}
    assert await proof(ctx) is None
    assert await known_as_erased(ctx)
    await verify(ctx, lambda _: None)
    assert await replay(ctx) == []


async def test_a_mail_that_left_after_the_last_act_counts(ctx: Context, clock: Clock) -> None:
    person = await join(ctx, ADDRESS, BLOG)
    clock.move(timedelta(days=366))
    # The welcome waited for a year.
    await deliver(ctx)
    mailed = clock()
    clock.move(timedelta(days=400))
    while any((await purge_slice(ctx)).values()):
        pass
    done = await erase(ctx, person, ASKED)
    assert done is not None
    assert done.sealed_until == evidence_ends_at(mailed, ctx.policy.keep)


# --- coming back --------------------------------------------------------------------------------------------------------


async def test_an_erased_address_is_known_by_a_keyed_hash_until_its_person_confirms_anew(ctx: Context) -> None:
    assert not await known_as_erased(ctx)
    await erase(ctx, await anna(ctx), ASKED)
    assert await known_as_erased(ctx, "Anna@EXAMPLE.com")
    assert not await known_as_erased(ctx, "bo@example.com")
    # Typed by anybody: not yet.
    await ask(ctx, ADDRESS, BLOG)
    assert await known_as_erased(ctx)
    back = await join(ctx, ADDRESS, BLOG)
    assert not await known_as_erased(ctx)
    assert await rows(ctx.db, erased_addresses) == []
    await erase(ctx, back, ASKED)
    assert await known_as_erased(ctx)


async def test_who_comes_back_is_somebody_new_and_the_earlier_seals_are_shown_after_them(
    ctx: Context, clock: Clock
) -> None:
    people = []
    for _ in range(2):
        people.append(await anna(ctx))
        clock.move(timedelta(days=1))
        await erase(ctx, people[-1], ASKED)
        clock.move(timedelta(days=1))
    people.append(await anna(ctx))
    found = await proven(ctx)
    assert found.sealed is None
    assert [found.subscriber_id, *(one.subscriber_id for one in found.earlier)] == people[::-1]
    assert len(set(people)) == 3
    said = as_text(document(ctx, found, "en"))
    assert said.count("Before an earlier erasure") == 2
    assert said.count("Public key of the signatures") == 1
    assert all(person in said for person in people)
    async with ctx.db.read() as connection:
        looks = (await connection.execute(select(audit_log.c.subject).order_by(audit_log.c.audit_id))).scalars().all()
    assert list(looks) == people[::-1]


async def test_a_broken_seal_of_earlier_does_not_hide_the_proof_of_today(ctx: Context) -> None:
    await erase(ctx, await anna(ctx), ASKED)
    back = await anna(ctx)
    async with ctx.db.write() as connection:
        await connection.execute(update(sealed_evidence).values(data=b"altered"))
    found = await proven(ctx)
    assert (found.subscriber_id, found.sealed, found.seals_open) == (back, None, False)
    assert found.mails[0].in_ledger
    assert [one.sealed and one.sealed.opens for one in found.earlier] == [False]


async def test_erasing_an_address_twice_while_nobody_confirmed_is_no_trouble(ctx: Context) -> None:
    await erase(ctx, await anna(ctx), ASKED)
    await erase(ctx, await ask(ctx, ADDRESS, BLOG), ASKED)
    assert len(await rows(ctx.db, erased_addresses)) == 1
