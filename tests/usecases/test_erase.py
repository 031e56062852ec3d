"""An erased person is gone from every table and every file; the proof stays sealed, and the chain verifies (R3, R12, W4, E3)."""

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import update

from pixel_service.domain import ledger_file
from pixel_service.domain.consent import SERVICE, Act
from pixel_service.domain.errors import StorageUnavailable
from pixel_service.domain.messages import MessageId, Reason, SubscriberId, Verdict
from pixel_service.domain.sends import RecipientAsked
from pixel_service.mail.transport import Accepted, Envelope, Outcome, Withheld
from pixel_service.storage import subscribers as subscribers_on_record
from pixel_service.storage.engine import Database
from pixel_service.storage.inbound import InboundId, UnclearMail, keep
from pixel_service.storage.messages import NewMessage, enqueue
from pixel_service.storage.recording import store
from pixel_service.storage.schema import (
    ledger,
    messages,
    metadata,
    pixels,
    rights_requests,
    scrubs,
    sealed_evidence,
    subscribers,
)
from pixel_service.storage.texts import publish
from pixel_service.usecases.checkpoints import write_checkpoint
from pixel_service.usecases.confirm import confirm
from pixel_service.usecases.content import Content
from pixel_service.usecases.context import Context
from pixel_service.usecases.erase import Erasure, erase
from pixel_service.usecases.ledger import export, replay, verify
from pixel_service.usecases.receipts import all_records
from pixel_service.usecases.rights_requests import Asked
from pixel_service.usecases.rulings import Job, Person, rule_slice
from pixel_service.usecases.send import SendAnswer, SendCommand, send
from pixel_service.usecases.withdraw import Source, withdraw_all
from tests.access import Clock
from tests.builders import BLOG, OPENS, Relay, ask, confirm_link, context, deliver, join, queued
from tests.postgres import in_thread
from tests.usecases.test_withdraw import Dawdling, mailing, open_everything, rows, seen

ADDRESS = "anna.unverwechselbar@example.com"
#: What must be found nowhere in clear, in whatever spelling.
CLEAR = ("anna.unverwechselbar", "Annegret", "Eigenname", "Quarkkontor", "+49 30 7654321")
DETAILS = {"first_name": "Annegret", "last_name": "Eigenname", "company": "Quarkkontor", "phone": "+49 30 7654321"}
BY_LETTER = Asked(source=Source.OPERATOR, note="letter 17 of Annegret Eigenname")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def other(database_url: str) -> AsyncIterator[Database]:
    """The same database from another process."""
    database = Database(database_url)
    yield database
    await database.close()


@pytest.fixture
async def ctx(db: Database, clock: Clock) -> Context:
    made = context(db, clock)
    async with db.write() as connection:
        await publish(connection, made.catalogue, at=made.clock())
    return made


async def anna(ctx: Context) -> SubscriberId:
    """Agreed to two things, got a mailing, opened it, and wrote to us."""
    person = await ask(ctx, ADDRESS, BLOG, OPENS, **DETAILS)
    await deliver(ctx)
    await confirm(ctx, (await confirm_link(ctx, person)).rpartition("/")[2], (BLOG, OPENS))
    await mailing(ctx)
    await deliver(ctx)
    async with ctx.db.write() as connection:
        batch = [seen(ctx, row.pixel_id) for row in await rows(ctx.db, pixels)]
        assert (await store(connection, batch)).recorded == 1
        await keep(
            connection,
            UnclearMail(
                inbound_id=InboundId(ctx.ids()),
                received_at=ctx.clock(),
                subscriber_id=None,
                sender=ADDRESS,
                subject="Annegret Eigenname",
                excerpt="Quarkkontor, +49 30 7654321",
                message_id_header="",
            ),
        )
    return person


async def erased(ctx: Context, person: SubscriberId) -> Erasure:
    done = await erase(ctx, person, BY_LETTER)
    assert done is not None
    return done


async def service_mail(ctx: Context, *addresses: str) -> SendAnswer:
    content = Content(subject="Rechnung", template=None, html="<p>Rechnung</p>", text=None, variables={})
    command = SendCommand(
        campaign="bills",
        purpose=SERVICE,
        content=content,
        recipients=tuple(RecipientAsked(address=one, variables={}) for one in addresses),
        api_key_id="a",
        idempotency_key=ctx.ids(),
        body_hash="",
    )
    return await send(ctx, command)


