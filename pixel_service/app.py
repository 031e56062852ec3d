"""The composition root: settings become a database, a transport, tokens, a recorder, and one ASGI application.

The only module that hands out the clock and chance; everything below takes them as arguments.
"""

import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from starlette.types import ASGIApp

from pixel_service.catalogue import load_catalogue, packaged_catalogue
from pixel_service.domain.canaries import Report
from pixel_service.domain.notice import Span, Terms, Unit
from pixel_service.domain.retention import Periods
from pixel_service.domain.tokens import Tokens, encode_id
from pixel_service.domain.wordings import Catalogue, Company
from pixel_service.i18n import Catalogues, packaged_locales
from pixel_service.mail.compose import Composer, Sender
from pixel_service.mail.deliverability import believe, takes_mail
from pixel_service.mail.lmtp import LmtpServer
from pixel_service.mail.smtp import SmtpRelay, SmtpTransport
from pixel_service.mail.templates import MailTemplates, find_templates_folder
from pixel_service.observability import Metrics
from pixel_service.settings import Settings
from pixel_service.storage.engine import Database
from pixel_service.storage.journal import Journal
from pixel_service.storage.migrations import migrate
from pixel_service.storage.restoring import refuse_unfinished
from pixel_service.storage.texts import publish
from pixel_service.usecases import journal
from pixel_service.usecases.canaries import run_canaries
from pixel_service.usecases.canary import LoadImage
from pixel_service.usecases.context import Context, Policy
from pixel_service.usecases.links import MY_DATA_REQUEST
from pixel_service.usecases.receive_mail import Incoming, receive
from pixel_service.usecases.record_opens import Recorder, RecorderLimits
from pixel_service.web.logo import prepare_logo
from pixel_service.web.pages import Pages
from pixel_service.web.pixel import PixelEndpoint, look_at
from pixel_service.web.routes import WebState, build_web


def now() -> datetime:
    return datetime.now(UTC)


def new_id() -> str:
    return encode_id(os.urandom(16))


def new_event_id(at: datetime) -> bytes:
    """16 bytes that grow with time: milliseconds since the epoch, then chance."""
    return int(at.timestamp() * 1000).to_bytes(6, "big") + os.urandom(10)


def company_of(settings: Settings) -> Company:
    return Company(
        **{
            name.removeprefix("company_"): getattr(settings, name)
            for name in type(settings).model_fields
            if name.startswith("company_")
        }
    )


def policy_of(settings: Settings) -> Policy:
    return Policy(
        base_url=settings.base_url,
        mail_domain=settings.mail_domain,
        unsubscribe_address=settings.unsubscribe_address,
        default_language=settings.default_language,
        timezone=settings.timezone,
        confirm_within=timedelta(days=settings.confirm_within_days),
        confirmation_mails_per_day=settings.confirmation_mails_per_day,
        confirmation_mails_per_offer=settings.confirmation_mails_per_offer,
        unconfirmed_for=timedelta(days=settings.erase_unconfirmed_after_days),
        reminder_after=timedelta(days=settings.reminder_after_days),
        step_up=settings.step_up,
        step_up_within=timedelta(seconds=settings.step_up_within_seconds),
        download_within=timedelta(days=settings.download_within_days),
        ask_again_after=timedelta(days=settings.ask_again_after_days),
        recording_window=timedelta(days=settings.recording_window_days),
        scrub_every=timedelta(minutes=settings.scrub_every_minutes),
        keep=periods_of(settings),
        keep_journal=timedelta(days=settings.keep_journal_days),
        strip_foreign_pixels=settings.strip_foreign_pixels,
        data_locations=settings.data_locations,
        lease=timedelta(seconds=settings.lease_seconds),
        slowest_hand_over=timedelta(seconds=3 * settings.smtp_timeout_seconds),
        smtp_connections=settings.smtp_connections,
        mails_per_minute=settings.smtp_mails_per_minute,
    )


