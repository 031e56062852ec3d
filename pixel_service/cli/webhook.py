"""`pixel-service webhook`: processors that are told when people confirm, withdraw or use their rights (R11)."""

from typing import TYPE_CHECKING, Annotated

import typer

from pixel_service.cli.running import echo_table, in_context
from pixel_service.domain.webhooks import ROTATION, EndpointId, WebhookEvent, WebhookId

if TYPE_CHECKING:
    from pixel_service.storage.webhooks import Endpoint, Logged
    from pixel_service.usecases.context import Context

app = typer.Typer(no_args_is_help=True, help="Webhooks to processors.")
secret = typer.Typer(no_args_is_help=True, help="The secret a processor verifies our signatures with.")
app.add_typer(secret, name="secret")

Id = Annotated[str, typer.Argument(help="The endpoint's id, as `list` shows it.")]


@app.command()
def add(
    url: Annotated[str, typer.Argument(help="Where to post, https://…")],
    events: Annotated[list[WebhookEvent], typer.Option(help="What to tell; give it once per event.")],
) -> None:
    """Tell a processor from now on. Prints the secret, which can not be shown again."""
    from pixel_service.usecases import webhook_endpoints

    endpoint_id, made = in_context(lambda ctx: webhook_endpoints.add_endpoint(ctx, url, events))
    # The secret alone on stdout, so that a script can take it.
    typer.echo(f"Endpoint {endpoint_id}. Keep its secret now, it is not shown again:", err=True)
    typer.echo(made)


@app.command("list")
def list_endpoints() -> None:
    """Show all endpoints, without their secrets."""

    async def read(ctx: "Context") -> "list[tuple[Endpoint, int]]":
        from pixel_service.storage import webhooks

        async with ctx.db.read() as connection:
            waiting = await webhooks.waiting(connection)
            return [(one, waiting.get(one.endpoint_id, 0)) for one in await webhooks.all_endpoints(connection)]

    echo_table(
        ("ID", "STATE", "WAITING", "SINCE", "EVENTS", "URL"),
        [
            (
                one.endpoint_id,
                "disabled" if one.disabled_at else "enabled",
                str(waiting),
                f"{one.created_at:%Y-%m-%d}",
                ",".join(sorted(one.events)),
                one.url,
            )
            for one, waiting in in_context(read)
        ],
    )


@app.command()
def disable(endpoint: Id) -> None:
    """Tell it nothing more, for good; what waits for it is given up."""
    from pixel_service.usecases import webhook_endpoints

    dropped = in_context(lambda ctx: webhook_endpoints.disable_endpoint(ctx, EndpointId(endpoint)))
    typer.echo(f"Disabled; {dropped} waiting notices were given up.")


@app.command()
def log(
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many, from the newest.")] = 100,
) -> None:
    """Show what was told and what became of it, newest first. People appear by an opaque number."""

    async def read(ctx: "Context") -> "list[Logged]":
        from pixel_service.storage import webhooks

        async with ctx.db.read() as connection:
            return await webhooks.newest(connection, limit=limit)

    echo_table(
        ("ID", "ENDPOINT", "EVENT", "PERSON", "QUEUED (UTC)", "STATUS", "TRIES", "ANSWER", "ENDED OR NEXT (UTC)"),
        [
            (
                one.webhook_id,
                one.endpoint_id,
                one.event.value,
                one.subject,
                f"{one.queued_at:%Y-%m-%d %H:%M:%S}",
                one.status.value,
                str(one.attempts),
                one.last_answer or "-",
                f"{one.ended_at or one.due_at:%Y-%m-%d %H:%M:%S}",
            )
            for one in in_context(read)
        ],
    )


@app.command()
def retry(notice: Annotated[str, typer.Argument(help="The notice's id, as `log` shows it.")]) -> None:
    """Send a waiting notice now, with all its tries before it again."""
    from pixel_service.usecases import webhook_endpoints

    in_context(lambda ctx: webhook_endpoints.retry(ctx, WebhookId(notice)))
    typer.echo("It is sent with the next batch.")


@secret.callback()
def _group() -> None:
    """Makes `rotate` a command of its own although it is the only one."""


@secret.command()
def rotate(endpoint: Id) -> None:
    """Make a new secret and print it; the old one signs too for a day."""
    from pixel_service.usecases import webhook_endpoints

    made = in_context(lambda ctx: webhook_endpoints.rotate_secret(ctx, EndpointId(endpoint)))
    hours = ROTATION.total_seconds() / 3600
    typer.echo(f"Both secrets sign for {hours:.0f} hours. Keep the new one now, it is not shown again:", err=True)
    typer.echo(made)
