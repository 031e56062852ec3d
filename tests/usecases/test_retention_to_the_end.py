"""Every table filled with data of people, every period run to its end by the service's own jobs: what is left names nobody,
the chain verifies, and a table or class of data that this story leaves out fails it (T1, E3, R12)."""

import re
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from pixel_service.domain.accounts import Role, Scope, User
from pixel_service.domain.address import parse_address
from pixel_service.domain.consent import SERVICE
from pixel_service.domain.messages import SubscriberId
from pixel_service.domain.retention import Kept
from pixel_service.domain.rights import RightsRequestKind
from pixel_service.domain.sends import RecipientAsked
from pixel_service.domain.webhooks import WebhookEvent
from pixel_service.jobs import Step, steps
from pixel_service.observability import Metrics
from pixel_service.storage.engine import Database
from pixel_service.storage.journal import Journal
from pixel_service.storage.schema import inbound_unclear, ledger, metadata, opens, sealed_evidence
from pixel_service.storage.texts import publish
from pixel_service.usecases import journal
from pixel_service.usecases.accounts import LoggedIn, NewUser, create_user, log_in
from pixel_service.usecases.api_keys import NewKey, create_key
from pixel_service.usecases.content import Content
from pixel_service.usecases.context import Context
from pixel_service.usecases.erase import erase
from pixel_service.usecases.evidence import Inquiry, gather
from pixel_service.usecases.inbox import Settle, settle
from pixel_service.usecases.ledger import replay, verify
from pixel_service.usecases.on_behalf import take_request
from pixel_service.usecases.privacy_link import mail_link
from pixel_service.usecases.rectify import Changed
from pixel_service.usecases.rights import lift, object_to_marketing, restrict
from pixel_service.usecases.rights_requests import close_request, look_at_open
from pixel_service.usecases.send import SendCommand, send
from pixel_service.usecases.webhook_endpoints import add_endpoint
from pixel_service.usecases.withdraw import Source, withdraw_all
from tests.access import Clock
from tests.builders import BLOG, GLASFASER, ask, context, deliver, dump
from tests.letters import letter
from tests.own_data import agree
from tests.receiver import receiving
from tests.usecases.test_import_contacts import bare, order, row, run
from tests.usecases.test_receive_mail import come_in
from tests.usecases.test_rectify import LETTER, ON_PAGE, change, wish
from tests.usecases.test_retain_data import open_everything
from tests.usecases.test_withdraw import mailing, rows

LEAP_DAY = datetime(2028, 2, 29, 9, 0, tzinfo=UTC)
#: In Berlin clocks are put forward, and back: the hour that is skipped, the one that is shown twice.
FORWARD, BACK = datetime(2028, 3, 26, 1, 0, tzinfo=UTC), datetime(2028, 10, 29, 0, 30, tzinfo=UTC)
#: Half past midnight of the next year in Berlin.
NEW_YEARS_NIGHT = datetime(2028, 12, 31, 23, 30, tzinfo=UTC)
MOMENT, HOUR = timedelta(microseconds=1), timedelta(hours=1)
PASSWORD = "correct horse battery"

#: Tables that keep rows for good, and why these tell nothing about a person.
STAYS: Mapping[str, str] = {
    "ledger": "acts under an opaque id, as hashes",
    "checkpoints": "signed hashes of the ledger",
    "erased_addresses": "keyed hashes, so that nobody who was erased is imported",
    "published_texts": "texts that everybody was shown",
    "campaigns": "names of mailings",
    "imports": "numbers of rows",
    "import_refusals": "numbers of rows and reasons",
    "scrubs": "that files were written anew",
    "journals": "the number of the file of withdrawals",
    "users": "accounts of colleagues, disabled ones too",
    "api_keys": "programs",
    "webhook_endpoints": "addresses of processors",
}


def new_year_in_berlin(year: int) -> datetime:
    return datetime(year - 1, 12, 31, 23, 0, tzinfo=UTC)


#: In everything that anybody typed about a person, and nowhere else.
MARK = "quarkx"


def address(name: str) -> str:
    return f"{name}.{MARK}@example.com"


