"""`pixel-service backup` and `restore`, and `journal renew` for when the journal is lost (Q5)."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from pixel_service.cli.running import checked_settings, exit_on_error, in_context

if TYPE_CHECKING:
    from pixel_service.domain.journal import Line
    from pixel_service.settings import Settings
    from pixel_service.usecases.restore import Restored

journal_app = typer.Typer(no_args_is_help=True, help="The journal of withdrawals, which a restore needs.")


def backup(
    file: Annotated[Path, typer.Argument(help="Where to write; never an existing file.", dir_okay=False)],
) -> None:
    """Copy the database while the service runs. The file holds personal data: keep it encrypted, and not for long."""
    from pixel_service.usecases.backup import take

    if file.exists():
        _fail(f"{file} exists")
    with _file_errors():
        manifest = in_context(lambda ctx: take(ctx, file.absolute()))
    typer.echo(f"Written to {file}. Ledger: {manifest.seq} entries. Journal: {manifest.journal.number} lines.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    file: Path
    #: None: without.
    journal: Path | None
    replace: bool
    trusted: tuple[str, ...]


def restore(
    file: Annotated[Path, typer.Argument(help="What `backup` wrote.", exists=True, dir_okay=False)],
    journal: Annotated[
        Path | None, typer.Option(help="The journal of withdrawals, if not the one of the settings.", dir_okay=False)
    ] = None,
    without_journal: Annotated[
        bool, typer.Option("--without-journal", help="Bring back what was withdrawn since; only if it is lost.")
    ] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Also over a database that is not empty.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    key: Annotated[
        list[str] | None, typer.Option("--key", help="A public key of the ledger, of a secret key since forgotten.")
    ] = None,
) -> None:
    """Put a backup in the place of the database, and repeat every withdrawal and erasure since. Stop the service first."""
    settings = checked_settings()
    chosen = None if without_journal else journal or settings.journal_file
    if without_journal and journal:
        _fail("--journal and --without-journal exclude each other")
    if not without_journal and (chosen is None or settings.journal_file is None):
        _fail("name the journal in PIXEL_JOURNAL_PATH; if it is lost: --without-journal")
    if not without_journal and chosen and not chosen.exists():
        _fail(f"the journal {chosen} is not there; if it is lost: --without-journal")
    if not yes:
        typer.confirm("The backup takes the place of the database. Go on?", abort=True)
    wish = Wish(file=file, journal=chosen, replace=replace, trusted=tuple(key or ()))
    with exit_on_error(), _file_errors():
        restored = asyncio.run(restore_backup(settings, wish, _watched))
    _tell(restored)


async def restore_backup(
    settings: "Settings", wish: Wish, watch: "Callable[[Iterable[Line]], Iterable[Line]]" = iter
) -> "Restored":
    """`watch` sees every line of the journal that is repeated."""
    from pydantic import SecretStr

    from pixel_service.app import open_for_repair
    from pixel_service.domain.tokens import Tokens
    from pixel_service.storage import archive
    from pixel_service.storage.journal import Journal
    from pixel_service.storage.restoring import staged
    from pixel_service.usecases import journal as journals
    from pixel_service.usecases.backup import USE
    from pixel_service.usecases.restore import bring_up_to_date, examine

    url = settings.database_url.get_secret_value()
    manifest = archive.read_manifest(wish.file, Tokens(settings.keys).secrets_for(USE))
    journal = Journal(wish.journal) if wish.journal else None
    examine(manifest, is_sqlite=url.startswith("sqlite:"), journal=journal)
    if journal is not None and settings.journal_file is not None:
        Journal(settings.journal_file).take_over(journal)
    async with staged(url, lambda path: archive.extract(wish.file, manifest, path), replace=wish.replace) as place:
        copied = {"database_url": SecretStr(place), "journal_path": settings.journal_file}
        async with open_for_repair(settings.model_copy(update=copied)) as ctx:
            lines = journal.lines(after=manifest.journal.number) if journal else ()
            restored = await bring_up_to_date(ctx, manifest, watch(lines), also_trusted=wish.trusted)
            if journal is None:
                await journals.renew(ctx)
    return restored


def _watched(lines: "Iterable[Line]") -> "Iterable[Line]":
    from rich.console import Console
    from rich.progress import track

    return track(lines, "Repeating", console=Console(stderr=True), transient=True)


def _tell(restored: "Restored") -> None:
    typer.echo("The backup is in place.")
    for act, number in sorted(restored.applied.items()):
        typer.echo(f"  {act.value}: {number}")
    typer.echo(f"  of people the backup does not know: {restored.strangers}")
    typer.echo(f"  waiting mails that may have been sent since, cancelled: {restored.cancelled}")
    typer.echo(f"  webhook endpoints disabled: {restored.endpoints}")
    typer.echo(f"The ledger verifies: {restored.proof.entries} entries. Head: {restored.proof.head}")
    typer.echo(
        "API keys that were revoked and colleagues who were disabled since the backup work again: look at both lists."
    )
    if restored.endpoints:
        typer.echo(
            "Webhook endpoints stay disabled, because some may have been since: add those that are still right anew "
            "with `pixel-service webhook add`, and give their processors the new secrets. What still waited for them "
            "is lost."
        )
    typer.echo(
        "Lost since the backup: new requests by right and what was still open of them, corrected details, and lines of "
        "the audit log. Enter letters again with `pixel-service person note`."
    )


@journal_app.command()
def renew() -> None:
    """Begin a new journal, or take the file of the settings for it. Backups made before then restore without it only."""
    from pixel_service.app import open_for_repair
    from pixel_service.usecases import journal

    settings = checked_settings()

    async def run() -> bool:
        async with open_for_repair(settings) as ctx:
            return await journal.renew(ctx)

    with exit_on_error():
        kept = asyncio.run(run())
    typer.echo(f"Withdrawals are noted in {settings.journal_file}." if kept else "No journal is kept.")


@contextmanager
def _file_errors() -> Iterator[None]:
    """A full disk, a folder that is not there: one line."""
    try:
        yield
    except OSError as error:
        _fail(f"{error.filename or 'the file'}: {error.strerror}")


def _fail(reason: str) -> NoReturn:
    typer.echo(f"Error: {reason}", err=True)
    raise typer.Exit(1)
