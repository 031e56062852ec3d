"""`pixel-service ledger`: prove the chain, and that the consent table is exactly what the ledger says (E2, E3)."""

import typer

from pixel_service.cli.running import in_context

app = typer.Typer(no_args_is_help=True, help="The evidence ledger.")


@app.command()
def verify() -> None:
    """Walk the hash chain; name the first entry that was altered, removed or reordered."""
    from rich.console import Console
    from rich.progress import Progress

    from pixel_service.usecases import ledger

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Verifying", total=None)
        proof = in_context(lambda ctx: ledger.verify(ctx, lambda seq: progress.update(task, completed=seq)))
    typer.echo(f"{proof.entries} entries, the chain is whole. Head: {proof.head}")


@app.command()
def replay() -> None:
    """Derive every consent from the ledger alone and compare it with the table."""
    from pixel_service.usecases import ledger

    differences = in_context(ledger.replay)
    for one in differences:
        typer.echo(f"{one.subscriber_id} {one.purpose}: table {one.table}, ledger {one.ledger}")
    if differences:
        raise typer.Exit(1)
    typer.echo("The consent table is exactly what the ledger says.")
