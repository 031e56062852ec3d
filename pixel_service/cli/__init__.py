"""`pixel-service`: one command per job. Each imports what it runs, so that --help starts fast."""

import typer

from pixel_service.cli import audit, campaign, key, ledger, user
from pixel_service.cli.demo import demo
from pixel_service.cli.evidence import evidence
from pixel_service.cli.export_consents import export_consents
from pixel_service.cli.purge import purge
from pixel_service.cli.receive import receive
from pixel_service.cli.send import send
from pixel_service.cli.serve import migrate, serve, work

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Email open tracking that people agreed to.",
)
for command in (serve, work, migrate, demo, send, receive, export_consents, evidence, purge):
    app.command()(command)
app.add_typer(campaign.app, name="campaign")
app.add_typer(user.app, name="user")
app.add_typer(key.app, name="key")
app.add_typer(ledger.app, name="ledger")
app.add_typer(audit.app, name="audit")
