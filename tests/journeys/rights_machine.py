"""The service under every right there is: the world of `machine.py`, told to the model that knows only what may be.

Links of people who are gone must do nothing; every other answer the service gives is compared with what may be true.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace

from sqlalchemy import select

from pixel_service.domain.address import parse_address
from pixel_service.domain.consent import SERVICE, Purpose
from pixel_service.domain.messages import SubscriberId
from pixel_service.domain.signup import Profile
from pixel_service.domain.tokens import Link
from pixel_service.storage import texts
from pixel_service.storage.engine import Database
from pixel_service.storage.schema import address_changes, messages, sign_ups, subscribers
from pixel_service.usecases.confirm import Confirmed, ask_for_new_link, confirm
from pixel_service.usecases.content import Content
from pixel_service.usecases.erase import erase
from pixel_service.usecases.preferences import Save, read_link, save
from pixel_service.usecases.rectify import Changed, ask_new_address, confirm_new_address, correct_some
from pixel_service.usecases.rights import delete_my_opens, lift, object_to_marketing, restrict
from pixel_service.usecases.rights_requests import Asked
from pixel_service.usecases.sign_up import SignUp, sign_up
from pixel_service.usecases.withdraw import (
    Receipt,
    Source,
    read_stop_tracking,
    read_unsubscribe,
    withdraw,
    withdraw_all,
)
from tests.access import Clock
from tests.builders import BASE_URL, OPENS
from tests.journeys.machine import World
from tests.journeys.relay import Mail, Relay
from tests.journeys.rights_model import People, Person

BY_LETTER = Asked(source=Source.OPERATOR, note="letter 17")
ON_PAGE = Asked(source=Source.PRIVACY_PAGE)
#: Subject of what a pipeline sends as service mail.
SERVICE_SUBJECT = "Ihr Auftrag"


class WatchfulRelay(Relay):
    """Knows more reasons why a mail must not come."""

    def __init__(self, world: "RightsWorld", clock: Clock) -> None:
        super().__init__(world.people, clock)
        self.world = world

    def _look_at(self, mail: Mail) -> None:
        super()._look_at(mail)
        person = self.world.people.at(mail.address)
        if mail.subject == SERVICE_SUBJECT and (person is None or person.restricted):
            self.violations.append("a pipeline's service mail went to somebody restricted or gone")
        for token in mail.links.get("c", []):
            if not self.world.people.may_be_asked(self.world.sign_up_of(token)):
                self.violations.append("somebody restricted, gone or objecting was asked for consent")


class RightsWorld(World):
    def __init__(self, db: Database) -> None:
        super().__init__(db)
        self.people = People()
        self.relay = WatchfulRelay(self, self.clock)
        policy = replace(self.ctx.policy, new_addresses_per_day=20)
        self.ctx = replace(self.ctx, transport=self.relay, policy=policy)

    async def start(self) -> None:
        async with self.db.write() as connection:
            await texts.publish(connection, self.ctx.catalogue, at=self.clock())

    # --- asking and agreeing ----------------------------------------------------------------------------------

    async def sign_up(self, address: str, purposes: Collection[Purpose]) -> None:
        received = await sign_up(
            self.ctx,
            SignUp(
                address=parse_address(address),
                language="de",
                choices=self._choices(purposes),
                profile=Profile(),
                form_url=f"{BASE_URL}/newsletter/blog",
                notice_version=self.ctx.catalogue.notice_version,
            ),
        )
        person = await self._whose(received.sign_up_id)
        self.people.add(person, address)
        self.people.asks(received.sign_up_id, person, own_wish=False)

    async def _whose(self, sign_up_id: str) -> str:
        async with self.db.read() as connection:
            query = select(sign_ups.c.subscriber_id).where(sign_ups.c.sign_up_id == sign_up_id)
            return str((await connection.execute(query)).scalar_one())

    async def confirm(self, mail: Mail, ticked: Collection[Purpose]) -> None:
        token = mail.links["c"][0]
        outcome = await confirm(self.ctx, token, ticked)
        if not isinstance(outcome, Confirmed):
            return
        sign_up_id = self.sign_up_of(token)
        person = self.people.known[self.people.questions[sign_up_id].person]
        refused = set(outcome.refused) & person.agreed
        self.people.confirms(sign_up_id, outcome.accepted, self.clock())
        if refused:
            self.people.withdraws(person, refused, ())

    async def ask_for_new_link(self, mail: Mail) -> None:
        token = mail.links["c"][0]
        before = await self._sign_ups()
        await ask_for_new_link(self.ctx, token)
        for one in await self._sign_ups() - before:
            old = self.people.questions[self.sign_up_of(token)]
            self.people.asks(one, old.person, own_wish=old.own_wish)

    # --- leaving ----------------------------------------------------------------------------------------------

    def _told(self, subscriber_id: str, answer: object) -> Person | None:
        """Who is gone gets no answer, and only who is gone."""
        assert (answer is None) == (subscriber_id not in self.people.present)
        return None if answer is None else self.people.known[subscriber_id]

    def _withdrawn(self, subscriber_id: str, purposes: Collection[str], receipt: Receipt | None) -> None:
        person = self._told(subscriber_id, receipt)
        if person is not None and receipt is not None:
            self.people.withdraws(person, purposes, receipt.withdrawn)

    async def stop_tracking(self, mail: Mail) -> None:
        subscriber_id = read_stop_tracking(self.ctx, mail.links["t"][0])
        assert subscriber_id is not None
        receipt = await withdraw(self.ctx, subscriber_id, {OPENS}, Source.STOP_TRACKING_PAGE)
        self._withdrawn(subscriber_id, {OPENS}, receipt)

    async def unsubscribe(self, mail: Mail, source: Source) -> None:
        subject = read_unsubscribe(self.ctx, mail.links["u"][0])
        assert subject is not None
        receipt = await withdraw(self.ctx, subject.subscriber_id, {subject.purpose}, source)
        self._withdrawn(subject.subscriber_id, {subject.purpose}, receipt)

    async def stop_all(self, mail: Mail) -> None:
        subscriber_id = read_link(self.ctx, mail.links["p"][0])
        assert subscriber_id is not None
        await self._withdraw_all(subscriber_id, Source.PREFERENCES_PAGE)

    async def withdraw(self, address: str) -> None:
        """On one's own page, everything."""
        person = await self.id_at(address)
        if person is not None:
            await self._withdraw_all(person, Source.PRIVACY_PAGE)

    async def _withdraw_all(self, subscriber_id: SubscriberId, source: Source) -> None:
        receipt = await withdraw_all(self.ctx, subscriber_id, source)
        agreed = self.people.known[subscriber_id].agreed if subscriber_id in self.people.present else ()
        self._withdrawn(subscriber_id, {*agreed, OPENS}, receipt)

    async def save_preferences(self, mail: Mail, shown: Collection[Purpose], wanted: Collection[Purpose]) -> None:
        subscriber_id = read_link(self.ctx, mail.links["p"][0])
        assert subscriber_id is not None
        before = await self._sign_ups()
        saved = await save(
            self.ctx,
            Save(
                subscriber_id=subscriber_id,
                shown=shown,
                wanted=self._choices(wanted),
                language="de",
                form_url=f"{BASE_URL}/p",
            ),
        )
        person = self._told(subscriber_id, saved)
        if person is None or saved is None:
            return
        if not person.restricted:
            # A restricted person's page shows nothing as ticked, so nothing is unticked.
            ended = saved.receipt.withdrawn if saved.receipt else ()
            self.people.withdraws(person, {one for one in shown if one in person.agreed and one not in wanted}, ended)
        for one in await self._sign_ups() - before:
            self.people.asks(one, subscriber_id, own_wish=True)

    # --- rights -----------------------------------------------------------------------------------------------

    async def id_at(self, address: str) -> SubscriberId | None:
        """As a colleague finds them. Never somebody the model does not know there."""
        async with self.db.read() as connection:
            query = select(subscribers.c.subscriber_id).where(subscribers.c.address == address)
            found = (await connection.execute(query)).scalar_one_or_none()
        assert (found is None) == (self.people.at(address) is None)
        return None if found is None else SubscriberId(found)

    async def restrict(self, address: str) -> None:
        person = await self.id_at(address)
        if person is not None:
            assert await restrict(self.ctx, person, BY_LETTER) is not None
            self.people.restricts(self.people.known[person], self.clock())

    async def lift(self, address: str) -> None:
        person = await self.id_at(address)
        if person is not None:
            assert await lift(self.ctx, person, ON_PAGE) is not None
            self.people.lifts(self.people.known[person], self.clock())

    async def object(self, address: str) -> None:
        person = await self.id_at(address)
        if person is not None:
            assert await object_to_marketing(self.ctx, person, ON_PAGE) is not None
            self.people.objects(self.people.known[person])

    async def delete_opens(self, address: str) -> None:
        """The recorder commits within a quarter of a second, long before anybody presses the next button."""
        await self.flush()
        person = await self.id_at(address)
        if person is not None:
            assert await delete_my_opens(self.ctx, person, ON_PAGE) is not None
            self.people.known[person].opens_deleted_at = self.clock()

    async def correct(self, address: str, name: str) -> None:
        person = await self.id_at(address)
        if person is not None:
            self.people.said.add(name)
            self.people.known[person].words.add(name)
            assert await correct_some(self.ctx, person, {"last_name": name}, BY_LETTER) is not None

    async def erase(self, address: str) -> None:
        person = await self.id_at(address)
        if person is None:
            return
        async with self.db.read() as connection:
            query = select(messages.c.message_id).where(messages.c.subscriber_id == person)
            theirs = (await connection.execute(query)).scalars().all()
        assert await erase(self.ctx, person, BY_LETTER) is not None
        self.people.erases(person, theirs)

    # --- what a pipeline sends ---------------------------------------------------------------------------------

    async def send(self, purpose: Purpose, content: Content, to: Sequence[str] | None, campaign: str) -> None:
        """Service mail may go to people who were not on record before, and they are then."""
        await super().send(purpose, content, to, campaign)
        self.people.said.update(to or ())
        if purpose == SERVICE:
            for person, address in (await self.on_record()).items():
                if person not in self.people.present and address in (to or ()):
                    self.people.add(person, address)

    async def on_record(self) -> dict[str, str]:
        """id -> address"""
        async with self.db.read() as connection:
            rows = await connection.execute(select(subscribers.c.subscriber_id, subscribers.c.address))
            return {row.subscriber_id: row.address for row in rows}

    # --- a new address ----------------------------------------------------------------------------------------

    async def ask_new_address(self, address: str, new: str) -> None:
        person = await self.id_at(address)
        if person is None or address == new:
            return
        self.people.said.add(new)
        self.people.known[person].words.add(new)
        assert await ask_new_address(self.ctx, person, parse_address(new), ON_PAGE)

    async def confirm_new_address(self, mail: Mail) -> None:
        """Pressed by whoever reads that mailbox."""
        token = mail.links["a"][0]
        read = self.ctx.tokens.read(Link.NEW_ADDRESS, token, now=self.clock())
        assert read is not None
        found = await confirm_new_address(self.ctx, token)
        if not isinstance(found, Changed):
            return
        async with self.db.read() as connection:
            query = select(address_changes.c.subscriber_id).where(address_changes.c.change_id == read.subject)
            person = (await connection.execute(query)).scalar_one()
        assert person in self.people.present
        self.people.moves(self.people.known[person], mail.address)

    # --- opens ------------------------------------------------------------------------------------------------

    async def flush(self) -> None:
        self.recorder.start()
        await self.recorder.stop()
        assert self.recorder.waiting == 0
        self.recorder, self.waiting = self._recorder(), []
