"""The SMTP transport against a real server: what comes of a mail, and that nothing can be smuggled in one."""

import asyncio
import socket
from dataclasses import replace
from datetime import timedelta

import pytest

from pixel_service.mail.smtp import SmtpRelay
from pixel_service.mail.transport import Accepted, Deferred, Envelope, Outcome, Rejected
from tests.mail.smtp_setup import CONTENT, Open, mail_to, relay_to
from tests.smtp_server import Behaviour, Protection, SmtpServer, Stage

GIBBERISH = "Malformed SMTP response line: HTTP/1.1 400"


# --- outcomes ---------------------------------------------------------------------------------------------


async def test_an_accepted_mail_arrives_byte_for_byte_and_names_its_queue_id(server: SmtpServer, connect: Open) -> None:
    outcome = await connect(relay_to(server)).send(mail_to())
    assert outcome == Accepted("250 2.0.0 Ok: queued as 00010001")
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
