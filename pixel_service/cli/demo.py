"""`pixel-service demo`: the service as it is, with a sample company, a local inbox, and the story to walk through.

Everything lives in a temporary folder and is gone with Ctrl-C. The same service without the toys is `pixel-service serve`.
"""

import asyncio
from contextlib import suppress
from typing import Annotated

import typer

from pixel_service.cli.running import exit_on_error

Port = Annotated[int, typer.Option(min=1, max=65535, help="Port of the service; another free one if taken.")]
InboxPort = Annotated[int, typer.Option(min=1, max=65535, help="Port of the inbox; another free one if taken.")]


def demo(port: Port = 8000, inbox_port: InboxPort = 8025) -> None:
    """Start the service with a sample company and a local inbox, and print the story to walk through."""
    from pixel_service.cli.walkthrough import walk_through

    # Ctrl-C while it still starts: nothing to finish, the temporary folder goes all the same.
    with exit_on_error(), suppress(KeyboardInterrupt):
        asyncio.run(walk_through(port=port, inbox_port=inbox_port))
    typer.echo("\nStopped. Everything the demo stored is gone.")
