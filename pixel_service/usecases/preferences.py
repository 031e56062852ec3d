"""The preference page: see every choice, end any at once, ask for more by the same double opt-in as everybody.

The page is reached by a link that may sit in a forwarded mail: it can take consent away, never give it.
"""

from collections.abc import Collection
from dataclasses import dataclass

from pixel_service.domain.address import parse_address
from pixel_service.domain.consent import TRACKING_OPENS, Purpose, is_valid
from pixel_service.domain.messages import SubscriberId
from pixel_service.domain.signup import Choice, Profile
from pixel_service.domain.tokens import Link
from pixel_service.storage import consent, signups, subscribers
from pixel_service.storage.consent import Consent
from pixel_service.storage.subscribers import Subscriber
from pixel_service.usecases.context import Context
from pixel_service.usecases.sign_up import SignUp, sign_up
from pixel_service.usecases.withdraw import Receipt, Source, withdraw


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    person: Subscriber
    #: What to show: everything on offer that recurs, and everything ever recorded.
    shown: tuple[Purpose, ...]
    on_record: dict[Purpose, Consent]
    #: Asked by mail and not answered yet.
    waiting: set[Purpose]

    def active(self, purpose: Purpose) -> bool:
        record = self.on_record.get(purpose)
        return record is not None and is_valid(record.state)


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """`receipt` of what ended; `asked` waits for a confirmation mail."""

    receipt: Receipt | None
    asked: tuple[Purpose, ...]


def read_link(ctx: Context, token: str) -> SubscriberId | None:
    read = ctx.tokens.read(Link.PREFERENCES, token, now=ctx.clock())
    return SubscriberId(read.subject) if read else None


async def view(ctx: Context, subscriber_id: SubscriberId) -> Preferences | None:
    """None for a person who is no longer known."""
    async with ctx.db.read() as connection:
        person = await subscribers.get(connection, subscriber_id)
        if person is None:
            return None
        on_record = await consent.consents_of(connection, subscriber_id)
        waiting = await signups.waiting_purposes(connection, subscriber_id, now=ctx.clock())
    offered = [one.purpose for one in ctx.catalogue.newsletters.values()]
    recorded = [purpose for purpose in on_record if purpose not in (*offered, TRACKING_OPENS)]
    return Preferences(
        person=person, shown=(*offered, *sorted(recorded), TRACKING_OPENS), on_record=on_record, waiting=waiting
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Save:
    """`shown` bounds the change: what the page did not show is left alone (S15)."""

    subscriber_id: SubscriberId
    shown: Collection[Purpose]
    wanted: tuple[Choice, ...]
    language: str
    form_url: str


async def save(ctx: Context, command: Save) -> Saved | None:
    """End what was unticked, at once; ask by mail for what was newly ticked. None for an unknown person."""
    before = await view(ctx, command.subscriber_id)
    if before is None:
        return None
    wanted = {choice.purpose for choice in command.wanted}
    ending = {purpose for purpose in command.shown if before.active(purpose) and purpose not in wanted}
    receipt = None
    if ending:
        receipt = await withdraw(ctx, command.subscriber_id, ending, Source.PREFERENCES_PAGE)
    new: tuple[Choice, ...] = ()
    if before.person.restricted_at is None:
        # Nobody is told to look for a mail that will not come.
        new = tuple(choice for choice in command.wanted if not before.active(choice.purpose))
    if new:
        await sign_up(ctx, _request(ctx, command, before.person, new))
    return Saved(receipt=receipt, asked=tuple(choice.purpose for choice in new))


def _request(ctx: Context, command: Save, person: Subscriber, new: tuple[Choice, ...]) -> SignUp:
    return SignUp(
        address=parse_address(person.address),
        language=command.language,
        choices=new,
        profile=Profile(),
        form_url=command.form_url,
        notice_version=ctx.catalogue.notice_version,
        by_mailed_link=True,
    )
