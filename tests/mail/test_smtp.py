"""The SMTP transport against a real server: outcomes, the pool, and what must never happen (doubles, leaks, smuggling)."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from pixel_service.mail.smtp import SmtpRelay, SmtpTransport
from pixel_service.mail.transport import Accepted, Deferred, Envelope, Outcome, Rejected
from tests.certificates import Certificate, self_signed
from tests.smtp_server import Behaviour, Protection, SmtpServer, Stage

CONTENT = b"From: news@example.com\r\nSubject: Hello\r\n\r\nHello there\r\n"
PASSWORD = "correct horse battery"
GIBBERISH = "Malformed SMTP response line: HTTP/1.1 400"

Open = Callable[[SmtpRelay], SmtpTransport]


@pytest.fixture
async def server() -> AsyncIterator[SmtpServer]:
    async with SmtpServer() as running:
        yield running


@pytest.fixture
async def connect() -> AsyncIterator[Open]:
    """Makes transports, and closes them before the servers (requested earlier) stop."""
    made: list[SmtpTransport] = []

    def make(relay: SmtpRelay) -> SmtpTransport:
        made.append(SmtpTransport(relay))
        return made[-1]

    yield make
    for transport in made:
        await transport.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return self_signed(tmp_path_factory.mktemp("certificate"))


def relay_to(server: SmtpServer, host: str = "127.0.0.1") -> SmtpRelay:
    return SmtpRelay(
        host=host, port=server.port, security="none", local_hostname="localhost", timeout=timedelta(seconds=5)
    )


def mail_to(rcpt_to: str = "anna@example.org", data: bytes = CONTENT) -> Envelope:
    return Envelope(mail_from="bounce+7@example.com", rcpt_to=rcpt_to, data=data)


# --- outcomes ---------------------------------------------------------------------------------------------


async def test_an_accepted_mail_arrives_byte_for_byte_and_names_its_queue_id(server: SmtpServer, connect: Open) -> None:
    outcome = await connect(relay_to(server)).send(mail_to())
    assert outcome == Accepted("2.0.0 Ok: queued as 00010001")
    [mail] = server.mails
    assert (mail.mail_from, mail.rcpt_to, mail.data) == ("bounce+7@example.com", "anna@example.org", CONTENT)
    assert f"SIZE={len(CONTENT)}" in mail.options


@pytest.mark.parametrize(
    "behaviour,expected",
    [
        (Behaviour(rcpt_replies={"anna@example.org": "550 5.1.1 no such user"}), Rejected(550, "5.1.1 no such user")),
        (Behaviour(rcpt_replies={"anna@example.org": "450 4.2.1 greylisted"}), Deferred(450, "4.2.1 greylisted")),
        (Behaviour(rcpt_replies={"anna@example.org": "530 5.7.0 log in"}), Deferred(530, "5.7.0 log in")),
        (Behaviour(rcpt_replies={"anna@example.org": "421 4.3.2 going down"}), Deferred(421, "4.3.2 going down")),
        (Behaviour(rcpt_replies={"anna@example.org": "HTTP/1.1 400"}), Deferred(None, GIBBERISH)),
        (Behaviour(mail_reply="550 5.7.1 sender refused"), Deferred(550, "5.7.1 sender refused")),
        (Behaviour(mail_reply="451 4.3.0 later"), Deferred(451, "4.3.0 later")),
        (Behaviour(data_reply="452 4.3.1 disk full"), Deferred(452, "4.3.1 disk full")),
        (Behaviour(data_reply="554 5.5.1 no"), Rejected(554, "5.5.1 no")),
        (Behaviour(data_reply="250 what?"), Deferred(250, "what?")),
        (Behaviour(content_replies={"anna@example.org": "554 5.6.0 spam"}), Rejected(554, "5.6.0 spam")),
        (Behaviour(content_replies={"anna@example.org": "451 4.3.0 later"}), Deferred(451, "4.3.0 later")),
        (Behaviour(content_replies={"anna@example.org": "421 4.3.2 bye"}), Deferred(421, "4.3.2 bye")),
    ],
)
async def test_each_reply_has_its_outcome_and_the_next_mail_goes_through(
    server: SmtpServer, connect: Open, behaviour: Behaviour, expected: Outcome
) -> None:
    transport = connect(relay_to(server))
    server.behaviour = behaviour
    assert await transport.send(mail_to()) == expected
    server.behaviour = Behaviour()
    assert isinstance(await transport.send(mail_to("berta@example.org")), Accepted)
    assert [mail.rcpt_to for mail in server.mails][-1] == "berta@example.org"


async def test_a_refused_recipient_does_not_cost_the_connection(server: SmtpServer, connect: Open) -> None:
    server.behaviour.rcpt_replies["anna@example.org"] = "550 5.1.1 no such user"
    transport = connect(relay_to(server))
    for _ in range(3):
        assert isinstance(await transport.send(mail_to()), Rejected)
        assert isinstance(await transport.send(mail_to("berta@example.org")), Accepted)
    assert server.connections == 1


async def test_nobody_listening_is_deferred(connect: Open) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        outcome = await connect(SmtpRelay(host="127.0.0.1", port=port, security="none")).send(mail_to())
    assert isinstance(outcome, Deferred)
    assert outcome.code is None
    assert str(port) in outcome.reply


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b"])
async def test_a_relay_without_an_address_is_deferred(connect: Open, host: str) -> None:
    outcome = await connect(SmtpRelay(host=host, port=25, security="none")).send(mail_to())
    assert isinstance(outcome, Deferred)
    assert outcome.code is None


@pytest.mark.parametrize("stage", ["connect", "mail", "rcpt", "data", "content"])
async def test_a_silent_server_is_deferred_after_the_timeout(server: SmtpServer, connect: Open, stage: Stage) -> None:
    server.behaviour.mute_at = stage
    transport = connect(replace(relay_to(server), timeout=timedelta(seconds=0.2)))
    async with asyncio.timeout(3):
        outcome = await transport.send(mail_to())
    assert isinstance(outcome, Deferred)
    assert outcome.code is None
    assert "in time" in outcome.reply
    await server.until_open(0)


@pytest.mark.parametrize("stage", ["connect", "mail", "rcpt", "data", "content"])
async def test_a_server_that_drops_the_connection_is_deferred(server: SmtpServer, connect: Open, stage: Stage) -> None:
    server.behaviour.drop_at = stage
    transport = connect(relay_to(server))
    outcome = await transport.send(mail_to())
    assert isinstance(outcome, Deferred)
    assert outcome.code is None
    assert server.connections == 1
    server.behaviour.drop_at = None
    assert isinstance(await transport.send(mail_to()), Accepted)


async def test_a_reply_is_stored_printable_and_short(server: SmtpServer, connect: Open) -> None:
    server.behaviour.rcpt_replies["anna@example.org"] = "550-first line\r\n550 \x1b[31mred " + "x" * 900
    outcome = await connect(relay_to(server)).send(mail_to())
    assert isinstance(outcome, Rejected)
    assert outcome.reply.startswith("first line  [31mred xxx")
    assert len(outcome.reply) == 500


# --- the pool ---------------------------------------------------------------------------------------------


async def test_mails_one_after_the_other_share_one_connection(server: SmtpServer, connect: Open) -> None:
    transport = connect(relay_to(server))
    for number in range(20):
        assert isinstance(await transport.send(mail_to(f"p{number}@example.org")), Accepted)
    assert server.connections == 1
    assert len(server.mails) == 20


async def test_no_more_connections_than_the_pool_holds(server: SmtpServer, connect: Open) -> None:
    server.behaviour.delay = 0.005
    transport = connect(replace(relay_to(server), pool_size=3))
    outcomes = await asyncio.gather(*(transport.send(mail_to(f"p{number}@example.org")) for number in range(30)))
    assert all(isinstance(outcome, Accepted) for outcome in outcomes)
    assert len({mail.rcpt_to for mail in server.mails}) == len(server.mails) == 30
    assert (server.connections, server.most_connections) == (3, 3)


async def test_a_connection_is_replaced_after_its_share_of_mails(server: SmtpServer, connect: Open) -> None:
    transport = connect(replace(relay_to(server), pool_size=1, max_messages_per_connection=5))
    for _ in range(12):
        assert isinstance(await transport.send(mail_to()), Accepted)
    assert [mail.connection for mail in server.mails] == [1] * 5 + [2] * 5 + [3] * 2
    assert server.most_connections == 1


async def test_an_idle_connection_is_closed_in_time(server: SmtpServer, connect: Open) -> None:
    transport = connect(replace(relay_to(server), idle=timedelta(milliseconds=30)))
    await asyncio.gather(*(transport.send(mail_to()) for _ in range(3)))
    await server.until_open(0)
    assert isinstance(await transport.send(mail_to()), Accepted)


async def test_a_connection_the_server_closed_is_replaced_without_a_word(server: SmtpServer, connect: Open) -> None:
    transport = connect(relay_to(server))
    assert isinstance(await transport.send(mail_to("first@example.org")), Accepted)
    server.hang_up_all()  # blocks this loop, so the transport can not have seen it yet: the race that matters
    assert isinstance(await transport.send(mail_to("second@example.org")), Accepted)
    assert [mail.rcpt_to for mail in server.mails] == ["first@example.org", "second@example.org"]
    assert server.connections == 2


async def test_a_connection_known_to_be_closed_says_nothing_about_what_the_server_offers(
    server: SmtpServer, connect: Open
) -> None:
    transport = connect(relay_to(server))
    assert isinstance(await transport.send(mail_to()), Accepted)
    await asyncio.to_thread(server.hang_up_all)
    await asyncio.sleep(0.02)  # now the transport has seen it
    assert isinstance(await transport.send(mail_to("jörg@example.org")), Accepted)


async def test_a_server_that_says_it_is_leaving_is_taken_at_its_word(server: SmtpServer, connect: Open) -> None:
    transport = connect(relay_to(server))
    server.behaviour.content_replies["anna@example.org"] = "421 4.3.2 shutting down"
    assert await transport.send(mail_to()) == Deferred(421, "4.3.2 shutting down")
    await server.until_open(0)


async def test_a_server_that_takes_one_mail_per_connection_gets_every_mail_once(
    server: SmtpServer, connect: Open
) -> None:
    server.behaviour.hang_up_after = 1
    transport = connect(replace(relay_to(server), pool_size=1))
    for number in range(5):
        assert isinstance(await transport.send(mail_to(f"p{number}@example.org")), Accepted)
    assert [mail.rcpt_to for mail in server.mails] == [f"p{number}@example.org" for number in range(5)]
    assert server.connections == 5


async def test_a_server_that_only_hangs_up_is_asked_once_more_and_no_oftener(server: SmtpServer, connect: Open) -> None:
    transport = connect(replace(relay_to(server), pool_size=1))
    assert isinstance(await transport.send(mail_to()), Accepted)
    server.behaviour.hang_up_after = 0
    assert await transport.send(mail_to()) == Deferred(421, "4.7.0 localhost closing connection")
    assert server.connections == 2


@pytest.mark.parametrize("stage", ["data", "content"])
async def test_a_mail_whose_content_was_offered_is_never_offered_again(
    server: SmtpServer, connect: Open, stage: Stage
) -> None:
    transport = connect(relay_to(server))
    assert isinstance(await transport.send(mail_to("first@example.org")), Accepted)
    server.behaviour.drop_at = stage
    assert isinstance(await transport.send(mail_to("second@example.org")), Deferred)
    assert server.connections == 1


@pytest.mark.parametrize("stage", ["connect", "mail", "content"])
async def test_a_cancelled_send_leaves_no_connection_and_frees_its_slot(
    server: SmtpServer, connect: Open, stage: Stage
) -> None:
    server.behaviour.mute_at = stage
    transport = connect(replace(relay_to(server), pool_size=1))
    sending = asyncio.create_task(transport.send(mail_to()))
    await server.until_open(1)
    if stage != "connect":
        await server.until_muted()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    await server.until_open(0)
    server.behaviour.mute_at = None
    async with asyncio.timeout(3):
        assert isinstance(await transport.send(mail_to()), Accepted)


async def test_closing_lets_mails_under_way_finish_and_refuses_new_ones(server: SmtpServer, connect: Open) -> None:
    server.behaviour.delay = 0.05
    transport = connect(relay_to(server))
    sending = asyncio.create_task(transport.send(mail_to()))
    await server.until_open(1)
    await transport.close()
    assert isinstance(await sending, Accepted)
    await server.until_open(0)
    with pytest.raises(RuntimeError, match="closed"):
        await transport.send(mail_to())
    await transport.close()


# --- TLS and login ----------------------------------------------------------------------------------------


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


# --- addresses and content --------------------------------------------------------------------------------


async def test_an_international_domain_is_sent_as_its_a_label(connect: Open) -> None:
    async with SmtpServer(protection=Protection(smtputf8=False)) as server:
        transport = connect(relay_to(server))
        assert isinstance(await transport.send(mail_to("anna@bücher.example")), Accepted)
        await transport.close()
    assert server.mails[0].rcpt_to == "anna@xn--bcher-kva.example"


async def test_an_international_local_part_needs_a_server_that_offers_it(server: SmtpServer, connect: Open) -> None:
    assert isinstance(await connect(relay_to(server)).send(mail_to("jörg@bücher.example")), Accepted)
    assert server.mails[0].rcpt_to == "jörg@xn--bcher-kva.example"
    assert "SMTPUTF8" in server.mails[0].options
    async with SmtpServer(protection=Protection(smtputf8=False)) as old:
        transport = connect(relay_to(old))
        outcome = await transport.send(mail_to("jörg@bücher.example"))
        assert isinstance(outcome, Rejected)
        assert "SMTPUTF8" in outcome.reply
        assert isinstance(await transport.send(mail_to()), Accepted)
        await transport.close()


async def test_eight_bit_content_is_announced(server: SmtpServer, connect: Open) -> None:
    data = "Subject: Grüße\r\n\r\nGrüße\r\n".encode()
    assert isinstance(await connect(relay_to(server)).send(mail_to(data=data)), Accepted)
    assert server.mails[0].data == data
    assert "BODY=8BITMIME" in server.mails[0].options


@pytest.mark.parametrize(
    "rcpt_to",
    ["anna@example.org> SIZE=1", "a@b\r\nRSET", "<a@b.example>", "a b@example.org", "anna", "@example.org", "anna@",
     "anna@xn--\u0080.example", "\ud800@example.org"],
)  # fmt: skip
async def test_an_address_that_could_leave_its_brackets_is_rejected_before_connecting(
    server: SmtpServer, connect: Open, rcpt_to: str
) -> None:
    outcome = await connect(relay_to(server)).send(mail_to(rcpt_to))
    assert isinstance(outcome, Rejected)
    assert outcome.code == 553
    assert server.connections == 0


@pytest.mark.parametrize(
    "data",
    [b"a\nb\r\n", b"a\rb\r\n", b"a\r\n.\nMAIL FROM:<x@y>\r\n", b"a\n.\r\nb\r\n", b"a\r\r\n", b"a\0b\r\n", b"a\n\r\n"],
)
async def test_content_with_other_line_ends_is_a_programming_error(
    server: SmtpServer, connect: Open, data: bytes
) -> None:
    with pytest.raises(ValueError, match="CRLF"):
        await connect(relay_to(server)).send(mail_to(data=data))
    assert server.connections == 0


@pytest.mark.parametrize(
    "data",
    [
        b".\r\n",
        b"..leading\r\n.\r\n",
        b"Subject: x\r\n\r\nbody\r\n.\r\nMAIL FROM:<evil@example.com>\r\nRCPT TO:<victim@example.org>\r\nDATA\r\n",
        b"\r\n\r\n.\r\n\r\n",
    ],
)
async def test_a_lone_dot_ends_nothing(server: SmtpServer, connect: Open, data: bytes) -> None:
    assert isinstance(await connect(relay_to(server)).send(mail_to(data=data)), Accepted)
    assert [mail.data for mail in server.mails] == [data]


async def test_content_without_its_last_line_end_gets_one(server: SmtpServer, connect: Open) -> None:
    assert isinstance(await connect(relay_to(server)).send(mail_to(data=b"Subject: x\r\n\r\nbody")), Accepted)
    assert server.mails[0].data == b"Subject: x\r\n\r\nbody\r\n"


async def test_a_return_path_that_is_no_address_is_a_programming_error(connect: Open) -> None:
    relay = SmtpRelay(host="localhost", port=1, security="none")
    with pytest.raises(ValueError, match="return path"):
        await connect(relay).send(Envelope(mail_from="news", rcpt_to="anna@example.org", data=CONTENT))


async def test_a_mail_over_the_servers_limit_is_rejected(connect: Open) -> None:
    async with SmtpServer(protection=Protection(size_limit=100)) as server:
        transport = connect(relay_to(server))
        outcome = await transport.send(mail_to(data=b"x" * 90 + b"\r\n" + b"y" * 90 + b"\r\n"))
        assert isinstance(outcome, Rejected)
        assert outcome.code == 552
        assert isinstance(await transport.send(mail_to()), Accepted)
        await transport.close()


def test_an_envelope_in_a_traceback_names_nobody() -> None:
    assert "anna" not in repr(mail_to())
