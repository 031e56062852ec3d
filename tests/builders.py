"""Plain functions that build what tests work with. Real: database, catalogue, texts, templates, tokens, use cases, routes.
Faked: the clock, the ids, and the relay, which takes every mail and keeps it.
"""

import asyncio
import itertools
import json
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache

from httpx import ASGITransport, AsyncClient
from sqlalchemy import select
from starlette.types import Receive, Scope, Send

from pixel_service.catalogue import load_catalogue, packaged_catalogue
from pixel_service.domain.address import parse_address
from pixel_service.domain.consent import TRACKING_OPENS, Act, Purpose, State, newsletter, whitepaper
from pixel_service.domain.messages import SignUpId, Status, SubscriberId
from pixel_service.domain.signup import Choice, PendingSignUp, Profile
from pixel_service.domain.tokens import Tokens
from pixel_service.domain.wordings import Catalogue
from pixel_service.i18n import Catalogues, packaged_locales
from pixel_service.mail.compose import Composer, Sender
from pixel_service.mail.deliverability import believe
from pixel_service.mail.templates import MailTemplates, find_templates_folder
from pixel_service.mail.transport import Accepted, Envelope, Outcome
from pixel_service.observability import Metrics
from pixel_service.settings import Settings
from pixel_service.storage import consent, signups, subscribers
from pixel_service.storage.engine import Database
from pixel_service.storage.schema import ledger, messages, metadata, sign_ups
from pixel_service.usecases.confirm import Confirmed, confirm
from pixel_service.usecases.context import Context, Policy
from pixel_service.usecases.deliver import Desk, deliver_batch
from pixel_service.usecases.links import confirm_url
from pixel_service.usecases.sign_up import SignUp, sign_up
from pixel_service.web.pages import Pages
from tests.access import Clock
from tests.company import nordlicht, terms
from tests.journeys.people import BROWSER

BASE_URL = "https://news.example"
KEY = b"a-key-of-the-tests--32-bytes-or-more"

BLOG = newsletter("blog")
GLASFASER = whitepaper("glasfaser")
OPENS = TRACKING_OPENS


# --- the outside world --------------------------------------------------------


def numbered_ids() -> Callable[[], str]:
    """Ids that sort in the order they were made, letters only: digits stand before letters in some collations."""
    return lambda: _lettered(next(_numbers))


_numbers = itertools.count(1)


def _lettered(number: int) -> str:
    letters = []
    for _ in range(25):
        number, rest = divmod(number, 26)
        letters.append(string.ascii_lowercase[rest])
    # The 26th character carries three bits of the 128: zero.
    return "".join(reversed(letters)) + "a"


@dataclass(slots=True)
class Relay:
    """Takes every mail, or answers what `answers` says for the next ones."""

    taken: list[Envelope] = field(default_factory=list)
    answers: list[Outcome] = field(default_factory=list)

    async def send(self, envelope: Envelope) -> Outcome:
        answer = self.answers.pop(0) if self.answers else Accepted("250 2.0.0 taken")
        if isinstance(answer, Accepted):
            self.taken.append(envelope)
        return answer

    async def close(self) -> None:
        return


# --- a context ---------------------------------------------------------------


@cache
def catalogues() -> Catalogues:
    return Catalogues(packaged_locales())


@cache
def catalogue() -> Catalogue:
    """The sample that ships with the service."""
    return load_catalogue(packaged_catalogue(), nordlicht(), terms())


@cache
def composer() -> Composer:
    templates = MailTemplates(find_templates_folder(), catalogues().translations, nordlicht())
    sender = Sender(from_name="Nordlicht Telekom", from_address="newsletter@nordlicht-telekom.example")
    return Composer(templates, sender, base_url=BASE_URL)


def policy(base_url: str = BASE_URL) -> Policy:
    return Policy(
        base_url=base_url,
        mail_domain="news.example",
        unsubscribe_address="stop@news.example",
        sign_up_takes=timedelta(0),
    )


def context(db: Database, clock: Clock | None = None, relay: Relay | None = None) -> Context:
    """Everything real but clock, ids and relay. `dataclasses.replace` changes the rest."""
    return Context(
        db=db,
        tokens=Tokens([KEY]),
        catalogue=catalogue(),
        company=nordlicht(),
        catalogues=catalogues(),
        composer=composer(),
        transport=relay or Relay(),
        policy=policy(),
        takes_mail=believe,
        clock=clock or Clock(),
        ids=numbered_ids(),
    )


def with_new_texts(ctx: Context, *purposes: Purpose) -> Context:
    """As after a restart with a newer version of these purposes' texts."""
    known = ctx.catalogue
    newer = {
        (purpose, "2099-01", language): replace(
            known.current(purpose, language), version="2099-01", text="Ein neuer Text.\n\nMit Absatz.", hash="0" * 64
        )
        for purpose in purposes
        for language in known.languages
    }
    current = {**known.current_versions, **dict.fromkeys(purposes, "2099-01")}
    changed = replace(known, wordings={**known.wordings, **newer}, current_versions=current)
    return replace(ctx, catalogue=changed)


# --- a web application ----------------------------------------------------------


