"""The composition root: settings become a database, a transport, tokens, a recorder, and one ASGI application.

The only module that hands out the clock and chance; everything below takes them as arguments.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from starlette.types import ASGIApp

from pixel_service.catalogue import load_catalogue, packaged_catalogue
from pixel_service.domain.tokens import Tokens, encode_id
from pixel_service.domain.wordings import Catalogue, Company
from pixel_service.i18n import Catalogues, packaged_locales
from pixel_service.mail.compose import Composer, Sender
from pixel_service.mail.deliverability import believe, takes_mail
from pixel_service.mail.smtp import SmtpRelay, SmtpTransport
from pixel_service.mail.templates import MailTemplates, find_templates_folder
from pixel_service.observability import Metrics
from pixel_service.settings import Settings
from pixel_service.storage.engine import Database
from pixel_service.storage.migrations import migrate
from pixel_service.storage.texts import publish
from pixel_service.usecases.context import Context, Policy
from pixel_service.usecases.record_opens import Recorder
from pixel_service.web.logo import prepare_logo
from pixel_service.web.pages import Pages
from pixel_service.web.pixel import PixelEndpoint
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
        download_within=timedelta(days=settings.download_within_days),
        ask_again_after=timedelta(days=settings.ask_again_after_days),
        recording_window=timedelta(days=settings.recording_window_days),
        strip_foreign_pixels=settings.strip_foreign_pixels,
        lease=timedelta(seconds=settings.lease_seconds),
        slowest_hand_over=timedelta(seconds=3 * settings.smtp_timeout_seconds),
        smtp_connections=settings.smtp_connections,
        mails_per_minute=settings.smtp_mails_per_minute,
    )


def catalogue_of(settings: Settings) -> Catalogue:
    return load_catalogue(settings.catalogue_dir or packaged_catalogue(), company_of(settings))


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
    """Everything a use case needs. Migrates, and refuses to start over a published text that was changed in place."""
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
    )
    try:
        await migrate(ctx.db)
        async with ctx.db.write() as connection:
            await publish(connection, ctx.catalogue, at=now())
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


@asynccontextmanager
async def open_service(settings: Settings) -> AsyncIterator[Service]:
    """The context with recorder and web application; leaving it stores every open that was taken."""
    metrics = Metrics()
    async with open_context(settings) as ctx:
        recorder = Recorder(ctx.db, count=lambda outcome, number: metrics.count_open(outcome.value, number))
        recorder.start()
        try:
            yield Service(ctx=ctx, web=_web(settings, ctx, recorder, metrics), metrics=metrics)
        finally:
            await recorder.stop()


def _web(settings: Settings, ctx: Context, recorder: Recorder, metrics: Metrics) -> ASGIApp:
    logo = prepare_logo(settings.logo_file) if settings.logo_file else None
    logo_href = f"{urlsplit(settings.base_url).path}/static/logo.png" if logo else None
    pages = Pages(ctx.catalogues, ctx.company, settings.base_url, settings.zone, logo_href=logo_href)
    pixel = PixelEndpoint(ctx.tokens, recorder, now, new_event_id, honour_gpc=settings.honour_gpc)
    return build_web(WebState(ctx=ctx, pages=pages, settings=settings, logo=logo, metrics=metrics.render, pixel=pixel))