def periods_of(settings: Settings) -> Periods:
    return Periods(
        opens=timedelta(days=settings.keep_opens_days),
        delivery=timedelta(days=settings.keep_delivery_days),
        unused_consent=timedelta(days=settings.keep_unused_consent_days),
        strangers=timedelta(days=settings.keep_strangers_days),
        audit=timedelta(days=settings.keep_audit_days),
        webhooks=timedelta(days=settings.keep_webhooks_days),
        requests=timedelta(days=settings.keep_requests_days),
        evidence_years=settings.keep_evidence_years,
        timezone=settings.timezone,
    )


def terms_of(settings: Settings) -> Terms:
    """What the privacy notice tells of the settings."""
    return Terms(
        unsubscribe_address=settings.unsubscribe_address,
        data_locations=", ".join(settings.data_locations),
        rights_url=f"{settings.base_url}{MY_DATA_REQUEST}",
        confirm_within=Span(settings.confirm_within_days, Unit.DAYS),
        erase_unconfirmed_after=Span(settings.erase_unconfirmed_after_days, Unit.DAYS),
        download_within=Span(settings.download_within_days, Unit.DAYS),
        ask_again_after=Span(settings.ask_again_after_days, Unit.DAYS),
        recording_window=Span(settings.recording_window_days, Unit.DAYS),
        keep_opens=Span(settings.keep_opens_days, Unit.DAYS),
        keep_delivery=Span(settings.keep_delivery_days, Unit.DAYS),
        keep_unused_consent=Span(settings.keep_unused_consent_days, Unit.DAYS),
        keep_evidence=Span(settings.keep_evidence_years, Unit.YEARS),
        keep_strangers=Span(settings.keep_strangers_days, Unit.DAYS),
        keep_audit=Span(settings.keep_audit_days, Unit.DAYS),
        keep_webhooks=Span(settings.keep_webhooks_days, Unit.DAYS),
        keep_requests=Span(settings.keep_requests_days, Unit.DAYS),
        keep_journal=Span(settings.keep_journal_days, Unit.DAYS),
    )


def catalogue_of(settings: Settings) -> Catalogue:
    return load_catalogue(settings.catalogue_dir or packaged_catalogue(), company_of(settings), terms_of(settings))


def _composer(settings: Settings, catalogues: Catalogues) -> Composer:
    templates = MailTemplates(find_templates_folder(), catalogues.translations, company_of(settings))
    sender = Sender(from_name=settings.from_name, from_address=settings.from_address, reply_to=settings.reply_to)
    logo_url = f"{settings.base_url}/static/logo.png" if settings.logo_file else None
    return Composer(templates, sender, base_url=settings.base_url, logo_url=logo_url)


def _transport(settings: Settings) -> SmtpTransport:
    password = settings.smtp_password
    return SmtpTransport(
        SmtpRelay(
            host=settings.smtp_host,
            port=settings.smtp_port,
            security=settings.smtp_security,
            username=settings.smtp_username,
            password=password.get_secret_value() if password else None,
            pool_size=settings.smtp_connections,
            timeout=timedelta(seconds=settings.smtp_timeout_seconds),
        )
    )


@asynccontextmanager
async def open_context(settings: Settings) -> AsyncIterator[Context]:
    """Everything a use case needs. Migrates, and refuses to start over a published text that was changed in place, over
    a restore that was not finished, and beside another journal than the one the database knows."""
    async with _wired(settings) as ctx:
        await refuse_unfinished(ctx.db)
        await migrate(ctx.db)
        await journal.bind(ctx)
        async with ctx.db.write() as connection:
            await publish(connection, ctx.catalogue, at=now())
        yield ctx


@asynccontextmanager
async def open_for_repair(settings: Settings) -> AsyncIterator[Context]:
    """For a copy that is being restored, and for a database whose journal is lost."""
    async with _wired(settings) as ctx:
        await migrate(ctx.db)
        yield ctx


