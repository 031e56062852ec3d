"""`pixel-service person show`: what is held of one person, as their own page tells it; to print for a letter, or as data (R1)."""

from typing import TYPE_CHECKING, Annotated

import typer

from pixel_service.cli.person import Whose, Why
from pixel_service.cli.running import caller, checked_settings, exit_on_error, in_context

if TYPE_CHECKING:
    from pixel_service.usecases.context import Context


def show(
    address: Whose,
    reason: Why,
    as_json: Annotated[bool, typer.Option("--json", help="Print every stored row as JSON.")] = False,
    language: Annotated[str | None, typer.Option("--lang", help="Language of the text, e.g. en.")] = None,
) -> None:
    """Print everything that is held of a person. Goes into the audit log; the person sees when and the reason, not by whom."""
    from pixel_service.domain.address import parse_address
    from pixel_service.usecases.evidence import Inquiry

    with exit_on_error():
        inquiry = Inquiry(address=parse_address(address), reason=reason, by=caller())
    spoken = language or checked_settings().default_language

    async def look(ctx: "Context") -> bool:
        from pixel_service.domain.evidence_document import as_text
        from pixel_service.usecases.privacy import look_for
        from pixel_service.usecases.privacy_document import document
        from pixel_service.usecases.privacy_file import as_json as rows

        held = await look_for(ctx, inquiry)
        if held is None:
            return False
        if as_json:
            async for part in rows(ctx, held.person, spoken):
                typer.echo(part.decode(), nl=False)
        else:
            typer.echo(as_text(document(ctx, held, spoken)), nl=False)
        return True

    if not in_context(look):
        typer.echo("This address is not on record.", err=True)
        raise typer.Exit(1)
