"""One canary: a made-up subscriber that does what people do (P10). Which states it is tried in is in canaries.py.

Its context is its own: a database in rehearsal, a nest instead of the relay, a clock long ago.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from pixel_service.domain.address import Address, parse_address
from pixel_service.domain.consent import TRACKING_OPENS, Purpose, State
from pixel_service.domain.messages import PixelId, SubscriberId
from pixel_service.domain.sends import RecipientAsked
from pixel_service.domain.signup import Choice, Profile
from pixel_service.domain.tokens import Link
from pixel_service.mail.deliverability import believe
from pixel_service.mail.read_back import all_texts
from pixel_service.mail.transport import Accepted, Envelope, Outcome, Withheld
from pixel_service.storage import canaries, consent, subscribers
from pixel_service.usecases.confirm import confirm
from pixel_service.usecases.content import Content
from pixel_service.usecases.context import Context
from pixel_service.usecases.deliver import Desk, deliver_batch
from pixel_service.usecases.links import pixel_url
from pixel_service.usecases.send import SendCommand, send
from pixel_service.usecases.sign_up import SignUp, sign_up

#: Asks the service's pixel endpoint over this context for a path, and returns once it is settled whether that is recorded.
LoadImage = Callable[[Context, str], Awaitable[None]]

#: Canaries live before everybody else: of what goes by when it is due, such as waiting mails, they meet only their own.
_THEN = datetime(2000, 1, 1, tzinfo=UTC)
#: Between two acts: longer than what counts as a repeat.
_STEP = timedelta(hours=1)
_CONTENT = Content(subject="Canary", template=None, html="<p>Canary</p>", text=None, variables={})


class Nest:
    """Where a canary's mails end instead of at the relay; asks for the last look at consent as the relay's client does."""

    def __init__(self) -> None:
        self.mails: list[bytes] = []

    async def send(self, envelope: Envelope) -> Outcome:
        if not await envelope.still_wanted():
            return Withheld()
        self.mails.append(envelope.data)
        return Accepted("250 taken")

    async def close(self) -> None:
        return


@dataclass(slots=True)
class Canary:
    ctx: Context
    load: LoadImage
    newsletter: Purpose
    address: Address
    nest: Nest = field(default_factory=Nest)
    now: datetime = _THEN
    #: Once it signed up.
    subscriber_id: SubscriberId = field(init=False)
    #: Of every pixel it got.
    paths: list[str] = field(default_factory=list)

    async def ask(self, *purposes: Purpose) -> str:
        """Fill in a form; returns the token of the link that confirms it."""
        catalogue, language = self.ctx.catalogue, self.ctx.policy.default_language
        versions = {one: catalogue.current(one, language).version for one in purposes}
        received = await sign_up(
            self.ctx,
            SignUp(
                address=self.address,
                language=language,
                choices=tuple(Choice(purpose=one, wording_version=version) for one, version in versions.items()),
                profile=Profile(),
                form_url=self.ctx.policy.base_url,
                notice_version=catalogue.notice_version,
            ),
        )
        async with self.ctx.db.read() as connection:
            known = await subscribers.find(connection, [self.address.key])
        self.subscriber_id = known[self.address.key].subscriber_id
        return self.ctx.tokens.mint(Link.CONFIRM, received.sign_up_id, expires_at=received.confirm_before)

    def wait(self) -> None:
        self.now += _STEP

    async def confirm(self, token: str, *ticked: Purpose) -> None:
        self.wait()
        await confirm(self.ctx, token, ticked)

    async def get_mail(self) -> int:
        """A mailing goes out, and whatever else waits for the canary; returns the pixels in it."""
        self.wait()
        await send(
            self.ctx,
            SendCommand(
                campaign=f"canary {self.ctx.ids()}",
                purpose=self.newsletter,
                content=_CONTENT,
                recipients=(RecipientAsked(address=self.address.normalised, variables={}),),
                api_key_id="canary",
                idempotency_key=self.ctx.ids(),
                body_hash="",
            ),
        )
        desk = Desk(slots=asyncio.Semaphore(1))
        while await deliver_batch(self.ctx, desk):
            pass
        place = re.escape(urlsplit(self.ctx.policy.base_url).path) + r"/o/[\w-]+\.gif"
        new = [path for mail in self.nest.mails for text in all_texts(mail) for path in re.findall(place, text)]
        self.nest.mails.clear()
        self.paths += new
        return len(new)

    async def load_images(self) -> canaries.Traces:
        """Every image it ever got; returns what that left in all."""
        self.wait()
        for path in self.paths:
            await self.load(self.ctx, path)
        return await self.traces()

    async def traces(self) -> canaries.Traces:
        async with self.ctx.db.read() as connection:
            return await canaries.traces_of(connection, self.subscriber_id)

    async def keep_pixels(self) -> None:
        """Pixels for its mails that should have none: whether consent stands is asked for once more when they are loaded."""
        async with self.ctx.db.write() as connection:
            for message_id in await canaries.unmapped_mails_of(connection, self.subscriber_id):
                pixel_id = PixelId(self.ctx.ids())
                await canaries.plant_pixel(connection, message_id, self.subscriber_id, pixel_id, self.now + 9 * _STEP)
                self.paths.append(urlsplit(pixel_url(self.ctx, pixel_id)).path)

    async def state(self) -> State:
        async with self.ctx.db.read() as connection:
            on_record = await consent.consents_of(connection, self.subscriber_id)
        return on_record[TRACKING_OPENS].state if TRACKING_OPENS in on_record else State.UNKNOWN


def hatch(ctx: Context, load: LoadImage, newsletter: Purpose) -> Canary:
    """A name that nobody else has, in a domain that nobody can have (RFC 2606)."""
    canary = Canary(ctx, load, newsletter, parse_address(f"{ctx.ids()}@canary.example"))
    canary.ctx = replace(
        ctx,
        transport=canary.nest,
        takes_mail=believe,
        clock=lambda: canary.now,
        policy=replace(ctx.policy, sign_up_takes=timedelta(), mails_per_minute=0),
    )
    return canary