@dataclass(slots=True)
class Story:
    """The service with its jobs, and whom it knows."""

    ctx: Context
    clock: Clock
    metrics: Metrics = field(default_factory=Metrics)
    people: dict[str, SubscriberId] = field(default_factory=dict)
    #: Tables that held something at some time.
    filled: set[str] = field(default_factory=set)
    jobs: tuple[Step, ...] = ()

    async def go_to(self, at: datetime) -> None:
        """Everything that is due by then is done, by the jobs that a service runs."""
        assert at >= self.clock.at
        self.clock.at = at
        self.jobs = self.jobs or steps(self.ctx, self.metrics)
        while sum([await job.run() for job in self.jobs]):
            pass
        await self.look()

    async def look(self) -> None:
        self.filled |= {name for name, lines in (await dump(self.ctx.db)).items() if lines}

    async def has_proof_of(self, name: str) -> bool:
        """In clear, or sealed."""
        person = self.people[name]
        theirs = [one.content for one in await rows(self.ctx.db, ledger) if one.subscriber_id == person]
        sealed = [one for one in await rows(self.ctx.db, sealed_evidence) if one.subscriber_id == person]
        return any(theirs) or bool(sealed)

    def purged(self) -> set[Kept]:
        """Classes of which something went."""
        counted = re.findall(r'pixel_rows_purged_total\{kind="(\w+)"\} ([\d.]+)', self.metrics.render().decode())
        return {Kept(kind) for kind, number in counted if float(number)}


@pytest.fixture
async def story(db: Database, tmp_path: Path) -> AsyncIterator[Story]:
    clock = Clock(LEAP_DAY)
    ctx = replace(context(db, clock), journal=Journal(tmp_path / "withdrawals"))
    async with receiving() as processor:
        await add_endpoint(ctx, processor.url, tuple(WebhookEvent))
        yield Story(ctx, clock)


# --- what happens on one leap day ---------------------------------------------------------------------------------------


async def everything_happens(story: Story) -> None:
    """Every journey that stores something of a person."""
    ctx = story.ctx
    await journal.bind(ctx)
    async with ctx.db.write() as connection:
        await publish(connection, ctx.catalogue, at=ctx.clock())
    # This one never answers.
    await add_endpoint(ctx, "http://127.0.0.1:1/", [WebhookEvent.ERASED])
    officer = await colleagues_come(ctx)
    await people_come(story)
    await mailing(ctx)
    await mail_to_a_stranger(ctx, address("jan"))
    await deliver(ctx)
    # Cleo's mail has no pixel, Dora and Jan have none of this mailing.
    assert await open_everything(ctx) == 7
    await people_write(ctx, officer)
    await rights_are_used(story)
    await story.look()


async def colleagues_come(ctx: Context) -> User:
    new = NewUser(email="mia@nordlicht.example", role=Role.PRIVACY_OFFICER, password=PASSWORD)
    officer = await create_user(ctx, new)
    assert isinstance(await log_in(ctx, officer.email, PASSWORD), LoggedIn)
    assert not isinstance(await log_in(ctx, officer.email, "wrong horse battery"), LoggedIn)
    await create_key(ctx, NewKey(name="pipeline", scopes=frozenset({Scope.SEND})))
    return officer


async def people_come(story: Story) -> None:
    """Seven by the form, with a name; one of them wants a white paper too. Cleo is imported, Dora never answers."""
    ctx = story.ctx
    for name in ("anna", "bo", "emil", "fay", "gus", "hal", "iris"):
        story.people[name] = await agree(ctx, address(name), first_name=f"{name}{MARK}", company=f"{MARK} {name}")
    await ask(ctx, address("bo"), GLASFASER)
    story.people["dora"] = await ask(ctx, address("dora"), BLOG, first_name=f"Dora {MARK}")
    await deliver(ctx)
    imported, refused = await run(ctx, order(row(address("cleo"), first_name=f"Cleo {MARK}"), bare(address("lea"))))
    assert (imported.good, len(refused)) == (1, 1)
    await mail_link(ctx, parse_address(address("anna")), "de")


async def mail_to_a_stranger(ctx: Context, to: str) -> None:
    """A service mail, of which the row is all there is of its reader."""
    content = Content(subject="Rechnung", template=None, html="<p>{{ name }}</p>", text=None, variables={})
    command = SendCommand(
        campaign="invoices",
        purpose=SERVICE,
        content=content,
        recipients=(RecipientAsked(address=to, variables={"name": f"Jan {MARK}"}),),
        api_key_id="a",
        idempotency_key="invoices",
        body_hash="",
    )
    await send(ctx, command)


async def people_write(ctx: Context, officer: User) -> None:
    """Anna twice, of which one waits for ever; somebody whom nobody knows, once."""
    for number, name in enumerate(("anna", "anna", "kai")):
        mail = letter(f"{name} {MARK} fragt: wer sind Sie?", sender=address(name), message_id=f"{number}@mail.example")
        await come_in(ctx, mail, sender=address(name), to="news@news.example")
    first, *others = sorted(await rows(ctx.db, inbound_unclear), key=lambda one: str(one.inbound_id))
    assert (first.sender, len(others)) == (address("anna"), 2)
    for one in others:
        await settle(ctx, officer, one.inbound_id, Settle.DONE, "")
    for name in ("anna", "nobody"):
        await gather(ctx, inquiry(name))


