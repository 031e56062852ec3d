"""`pixel-service person correct` and `new-address`: rectification for somebody who wrote or called (R2, W6)."""

from typing import TYPE_CHECKING, Annotated

import typer

from pixel_service.cli.person import Whose, Why, inquiry_of, unknown
from pixel_service.cli.running import exit_on_error, in_context

if TYPE_CHECKING:
    from pixel_service.usecases.context import Context
    from pixel_service.usecases.rectify import Correction


def correct(
    address: Whose,
    reason: Why,
    field: Annotated[
        list[str],
        typer.Option(help="What is right, e.g. first_name=Ada; nothing after the = empties it. Repeat for more."),
    ],
) -> None:
    """Correct details of a person (Art. 16): salutation (ms, mr), first_name, last_name, company, phone, function, interests."""
    details = _details(field)
    inquiry = inquiry_of(address, reason)

    async def run(ctx: "Context") -> "Correction | None":
        from pixel_service.usecases.on_behalf import correct_details

        return await correct_details(ctx, inquiry, details)

    done = in_context(run)
    if done is None:
        unknown()
    typer.echo(f"Corrected: {', '.join(sorted(done.changed))}." if done.changed else "Nothing had to be changed.")


def new_address(
    address: Whose,
    new: Annotated[str, typer.Argument(help="The new e-mail address.")],
    reason: Why,
) -> None:
    """Ask a person's new address to confirm that it is theirs; it counts once they do. The old one is told."""
    from pixel_service.domain.address import parse_address

    inquiry = inquiry_of(address, reason)
    with exit_on_error():
        wanted = parse_address(new, field="new address")

    async def run(ctx: "Context") -> bool:
        from pixel_service.usecases.on_behalf import move_to

        return await move_to(ctx, inquiry, wanted)

    if not in_context(run):
        unknown()
    typer.echo(
        "The new address gets a mail to confirm it, at most a few a day. Until then the old one stays on record."
    )


def _details(fields: list[str]) -> dict[str, str]:
    if any("=" not in one for one in fields):
        raise typer.BadParameter("NAME=VALUE is needed, e.g. first_name=Ada", param_hint="--field")
    return dict(one.split("=", 1) for one in fields)
