"""A whitepaper by its personal link. The link serves only while the request behind it stands, and for a limited time.

Nothing is recorded about a download: the link differs per person, and measuring it would need a consent of its own.
"""

from dataclasses import dataclass
from datetime import timedelta

from pixel_service.domain.consent import is_valid, whitepaper
from pixel_service.domain.tokens import Link
from pixel_service.domain.wordings import Whitepaper
from pixel_service.storage import consent, messages
from pixel_service.storage.dialect import lock_ledger
from pixel_service.storage.engine import Connection
from pixel_service.usecases import service_mails
from pixel_service.usecases.context import Context
from pixel_service.usecases.links import DownloadSubject, read_download_subject

#: At most one such mail per person in this time, however often the button is pressed.
_MAIL_AGAIN_AFTER = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    slug: str
    title: str
    language: str
    #: The PDF.
    content: bytes


@dataclass(frozen=True, slots=True)
class Expired:
    """Genuine but late; the person may ask for a new link."""

    language: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """Forged, garbled, of another purpose, withdrawn, erased or no longer offered: all the same to the outside."""


async def look_up(ctx: Context, token: str) -> Ready | Expired | Unknown:
    """Changes nothing (S8)."""
    read = ctx.tokens.read(Link.DOWNLOAD, token, now=ctx.clock())
    subject = read_download_subject(read.subject) if read else None
    offer = ctx.catalogue.whitepapers.get(subject.slug) if subject else None
    if read is None or subject is None or offer is None:
        return Unknown()
    async with ctx.db.read() as connection:
        if not await _stands(connection, subject):
            return Unknown()
    return Expired(subject.language) if read.expired else _ready(ctx, offer, subject.language)


async def request_download_again(ctx: Context, token: str) -> None:
    """The button of an expired page. Says nothing about what it found."""
    read = ctx.tokens.read(Link.DOWNLOAD, token, now=ctx.clock())
    if read is None or not read.expired:
        return
    subject = read_download_subject(read.subject)
    since = ctx.clock() - _MAIL_AGAIN_AFTER
    async with ctx.db.write() as connection:
        # Two presses at once count as one, and no withdrawal comes in between.
        await lock_ledger(connection)
        if not await _stands(connection, subject):
            return
        person = subject.subscriber_id
        if not await messages.queued_since(connection, person, template="whitepaper", since=since):
            mail = service_mails.whitepaper(ctx, person, subject.language, subject.slug)
            await messages.enqueue(connection, [mail])


async def _stands(connection: Connection, subject: DownloadSubject) -> bool:
    on_record = await consent.consents_of(connection, subject.subscriber_id)
    record = on_record.get(whitepaper(subject.slug))
    return record is not None and is_valid(record.state)


def _ready(ctx: Context, offer: Whitepaper, wanted: str) -> Ready:
    language = ctx.catalogue.language(wanted)
    return Ready(slug=offer.slug, title=offer.titles[language], language=language, content=offer.files[language])
