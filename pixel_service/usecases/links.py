"""The addresses that stand in mails. Built from the configured base URL, never from a request (X4)."""

from dataclasses import dataclass
from datetime import datetime

from pixel_service.domain.consent import Purpose
from pixel_service.domain.messages import PixelId, SignUpId, SubscriberId
from pixel_service.domain.tokens import Link
from pixel_service.usecases.context import Context


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


def pixel_url(ctx: Context, pixel_id: PixelId) -> str:
    return f"{ctx.policy.base_url}/o/{ctx.tokens.mint_pixel(pixel_id)}.gif"
