"""Contents of the service's own mails, made at hand-over from ids in the outbox: texts as they were agreed, fresh links."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from pixel_service.domain.consent import TRACKING_OPENS, Event, Purpose, is_valid, kind_of
from pixel_service.domain.evidence import SentMail
from pixel_service.domain.messages import SignUpId
from pixel_service.domain.rights import ChangeId
from pixel_service.domain.sends import JsonValue
from pixel_service.i18n import format_moment
from pixel_service.storage import address_changes, consent, evidence, signups, subscribers
from pixel_service.storage.consent import Happening
from pixel_service.storage.engine import Connection
from pixel_service.storage.messages import Claimed, Result
from pixel_service.usecases import links
from pixel_service.usecases.content import Content
from pixel_service.usecases.context import Context
from pixel_service.usecases.personal import message_id


@dataclass(frozen=True, slots=True)
class Writing:
    """What a mail says."""

    content: Content
    #: The link the mail is about, by its name in the template.
    links: Mapping[str, str]
    #: Where it goes, if not to the address on record.
    address: str | None = None


async def write(ctx: Context, connection: Connection, claimed: Claimed) -> Writing | None:
    """None when the occasion has passed."""
    if claimed.template == "goodbye":
        return _goodbye(ctx, claimed)
    writer = _WRITERS.get(claimed.template or "")
    return await writer(ctx, connection, claimed) if writer else None


def _own(claimed: Claimed, variables: Mapping[str, JsonValue], **links_: str) -> Writing:
    content = Content(subject=None, template=claimed.template, html=None, text=None, variables=variables)
    return Writing(content, links_)


async def _confirmation(ctx: Context, connection: Connection, claimed: Claimed) -> Writing | None:
    """The exact wordings asked for, one link, its expiry (S7)."""
    pending = await signups.get(connection, SignUpId(str(claimed.variables["sign_up_id"])))
    if pending is None or not pending.waiting() or pending.expires_at <= ctx.clock():
        return None
    choices: list[JsonValue] = [
        {
            "label": ctx.catalogue.label(asked.purpose, claimed.language),
            "text": wording_text(ctx, asked.purpose, asked.wording_version, claimed.language),
        }
        for asked in pending.waiting()
    ]
    variables: dict[str, JsonValue] = {
        "choices": choices,
        "requested_at": _moment(ctx, pending.created_at, claimed.language),
        "expires_at": _moment(ctx, pending.expires_at, claimed.language),
        "code": ctx.tokens.code(pending.sign_up_id) if ctx.policy.step_up else "",
    }
    return _own(claimed, variables, confirm_url=links.confirm_url(ctx, pending.sign_up_id, pending.expires_at))


def wording_text(ctx: Context, purpose: Purpose, version: str, language: str) -> str:
    """The text of that version as it was published."""
    wording = ctx.catalogue.wording(purpose, version, language)
    return wording.text if wording else ctx.catalogue.label(purpose, language)


async def _welcome(ctx: Context, connection: Connection, claimed: Claimed) -> Writing | None:
    """Says what was confirmed and still stands; nobody is welcomed to what they have left."""
    standing = await _standing(connection, claimed)
    confirmed = [purpose for name in _list(claimed, "confirmed") if (purpose := Purpose(str(name))) in standing]
    if not any(kind_of(purpose) == "newsletter" for purpose in confirmed):
        return None
    labels: list[JsonValue] = [ctx.catalogue.label(purpose, claimed.language) for purpose in confirmed]
    return _own(claimed, {"confirmed": labels, "tracked_opens": TRACKING_OPENS in confirmed})


async def _standing(connection: Connection, claimed: Claimed) -> set[Purpose]:
    on_record = await consent.consents_of(connection, claimed.subscriber_id)
    return {purpose for purpose, record in on_record.items() if is_valid(record.state)}


async def _whitepaper(ctx: Context, connection: Connection, claimed: Claimed) -> Writing | None:
    """The link serves only while the request behind it stands; one that would lead nowhere is not sent."""
    offer = ctx.catalogue.whitepapers.get(str(claimed.variables["slug"]))
    if offer is None or offer.purpose not in await _standing(connection, claimed):
        return None
    expires_at = ctx.clock() + ctx.policy.download_within
    subject = links.DownloadSubject(claimed.subscriber_id, offer.slug, claimed.language)
    variables: dict[str, JsonValue] = {
        "title": ctx.catalogue.label(offer.purpose, claimed.language),
        "expires_at": _moment(ctx, expires_at, claimed.language),
    }
    return _own(claimed, variables, download_url=links.download_url(ctx, subject, expires_at))


def _goodbye(ctx: Context, claimed: Claimed) -> Writing:
    withdrawn = [Purpose(str(purpose)) for purpose in _list(claimed, "withdrawn")]
    variables: dict[str, JsonValue] = {
        "withdrawn": [ctx.catalogue.label(purpose, claimed.language) for purpose in withdrawn],
        "at": _moment(ctx, datetime.fromisoformat(str(claimed.variables["at"])), claimed.language),
        "opens": int(str(claimed.variables["opens"])),
        "pixels": int(str(claimed.variables["pixels"])),
    }
    return _own(claimed, variables)


async def _my_data(ctx: Context, connection: Connection, claimed: Claimed) -> Writing | None:
    person = await subscribers.get(connection, claimed.subscriber_id)
    if person is None:
        return None
    expires_at = ctx.clock() + ctx.policy.privacy_link_within
    variables: dict[str, JsonValue] = {
        "asked_at": _moment(ctx, datetime.fromisoformat(str(claimed.variables["asked_at"])), claimed.language),
        "expires_at": _moment(ctx, expires_at, claimed.language),
    }
    return _own(claimed, variables, my_data_url=links.my_data_url(ctx, person, expires_at))


async def _new_address(ctx: Context, connection: Connection, claimed: Claimed) -> Writing | None:
    """To the address that was typed, which may be a stranger's: one link, and nothing of the person who typed it."""
    change = await address_changes.get(connection, ChangeId(str(claimed.variables["change_id"])))
    if change is None or not change.is_waiting(ctx.clock()):
        return None
    variables: dict[str, JsonValue] = {
        "asked_at": _moment(ctx, change.asked_at, claimed.language),
        "expires_at": _moment(ctx, change.expires_at, claimed.language),
    }
    link = links.new_address_url(ctx, change.change_id, change.expires_at)
    return replace(_own(claimed, variables, confirm_url=link), address=change.address)


