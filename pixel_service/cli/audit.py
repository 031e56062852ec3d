"""`pixel-service audit`: who looked at whose personal data, and why (A1)."""

from typing import TYPE_CHECKING, Annotated

import typer

from pixel_service.cli.running import echo_table, in_context

if TYPE_CHECKING:
    from pixel_service.storage.audit import Look
    from pixel_service.usecases.context import Context

app = typer.Typer(no_args_is_help=True, help="The audit log.")


@app.callback()
def _group() -> None:
    """Makes `list` a command of its own although it is the only one."""


@app.command("list")
def list_looks(
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many, from the newest.")] = 100,
) -> None:
    """Show the newest entries first. People appear by an opaque number or a keyed hash only."""

    async def read(ctx: "Context") -> "list[Look]":
        from pixel_service.storage import audit

        async with ctx.db.read() as connection:
            return await audit.newest(connection, limit=limit)

    rows = [(f"{one.at:%Y-%m-%d %H:%M:%S}", one.who, one.act, one.subject, one.reason) for one in in_context(read)]
    echo_table(("AT (UTC)", "WHO", "ACT", "SUBJECT", "REASON"), rows)
