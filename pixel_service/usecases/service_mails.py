"""The service's own mails: each answers an act of the person, needs no consent and never carries a pixel (D2).

Only ids and choices are queued; texts and links are made when the mail is handed over, so no token rests in the outbox.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from pixel_service.domain.consent import SERVICE, Purpose
from pixel_service.domain.messages import MessageId, SubscriberId
from pixel_service.domain.rights import AddressChange
from pixel_service.domain.signup import PendingSignUp
from pixel_service.storage.messages import NewMessage
from pixel_service.usecases.context import Context

#: Not for a pipeline: they say what only the service knows.
TEMPLATES = frozenset({"confirmation", "welcome", "whitepaper", "goodbye", "my_data", "new_address", "address_asked"})


def confirmation(ctx: Context, pending: PendingSignUp) -> NewMessage:
    return _mail(ctx, "confirmation", pending.subscriber_id, pending.language, {"sign_up_id": pending.sign_up_id})


def welcome(ctx: Context, pending: PendingSignUp, confirmed: Sequence[Purpose]) -> NewMessage:
    return _mail(ctx, "welcome", pending.subscriber_id, pending.language, {"confirmed": list(confirmed)})


def whitepaper(ctx: Context, subscriber_id: SubscriberId, language: str, slug: str) -> NewMessage:
    return _mail(ctx, "whitepaper", subscriber_id, language, {"slug": slug})


def goodbye(ctx: Context, subscriber_id: SubscriberId, language: str, receipt: Mapping[str, object]) -> NewMessage:
    return _mail(ctx, "goodbye", subscriber_id, language, receipt)


def my_data(ctx: Context, subscriber_id: SubscriberId, language: str) -> NewMessage:
    return _mail(ctx, "my_data", subscriber_id, language, {"asked_at": ctx.clock().isoformat()})


def new_address(ctx: Context, change: AddressChange, language: str) -> NewMessage:
    """To the new address."""
    return _mail(ctx, "new_address", change.subscriber_id, language, {"change_id": change.change_id})


def address_asked(ctx: Context, change: AddressChange, language: str) -> NewMessage:
    """To the one it is to replace."""
    return _mail(ctx, "address_asked", change.subscriber_id, language, {"change_id": change.change_id})


def _mail(
    ctx: Context, template: str, subscriber_id: SubscriberId, language: str, variables: Mapping[str, object]
) -> NewMessage:
    now: datetime = ctx.clock()
    return NewMessage(
        message_id=MessageId(ctx.ids()),
        subscriber_id=subscriber_id,
        purpose=SERVICE,
        language=language,
        variables=variables,
        queued_at=now,
        template=template,
    )
