"""`pixel-service`: one command per job. Each imports what it runs, so that --help starts fast."""

import typer

from pixel_service.cli import campaign, key, ledger, user
from pixel_service.cli.demo import demo
from pixel_service.cli.send import send
from pixel_service.cli.serve import migrate, serve, work

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Email open tracking that people agreed to.",
)
for command in (serve, work, migrate, demo, send):
    app.command()(command)
app.add_typer(campaign.app, name="campaign")
app.add_typer(user.app, name="user")
app.add_typer(key.app, name="key")
app.add_typer(ledger.app, name="ledger")
