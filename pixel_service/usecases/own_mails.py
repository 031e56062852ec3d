"""Contents of the service's own mails, made at hand-over from ids in the outbox: texts as they were agreed, fresh links."""

from datetime import datetime
from zoneinfo import ZoneInfo

from pixel_service.domain.consent import TRACKING_OPENS, Event, Purpose
from pixel_service.domain.messages import SignUpId
from pixel_service.domain.sends import JsonValue
from pixel_service.i18n import format_moment
from pixel_service.storage import consent, signups
from pixel_service.storage.consent import Happening
from pixel_service.storage.engine import Connection
from pixel_service.storage.messages import Claimed, Result
from pixel_service.usecases import links
from pixel_service.usecases.content import Content
from pixel_service.usecases.context import Context
from pixel_service.usecases.personal import message_id


async def content(ctx: Context, connection: Connection, claimed: Claimed) -> Content | None:
    """None when the occasion has passed."""
    variables: dict[str, JsonValue] | None
    match claimed.template:
        case "confirmation":
            variables = await _confirmation(ctx, connection, claimed)
        case "welcome":
            variables = _welcome(ctx, claimed)
        case "whitepaper":
            variables = _whitepaper(ctx, claimed)
        case "goodbye":
            variables = _goodbye(ctx, claimed)
        case _:
            variables = None
    if variables is None:
        return None
    return Content(subject=None, template=claimed.template, html=None, text=None, variables=variables)


async def _confirmation(ctx: Context, connection: Connection, claimed: Claimed) -> dict[str, JsonValue] | None:
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
    return {
        "choices": choices,
        "requested_at": _moment(ctx, pending.created_at, claimed.language),
        "expires_at": _moment(ctx, pending.expires_at, claimed.language),
        "confirm_url": links.confirm_url(ctx, pending.sign_up_id, pending.expires_at),
    }


def wording_text(ctx: Context, purpose: Purpose, version: str, language: str) -> str:
    """The text of that version as it was published."""
    wording = ctx.catalogue.wording(purpose, version, language)
    return wording.text if wording else ctx.catalogue.label(purpose, language)


def _welcome(ctx: Context, claimed: Claimed) -> dict[str, JsonValue]:
    confirmed = [Purpose(str(purpose)) for purpose in _list(claimed, "confirmed")]
    return {
        "confirmed": [ctx.catalogue.label(purpose, claimed.language) for purpose in confirmed],
        "tracked_opens": TRACKING_OPENS in confirmed,
    }


def _whitepaper(ctx: Context, claimed: Claimed) -> dict[str, JsonValue] | None:
    offer = ctx.catalogue.whitepapers.get(str(claimed.variables["slug"]))
    if offer is None:
        return None
    expires_at = ctx.clock() + ctx.policy.download_within
    subject = links.DownloadSubject(claimed.subscriber_id, offer.slug, claimed.language)
    return {
        "title": ctx.catalogue.label(offer.purpose, claimed.language),
        "download_url": links.download_url(ctx, subject, expires_at),
        "expires_at": _moment(ctx, expires_at, claimed.language),
    }


def _goodbye(ctx: Context, claimed: Claimed) -> dict[str, JsonValue]:
    withdrawn = [Purpose(str(purpose)) for purpose in _list(claimed, "withdrawn")]
    return {
        "withdrawn": [ctx.catalogue.label(purpose, claimed.language) for purpose in withdrawn],
        "at": _moment(ctx, datetime.fromisoformat(str(claimed.variables["at"])), claimed.language),
        "opens": int(str(claimed.variables["opens"])),
        "pixels": int(str(claimed.variables["pixels"])),
    }


def _list(claimed: Claimed, name: str) -> list[object]:
    value = claimed.variables[name]
    return value if isinstance(value, list) else []


def _moment(ctx: Context, at: datetime, language: str) -> str:
    return format_moment(at, language, ZoneInfo(ctx.policy.timezone))


async def record_confirmation_sent(ctx: Context, connection: Connection, claimed: Claimed, result: Result) -> None:
    """The relay took the mail that asks: evidence per purpose asked (E1). The caller holds `lock_ledger`."""
    pending = await signups.get(connection, SignUpId(str(claimed.variables["sign_up_id"])))
    if pending is None or result.sent_at is None:
        return
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
                    "relay_reply": result.reply,
                },
                salt=ctx.ids(),
            ),
        )