async def where_named(ctx: Context, person: SubscriberId) -> set[str]:
    """The tables in which any value is the person's id or tells what is theirs."""
    named = set()
    for table in metadata.sorted_tables:
        told = repr([tuple(row) for row in await rows(ctx.db, table)])
        if any(word in told for word in (person, *CLEAR)):
            named.add(table.name)
    return named


# --- what goes and what stays ------------------------------------------------------------------------------------------


async def test_of_an_erased_person_nothing_is_left_but_hashes_the_sealed_proof_and_that_they_asked(
    ctx: Context, clock: Clock
) -> None:
    person = await anna(ctx)
    other = await join(ctx, "bo@example.com", BLOG)
    clock.move(timedelta(days=1))
    done = await erased(ctx, person)
    assert await where_named(ctx, person) == {"ledger", "rights_requests", "sealed_evidence"}
    mine = [row for row in await rows(ctx.db, ledger) if row.subscriber_id == person]
    assert {(row.content, row.salt) for row in mine} == {(None, None)}
    assert [row.act for row in mine][-2:] == [Act.ERASED.value] * 2
    for table in metadata.sorted_tables:
        assert not [row for row in await rows(ctx.db, table) if any(word in repr(tuple(row)) for word in CLEAR)]
    (request,) = await rows(ctx.db, rights_requests)
    assert (request.kind, request.source, request.done_at, request.note) == ("erasure", "operator", clock(), "")
    assert [row.subscriber_id for row in await rows(ctx.db, subscribers)] == [other]
    assert [row.scope for row in await rows(ctx.db, scrubs)] == ["person"]
    assert (
        done.rows.items()
        >= {"opens": 1, "pixels": 1, "inbound_unclear": 1, "subscribers": 1, "ledger": len(mine)}.items()
    )
    assert (done.language, done.at) == ("de", clock())


async def test_the_chain_and_the_replay_are_green_after_an_erasure_and_so_is_an_export(ctx: Context) -> None:
    person = await anna(ctx)
    await join(ctx, "bo@example.com", BLOG)
    await write_checkpoint(ctx)
    await erased(ctx, person)
    await join(ctx, "carla@example.com", BLOG)
    assert (await verify(ctx, lambda _: None)).entries == len(await rows(ctx.db, ledger))
    assert await replay(ctx) == []
    lines: list[str] = []
    await export(ctx, lines.append, by="mia@example.com", reason="audit")
    assert ledger_file.check(lines).entries == len(await rows(ctx.db, ledger))
    assert not [line for line in lines if any(word in line for word in CLEAR)]


async def test_a_second_erasure_and_one_of_nobody_do_nothing(ctx: Context) -> None:
    person = await anna(ctx)
    await erased(ctx, person)
    before = len(await rows(ctx.db, ledger)), len(await rows(ctx.db, scrubs))
    assert await erase(ctx, person, BY_LETTER) is None
    assert await erase(ctx, SubscriberId("nobody"), BY_LETTER) is None
    assert (len(await rows(ctx.db, ledger)), len(await rows(ctx.db, scrubs))) == before


async def test_who_only_asked_leaves_no_proof_behind(ctx: Context) -> None:
    """Their request would have gone after 14 days; an erasure must not keep it for years (S12)."""
    person = await ask(ctx, ADDRESS, BLOG, **DETAILS)
    await deliver(ctx)
    assert (await erased(ctx, person)).sealed_until is None
    assert await rows(ctx.db, sealed_evidence) == []
    assert await where_named(ctx, person) == {"ledger", "rights_requests"}


async def test_of_a_stranger_who_only_got_service_mail_nothing_is_sealed_either(ctx: Context) -> None:
    await service_mail(ctx, ADDRESS)
    await deliver(ctx)
    (person,) = [row.subscriber_id for row in await rows(ctx.db, subscribers)]
    assert (await erased(ctx, person)).sealed_until is None
    assert await where_named(ctx, person) == {"ledger", "rights_requests"}
    assert await replay(ctx) == []