@asynccontextmanager
async def _wired(settings: Settings) -> AsyncIterator[Context]:
    catalogues = Catalogues(packaged_locales())
    ctx = Context(
        db=Database(settings.database_url.get_secret_value(), pool_size=settings.database_connections),
        tokens=Tokens(settings.keys),
        catalogue=catalogue_of(settings),
        company=company_of(settings),
        catalogues=catalogues,
        composer=_composer(settings, catalogues),
        transport=_transport(settings),
        policy=policy_of(settings),
        takes_mail=takes_mail if settings.check_mx else believe,
        clock=now,
        ids=new_id,
        journal=Journal(settings.journal_file) if settings.journal_file else None,
    )
    try:
        yield ctx
    finally:
        await ctx.transport.close()
        await ctx.db.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A running service: its context, its web application, and what is measured."""

    ctx: Context
    web: ASGIApp
    metrics: Metrics
    run_canaries: Callable[[], Awaitable[Report]]


@asynccontextmanager
async def open_service(settings: Settings) -> AsyncIterator[Service]:
    """The context with recorder and web application; leaving it stores every open that was taken."""
    metrics = Metrics()
    async with open_context(settings) as ctx, _recorders_database(settings, ctx.db) as db:
        recorder = Recorder(
            db,
            count=lambda outcome, number: metrics.count_open(outcome.value, number),
            chance=random.SystemRandom().random,
        )
        recorder.start()
        try:
            yield Service(
                ctx=ctx,
                web=_web(settings, ctx, recorder, metrics),
                metrics=metrics,
                run_canaries=lambda: run_canaries(ctx, image_loader(settings)),
            )
        finally:
            await recorder.stop()


@asynccontextmanager
async def _recorders_database(settings: Settings, shared: Database) -> AsyncIterator[Database]:
    """On PostgreSQL a connection of the recorder's own: sign-ups that wait for the ledger may hold all others. SQLite has one
    writer."""
    if shared.is_sqlite:
        yield shared
        return
    own = Database(settings.database_url.get_secret_value(), pool_size=1)
    try:
        yield own
    finally:
        await own.close()


def lmtp_server(settings: Settings, service: Service) -> LmtpServer:
    """Not started. What it takes ends in one use case and is counted by outcome."""

    async def take(raw: bytes, mail_from: str, rcpt_tos: tuple[str, ...]) -> None:
        received = await receive(service.ctx, Incoming(raw=raw, envelope_from=mail_from, envelope_to=rcpt_tos))
        service.metrics.count_received(received.outcome.value)

    return LmtpServer(take, settings.lmtp_host, settings.lmtp_port)


def _web(settings: Settings, ctx: Context, recorder: Recorder, metrics: Metrics) -> ASGIApp:
    logo = prepare_logo(settings.logo_file) if settings.logo_file else None
    logo_href = f"{urlsplit(settings.base_url).path}/static/logo.png" if logo else None
    pages = Pages(ctx.catalogues, ctx.company, settings.base_url, settings.zone, logo_href=logo_href)
    pixel = _pixel(settings, ctx, recorder)
    return build_web(WebState(ctx=ctx, pages=pages, settings=settings, logo=logo, metrics=metrics, pixel=pixel))


def _pixel(settings: Settings, ctx: Context, recorder: Recorder) -> PixelEndpoint:
    return PixelEndpoint(
        ctx.tokens,
        recorder,
        ctx.clock,
        new_event_id,
        honour_gpc=settings.honour_gpc,
        trusted_proxies=settings.trusted_proxies,
    )


#: A canary's image leaves when it is stored: nobody looks at the time, and others wait for the locks it holds.
_CANARY_LIMITS = RecorderLimits(
    beat=timedelta(milliseconds=1), deadline=timedelta(seconds=2), drain=timedelta(seconds=2)
)


def image_loader(settings: Settings) -> LoadImage:
    """The pixel's endpoint and recorder once more, as they are, over the canary's database; what they count is not counted."""

    async def load(ctx: Context, path: str) -> None:
        recorder = Recorder(ctx.db, count=lambda _outcome, _number: None, limits=_CANARY_LIMITS)
        recorder.start()
        try:
            await look_at(_pixel(settings, ctx, recorder), path)
        finally:
            await recorder.stop()

    return load
