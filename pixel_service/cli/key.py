"""`pixel-service key`: API keys of programs that send or read reports (A2)."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from pixel_service.cli.running import echo_table, in_context
from pixel_service.domain.accounts import ApiKey, Scope

if TYPE_CHECKING:
    from pixel_service.usecases.context import Context

app = typer.Typer(no_args_is_help=True, help="API keys of programs.")

Name = Annotated[str, typer.Option(help="What the key is called, e.g. the program that holds it.")]


@app.command()
def create(
    name: Name,
    scope: Annotated[list[Scope], typer.Option(help="What the key may do; give it once per scope.")],
    expires_days: Annotated[int | None, typer.Option(min=1, max=3660, help="Valid for so many days.")] = None,
) -> None:
    """Make a key and print it. It is stored hashed and can not be shown again."""
    from pixel_service.usecases import api_keys

    expires_in = timedelta(days=expires_days) if expires_days else None
    new = api_keys.NewKey(name=name, scopes=frozenset(scope), expires_in=expires_in)
    key, credential = in_context(lambda ctx: api_keys.create_key(ctx, new))
    until = f"until {key.expires_at:%Y-%m-%d %H:%M} UTC" if key.expires_at else "until it is revoked"
    # The key alone on stdout, so that a script can take it.
    typer.echo(f"Key {key.name!r} ({_scopes(key)}) is valid {until}. Keep it now, it is not shown again:", err=True)
    typer.echo(str(credential))


@app.command()
def revoke(name: Name) -> None:
    """Make a key invalid from now on."""
    from pixel_service.usecases import api_keys

    in_context(lambda ctx: api_keys.revoke_key(ctx, name))
    typer.echo("The key is revoked.")


@app.command("list")
def list_keys() -> None:
    """Show all keys, without their secrets."""
    keys, now = in_context(_read)
    echo_table(
        ("NAME", "SCOPES", "CREATED", "EXPIRES", "STATE"),
        [
            (
                key.name,
                _scopes(key),
                f"{key.created_at:%Y-%m-%d}",
                f"{key.expires_at:%Y-%m-%d}" if key.expires_at else "never",
                "valid" if key.is_valid(now) else "revoked" if key.revoked_at else "expired",
            )
            for key in keys
        ],
    )


async def _read(ctx: "Context") -> tuple[list[ApiKey], datetime]:
    from pixel_service.storage.accounts import all_keys

    async with ctx.db.read() as connection:
        return await all_keys(connection), ctx.clock()


def _scopes(key: ApiKey) -> str:
    return ",".join(sorted(key.scopes))