async def test_an_address_that_is_none_any_more_by_stricter_rules_is_erased_too(ctx: Context) -> None:
    person = await anna(ctx)
    async with ctx.db.write() as connection:
        await connection.execute(update(subscribers).values(address="no address", address_key="no address"))
    await erased(ctx, person)
    assert await rows(ctx.db, subscribers) == []


# --- mails under way ---------------------------------------------------------------------------------------------------


async def test_waiting_mails_vanish_and_nothing_follows(ctx: Context) -> None:
    person = await anna(ctx)
    await mailing(ctx)
    await withdraw_all(ctx, person, Source.ONE_CLICK)
    assert await queued(ctx) == ["goodbye"]
    await erased(ctx, person)
    relay = Relay()
    await deliver(replace(ctx, transport=relay))
    await mailing(ctx)
    await deliver(replace(ctx, transport=relay))
    assert relay.taken == []


class Meddling(Relay):
    """Somebody is erased while the relay greets us, or while it has the mail."""

    def __init__(self, *, early: bool) -> None:
        Relay.__init__(self)
        self.early = early
        self.happening: list[tuple[Context, SubscriberId]] = []

    async def send(self, envelope: Envelope) -> Outcome:
        if self.early:
            await self._happen()
        if not await envelope.still_wanted():
            return Withheld()
        await self._happen()
        self.taken.append(envelope)
        return Accepted("250 taken")

    async def _happen(self) -> None:
        while self.happening:
            await erased(*self.happening.pop())


@pytest.mark.parametrize("early", [True, False])
async def test_a_mail_in_hand_over_is_not_sent_or_its_answer_is_recorded_nowhere(ctx: Context, early: bool) -> None:
    person, relay = await anna(ctx), Meddling(early=early)
    await mailing(ctx)
    relay.happening.append((ctx, person))
    await deliver(replace(ctx, transport=relay))
    assert len(relay.taken) == (not early)
    assert await rows(ctx.db, messages) == await rows(ctx.db, pixels) == []
    assert await replay(ctx) == []


@pytest.mark.parametrize("early", [True, False])
async def test_a_confirmation_mail_in_hand_over_leaves_no_copy_and_no_entry(ctx: Context, early: bool) -> None:
    person, relay = await ask(ctx, ADDRESS, BLOG, **DETAILS), Meddling(early=early)
    relay.happening.append((ctx, person))
    await deliver(replace(ctx, transport=relay))
    assert len(relay.taken) == (not early)
    assert Act.CONFIRMATION_SENT.value not in {row.act for row in await rows(ctx.db, ledger)}
    assert await where_named(ctx, person) == {"ledger", "rights_requests"}


async def test_an_open_that_comes_later_finds_nobody(ctx: Context) -> None:
    person = await anna(ctx)
    (pixel,) = [row.pixel_id for row in await rows(ctx.db, pixels)]
    await erased(ctx, person)
    async with ctx.db.write() as connection:
        assert (await store(connection, [seen(ctx, pixel)])).recorded == 0


# --- races -------------------------------------------------------------------------------------------------------------


async def test_an_erasure_waits_for_who_is_just_queueing_mail_to_the_person(ctx: Context, database_url: str) -> None:
    """Else the mail would be made for somebody who is gone, and the whole send would fail."""
    person = await anna(ctx)
    went: list[bool] = []
    asked: list[int] = []

    def ids() -> str:
        asked.append(1)
        if len(asked) == 4:  # the request, the campaign, the send, the mail
            went.append(in_thread(erased_within(ctx, person, database_url)))
        return ctx.ids()

    answer = await service_mail(replace(ctx, ids=ids), ADDRESS)
    assert went == [False]
    assert answer.rulings is not None
    assert answer.rulings[0].verdict is not Verdict.REFUSED
    await erased(ctx, person)
    assert await rows(ctx.db, messages) == []


async def test_mail_that_was_just_queued_goes_with_the_person(ctx: Context, other: Database) -> None:
    """An erasure that looked for mails a moment before would trip over it, and undo itself."""
    person = await anna(ctx)
    late = late_mail(ctx, person)
    async with other.write() as sender:
        assert await subscribers_on_record.hold(sender, [person]) == {person}
        going = asyncio.create_task(erased(ctx, person))
        await asyncio.sleep(0.5)
        assert not going.done()
        await enqueue(sender, [late])
    await going
    assert await rows(ctx.db, messages) == []