def inquiry(name: str) -> Inquiry:
    return Inquiry(address=parse_address(address(name)), reason=f"letter of {name} {MARK}", by="mia@nordlicht.example")


async def rights_are_used(story: Story) -> None:
    ctx, people = story.ctx, story.people
    await take_request(ctx, inquiry("anna"), RightsRequestKind.ACCESS, ctx.clock().date())
    (letter_of_anna,) = await look_at_open(ctx, by="mia@nordlicht.example", reason="list")
    # A month after a leap day.
    assert f"{letter_of_anna.request.due_at:%m-%d}" == "03-29"
    assert await close_request(ctx, letter_of_anna.request.request_id, by="mia@nordlicht.example", reason="answered")
    await restrict(ctx, people["emil"], LETTER)
    await object_to_marketing(ctx, people["fay"], LETTER)
    assert isinstance(await change(ctx, people["hal"], address("hal.neu")), Changed)
    assert await wish(ctx, people["hal"], address("hal.nie"))
    assert await erase(ctx, people["gus"], LETTER) is not None


# --- what is left of it ---------------------------------------------------------------------------------------------------


async def test_every_period_ends_and_of_the_people_only_hashes_are_left(story: Story) -> None:
    await everything_happens(story)
    await story.go_to(LEAP_DAY + HOUR)
    assert story.filled == set(metadata.tables), "this story fills every table"
    assert story.filled >= STAYS.keys()
    await years_pass(story)
    assert story.purged() == set(Kept), "something of every class was there and went"
    await assert_nobody_is_named(story)
    assert (await verify(story.ctx, lambda _: None)).entries > 40
    assert await replay(story.ctx) == []


async def years_pass(story: Story) -> None:
    """Leap day, both changes of the clock and the turns of the years: nothing of the proof goes a moment too early."""
    ctx, people = story.ctx, story.people
    await story.go_to(datetime(2028, 3, 1, tzinfo=UTC))
    await story.go_to(FORWARD)
    await withdraw_all(ctx, people["anna"], Source.UNSUBSCRIBE_PAGE)
    await story.go_to(FORWARD + HOUR)
    await passing(story, BACK - MOMENT, BACK, BACK + HOUR, NEW_YEARS_NIGHT)
    assert await rows(ctx.db, opens), "what a person wants kept does not go by its age"
    await withdraw_all(ctx, people["iris"], Source.UNSUBSCRIBE_PAGE)
    await story.go_to(datetime(2029, 6, 30, tzinfo=UTC))
    await lift(ctx, people["emil"], ON_PAGE)
    await passing(story, *half_years(2029, 2031))
    await ends_with(story, 2032, "anna", "fay", "gus")
    await ends_with(story, 2033, "iris")
    # Nobody wrote to them any more: their consents expired after two years, which was the last act.
    await ends_with(story, 2034, "bo", "hal")
    await ends_with(story, 2035, "emil")
    await story.go_to(datetime(2036, 2, 29, tzinfo=UTC))


async def passing(story: Story, *stops: datetime) -> None:
    for stop in stops:
        await story.go_to(stop)


def half_years(first: int, last: int) -> Iterable[datetime]:
    """From the second half of the first year."""
    for year in range(first, last + 1):
        if year > first:
            yield datetime(year, 3, 1, tzinfo=UTC)
        yield datetime(year, 9, 1, tzinfo=UTC)


async def ends_with(story: Story, year: int, *names: str) -> None:
    """The proof is there to the last moment of the year before, and gone in the first of this one."""
    await story.go_to(new_year_in_berlin(year) - MOMENT)
    assert {name: await story.has_proof_of(name) for name in names} == dict.fromkeys(names, True)
    await story.go_to(new_year_in_berlin(year))
    assert {name: await story.has_proof_of(name) for name in names} == dict.fromkeys(names, False)


async def assert_nobody_is_named(story: Story) -> None:
    left = {name: lines for name, lines in (await dump(story.ctx.db)).items() if lines}
    assert {name: len(lines) for name, lines in left.items() if name not in STAYS} == {}
    async with story.ctx.db.read() as connection:
        contents = (await connection.execute(select(ledger.c.content, ledger.c.salt).distinct())).all()
    assert [tuple(one) for one in contents] == [(None, None)]
    ids = list(story.people.values())
    told = [(name, line) for name, lines in left.items() for line in lines]
    assert [one for one in told if MARK in one[1]] == []
    assert [one for one in told if one[0] != "ledger" and any(person in one[1] for person in ids)] == []
    assert story.ctx.journal is not None
    noted = story.ctx.journal.path.read_text()
    assert [person for person in ids if person in noted] == []
