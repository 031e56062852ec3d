"""`pixel-service user`: colleagues who may log in. The first admin is made here; there is no default account (A3)."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from pixel_service.cli.running import echo_table, in_context
from pixel_service.domain.accounts import MIN_PASSWORD, Role, User

if TYPE_CHECKING:
    from pixel_service.usecases.context import Context

app = typer.Typer(no_args_is_help=True, help="Colleagues who may log in to the console.")

Email = Annotated[str, typer.Option(help="Address to log in with.")]
FromStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from the first line of stdin.")]


@app.command()
def create(
    email: Email,
    role: Annotated[Role, typer.Option(help="What the user may do.")] = Role.VIEWER,
    password_stdin: FromStdin = False,
) -> None:
    """Make an account. Asks for the password."""
    from pixel_service.usecases import accounts

    new = accounts.NewUser(email=email, role=role, password=_password(password_stdin))
    user = in_context(lambda ctx: accounts.create_user(ctx, new))
    typer.echo(f"Created {user.email} with the role {user.role}.")


@app.command()
def password(email: Email, password_stdin: FromStdin = False) -> None:
    """Set a new password; the user is logged out everywhere."""
    from pixel_service.usecases import accounts

    typed = _password(password_stdin)
    in_context(lambda ctx: accounts.set_password(ctx, email, typed))
    typer.echo("The password is set; all sessions have ended.")


@app.command()
def disable(email: Email) -> None:
    """Lock a user out and end their sessions. The account stays for the record."""
    from pixel_service.usecases import accounts

    in_context(lambda ctx: accounts.disable_user(ctx, email))
    typer.echo("The user is disabled; all sessions have ended.")


@app.command()
def enable(email: Email) -> None:
    """Let a disabled user log in again."""
    from pixel_service.usecases import accounts

    in_context(lambda ctx: accounts.enable_user(ctx, email))
    typer.echo("The user may log in again.")


@app.command()
def logout(email: Email) -> None:
    """End all sessions of a user."""
    from pixel_service.usecases import accounts

    ended = in_context(lambda ctx: accounts.end_sessions(ctx, email))
    typer.echo(f"{ended} sessions have ended.")


@app.command("list")
def list_users() -> None:
    """Show all accounts."""
    echo_table(("EMAIL", "ROLE", "CREATED", "STATE"), map(_row, in_context(_read)))


async def _read(ctx: "Context") -> list[User]:
    from pixel_service.storage.accounts import all_users

    async with ctx.db.read() as connection:
        return await all_users(connection)


def _row(user: User) -> tuple[str, str, str, str]:
    state = f"disabled {user.disabled_at:%Y-%m-%d}" if user.disabled_at else "active"
    return user.email, user.role, f"{user.created_at:%Y-%m-%d}", state


def _password(from_stdin: bool) -> str:
    """Never an argument: those stand in the process list and in the shell's history."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    typed: str = typer.prompt(
        f"Password (at least {MIN_PASSWORD} characters)", hide_input=True, confirmation_prompt="Again"
    )
    return typed