def late_mail(ctx: Context, person: SubscriberId) -> NewMessage:
    return NewMessage(
        message_id=MessageId(ctx.ids()),
        subscriber_id=person,
        purpose=SERVICE,
        language="de",
        variables={"name": "Annegret"},
        queued_at=ctx.clock(),
        template="goodbye",
    )


async def erased_within(ctx: Context, person: SubscriberId, database_url: str) -> bool:
    """Whether an erasure goes through in half a second."""
    database = Database(f"{database_url}?timeout=0.5")
    try:
        async with asyncio.timeout(0.5):
            return await erase(replace(ctx, db=database), person, BY_LETTER) is not None
    except (TimeoutError, StorageUnavailable):
        return False
    finally:
        await database.close()


async def test_who_is_erased_while_a_send_looks_them_up_is_an_unknown_address(ctx: Context) -> None:
    job = Job(
        purpose=SERVICE,
        campaign_id=(await service_mail(ctx, "bo@example.com")).campaign_id,
        send_id=(await service_mail(ctx, "bo@example.com")).send_id,
        variables=frozenset(),
        personal_content=False,
        now=ctx.clock(),
    )
    gone = Person(subscriber_id=SubscriberId("gone"), language="de", variables={})
    async with ctx.db.write() as connection:
        (ruling,) = await rule_slice(ctx, connection, job, [gone])
    assert (ruling.verdict, ruling.reason) == (Verdict.REFUSED, Reason.UNKNOWN_ADDRESS)


async def test_a_confirmation_and_an_erasure_at_once_end_in_nobody(ctx: Context, other: Database) -> None:
    for number in range(6):
        person = await ask(ctx, f"person{number}@example.com", BLOG, OPENS)
        link = await confirm_link(ctx, person)
        await asyncio.gather(
            confirm(ctx, link.rpartition("/")[2], {BLOG, OPENS}), erase(replace(ctx, db=other), person, BY_LETTER)
        )
        assert await where_named(ctx, person) <= {"ledger", "rights_requests", "sealed_evidence"}
    assert await replay(ctx) == []


@pytest.mark.slow
async def test_erasures_sends_deliveries_and_recorders_at_once_neither_deadlock_nor_leave_a_row(
    ctx: Context, db: Database, other: Database, clock: Clock
) -> None:
    chance = random.Random(7)
    for number in range(3):
        addresses = [f"person{number}x{each}@example.com" for each in range(6)]
        people = [await join(ctx, one, BLOG, OPENS) for one in addresses]
        await mailing(ctx)
        leaving = [person for person in people if chance.random() < 0.7]
        await storm([replace(ctx, db=one, transport=Dawdling()) for one in (db, other)], leaving, addresses, chance)
        for person in leaving:
            assert await where_named(ctx, person) <= {"ledger", "rights_requests", "sealed_evidence"}
        clock.move(timedelta(days=1))
        await deliver(ctx)
    await verify(ctx, lambda _: None)
    assert await replay(ctx) == []


async def storm(
    everywhere: list[Context], leaving: list[SubscriberId], addresses: list[str], chance: random.Random
) -> None:
    async def go(person: SubscriberId, here: Context) -> None:
        await asyncio.sleep(chance.uniform(0, 0.4))
        await erased(here, person)

    async def pipeline(here: Context) -> None:
        for _ in range(4):
            await asyncio.sleep(chance.uniform(0, 0.03))
            await mailing(here)
            await service_mail(here, *addresses)

    async def record(here: Context) -> None:
        for _ in range(8):
            await asyncio.sleep(chance.uniform(0, 0.02))
            await open_everything(here, here.db)

    await asyncio.gather(
        *(deliver(here) for here in everywhere),
        *(go(person, everywhere[index % 2]) for index, person in enumerate(leaving)),
        *(pipeline(here) for here in everywhere),
        *(record(here) for here in everywhere),
    )


# --- what others make of it ---------------------------------------------------------------------------------------------


async def test_an_export_of_consent_records_names_the_erased_by_their_number_only(ctx: Context) -> None:
    person = await anna(ctx)
    await erased(ctx, person)
    (record,) = [one async for one in all_records(ctx)]
    assert person in repr(record)
    assert not [word for word in CLEAR if word in repr(record)]
