"""Withdrawal by mail, over real sockets and pipes: the newsletter arrives, a person answers it, the next one does not come."""

import asyncio
import smtplib
import subprocess
import sys
from email.message import EmailMessage
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from pixel_service.storage.engine import Database
from pixel_service.storage.schema import inbound_mails, inbound_unclear
from tests.conftest import NewDatabase
from tests.journeys.people import Person, Pipeline, mails_to
from tests.journeys.service import AS_PROMETHEUS, environment, free_port, serving
from tests.journeys.test_the_main_job import make_key, newsletter
from tests.letters import letter
from tests.smtp_server import ReceivedMail, SmtpServer

ANNA = "anna@example.com"
NEWS = "newsletter@nordlicht-telekom.example"


def reply(mail: ReceivedMail, text: str) -> bytes:
    """As a mail program answers: the subject with AW, the mail named and quoted."""
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = f"Anna <{ANNA}>", NEWS, f"AW: {mail.message['Subject']}"
    made["Message-ID"], made["Date"] = "<reply-1@example.com>", "Mon, 02 Nov 2026 10:00:00 +0000"
    made["In-Reply-To"] = made["References"] = str(mail.message["Message-ID"])
    quoted = "\n".join(f"> {line}" for line in ("Neues aus dem Netz.", "Newsletter nicht mehr: Abmelden"))
    made.set_content(f"{text}\n\nViele Grüße\nAnna\n\nAm 2.11.2026 um 10:00 schrieb Nordlicht Telekom:\n{quoted}\n")
    return made.as_bytes()


def deliver_by_lmtp(port: int, mail: bytes, *recipients: str) -> None:
    with smtplib.LMTP("127.0.0.1", port) as client:
        client.sendmail(ANNA, list(recipients), mail)


@pytest.mark.slow
async def test_bitte_abmelden_by_lmtp_and_the_next_newsletter_does_not_come(database_url: str) -> None:
    lmtp_port = free_port()
    with SmtpServer() as smtp:
        async with (
            serving(database_url, smtp_port=smtp.port, lmtp_port=str(lmtp_port)) as service,
            httpx.AsyncClient(base_url=service.base_url, timeout=30) as client,
        ):
            anna, pipeline = Person(ANNA, client, smtp), Pipeline(client, make_key(service))
            have = await anna.join("newsletter", "tracking")
            first = await newsletter(pipeline, anna, "November", have + 1)
            await anna.load_images(first.mail)

            for _ in range(2):
                await asyncio.to_thread(deliver_by_lmtp, lmtp_port, reply(first.mail, "Bitte abmelden"), NEWS)
            goodbye = await anna.next_mail(have + 2)
            assert goodbye.message["Auto-Submitted"] == "auto-generated"
            report = await pipeline.report(first.campaign_id)
            assert (report["tracked"], report["unique_opens"], report["withdrawn_since"]) == (0, 0, 1)

            answer = await pipeline.send("December", recipients=[{"address": ANNA}])
            assert answer.json()["counts"] == {"tracked": 0, "untracked": 0, "refused": 1}
            await asyncio.sleep(1)
            assert len(mails_to(smtp, ANNA)) == have + 2
            metrics = (await client.get("/metrics", headers=AS_PROMETHEUS)).text
            assert 'pixel_mails_received_total{outcome="withdrawn"} 1.0' in metrics
            assert 'pixel_mails_received_total{outcome="repeated"} 1.0' in metrics
            assert service.run("ledger", "replay").startswith("The consent table is exactly")
            assert service.stop() == 0
            log = service.log.read_text()
            assert ANNA not in log
            assert "abmelden" not in log


def pipe(url: str, mail: bytes, *arguments: str, **changes: str) -> "subprocess.CompletedProcess[bytes]":
    """As a mail server's pipe transport starts it: no terminal, few variables."""
    return subprocess.run(
        [sys.executable, "-m", "pixel_service", "receive", *arguments],
        input=mail,
        env={"PYTHONPATH": str(Path(__file__).parents[2]), **environment(url, port=8000, smtp_port=25, **changes)},
        capture_output=True,
        check=False,
        timeout=60,
    )


async def verdicts(url: str) -> tuple[list[str], int]:
    """What was noted of each mail, and how many wait for a person."""
    database = Database(url)
    async with database.read() as connection:
        noted = list((await connection.execute(select(inbound_mails.c.verdict))).scalars())
        listed = len((await connection.execute(select(inbound_unclear))).all())
    await database.close()
    return sorted(noted), listed


async def test_a_piped_mail_is_handled_and_the_exit_code_says_so(database_url: str) -> None:
    mail = letter("abmelden", sender="stranger@example.com")
    arguments = ("--sender", "stranger@example.com", "--recipient", "abmelden@nordlicht-telekom.example")
    for outcome in (b"listed\n", b"repeated\n"):
        done = await asyncio.to_thread(pipe, database_url, mail, *arguments)
        assert (done.returncode, done.stdout) == (0, outcome), done.stderr
        assert b"stranger" not in done.stderr
    assert await verdicts(database_url) == (["remove_me"], 1)


async def test_a_piped_bounce_has_an_empty_sender(new_sqlite: NewDatabase) -> None:
    url = new_sqlite()
    done = await asyncio.to_thread(pipe, url, letter("stop"), "--sender", "")
    assert (done.returncode, done.stdout) == (0, b"auto_reply\n")


async def test_a_huge_mail_is_read_to_its_end_and_judged_by_its_beginning(new_sqlite: NewDatabase) -> None:
    url = new_sqlite()
    done = await asyncio.to_thread(pipe, url, letter("Hallo, wie geht es?") + b"x" * 30_000_000)
    assert (done.returncode, done.stdout) == (0, b"listed\n")


@pytest.mark.parametrize(
    "changes",
    [
        {"database_url": "sqlite:////nowhere/at/all/pixel.db"},
        {"database_url": "postgresql://nobody@127.0.0.1:1/none?timeout=1"},
        {"smtp_security": "nonsense"},
        {"catalogue_dir": "/nowhere"},
    ],
    ids=["no file", "no server", "wrong settings", "no catalogue"],
)
def test_trouble_of_any_kind_means_try_again(new_sqlite: NewDatabase, changes: dict[str, str]) -> None:
    url = changes.pop("database_url", "") or new_sqlite()
    done = pipe(url, letter("abmelden geheim"), **changes)
    assert (done.returncode, done.stdout) == (75, b"")
    assert b"deliver it again" in done.stderr
    assert b"geheim" not in done.stderr
    assert b"anna@" not in done.stderr


def test_a_locked_database_means_try_again_and_then_it_works(new_sqlite: NewDatabase) -> None:
    import sqlite3

    url = new_sqlite()
    stranger = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    stranger.execute("BEGIN EXCLUSIVE")
    assert pipe(f"{url}?timeout=1", letter("abmelden")).returncode == 75
    stranger.close()
    done = pipe(url, letter("abmelden"))
    assert (done.returncode, done.stdout) == (0, b"listed\n")
