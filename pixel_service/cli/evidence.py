"""`pixel-service evidence`: the whole proof of consent for one address, to read, to print or as data (E5)."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pixel_service.cli.running import caller, checked_settings, exit_on_error, in_context, private_file, stated

if TYPE_CHECKING:
    from pixel_service.domain.evidence_document import Document
    from pixel_service.usecases.context import Context


def evidence(
    address: Annotated[str, typer.Argument(help="The e-mail address.")],
    reason: Annotated[str, typer.Option(help="Why; it goes into the audit log.", callback=stated)],
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON, mails included.")] = False,
    html: Annotated[
        Path | None, typer.Option(help="Write a page that prints well; never over an existing file.", dir_okay=False)
    ] = None,
    language: Annotated[str | None, typer.Option("--lang", help="Language of text and page, e.g. en.")] = None,
) -> None:
    """Print who agreed to which words, when, how it was confirmed, and which mail asked. Goes into the audit log."""
    from pixel_service.domain.address import parse_address
    from pixel_service.domain.evidence_document import as_text
    from pixel_service.domain.evidence_record import as_record
    from pixel_service.usecases.evidence import Inquiry, gather
    from pixel_service.usecases.evidence_document import document

    with exit_on_error():
        inquiry = Inquiry(address=parse_address(address), reason=reason, by=caller())
    spoken = language or checked_settings().default_language

    async def look(ctx: "Context") -> "tuple[str, str, bool] | None":
        found = await gather(ctx, inquiry)
        if found is None:
            return None
        told = document(ctx, found, spoken)
        data = json.dumps(as_record(found), ensure_ascii=False, indent=2) + "\n"
        return data if as_json else as_text(told), _page(ctx, told, spoken) if html else "", found.seals_open

    result = in_context(look)
    if result is None:
        typer.echo("This address is not on record.", err=True)
        raise typer.Exit(1)
    text, page, seals_open = result
    if html:
        with private_file(html) as file:
            file.write(page)
        typer.echo(f"Written to {html}.", err=True)
    if as_json or not html:
        typer.echo(text, nl=False)
    if not seals_open:
        typer.echo("Error: sealed evidence does not open, it was altered or its secret key is gone.", err=True)
        raise typer.Exit(1)


def _page(ctx: "Context", told: "Document", language: str) -> str:
    from pixel_service.web.pages import Pages

    pages = Pages(ctx.catalogues, ctx.company, ctx.policy.base_url, checked_settings().zone)
    return pages.render("evidence_file", language=language, path="/", document=told)