def settings(**changes: str) -> Settings:
    company = nordlicht()
    values: dict[str, object] = {
        "base_url": BASE_URL,
        "secret_keys": KEY.decode(),
        "unsubscribe_address": "stop@news.example",
        "mail_domain": "news.example",
        "from_name": "Nordlicht Telekom",
        "from_address": "newsletter@nordlicht-telekom.example",
        **{f"company_{name}": getattr(company, name) for name in company.__slots__},
    }
    return Settings.model_validate(values | changes)


async def no_pixel(scope: Scope, receive: Receive, send: Send) -> None:
    """Stands where the pixel endpoint would; says that it was asked."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-pixel", b"asked")]})
    await send({"type": "http.response.body", "body": b""})


def web(
    ctx: Context, *, logo: bytes | None = None, metrics: Metrics | None = None, known: Settings | None = None
) -> AsyncClient:
    """A browser without cookies, that says no more than its name, in front of the whole application."""
    from pixel_service.web.routes import WebState, build_web

    known = known or settings()
    pages = Pages(ctx.catalogues, ctx.company, ctx.policy.base_url, known.zone)
    state = WebState(ctx=ctx, pages=pages, settings=known, logo=logo, metrics=metrics or Metrics(), pixel=no_pixel)
    return AsyncClient(transport=ASGITransport(build_web(state)), base_url=ctx.policy.base_url, headers=BROWSER)


# --- people ------------------------------------------------------------------


async def ask(ctx: Context, address: str, *purposes: Purpose, language: str = "de", **details: str) -> SubscriberId:
    """Somebody fills in a form with the current texts; returns whose address it is."""
    typed = parse_address(address)
    choices = tuple(
        Choice(purpose=one, wording_version=ctx.catalogue.current(one, language).version) for one in purposes
    )
    await sign_up(
        ctx,
        SignUp(
            address=typed,
            language=language,
            choices=choices,
            profile=Profile(**details),
            form_url=f"{BASE_URL}/newsletter/blog",
            notice_version=ctx.catalogue.notice_version,
        ),
    )
    return await person_of(ctx, address)


async def person_of(ctx: Context, address: str) -> SubscriberId:
    async with ctx.db.read() as connection:
        found = await subscribers.find(connection, [parse_address(address).key])
    (known,) = found.values()
    return known.subscriber_id


async def last_sign_up(ctx: Context, subscriber_id: SubscriberId) -> PendingSignUp:
    async with ctx.db.read() as connection:
        query = (
            select(sign_ups.c.sign_up_id)
            .where(sign_ups.c.subscriber_id == subscriber_id)
            .order_by(sign_ups.c.created_at.desc(), sign_ups.c.sign_up_id.desc())
        )
        sign_up_id = (await connection.execute(query)).scalars().first()
        found = await signups.get(connection, SignUpId(str(sign_up_id)))
    assert found is not None
    return found


async def confirm_link(ctx: Context, subscriber_id: SubscriberId) -> str:
    """The link in the person's latest confirmation mail."""
    pending = await last_sign_up(ctx, subscriber_id)
    return confirm_url(ctx, pending.sign_up_id, pending.expires_at)


async def join(ctx: Context, address: str, *purposes: Purpose, language: str = "de", **details: str) -> SubscriberId:
    """Sign up and confirm everything."""
    subscriber_id = await ask(ctx, address, *purposes, language=language, **details)
    link = await confirm_link(ctx, subscriber_id)
    assert isinstance(await confirm(ctx, link.rpartition("/")[2], purposes), Confirmed)
    return subscriber_id


async def deliver(ctx: Context) -> None:
    """Hand over everything that is due."""
    desk = Desk(slots=asyncio.Semaphore(4))
    while await deliver_batch(ctx, desk):
        pass


async def queued(ctx: Context) -> list[str]:
    """The templates of the mails that wait, oldest first."""
    async with ctx.db.read() as connection:
        query = (
            select(messages.c.template).where(messages.c.status == Status.QUEUED.value).order_by(messages.c.message_id)
        )
        return [str(template) for template in (await connection.execute(query)).scalars()]


async def ledger_of(ctx: Context, subscriber_id: SubscriberId) -> list[tuple[Purpose, Act, dict[str, object]]]:
    """What the ledger holds of one person: purpose, act, content."""
    async with ctx.db.read() as connection:
        rows = await connection.execute(
            select(ledger).where(ledger.c.subscriber_id == subscriber_id).order_by(ledger.c.seq)
        )
        return [(Purpose(row.purpose), Act(row.act), json.loads(row.content)) for row in rows]


async def states_of(ctx: Context, subscriber_id: SubscriberId) -> dict[Purpose, State]:
    async with ctx.db.read() as connection:
        on_record = await consent.consents_of(connection, subscriber_id)
    return {purpose: record.state for purpose, record in on_record.items()}


# --- the whole database -------------------------------------------------------


async def dump(db: Database) -> dict[str, Sequence[str]]:
    """Every row of every table, to compare before and after."""
    async with db.read() as connection:
        return {
            name: sorted([repr(tuple(row)) for row in await connection.execute(select(table))])
            for name, table in metadata.tables.items()
        }
