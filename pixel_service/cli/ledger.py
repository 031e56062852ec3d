"""`pixel-service ledger`: prove the chain, and that the consent table is exactly what the ledger says (E2, E3)."""

from pathlib import Path
from typing import Annotated

import typer

from pixel_service.cli.running import caller, in_context, private_file, stated

app = typer.Typer(no_args_is_help=True, help="The evidence ledger.")


Trusted = Annotated[
    list[str] | None, typer.Option("--key", help="A public key noted earlier, e.g. before a change of secret keys.")
]


@app.command()
def verify(key: Trusted = None) -> None:
    """Walk the hash chain and its signed checkpoints; name the first entry that was altered, removed or reordered."""
    from rich.console import Console
    from rich.progress import Progress

    from pixel_service.usecases import ledger

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Verifying", total=None)
        proof = in_context(
            lambda ctx: ledger.verify(
                ctx, lambda seq: progress.update(task, completed=seq), also_trusted=tuple(key or ())
            )
        )
    typer.echo(f"{proof.entries} entries, the chain is whole. Head: {proof.head}")
    if proof.covered is None:
        typer.echo("No checkpoint has been signed yet.")
    else:
        typer.echo(f"Signed up to entry {proof.covered.seq} on {proof.covered.at:%Y-%m-%d %H:%M} UTC.")
    typer.echo(f"Public key: {proof.public_keys[0]}")


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="Where to write; never an existing file.", dir_okay=False)],
    reason: Annotated[str, typer.Option(help="Why; it goes into the audit log.", callback=stated)],
) -> None:
    """Write the whole ledger with its checkpoints as JSON lines, to be checked anywhere. It holds personal data."""
    from pixel_service.usecases import ledger

    with private_file(file) as out:
        entries = in_context(lambda ctx: ledger.export(ctx, out.write, by=caller(), reason=reason))
    typer.echo(f"{entries} entries written to {file}.")


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="An export of the ledger.", exists=True, dir_okay=False)],
    key: Trusted = None,
) -> None:
    """Verify an export: no database, no settings. Names the first bad entry."""
    from pixel_service.cli.running import exit_on_error
    from pixel_service.domain import ledger_file

    with exit_on_error(), file.open(encoding="utf-8", errors="replace", newline="\n") as lines:
        proof = ledger_file.check(lines, trusted=tuple(key or ()))
    typer.echo(f"{proof.entries} entries, the chain is whole. Head: {proof.head}")
    if proof.signed is not None:
        typer.echo(f"Signed on {proof.signed.at:%Y-%m-%d %H:%M} UTC under {proof.signed.public_key}.")
    if not key:
        typer.echo("That key stands in the file itself: compare it with the one noted earlier, or give it by --key.")


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
