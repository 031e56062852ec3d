"""`pixel-service`: one command per job. Each imports what it runs, so that --help starts fast."""

import typer

from pixel_service.cli import audit, campaign, key, ledger, person, reports, user, webhook
from pixel_service.cli.backup import backup, journal_app, restore
from pixel_service.cli.demo import demo
from pixel_service.cli.evidence import evidence
from pixel_service.cli.export_consents import export_consents
from pixel_service.cli.imports import import_contacts
from pixel_service.cli.person_rectify import correct as correct_person, new_address
from pixel_service.cli.person_show import show as show_person
from pixel_service.cli.purge import purge
from pixel_service.cli.receive import receive
from pixel_service.cli.send import send
from pixel_service.cli.serve import migrate, serve, work

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Email open tracking that people agreed to.",
)
for command in (serve, work, migrate, demo, send, receive, export_consents, evidence, purge, backup, restore):
    app.command()(command)
app.command("import")(import_contacts)
app.add_typer(campaign.app, name="campaign")
app.add_typer(user.app, name="user")
app.add_typer(key.app, name="key")
app.add_typer(ledger.app, name="ledger")
person.app.command("show")(show_person)
person.app.command("correct")(correct_person)
person.app.command("new-address")(new_address)
app.add_typer(person.app, name="person")
app.add_typer(reports.app, name="reports")
app.add_typer(audit.app, name="audit")
app.add_typer(webhook.app, name="webhook")
app.add_typer(journal_app, name="journal")
