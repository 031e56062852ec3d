"""`pixel-service export-consents`: every consent record as JSON lines, for archives and other systems (E7)."""

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from pixel_service.cli.running import caller, in_context, private_file, stated

if TYPE_CHECKING:
    from pixel_service.usecases.context import Context


def export_consents(
    reason: Annotated[str, typer.Option(help="Why; it goes into the audit log.", callback=stated)],
    out: Annotated[
        Path | None,
        typer.Option(help="Where to write, never an existing file; without it, to stdout.", dir_okay=False),
    ] = None,
) -> None:
    """Write every consent record as JSON-LD, one per line. Persons are opaque ids; no address leaves the service."""
    from rich.console import Console
    from rich.progress import Progress

    from pixel_service.usecases import receipts

    with _target(out) as file, Progress(console=Console(stderr=True), transient=True) as progress:

        async def run(ctx: "Context") -> int:
            task = progress.add_task("Exporting", total=await receipts.count_subjects(ctx))
            written = 0
            async for record in receipts.export(ctx, by=caller(), reason=reason):
                if record is not None:
                    file.write(json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n")
                    written += 1
                progress.advance(task)
            return written

        written = in_context(run)
    typer.echo(f"{written} consent records.", err=True)


@contextmanager
def _target(out: Path | None) -> Iterator[TextIO]:
    """A file stays only when it is whole."""
    if out is None:
        yield sys.stdout
        return
    try:
        with private_file(out) as file, ExitStack() as unless_whole:
            unless_whole.callback(out.unlink)
            yield file
            file.flush()
            unless_whole.pop_all()
    except OSError as error:
        typer.echo(f"Error: {out}: {error.strerror}", err=True)
        raise typer.Exit(1) from None
