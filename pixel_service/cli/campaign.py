"""`pixel-service campaign`: pause, resume and cancel what is being sent."""

from typing import Annotated

import typer

from pixel_service.cli.running import in_context

app = typer.Typer(no_args_is_help=True, help="Campaigns that are being sent.")

Name = Annotated[str, typer.Argument(help="The campaign's name, as the pipeline gave it.")]


@app.command()
def pause(name: Name) -> None:
    """Keep its waiting mails back; mails under way finish."""
    from pixel_service.usecases import campaigns

    in_context(lambda ctx: campaigns.pause(ctx, name))
    typer.echo("Paused.")


@app.command()
def resume(name: Name) -> None:
    """Go on where it was paused."""
    from pixel_service.usecases import campaigns

    in_context(lambda ctx: campaigns.resume(ctx, name))
    typer.echo("Resumed.")


@app.command()
def cancel(name: Name) -> None:
    """Remove its waiting mails for good."""
    from pixel_service.usecases import campaigns

    removed = in_context(lambda ctx: campaigns.cancel(ctx, name))
    typer.echo(f"Cancelled; {removed} waiting mails were removed.")
