"""`pixel-service demo`: the service as it is, with a sample company, a local inbox, and the story to walk through printed in order.

Everything lives in a temporary folder and is gone with Ctrl-C. The same service without the toys is `pixel-service serve`.
"""

import asyncio
import secrets
import socket
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from pixel_service import app as composition
from pixel_service.catalogue import packaged_catalogue
from pixel_service.cli.running import exit_on_error
from pixel_service.cli.serve import run_service
from pixel_service.demo import inbox_app
from pixel_service.domain.accounts import Role, Scope
from pixel_service.settings import Settings, load_settings
from pixel_service.usecases import accounts, api_keys
from pixel_service.usecases.context import Context

ADMIN = "admin@nordlicht-telekom.example"
_SAMPLE_MAIL = Path(inbox_app.__file__).with_name("newsletter.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    service: str
    inbox: str
    password: str
    api_key: str
    mail_file: Path


def free_port(wanted: int) -> int:
    """`wanted`, or any other when it is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def sample_settings(folder: Path, *, port: int, smtp_port: int) -> Settings:
    """The settings of a fictional company, as its operator would write them."""
    company = {
        "name": "Nordlicht Telekom GmbH",
        "street": "Elbchaussee 12",
        "postal_code": "22765",
        "city": "Hamburg",
        "country": "Deutschland",
        "managing_directors": "Dr. Jana Petersen, Mehmet Yildiz",
        "register_entry": "Amtsgericht Hamburg, HRB 123456",
        "vat_id": "DE123456789",
        "email": "kontakt@nordlicht-telekom.example",
        "phone": "+49 40 5550 1200",
        "privacy_email": "datenschutz@nordlicht-telekom.example",
        "data_protection_officer": "Dr. Katrin Sommer, datenschutz@nordlicht-telekom.example",
        "supervisory_authority": "Der Hamburgische Beauftragte für Datenschutz und Informationsfreiheit",
        "website": "https://nordlicht-telekom.example",
        "brand_colour": "#0b5fa5",
    }
    own = {
        "base_url": f"http://localhost:{port}",
        "secret_keys": secrets.token_hex(32),
        "database_url": f"sqlite:///{folder / 'pixel.db'}",
        "listen_port": str(port),
        "log_level": "warning",
        "log_format": "console",
        "from_name": "Nordlicht Telekom",
        "from_address": "newsletter@nordlicht-telekom.example",
        "unsubscribe_address": "abmelden@nordlicht-telekom.example",
        "mail_domain": "nordlicht-telekom.example",
        "smtp_port": str(smtp_port),
        "smtp_security": "none",
        "logo_file": str(packaged_catalogue() / "logo.png"),
    }
    values = own | {f"company_{name}": value for name, value in company.items()}
    return load_settings({f"PIXEL_{name.upper()}": value for name, value in values.items()})


def demo(
    port: Annotated[int, typer.Option(help="Port of the service; another free one if taken.")] = 8000,
    inbox_port: Annotated[int, typer.Option(help="Port of the inbox; another free one if taken.")] = 8025,
) -> None:
    """Start the service with a sample company and a local inbox, and print the story to walk through."""
    with exit_on_error():
        asyncio.run(_tell(port=port, inbox_port=inbox_port))


async def _tell(*, port: int, inbox_port: int) -> None:
    """Run service and inbox until Ctrl-C."""
    console = Console(highlight=False)
    port, smtp_port = free_port(port), free_port(0)
    with tempfile.TemporaryDirectory(prefix="pixel-demo-") as name:
        folder = Path(name)
        settings = sample_settings(folder, port=port, smtp_port=smtp_port)
        password, api_key = await _furnish(settings)
        async with inbox_app.serve_inbox(
            smtp_port=smtp_port,
            web_port=free_port(inbox_port),
            service_url=settings.base_url,
            clock=composition.now,
        ) as (_, inbox_url):
            places = Places(
                service=settings.base_url,
                inbox=inbox_url.rstrip("/"),
                password=password,
                api_key=api_key,
                mail_file=_SAMPLE_MAIL,
            )
            ready = asyncio.Event()
            running = asyncio.create_task(run_service(settings, ready=ready))
            with suppress(asyncio.CancelledError):
                await asyncio.wait({running, asyncio.create_task(ready.wait())}, return_when=asyncio.FIRST_COMPLETED)
            if ready.is_set():
                _print_story(console, places)
            await running
    console.print("\nStopped. Everything the demo stored is gone.")


async def _furnish(settings: Settings) -> tuple[str, str]:
    """A sample admin and a sample pipeline key, both made now and known to nobody else."""
    password = secrets.token_urlsafe(12)
    async with composition.open_context(settings) as ctx:
        await accounts.create_user(ctx, accounts.NewUser(email=ADMIN, role=Role.ADMIN, password=password))
        return password, await _key(ctx)


async def _key(ctx: Context) -> str:
    new = api_keys.NewKey(name="demo pipeline", scopes=frozenset({Scope.SEND, Scope.REPORT}), expires_in=None)
    _, credential = await api_keys.create_key(ctx, new)
    return str(credential)


def _print_story(console: Console, places: Places) -> None:
    command = escape(_shown(Path(sys.argv[0])))
    sample = escape(_shown(places.mail_file))
    steps = (
        ("Sign up, tick what you like", f"{places.service}/newsletter/blog"),
        ("Read the confirmation mail and confirm", places.inbox),
        (
            "Send the newsletter, as a pipeline would",
            " \\\n       ".join(
                (
                    f"curl -sS {places.service}/v1/send -H 'Authorization: Bearer {places.api_key}'",
                    f"-H 'Idempotency-Key: november-1' -H 'Content-Type: application/json' --data @{sample}",
                )
            ),
        ),
        (
            "or with the command, which shows how far it is",
            f"PIXEL_API_KEY={places.api_key} {command} send {sample} --url {places.service}",
        ),
        ('Open the newsletter, switch on "load images"', places.inbox),
        (f"See the open: log in as {ADMIN}, password {places.password}", f"{places.service}/console/"),
        ("Withdraw by any link in the mail, then look at the report again", f"{places.service}/console/"),
    )
    console.print(f"\n[bold]pixel-service[/bold] is running at {places.service}, the inbox at {places.inbox}\n")
    for number, (what, where) in enumerate(steps, 1):
        console.print(f"  [bold]{number}[/bold]  {escape(what)}\n     {escape(where)}\n", soft_wrap=True)
    console.print("  The whitepaper form is at " + f"{places.service}/whitepaper/glasfaser; add ?lang=en for English.")
    console.print("  Ctrl-C stops everything.\n")


def _shown(path: Path) -> str:
    """As short as it can be typed from here."""
    full = path.resolve() if path.is_absolute() or path.exists() else path
    return str(full.relative_to(Path.cwd())) if full.is_relative_to(Path.cwd()) else str(full)
