"""The personal part of a mail: greeting, links, headers, pixel. Everything else is the same for every recipient."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from pixel_service.domain.consent import SERVICE, kind_of, slug_of
from pixel_service.domain.messages import PixelId
from pixel_service.domain.signup import Profile
from pixel_service.mail.compose import Prepared, Recipient
from pixel_service.mail.transport import Envelope
from pixel_service.storage.messages import Claimed
from pixel_service.storage.subscribers import Subscriber
from pixel_service.usecases import links
from pixel_service.usecases.context import Context


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One mail for one person. `pixel_id` only under valid tracking consent; without it no stop-measuring link either."""

    claimed: Claimed
    person: Subscriber
    pixel_id: PixelId | None
    #: The link one of our own mails is about, by its name in the template.
    links: Mapping[str, str]


def envelope(ctx: Context, letter: Letter, variant: Prepared) -> Envelope:
    """The finished mail."""
    claimed, person = letter.claimed, letter.person
    recipient = Recipient(
        address=person.address,
        display_name=f"{person.profile.first_name} {person.profile.last_name}".strip() or None,
        variables=_variables(ctx, letter),
        pixel_url=links.pixel_url(ctx, letter.pixel_id) if letter.pixel_id else None,
        message_id=message_id(ctx, claimed),
        sent_at=ctx.clock(),
        headers=_headers(ctx, claimed),
    )
    return Envelope(
        mail_from=f"bounce-{claimed.message_id}@{ctx.policy.mail_domain}",
        rcpt_to=person.address,
        data=variant.compose(recipient),
    )


def message_id(ctx: Context, claimed: Claimed) -> str:
    """Without angle brackets; the same for every try, so that a repeat is seen as one (D8)."""
    return f"{claimed.message_id}@{ctx.policy.mail_domain}"


def _variables(ctx: Context, letter: Letter) -> dict[str, str]:
    claimed, person = letter.claimed, letter.person
    values = {
        "greeting": greeting(ctx, claimed.language, person.profile),
        "salutation": person.profile.salutation,
        "first_name": person.profile.first_name,
        "last_name": person.profile.last_name,
        "company_name": person.profile.company,
        "preferences_url": links.preferences_url(ctx, person.subscriber_id),
        **letter.links,
    }
    if claimed.purpose != SERVICE:
        values["unsubscribe_url"] = links.unsubscribe_url(ctx, person.subscriber_id, claimed.purpose)
    if letter.pixel_id is not None:
        values["stop_tracking_url"] = links.stop_tracking_url(ctx, person.subscriber_id)
    if claimed.send_id is not None:
        values |= {name: str(value) for name, value in claimed.variables.items()}
    return values


def greeting(ctx: Context, language: str, profile: Profile) -> str:
    """Complete, without the comma: "Guten Tag Frau Meier", "Hello Anna Meier", "Hello"."""
    translate = ctx.catalogues.translations(language).gettext
    if profile.last_name and profile.salutation == "ms":
        return translate("Dear Ms %(name)s") % {"name": profile.last_name}
    if profile.last_name and profile.salutation == "mr":
        return translate("Dear Mr %(name)s") % {"name": profile.last_name}
    name = f"{profile.first_name} {profile.last_name}".strip()
    return translate("Hello %(name)s") % {"name": name} if name else translate("Hello")


def _headers(ctx: Context, claimed: Claimed) -> Mapping[str, str]:
    policy = ctx.policy
    if claimed.purpose == SERVICE:
        return {"Auto-Submitted": "auto-generated"} if claimed.template else {}
    unsubscribe = links.unsubscribe_url(ctx, claimed.subscriber_id, claimed.purpose)
    token = unsubscribe.rpartition("/")[2]
    return {
        "List-Unsubscribe": f"<{unsubscribe}>, <mailto:{policy.unsubscribe_address}?subject={quote(token)}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        "List-Id": f"<{slug_of(claimed.purpose)}.{kind_of(claimed.purpose)}.{policy.mail_domain}>",
        "Feedback-ID": f"{claimed.campaign_id}:{slug_of(claimed.purpose)}:{policy.mail_domain}",
    }