async def _address_asked(ctx: Context, connection: Connection, claimed: Claimed) -> Writing | None:
    """To the address on record when it was asked for, also if the new one was confirmed meanwhile."""
    change = await address_changes.get(connection, ChangeId(str(claimed.variables["change_id"])))
    if change is None:
        return None
    variables: dict[str, JsonValue] = {"asked_at": _moment(ctx, change.asked_at, claimed.language)}
    return replace(_own(claimed, variables), address=change.previous_address)


#: By template; the goodbye says what it was told and asks nobody.
_WRITERS: Mapping[str, Callable[[Context, Connection, Claimed], Awaitable[Writing | None]]] = {
    "confirmation": _confirmation,
    "welcome": _welcome,
    "whitepaper": _whitepaper,
    "my_data": _my_data,
    "new_address": _new_address,
    "address_asked": _address_asked,
}


def _list(claimed: Claimed, name: str) -> list[object]:
    value = claimed.variables[name]
    return value if isinstance(value, list) else []


def _moment(ctx: Context, at: datetime, language: str) -> str:
    return format_moment(at, language, ZoneInfo(ctx.policy.timezone))


async def record_confirmation_sent(
    ctx: Context, connection: Connection, claimed: Claimed, result: Result, data: bytes
) -> None:
    """The relay took the mail that asks: it is kept as it was sent, and named by an entry per purpose asked, with its
    hash (E1, E4). The caller holds `lock_ledger`."""
    pending = await signups.get(connection, SignUpId(str(claimed.variables["sign_up_id"])))
    if pending is None or result.sent_at is None:
        return
    await signups.mark_accepted(connection, pending.sign_up_id, at=result.sent_at)
    mail = SentMail(
        message_id=claimed.message_id,
        sign_up_id=pending.sign_up_id,
        subscriber_id=claimed.subscriber_id,
        sent_at=result.sent_at,
        relay_reply=result.reply,
        data=data,
    )
    await evidence.keep_mail(connection, mail)
    for asked in pending.asked:
        await consent.record(
            connection,
            Happening(
                subscriber_id=claimed.subscriber_id,
                purpose=asked.purpose,
                event=Event.CONFIRMATION_SENT,
                at=result.sent_at,
                content={
                    "sign_up": pending.sign_up_id,
                    "message_id": f"<{message_id(ctx, claimed)}>",
                    "mail_hash": mail.hash,
                    "relay_reply": result.reply,
                },
                salt=ctx.ids(),
            ),
        )
