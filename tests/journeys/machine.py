"""The service under a state machine: real use cases on a real database, a relay that can do everything relays do, and
people who only know the mails they got. Beside it the model of tests/journeys/consent_model.py is told the same story.
"""

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import select
from starlette.types import Message

from pixel_service.domain.address import parse_address
from pixel_service.domain.consent import Purpose, newsletter
from pixel_service.domain.sends import RecipientAsked
from pixel_service.domain.signup import Choice, Profile
from pixel_service.domain.tokens import Link
from pixel_service.domain.wordings import Catalogue
from pixel_service.storage import subscribers
from pixel_service.storage.engine import Database
from pixel_service.storage.schema import messages, sign_ups
from pixel_service.usecases.confirm import Confirmed, ask_for_new_link, confirm
from pixel_service.usecases.content import Content
from pixel_service.usecases.deliver import Desk, deliver_batch
from pixel_service.usecases.erase import erase
from pixel_service.usecases.preferences import Save, read_link, save
from pixel_service.usecases.record_opens import Recorder, RecorderLimits
from pixel_service.usecases.rights_requests import Asked
from pixel_service.usecases.send import SendCommand, expand_audience, send
from pixel_service.usecases.sign_up import SignUp, sign_up
from pixel_service.usecases.withdraw import Source, read_stop_tracking, read_unsubscribe, withdraw, withdraw_all
from pixel_service.web.pixel import GIF, PixelEndpoint
from tests.access import Clock
from tests.builders import BASE_URL, BLOG, GLASFASER, OPENS, catalogue, context
from tests.journeys.consent_model import RECORDING_WINDOW, Model, Open
from tests.journeys.relay import Mail, Relay, WorkerDied

PEOPLE = ("anna@example.com", "bo@example.org", "carla@example.net")
#: A second newsletter, so that one can end while tracking goes on.
NETZ = newsletter("netz")
PURPOSES = (BLOG, NETZ, GLASFASER, OPENS)
LEASE = timedelta(minutes=5)


def two_newsletters() -> Catalogue:
    sample = catalogue()
    texts = {
        (NETZ, version, language): replace(wording, purpose=NETZ)
        for (purpose, version, language), wording in sample.wordings.items()
        if purpose == BLOG
    }
    return replace(
        sample,
        newsletters={**sample.newsletters, "netz": replace(sample.newsletters["blog"], slug="netz")},
        wordings={**sample.wordings, **texts},
        current_versions={**sample.current_versions, NETZ: sample.current_versions[BLOG]},
    )


