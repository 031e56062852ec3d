"""What `pixel-service demo` runs: a sample company with its admin and pipeline key, the inbox, the service, and the story.

The story must be true as printed: every address answers, every line can be copied into a shell as it stands.
"""

import asyncio
import secrets
import shlex
import signal
import socket
import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import typer

from pixel_service import app as composition
from pixel_service.catalogue import packaged_catalogue
from pixel_service.cli.service import run_service
from pixel_service.demo import inbox_app
from pixel_service.domain.accounts import Role, Scope
from pixel_service.observability import configure_logging
from pixel_service.settings import Settings, load_settings
from pixel_service.usecases import accounts, api_keys

ADMIN = "admin@nordlicht-telekom.example"
#: Two editions, so that each way to send has one: a campaign mails nobody twice.
GERMAN = Path(inbox_app.__file__).with_name("newsletter.json")
ENGLISH = Path(inbox_app.__file__).with_name("newsletter-en.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    service: str
    inbox: str
    password: str
    api_key: str


async def walk_through(*, port: int, inbox_port: int) -> None:
    """Run service and inbox until Ctrl-C. A closed terminal and `kill` stop it just as cleanly."""
    for number in (signal.SIGHUP, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, signal.raise_signal, signal.SIGINT)
    service_port = free_port(port)
    base_url = f"http://localhost:{service_port}"
    with tempfile.TemporaryDirectory(prefix="pixel-demo-") as folder:
        async with inbox_app.serve_inbox(
            smtp_port=0, web_port=free_port(inbox_port), service_url=base_url, clock=composition.now
        ) as (inbox, inbox_url):
            settings = sample_settings(Path(folder), base_url=base_url, port=service_port, smtp_port=inbox.smtp_port)
            configure_logging(level=settings.log_level, json=False)
            password, api_key = await _furnish(settings)
            places = Places(service=base_url, inbox=inbox_url.rstrip("/"), password=password, api_key=api_key)
            await run_service(settings, when_ready=partial(typer.echo, story(places)))


def free_port(wanted: int) -> int:
    """`wanted`, or any other when it is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def sample_settings(folder: Path, *, base_url: str, port: int, smtp_port: int) -> Settings:
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
        "base_url": base_url,
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


async def _furnish(settings: Settings) -> tuple[str, str]:
    """A sample admin and a sample pipeline key, both made now and known to nobody else."""
    password = secrets.token_urlsafe(12)
    key = api_keys.NewKey(name="demo pipeline", scopes=frozenset({Scope.SEND, Scope.REPORT}), expires_in=None)
    async with composition.open_context(settings) as ctx:
        await accounts.create_user(ctx, accounts.NewUser(email=ADMIN, role=Role.ADMIN, password=password))
        _, credential = await api_keys.create_key(ctx, key)
    return password, str(credential)


def story(places: Places) -> str:
    """The addresses to visit and the lines to type, in order."""
    steps: tuple[tuple[str, list[str]], ...] = (
        ("Sign up; any address will do, tick what you like", [f"{places.service}/newsletter/blog"]),
        ("Confirm: the mail is in the inbox, its link leads to a page with one button", [places.inbox]),
        ("Send the newsletter, in a second terminal", _ways_to_send(places)),
        ('Open the newsletter in the inbox; ten seconds after it came, switch on "Load images"', [places.inbox]),
        (f"See the open: log in as {ADMIN} with the password {places.password}", [f"{places.service}/console/"]),
        ("Withdraw by any link at the end of the newsletter", [places.inbox]),
        ("Look at the report again: the open is gone", [f"{places.service}/console/"]),
        ("Prove it: the whole evidence for the address you signed up with", [f"{places.service}/console/evidence"]),
        (
            "See, correct, take along or erase all that is held of you, by a link in the inbox",
            [f"{places.service}/privacy/request"],
        ),
    )
    lines = [f"\n{_strong('pixel-service')} runs at {places.service}, the inbox at {places.inbox}\n"]
    for number, (what, shown) in enumerate(steps, 1):
        lines += [f"  {_strong(str(number))}  {what}", *(f"     {line}" if line else "" for line in shown), ""]
    lines += [
        f"  The whitepaper is at {places.service}/whitepaper/glasfaser; every page speaks English with ?lang=en",
        "  A browser that asks not to be tracked (Do Not Track, Global Privacy Control) is not counted in step 4.",
        "  Ctrl-C stops everything.\n",
    ]
    return "\n".join(lines)


def _ways_to_send(places: Places) -> list[str]:
    return [
        f"cd {shlex.quote(str(Path.cwd()))}",
        f"export PIXEL_API_KEY={places.api_key}",
        "",
        "the German edition, as a program does it:",
        f"curl -sS -w '\\n' {places.service}/v1/send \\",
        '  -H "Authorization: Bearer $PIXEL_API_KEY" -H "Idempotency-Key: $(date +%s)" \\',
        f'  -H "Content-Type: application/json" --data @{_shown(GERMAN)}',
        "",
        "the English edition, with the command, which shows how far it is:",
        f"{_this_command()} send {_shown(ENGLISH)} --url {places.service}",
    ]


def _this_command() -> str:
    called = Path(sys.argv[0])
    return f"{_shown(Path(sys.executable))} -m pixel_service" if called.name == "__main__.py" else _shown(called)


def _shown(path: Path) -> str:
    """As short as it can be typed from here; symbolic links stay, an environment's Python is one."""
    full = path.absolute() if path.exists() else path
    return shlex.quote(str(full.relative_to(Path.cwd()) if full.is_relative_to(Path.cwd()) else full))


def _strong(text: str) -> str:
    return typer.style(text, bold=True)
