"""`pixel-service import`: contacts from another system, each with the evidence of its consent (E9)."""

import csv
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pixel_service.cli.running import caller, echo_table, exit_on_error, in_context, private_file, stated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pixel_service.domain.imports import Code, Rejected
    from pixel_service.storage.imports import Progress
    from pixel_service.usecases.context import Context
    from pixel_service.usecases.import_contacts import Order


def import_contacts(
    file: Annotated[Path, typer.Argument(help="CSV in UTF-8 with a header.", exists=True, dir_okay=False)],
    source: Annotated[
        str, typer.Option(help="Where the contacts come from; kept in ledger and audit log.", callback=stated)
    ],
    report: Annotated[
        Path | None, typer.Option(help="Write the rows that were not taken; never over a file.", dir_okay=False)
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Decide on every row and store none.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Decide anew on a file that was imported before.")] = False,
) -> None:
    """Import contacts whose consent is proven, row by row. Interrupted, the same command goes on where it was."""
    from pixel_service.usecases.import_contacts import Order, open_file

    if report and report.exists():
        typer.echo(f"Error: {report}: File exists", err=True)
        raise typer.Exit(1)
    with file.open("rb") as stream:
        with exit_on_error():
            order = Order(file=open_file(stream), source=source, by=caller(), again=again)
        in_context(lambda ctx: _try(ctx, order, report) if dry_run else _import(ctx, order, report))


async def _import(ctx: "Context", order: "Order", report: Path | None) -> None:
    from pixel_service.usecases.import_contacts import begin, count_rejected, import_slices, rejected

    done = await begin(ctx, order)
    if done.finished_at:
        typer.echo(f"This file was imported on {done.finished_at:%Y-%m-%d}; --again decides on it anew.", err=True)
    elif done.rows:
        typer.echo(f"Going on after row {done.last_row}.", err=True)
    with _bar(order) as show:
        async for after in import_slices(ctx, order.file, done):
            done = after
            show(done)
    with _report(report) as write:
        async for one in rejected(ctx, done.import_id):
            write(one)
    _tell(done, await count_rejected(ctx, done.import_id), "imported")


async def _try(ctx: "Context", order: "Order", report: Path | None) -> None:
    from pixel_service.usecases.import_contacts import try_slices

    counts: Counter[Code] = Counter()
    done: Progress | None = None
    with _report(report) as write, _bar(order) as show:
        async for done, refused in try_slices(ctx, order):
            counts.update(one.code for one in refused)
            for one in refused:
                write(one)
            show(done)
    if done is not None:
        _tell(done, dict(sorted(counts.items())), "would be imported")


@contextmanager
def _bar(order: "Order") -> "Iterator[Callable[[Progress], None]]":
    """By bytes: how many rows there are, only the end tells."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress as Bar, TextColumn, TimeRemainingColumn

    columns = (TextColumn("Importing"), BarColumn(), TextColumn("{task.fields[rows]} rows"), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Importing", total=order.file.size, rows=0)
        yield lambda done: bar.update(task, completed=done.position, rows=done.rows)


@contextmanager
def _report(path: Path | None) -> "Iterator[Callable[[Rejected], None]]":
    """Appears under its name only when it is whole. Nothing in it was typed by anybody: numbers, columns, our reasons."""
    if path is None:
        yield lambda _: None
        return
    unfinished = path.with_name(f"{path.name}.part")
    # Of a run that was killed.
    unfinished.unlink(missing_ok=True)
    try:
        with private_file(unfinished) as file:
            lines = csv.writer(file, lineterminator="\n")
            lines.writerow(("row", "result", "field", "code", "reason"))
            yield lambda one: lines.writerow(
                (one.row, "unknown" if one.is_unknown else "refused", one.field, one.code.value, one.reason)
            )
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _tell(done: "Progress", by_code: "Mapping[Code, int]", taken: str) -> None:
    typer.echo(f"{done.rows} rows: {done.good} {taken}, {done.unknown} unknown, {done.refused} refused.")
    if by_code:
        echo_table(("reason", "rows"), [(code.value, str(number)) for code, number in by_code.items()])
