"""A person has herself erased by letter: afterwards nothing of hers can be found in any file, and every old link is neutral."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from pixel_service.storage.engine import Database
from pixel_service.storage.schema import scrubs
from tests import postgres
from tests.journeys.people import BROWSER, Person, Pipeline, link
from tests.journeys.service import Process, free_port, serving
from tests.journeys.test_mail_comes_in import NEWS, deliver_by_lmtp
from tests.journeys.test_the_main_job import make_key, newsletter
from tests.letters import letter
from tests.smtp_server import ReceivedMail, SmtpServer
from tests.usecases.test_scrub import stored_bytes

ANNA = "anna.unverwechselbar@example.com"
DETAILS = {"first_name": "Annegret", "last_name": "Eigenname", "company": "Quarkkontor", "phone": "+49 30 7654321"}
#: The phone also as forms send it.
CLEAR = [word.encode() for word in ("anna.unverwechselbar", *DETAILS.values(), "%2B49+30+7654321", ANNA.upper())]


@pytest.mark.slow
async def test_after_an_erasure_no_file_names_the_person_and_the_sealed_proof_opens(
    database_url: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    lmtp = free_port()
    with SmtpServer() as smtp:
        async with (
            serving(database_url, smtp_port=smtp.port, lmtp_port=str(lmtp), log_level="debug") as service,
            httpx.AsyncClient(base_url=service.base_url, timeout=30) as client,
        ):
            anna = Person(ANNA, client, smtp)
            mail = await story(service, anna, lmtp)
            assert len(await found_in(database_url, request)) == 6, "the search would find them"
            said = service.run("person", "erase", ANNA, "--reason", "letter 17", "--yes")
            assert "subscribers" in said
            await scrubbed(database_url)
            assert await found_in(database_url, request) == []
            await assert_links_are_neutral(anna, mail)
            await assert_proof_stands(service, tmp_path)
            assert service.stop() == 0
            log = service.log.read_bytes()
    assert await found_in(database_url, request) == []
    assert [word for word in CLEAR if word in log or word in said.encode()] == []


async def story(service: Process, anna: Person, lmtp: int) -> ReceivedMail:
    """She signs up with everything a form asks for, reads a newsletter with images, and writes to us."""
    assert (await anna.sign_up("newsletter", "tracking", **DETAILS)).status_code == 200
    assert (await anna.confirm(await anna.next_mail(1))).status_code == 200
    await anna.next_mail(2)
    pipeline = Pipeline(anna.client, make_key(service))
    sent = await newsletter(pipeline, anna, "November", 3)
    await anna.load_images(sent.mail)
    wrote = letter("Frau Annegret Eigenname von Quarkkontor fragt: wer sind Sie?", sender=ANNA, to=NEWS)
    await asyncio.to_thread(deliver_by_lmtp, lmtp, wrote, NEWS)
    await others_name_her(pipeline, lmtp)
    return sent.mail


async def others_name_her(pipeline: Pipeline, lmtp: int) -> None:
    """A bill to her alone, and a letter of somebody else."""
    bill: dict[str, Any] = {
        "template": None,
        "subject": f"An {ANNA}",
        "html": f"<p>Rechnung an {ANNA}</p>",
        "variables": {},
    }
    answer = await pipeline.send("Rechnung", purpose="service", recipients=[{"address": ANNA}], **bill)
    assert answer.status_code == 202, answer.text
    await pipeline.delivered(answer.json()["send_id"], 1)
    wrote = letter(f"Was ist mit {ANNA.upper()}?", sender="cy@example.org", to=NEWS, message_id="two@mail.example")
    await asyncio.to_thread(deliver_by_lmtp, lmtp, wrote, NEWS)


async def found_in(database_url: str, request: pytest.FixtureRequest) -> list[bytes]:
    """What of hers stands in the database's files, WAL and temporary files included, and in PostgreSQL's log."""
    database = Database(database_url)
    data = await stored_bytes(database, request)
    if not database.is_sqlite:
        server: postgres.Server = request.getfixturevalue("postgres_server")
        assert server.folder is not None
        data += (server.folder / "log").read_bytes()
    await database.close()
    return [word for word in CLEAR if word in data]


async def scrubbed(database_url: str) -> None:
    """Until the service has written its files anew."""
    database = Database(database_url)
    for _ in range(600):
        async with database.read() as connection:
            waiting = (await connection.execute(select(scrubs.c.scrub_id).where(scrubs.c.done_at.is_(None)))).all()
        if not waiting:
            await database.close()
            return
        await asyncio.sleep(0.1)
    raise TimeoutError("the files were not written anew")


async def assert_links_are_neutral(anna: Person, mail: ReceivedMail) -> None:
    """No error, nothing about the person, and a mail program's one-click is obeyed."""
    one_click = {"List-Unsubscribe": "One-Click"}
    assert (await anna.client.post(link(mail, "u"), data=one_click)).status_code == 200
    await anna.load_images(mail)
    for kind in ("p", "u", "t"):
        page = await anna.client.get(link(mail, kind))
        assert page.status_code in {200, 404, 410}
        assert not [word for word in CLEAR if word in page.content]
        assert (await anna.client.post(link(mail, kind), headers=BROWSER)).status_code < 500


async def assert_proof_stands(service: Process, folder: Path) -> None:
    assert service.run("ledger", "replay").startswith("The consent table is exactly")
    assert "the chain is whole" in service.run("ledger", "verify")
    service.run("ledger", "export", str(folder / "ledger.jsonl"), "--reason", "audit")
    assert "the chain is whole" in service.run("ledger", "check", str(folder / "ledger.jsonl"))
    assert not [word for word in CLEAR if word in (folder / "ledger.jsonl").read_bytes()]
    proof = json.loads(service.run("evidence", ANNA, "--reason", "claim 4", "--json"))
    assert proof["sealed_since"] is not None
    assert proof["address"] == ANNA
    assert all(entry["intact"] for entry in proof["ledger_entries"])
    assert proof["ledger_entries"][0]["content"]
    assert [one["in_ledger"] for one in proof["confirmation_mails"]] == [True]