class World:
    """What people, pipelines, relays and clocks can do to the service."""

    def __init__(self, db: Database) -> None:
        self.db, self.model, self.clock = db, Model(), Clock()
        self.relay = Relay(self.model, self.clock)
        made = replace(context(db, self.clock), catalogue=two_newsletters(), transport=self.relay)
        self.ctx = replace(
            made,
            policy=replace(made.policy, lease=LEASE, confirmation_mails_per_day=20, confirmation_mails_per_offer=20),
        )
        self.desk = _desk()
        self.counted: list[str] = []
        self.recorder = self._recorder()
        self.waiting: list[tuple[Mail, datetime]] = []
        self.sends = 0
        #: Id of an erased person -> the name under which the model remembers them.
        self.ghosts: dict[str, str] = {}
        self.numbers = itertools.count(1)

    # --- forms ------------------------------------------------------------------------------------------------

    async def sign_up(self, address: str, purposes: Collection[Purpose]) -> None:
        before = await self._sign_ups()
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
        asked = self.model.asks(address, purposes, self.clock(), by_mailed_link=False)
        (new,) = await self._sign_ups() - before
        self.model.request(new, address, asked, received.confirm_before)

    async def join(self, address: str, purposes: Collection[Purpose]) -> None:
        """What most people do: sign up, get the mail, agree to everything."""
        await self.sign_up(address, purposes)
        await self.deliver()
        mine = [mail for mail in self.mails_with("c") if mail.address == address]
        if mine:
            await self.confirm(mine[-1], purposes)

    def _choices(self, purposes: Collection[Purpose]) -> tuple[Choice, ...]:
        current = self.ctx.catalogue.current_versions
        return tuple(Choice(purpose=one, wording_version=current[one]) for one in sorted(purposes))

    async def _sign_ups(self) -> set[str]:
        async with self.db.read() as connection:
            return set((await connection.execute(select(sign_ups.c.sign_up_id))).scalars())

    # --- links ------------------------------------------------------------------------------------------------

    def mails_with(self, kind: str) -> list[Mail]:
        return [mail for mail in self.relay.taken if kind in mail.links]

    def sign_up_of(self, token: str) -> str:
        """Which request a link is about; only names it, decides nothing."""
        read = self.ctx.tokens.read(Link.CONFIRM, token, now=self.clock())
        assert read is not None
        return read.subject

    async def confirm(self, mail: Mail, ticked: Collection[Purpose]) -> None:
        token = mail.links["c"][0]
        outcome = await confirm(self.ctx, token, ticked)
        agreed = self.model.confirms(self.sign_up_of(token), ticked, self.clock())
        accepted = outcome.accepted if isinstance(outcome, Confirmed) else ()
        assert set(accepted) == (agreed or set()), f"{outcome} but {agreed}"

    async def ask_for_new_link(self, mail: Mail) -> None:
        token = mail.links["c"][0]
        old = self.model.requests[self.sign_up_of(token)]
        expected = self.model.still_open(self.sign_up_of(token), self.clock())
        before = await self._sign_ups()
        await ask_for_new_link(self.ctx, token)
        new = await self._sign_ups() - before
        assert len(new) <= bool(expected)
        for one in new:
            self.model.asks_again(one, old.address, expected, self.clock() + self.ctx.policy.confirm_within)

    async def stop_tracking(self, mail: Mail) -> None:
        subscriber_id = read_stop_tracking(self.ctx, mail.links["t"][0])
        assert subscriber_id is not None
        receipt = await withdraw(self.ctx, subscriber_id, {OPENS}, Source.STOP_TRACKING_PAGE)
        if self._lives(subscriber_id, receipt):
            self.model.withdraws(mail.address, {OPENS}, self.clock())

    def _lives(self, subscriber_id: str, answer: object) -> bool:
        """The links of an erased person do nothing, and only theirs."""
        assert (answer is None) == (subscriber_id in self.ghosts)
        return answer is not None

    async def unsubscribe(self, mail: Mail, source: Source) -> None:
        subject = read_unsubscribe(self.ctx, mail.links["u"][0])
        assert subject is not None
        assert subject.purpose == mail.purpose
        receipt = await withdraw(self.ctx, subject.subscriber_id, {subject.purpose}, source)
        if self._lives(subject.subscriber_id, receipt):
            self.model.withdraws(mail.address, {subject.purpose}, self.clock())

    async def save_preferences(self, mail: Mail, shown: Collection[Purpose], wanted: Collection[Purpose]) -> None:
        subscriber_id = read_link(self.ctx, mail.links["p"][0])
        assert subscriber_id is not None
        before = await self._sign_ups()
        command = Save(
            subscriber_id=subscriber_id,
            shown=shown,
            wanted=self._choices(wanted),
            language="de",
            form_url=f"{BASE_URL}/p",
        )
        new_choices = {one for one in wanted if not self.model.agrees(mail.address, one)}
        ending = {one for one in shown if self.model.agrees(mail.address, one) and one not in wanted}
        if not self._lives(subscriber_id, await save(self.ctx, command)):
            return
        if ending:
            self.model.withdraws(mail.address, ending, self.clock())
        if new_choices:
            asked = self.model.asks(mail.address, new_choices, self.clock(), by_mailed_link=True)
            (new,) = await self._sign_ups() - before
            self.model.request(new, mail.address, asked, self.clock() + self.ctx.policy.confirm_within)

    async def stop_all(self, mail: Mail) -> None:
        subscriber_id = read_link(self.ctx, mail.links["p"][0])
        assert subscriber_id is not None
        receipt = await withdraw_all(self.ctx, subscriber_id, Source.PREFERENCES_PAGE)
        if self._lives(subscriber_id, receipt):
            self.model.withdraws(mail.address, {*self.model.on_record(mail.address), OPENS}, self.clock())

    # --- erasure ----------------------------------------------------------------------------------------------

    async def erase(self, address: str) -> None:
        """By letter, whether the person is on record or not."""
        async with self.db.read() as connection:
            known = await subscribers.find(connection, [parse_address(address).key])
            if not known:
                return
            (person,) = (one.subscriber_id for one in known.values())
            rows = await connection.execute(select(messages).where(messages.c.subscriber_id == person))
            status = {row.message_id: row.status for row in rows}
        sent = [self.sign_up_of(one.links["c"][0]) for one in self.mails_with("c") if status.get(one.message) == "sent"]
        assert await erase(self.ctx, person, Asked(source=Source.OPERATOR)) is not None
        self.ghosts[person] = f"{address} who was {person}"
        self.model.erases(address, self.ghosts[person], sent, status)

    # --- sending ----------------------------------------------------------------------------------------------

    async def send(self, purpose: Purpose, content: Content, to: Sequence[str] | None, campaign: str) -> None:
        """`to` None: everybody who agreed. What a pipeline may not do is refused and changes nothing."""
        self.sends += 1
        recipients = None if to is None else tuple(_recipient(one) for one in to)
        command = SendCommand(
            campaign=campaign,
            purpose=purpose,
            content=content,
            recipients=recipients,
            api_key_id="pipeline",
            idempotency_key=f"key {self.sends}",
            body_hash=f"body {self.sends}",
        )
        await send(self.ctx, command)

    async def send_to_everybody(self, purpose: Purpose, content: Content, campaign: str | None = None) -> None:
        await self.send(purpose, content, None, campaign or f"mailing {self.sends} {purpose}")
        await self.expand()

    async def mail_that_is_opened(
        self, purpose: Purpose, content: Content, user_agent: str, *, campaign: str | None = None
    ) -> None:
        before = len(self.relay.taken)
        await self.send_to_everybody(purpose, content, campaign)
        await self.deliver()
        for mail in self.relay.taken[before:]:
            if "o" in mail.links:
                await self.open(mail, user_agent)
        await self.flush()

    async def expand(self) -> int:
        return await expand_audience(self.ctx)

    async def deliver(
        self, plan: Sequence[str] = (), meanwhile: Callable[[], Awaitable[None]] | None = None, *, early: bool = False
    ) -> None:
        """Until nothing is due, or the worker dies. One mail after the other, so that the story has one order."""
        self.relay.plan, self.relay.meanwhile, self.relay.early = list(plan), meanwhile, early
        try:
            while await self._batch(self.desk):
                pass
        except WorkerDied:
            self.desk = _desk()
        finally:
            self.relay.plan, self.relay.meanwhile = [], None

    async def _batch(self, desk: Desk) -> int:
        before, self.relay.died = self.relay.worker, False
        self.relay.worker = asyncio.create_task(deliver_batch(self.ctx, desk))
        try:
            return await self.relay.worker
        except asyncio.CancelledError:
            if not self.relay.died:
                raise
            raise WorkerDied from None
        finally:
            self.relay.worker = before

    async def another_worker(self) -> None:
        """Comes by when the lease of the first has run out."""
        self.clock.move(LEASE + timedelta(seconds=1))
        with contextlib.suppress(WorkerDied):
            await self._batch(_desk())

    # --- pixels -----------------------------------------------------------------------------------------------

    def _recorder(self) -> Recorder:
        limits = RecorderLimits(deadline=timedelta(milliseconds=1), first_retry=timedelta(milliseconds=1))
        return Recorder(self.db, count=lambda reason, number: self.counted.extend([reason] * number), limits=limits)

    async def get_pixel(self, token: str, user_agent: str) -> None:
        """Into the buffer of the recorder; `flush` commits it."""
        endpoint = PixelEndpoint(self.ctx.tokens, self.recorder, self.clock, lambda _: self._event_id())
        sent: list[Message] = []

        async def receive() -> Message:
            raise AssertionError("a GET has no body")

        async def keep(message: Message) -> None:
            sent.append(message)

        headers = [(b"user-agent", user_agent.encode())]
        await endpoint({"type": "http", "method": "GET", "path": f"/o/{token}", "headers": headers}, receive, keep)
        assert [one.get("status", one.get("body")) for one in sent] == [200, GIF]

    def _event_id(self) -> bytes:
        return next(self.numbers).to_bytes(16, "big")

    async def open(self, mail: Mail, user_agent: str) -> None:
        await self.get_pixel(mail.links["o"][0], user_agent)
        self.waiting.append((mail, self.clock()))

    async def flush(self) -> None:
        """The commit that carries what is waiting."""
        self.recorder.start()
        await self.recorder.stop()
        assert self.recorder.waiting == 0
        self.recorder = self._recorder()
        sent = await self._sent()
        for mail, at in self.waiting:
            if mail.generation == self.model.erasures[mail.address] and self.model.agrees(mail.address, OPENS):
                # While a mail may still be tried again its pixel may change and its window grow: then both are right.
                in_time = at < mail.handed_over_at + RECORDING_WINDOW - 2 * LEASE
                self.model.opens_of(mail.address).append(
                    Open(mail.message, at, certain=in_time and mail.message in sent)
                )
        self.waiting.clear()

    async def _sent(self) -> set[str]:
        """Messages the service knows to be out."""
        async with self.db.read() as connection:
            rows = await connection.execute(select(messages.c.message_id).where(messages.c.status == "sent"))
            return set(rows.scalars())

    def recorder_crashes(self) -> None:
        self.recorder, self.waiting = self._recorder(), []


def _desk() -> Desk:
    return Desk(slots=asyncio.Semaphore(1))


def _recipient(address: str) -> RecipientAsked:
    return RecipientAsked(address=address, variables={"code": f"code of {address}"})
