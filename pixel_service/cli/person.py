"""`pixel-service person`: what a colleague does for a person who wrote or called (W6, R3). Every act is in the audit log."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, NoReturn
from zoneinfo import ZoneInfo

import typer

from pixel_service.cli.running import caller, echo_table, exit_on_error, in_context, stated
from pixel_service.domain.rights import RightsRequest, RightsRequestKind

if TYPE_CHECKING:
    from pixel_service.usecases.context import Context
    from pixel_service.usecases.erase import Erasure
    from pixel_service.usecases.evidence import Inquiry
    from pixel_service.usecases.rights import RightsReceipt

app = typer.Typer(no_args_is_help=True, help="The rights of one person.")

Whose = Annotated[str, typer.Argument(help="The e-mail address.")]
Why = Annotated[
    str,
    typer.Option(
        "--reason",
        help="Why, e.g. the number of a letter; it goes into the audit log. Name no person.",
        callback=stated,
    ),
]


@app.command()
def erase(
    address: Whose,
    reason: Why,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for the address once more.")] = False,
) -> None:
    """Erase everything of a person but the sealed proof of their consents. There is no way back."""
    inquiry = inquiry_of(address, reason)
    if not yes and typer.prompt("There is no way back. Type the address once more") != address:
        typer.echo("Error: this is another address, nothing was erased", err=True)
        raise typer.Exit(1)

    async def run(ctx: "Context") -> "Erasure | None":
        from pixel_service.usecases.erase import erase
        from pixel_service.usecases.identify import identify
        from pixel_service.usecases.rights_requests import Asked
        from pixel_service.usecases.withdraw import Source

        person = await identify(ctx, inquiry, act="erase")
        return await erase(ctx, person, Asked(source=Source.OPERATOR)) if person else None

    done = in_context(run)
    if done is None:
        unknown()
    echo_table(("table", "rows gone"), [(name, str(number)) for name, number in sorted(done.rows.items()) if number])
    if done.sealed_until:
        typer.echo(f"The proof of consent stays sealed until {done.sealed_until:%Y-%m-%d}.")


def inquiry_of(address: str, reason: str) -> "Inquiry":
    from pixel_service.domain.address import parse_address
    from pixel_service.usecases.evidence import Inquiry

    with exit_on_error():
        return Inquiry(address=parse_address(address), reason=reason, by=caller())


@app.command()
def restrict(address: Whose, reason: Why) -> None:
    """Keep everything of a person and use nothing, until it is lifted (Art. 18)."""
    _carry_out(address, reason, "restrict")


@app.command()
def lift(address: Whose, reason: Why) -> None:
    """End a restriction: what stood before stands again."""
    _carry_out(address, reason, "lift")


@app.command("object")
def object_(address: Whose, reason: Why) -> None:
    """End all marketing and measuring for good, and delete the opens (Art. 21)."""
    _carry_out(address, reason, "object")


@app.command()
def withdraw(address: Whose, reason: Why) -> None:
    """End every consent, and delete the opens (Art. 7(3))."""
    _carry_out(address, reason, "withdraw")


@app.command("stop-measuring")
def stop_measuring(address: Whose, reason: Why) -> None:
    """End the consent to open tracking and nothing else, and delete the opens (Art. 7(3))."""
    _carry_out(address, reason, "stop_measuring")


@app.command("delete-opens")
def delete_opens(address: Whose, reason: Why) -> None:
    """Delete the opens so far and nothing else."""
    _carry_out(address, reason, "delete_opens")


@app.command()
def note(
    address: Whose,
    kind: Annotated[RightsRequestKind, typer.Argument(help="What the letter asks for.")],
    reason: Why,
    received: Annotated[
        datetime, typer.Option(formats=["%Y-%m-%d"], help="The day it came in; its month begins then.")
    ],
) -> None:
    """Put a letter that somebody has to work on onto the list of open requests."""
    inquiry = inquiry_of(address, reason)

    async def run(ctx: "Context") -> bool:
        from pixel_service.usecases.on_behalf import take_request

        return await take_request(ctx, inquiry, kind, received.date())

    if not in_context(run):
        unknown()
    typer.echo("The request is on the list.")


@app.command()
def close(
    request_id: Annotated[str, typer.Argument(help="Number of the request, as `requests` shows it.")], reason: Why
) -> None:
    """Take a request that was answered off the list."""

    async def run(ctx: "Context") -> bool:
        from pixel_service.domain.rights import RequestId
        from pixel_service.usecases.rights_requests import close_request

        return await close_request(ctx, RequestId(request_id), by=caller(), reason=reason)

    if not in_context(run):
        typer.echo("There is no such open request.", err=True)
        raise typer.Exit(1)
    typer.echo("The request is closed.")


@app.command()
def requests(
    reason: Why,
    address: Annotated[str | None, typer.Argument(help="Of one person; without it, all open requests.")] = None,
) -> None:
    """Show requests with the day by which each must be answered."""
    inquiry = inquiry_of(address, reason) if address else None

    async def run(ctx: "Context") -> tuple[ZoneInfo, list[RightsRequest]] | None:
        from pixel_service.usecases.on_behalf import look_up
        from pixel_service.usecases.rights_requests import look_at_open

        zone = ZoneInfo(ctx.policy.timezone)
        if inquiry is None:
            return zone, [one.request for one in await look_at_open(ctx, by=caller(), reason=reason)]
        found = await look_up(ctx, inquiry)
        return (zone, list(found.requests)) if found else None

    found = in_context(run)
    if found is None:
        unknown()
    zone, shown = found
    rows = [
        (one.request_id, one.kind.value, _day(one.asked_at, zone), _day(one.due_at, zone), _state(one, zone), one.note)
        for one in shown
    ]
    echo_table(("NUMBER", "KIND", "ASKED", "DUE", "STATE", "NOTE"), rows)


def _day(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d}"


def _state(request: RightsRequest, zone: ZoneInfo) -> str:
    return f"done {_day(request.done_at, zone)}" if request.done_at else "open"


def _carry_out(address: str, reason: str, right: str) -> None:
    inquiry = inquiry_of(address, reason)

    async def run(ctx: "Context") -> "RightsReceipt | None":
        from pixel_service.usecases.on_behalf import Right, carry_out

        return await carry_out(ctx, inquiry, Right(right))

    done = in_context(run)
    if done is None:
        unknown()
    changed = (
        ("choices changed", len(done.purposes)),
        ("opens deleted", done.opens),
        ("pixels deleted", done.pixels),
        ("mails cancelled", done.mails),
    )
    echo_table(("what", "number"), [(what, str(number)) for what, number in changed])


def unknown() -> NoReturn:
    typer.echo("This address is not on record.", err=True)
    raise typer.Exit(1)
