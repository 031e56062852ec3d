"""The addresses that stand in mails. Built from the configured base URL, never from a request (X4)."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from pixel_service.domain.consent import Purpose
from pixel_service.domain.messages import PixelId, SignUpId, SubscriberId
from pixel_service.domain.rights import ChangeId
from pixel_service.domain.tokens import Link
from pixel_service.storage.subscribers import Subscriber
from pixel_service.usecases.context import Context

#: The page of one's own data; a token follows.
MY_DATA = "/privacy/me"
#: Where anybody asks for the link to it; stands in every mail, the same for everybody.
MY_DATA_REQUEST = "/privacy/request"


@dataclass(frozen=True, slots=True)
class DownloadSubject:
    """Whose download of what; the language picks the file."""

    subscriber_id: SubscriberId
    slug: str
    language: str

    def __str__(self) -> str:
        return f"{self.subscriber_id}/{self.slug}/{self.language}"


def read_download_subject(subject: str) -> DownloadSubject:
    subscriber_id, slug, language = subject.split("/")
    return DownloadSubject(SubscriberId(subscriber_id), slug, language)


def confirm_url(ctx: Context, sign_up_id: SignUpId, expires_at: datetime) -> str:
    return f"{ctx.policy.base_url}/c/{ctx.tokens.mint(Link.CONFIRM, sign_up_id, expires_at=expires_at)}"


def send_again_path(ctx: Context, sign_up_id: SignUpId, expires_at: datetime) -> str:
    """For the page after a form: whoever typed the address may ask for one more mail, and for nothing else."""
    return f"/c/{ctx.tokens.mint(Link.SEND_AGAIN, sign_up_id, expires_at=expires_at)}/resend"


def preferences_url(ctx: Context, subscriber_id: SubscriberId) -> str:
    return f"{ctx.policy.base_url}/p/{ctx.tokens.mint(Link.PREFERENCES, subscriber_id)}"


def unsubscribe_url(ctx: Context, subscriber_id: SubscriberId, purpose: Purpose) -> str:
    return f"{ctx.policy.base_url}/u/{ctx.tokens.mint(Link.UNSUBSCRIBE, f'{subscriber_id}/{purpose}')}"


def stop_tracking_url(ctx: Context, subscriber_id: SubscriberId) -> str:
    return f"{ctx.policy.base_url}/t/{ctx.tokens.mint(Link.STOP_TRACKING, subscriber_id)}"


def download_url(ctx: Context, subject: DownloadSubject, expires_at: datetime) -> str:
    return f"{ctx.policy.base_url}/d/{ctx.tokens.mint(Link.DOWNLOAD, str(subject), expires_at=expires_at)}"


def my_data_url(ctx: Context, person: Subscriber, expires_at: datetime) -> str:
    token = ctx.tokens.mint(Link.PRIVACY, my_data_subject(person), expires_at=expires_at)
    return f"{ctx.policy.base_url}{MY_DATA}/{token}"


def my_data_subject(person: Subscriber) -> str:
    """The person and the address the link was mailed to: once they have another one, it serves no longer."""
    return f"{person.subscriber_id}/{hashlib.sha256(person.address.casefold().encode()).hexdigest()[:32]}"


def new_address_url(ctx: Context, change_id: ChangeId, expires_at: datetime) -> str:
    return f"{ctx.policy.base_url}/a/{ctx.tokens.mint(Link.NEW_ADDRESS, change_id, expires_at=expires_at)}"


def pixel_url(ctx: Context, pixel_id: PixelId) -> str:
    return f"{ctx.policy.base_url}/o/{ctx.tokens.mint_pixel(pixel_id)}.gif"
