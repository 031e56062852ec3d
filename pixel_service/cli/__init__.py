"""`pixel-service`: one command per job. Each imports what it runs, so that --help starts fast."""

import typer

from pixel_service.cli import demo, key, ledger, send, serve, user

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Email open tracking that people agreed to.",
)
app.command("serve")(serve.serve)
app.command("work")(serve.work)
app.command("migrate")(serve.migrate)
app.command("demo")(demo.demo)
app.command("send")(send.send)
app.add_typer(user.app, name="user")
app.add_typer(key.app, name="key")
app.add_typer(ledger.app, name="ledger")
