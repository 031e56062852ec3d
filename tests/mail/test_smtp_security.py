"""TLS and login: no mail over a line nobody vouches for, and a password that shows nowhere."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from pixel_service.mail.smtp import SmtpRelay, SmtpTransport
from pixel_service.mail.transport import Accepted, Deferred
from tests.certificates import Certificate, self_signed
from tests.mail.smtp_setup import Open, mail_to, relay_to
from tests.smtp_server import Protection, SmtpServer

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return self_signed(tmp_path_factory.mktemp("certificate"))


async def test_starttls_and_login(connect: Open, certificate: Certificate) -> None:
    protection = Protection(certificate=certificate, credentials=("user", PASSWORD))
    async with SmtpServer(protection=protection) as server:
        relay = replace(
            relay_to(server, "localhost"),
            security="starttls",
            username="user",
            password=PASSWORD,
            ca_file=str(certificate.file),
        )
        transport = connect(relay)
        assert isinstance(await transport.send(mail_to()), Accepted)
        await transport.close()


async def test_tls_from_the_first_byte(connect: Open, certificate: Certificate) -> None:
    async with SmtpServer(protection=Protection(certificate=certificate, implicit=True)) as server:
        transport = connect(replace(relay_to(server), security="tls", ca_file=str(certificate.file)))
        assert isinstance(await transport.send(mail_to()), Accepted)
        await transport.close()


@pytest.mark.parametrize("security,implicit", [("tls", True), ("starttls", False)])
async def test_a_certificate_nobody_vouches_for_is_deferred_and_gets_no_mail(
    connect: Open, certificate: Certificate, security: str, implicit: bool
) -> None:
    async with SmtpServer(protection=Protection(certificate=certificate, implicit=implicit)) as server:
        relay = relay_to(server)
        transport = connect(replace(relay, security="tls" if security == "tls" else "starttls"))
        outcome = await transport.send(mail_to())
        assert isinstance(outcome, Deferred)
        assert "certificate" in outcome.reply.lower()
        await server.until_open(0)
        assert server.mails == []


async def test_starttls_that_is_not_offered_is_deferred_and_never_skipped(server: SmtpServer, connect: Open) -> None:
    outcome = await connect(replace(relay_to(server), security="starttls")).send(mail_to())
    assert isinstance(outcome, Deferred)
    assert "STARTTLS" in outcome.reply
    assert server.mails == []


async def test_a_refused_login_is_deferred_and_the_password_is_nowhere(
    connect: Open, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("mail.log").setLevel(logging.CRITICAL)  # the test server's own, not ours
    async with SmtpServer(protection=Protection(credentials=("user", "another"))) as server:
        relay = replace(relay_to(server), username="user", password=PASSWORD)
        outcome = await connect(relay).send(mail_to())
    assert isinstance(outcome, Deferred)
    assert outcome.code == 535
    assert PASSWORD not in repr(relay) + str(relay) + repr(outcome) + caplog.text


async def test_a_login_no_server_asks_for_is_deferred(server: SmtpServer, connect: Open) -> None:
    async with SmtpServer(protection=Protection(offers_login=False)) as plain:
        outcome = await connect(replace(relay_to(plain), username="user", password=PASSWORD)).send(mail_to())
    assert isinstance(outcome, Deferred)
    assert "AUTH" in outcome.reply


def test_an_unreadable_ca_file_is_an_error_at_start(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        SmtpTransport(SmtpRelay(host="localhost", port=25, security="tls", ca_file=str(tmp_path / "none.pem")))
