"""`pixel-service purge`: what the hourly job does, at once and watched; or only the list of it (T3)."""

from typing import TYPE_CHECKING, Annotated

import typer

from pixel_service.cli.running import echo_table, in_context

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pixel_service.domain.retention import Kept
    from pixel_service.usecases.context import Context

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only list what would go.")]


def purge(dry_run: DryRun = False) -> None:
    """Delete what has outlived its period."""
    from pixel_service.usecases import retain_data

    if dry_run:
        _tell(in_context(retain_data.count_due), "due")
    else:
        _tell(in_context(_purge), "gone")


async def _purge(ctx: "Context") -> "Mapping[Kept, int]":
    from rich.console import Console
    from rich.progress import Progress

    from pixel_service.usecases.retain_data import count_due, purge_slice

    due = await count_due(ctx)
    gone = dict.fromkeys(due, 0)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Purging", total=sum(due.values()))
        while any((went := await purge_slice(ctx)).values()):
            gone = {kind: gone[kind] + number for kind, number in went.items()}
            progress.update(task, completed=sum(gone.values()))
    return gone


def _tell(numbers: "Mapping[Kept, int]", heading: str) -> None:
    echo_table(("class", heading), [(kind.value, str(number)) for kind, number in numbers.items()])
