"""`pixel-service receive`: a mail server's pipe hands over one mail on standard input (W6, D9).

The exit code is all a mail server reads: 0, the mail is handled and can be forgotten; 75 (EX_TEMPFAIL of sysexits.h), keep
it and try again. There is no other: whatever went wrong here is no reason to send the mail back to who wrote it.
"""

import sys
from types import TracebackType
from typing import Annotated

import typer

from pixel_service.cli.running import checked_settings, in_context

EX_TEMPFAIL = 75
_CHUNK = 64 * 1024


def receive(
    sender: Annotated[
        str | None, typer.Option(help="The envelope's sender; empty for a bounce. Without it, Return-Path is read.")
    ] = None,
    recipient: Annotated[
        list[str] | None, typer.Option(help="An envelope's recipient; may be repeated. The headers are read too.")
    ] = None,
) -> None:
    """Read one mail from standard input and do what it asks for. Exit code 0: handled; 75: deliver it again later."""
    with _TryAgainLater():
        from pixel_service.observability import configure_logging
        from pixel_service.usecases.receive_mail import Incoming, receive as receive_mail

        settings = checked_settings()
        configure_logging(level=settings.log_level, json=settings.log_format == "json")
        incoming = Incoming(raw=_read(), envelope_from=sender, envelope_to=tuple(recipient or ()))
        received = in_context(lambda ctx: receive_mail(ctx, incoming))
    typer.echo(received.outcome.value)


def _read() -> bytes:
    """As much as is ever looked at. The rest is read too and dropped, or the mail server would see a broken pipe."""
    from pixel_service.mail.parse import MAX_READ

    raw = sys.stdin.buffer.read(MAX_READ)
    while sys.stdin.buffer.read(_CHUNK):
        pass
    return raw


class _TryAgainLater:
    """Everything that leaves it early, wrong settings and interrupts included, becomes exit code 75."""

    def __enter__(self) -> None:
        return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            return
        # The kind only: an error's text may quote the mail, and mail servers log what they read here.
        typer.echo(f"The mail was not handled ({kind.__name__}), deliver it again.", err=True)
        raise typer.Exit(EX_TEMPFAIL) from None
