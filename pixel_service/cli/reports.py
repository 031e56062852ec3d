"""`pixel-service reports`: prove that reports show what the rows say."""

from typing import TYPE_CHECKING, Annotated

import typer

from pixel_service.cli.running import in_context

if TYPE_CHECKING:
    from pixel_service.domain.settling import Seen
    from pixel_service.storage.figures_check import Difference

app = typer.Typer(no_args_is_help=True, help="The figures of reports.")


@app.callback()
def reports() -> None:
    """A group, also as long as it has one command."""


@app.command()
def check(
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Write what was counted. Until it ends nothing is recorded, sent or withdrawn."),
    ] = False,
) -> None:
    """Count every row of every campaign again and compare it with the figures that reports show."""
    from pixel_service.usecases.check_figures import check_figures, repair_figures

    run = repair_figures if repair else check_figures
    number = in_context(lambda ctx: run(ctx, lambda one: typer.echo(_told(one))))
    if not number:
        typer.echo("The figures are exactly what the rows say.")
        return
    typer.echo(f"{number} differences{', repaired' if repair else ''}.")
    raise typer.Exit(1)


def _told(one: "Difference") -> str:
    from pixel_service.storage.figures_check import FigureDifference

    if isinstance(one, FigureDifference):
        what = f"{one.kind} {one.name or '-'}" + (f" at hour {one.hour}" if one.hour else "")
        return f"campaign {one.campaign_id}, {what}: figure {one.stored}, rows {one.counted}"
    return f"message {one.message_id}: known {_known(one.stored)}; rows {_known(one.counted)}"


def _known(seen: "Seen | None") -> str:
    if seen is None:
        return "nothing"
    rows = sum(len(times) for times in seen.times.values())
    first = f", first {seen.first_human_at:%Y-%m-%d %H:%M:%S} UTC" if seen.first_human_at else ""
    return f"{seen.standing}, rows: {rows}, sessions: {seen.sessions}{first}"
