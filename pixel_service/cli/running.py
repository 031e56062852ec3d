"""How a command that needs the database runs: settings, a context for the time of one coroutine, errors in one line."""

import asyncio
import getpass
import os
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, TypeVar

import typer

from pixel_service.domain.errors import PixelServiceError
from pixel_service.domain.rights import NO_ADDRESS, names_address

if TYPE_CHECKING:
    from pixel_service.settings import Settings
    from pixel_service.usecases.context import Context

T = TypeVar("T")
#: Characters of a reason.
MOST_REASON = 500


def in_context(work: "Callable[[Context], Awaitable[T]]") -> T:
    """Exit code 1 and the reason on stderr for everything this service raises on purpose."""
    from pixel_service.app import open_context

    settings = checked_settings()

    async def run() -> T:
        async with open_context(settings) as ctx:
            return await work(ctx)

    with exit_on_error():
        return asyncio.run(run())


@contextmanager
def exit_on_error() -> Iterator[None]:
    try:
        yield
    except PixelServiceError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from None


def checked_settings() -> "Settings":
    """All mistakes at once, one line each, exit code 2."""
    from pixel_service.settings import SettingsInvalid, load_settings

    try:
        return load_settings()
    except SettingsInvalid as error:
        typer.echo("The settings need a look:", err=True)
        for problem in error.problems:
            typer.echo(f"  {problem}", err=True)
        raise typer.Exit(2) from None


def echo_table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Columns as wide as their longest cell, never cut: other programs read this too."""
    table = [heading, *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def caller() -> str:
    """Who runs the command, for the audit log."""
    return f"command line: {getpass.getuser()}"


def stated(reason: str) -> str:
    """A reason must say something: it is what the audit log will be asked for."""
    if not reason.strip() or len(reason) > MOST_REASON:
        raise typer.BadParameter(f"1 to {MOST_REASON} characters")
    if names_address(reason):
        raise typer.BadParameter(NO_ADDRESS)
    return reason.strip()


@contextmanager
def private_file(path: Path) -> Iterator[TextIO]:
    """A new text file that only its owner can read, from the first byte on; never over an existing one."""
    try:
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        typer.echo(f"Error: {path}: {error.strerror}", err=True)
        raise typer.Exit(1) from None
    with open(opened, "w", encoding="utf-8", newline="\n") as file:  # noqa: PTH123  pathlib opens no descriptor
        yield file
