"""Real LMTP over a socket: 250 means handled, whatever else happens means later, and no mail is half done."""

import asyncio
import smtplib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog

from pixel_service.domain.errors import StorageUnavailable
from pixel_service.mail import lmtp
from pixel_service.mail.lmtp import MAX_CONNECTIONS, MAX_MAIL, MAX_RECIPIENTS, LmtpServer
from tests.letters import ANNA, STOP, letter

Mail = tuple[bytes, str, tuple[str, ...]]


class Taken:
    """Keeps what it gets, or raises `error`."""

    def __init__(self) -> None:
        self.mails: list[Mail] = []
        self.error: Exception | None = None
        self.started, self.go_on = asyncio.Event(), asyncio.Event()
        self.go_on.set()

    async def __call__(self, raw: bytes, mail_from: str, rcpt_tos: tuple[str, ...]) -> None:
        self.started.set()
        await self.go_on.wait()
        if self.error is not None:
            raise self.error
        self.mails.append((raw, mail_from, rcpt_tos))


@pytest.fixture
async def taken() -> Taken:
    return Taken()


@pytest.fixture
async def server(taken: Taken) -> AsyncIterator[LmtpServer]:
    listening = LmtpServer(taken, "127.0.0.1", 0)
    await listening.start()
    yield listening
    await listening.stop()


async def with_client(server: LmtpServer, work: Callable[[smtplib.LMTP], Any]) -> Any:
    """The standard library's LMTP client, which blocks, in a thread."""

    def run() -> Any:
        with smtplib.LMTP("127.0.0.1", server.port) as client:
            return work(client)

    return await asyncio.to_thread(run)


@asynccontextmanager
async def conversation(server: LmtpServer) -> AsyncIterator[Callable[[bytes], Awaitable[bytes]]]:
    """Says lines and hears answers, octet by octet."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    await reader.readline()

    async def say(line: bytes) -> bytes:
        writer.write(line + b"\r\n")
        answer = await reader.readline()
        while answer[3:4] == b"-":
            answer = await reader.readline()
        return answer

    say.reader = reader  # type: ignore[attr-defined]
    yield say
    writer.close()
    await writer.wait_closed()


async def test_a_mail_is_handed_on_as_it_came(server: LmtpServer, taken: Taken) -> None:
    mail = letter("Bitte abmelden\n.\nGrüße").replace(b"\n", b"\r\n")
    assert await with_client(server, lambda client: client.sendmail(ANNA, [STOP], mail)) == {}
    assert taken.mails == [(mail, ANNA, (STOP,))]


async def test_the_sender_of_a_bounce_is_empty(server: LmtpServer, taken: Taken) -> None:
    await with_client(server, lambda client: client.sendmail("", [STOP], letter()))
    assert taken.mails[0][1] == ""


async def test_every_recipient_gets_an_answer_and_the_mail_is_taken_once(server: LmtpServer, taken: Taken) -> None:
    async with conversation(server) as say:
        assert (await say(b"LHLO mx.example"))[:3] == b"250"
        assert (await say(b"MAIL FROM:<a@b.example>"))[:3] == b"250"
        for name in (b"one", b"two", b"three"):
            assert (await say(b"RCPT TO:<%s@news.example>" % name))[:3] == b"250"
        assert (await say(b"DATA"))[:3] == b"354"
        assert (await say(b"Subject: x\r\n\r\nx\r\n."))[:3] == b"250"
        for _ in range(2):
            assert (await say.reader.readline())[:3] == b"250"  # type: ignore[attr-defined]
        # The next answer belongs to the next command.
        assert (await say(b"NOOP"))[:3] == b"250"
        assert (await say(b"MAIL FROM:<a@b.example>"))[:3] == b"250"
    assert [mail[2] for mail in taken.mails] == [("one@news.example", "two@news.example", "three@news.example")]


@pytest.mark.parametrize("error", [StorageUnavailable("gone"), ValueError("a bug that quotes anna@example.com")])
async def test_what_is_not_handled_is_kept_by_the_mail_server(
    server: LmtpServer, taken: Taken, error: Exception
) -> None:
    taken.error = error
    with structlog.testing.capture_logs() as logs, pytest.raises(smtplib.SMTPDataError) as refused:
        await with_client(server, lambda client: client.sendmail(ANNA, [STOP], letter()))
    assert refused.value.smtp_code == 451
    assert "anna" not in str(refused.value.smtp_error)
    assert [line["event"] for line in logs] == ["mail_not_handled"]
    taken.error = None
    await with_client(server, lambda client: client.sendmail(ANNA, [STOP], letter()))
    assert len(taken.mails) == 1


async def test_a_refused_mail_leaves_the_connection_fit_for_the_next(server: LmtpServer, taken: Taken) -> None:
    def twice(client: smtplib.LMTP) -> None:
        taken.error = StorageUnavailable("gone")
        with pytest.raises(smtplib.SMTPDataError):
            client.sendmail(ANNA, [STOP], letter())
        taken.error = None
        client.sendmail(ANNA, [STOP], letter())

    await with_client(server, twice)
    assert len(taken.mails) == 1


async def test_it_is_no_smtp_server_and_wants_no_password(server: LmtpServer) -> None:
    async with conversation(server) as say:
        assert (await say(b"EHLO x"))[:3] == b"500"
        assert (await say(b"AUTH PLAIN AGEAYg=="))[:1] == b"5"


async def test_too_large_a_mail_is_refused_for_good_and_soon_forgotten(server: LmtpServer, taken: Taken) -> None:
    huge = letter("x") + (b"x" * 70 + b"\r\n") * (MAX_MAIL // 72 + 1)
    with pytest.raises((smtplib.SMTPDataError, smtplib.SMTPSenderRefused)) as refused:
        await with_client(server, lambda client: client.sendmail(ANNA, [STOP], huge))
    assert refused.value.smtp_code == 552
    assert taken.mails == []


async def test_lines_longer_than_the_standard_allows_are_taken(server: LmtpServer, taken: Taken) -> None:
    await with_client(server, lambda client: client.sendmail(ANNA, [STOP], letter("x") + b"y" * 20_000))
    assert len(taken.mails) == 1


async def test_recipients_are_bounded(server: LmtpServer, taken: Taken) -> None:
    async with conversation(server) as say:
        await say(b"LHLO mx.example")
        await say(b"MAIL FROM:<>")
        answers = [(await say(b"RCPT TO:<a%d@news.example>" % number))[:3] for number in range(MAX_RECIPIENTS + 1)]
    assert answers == [b"250"] * MAX_RECIPIENTS + [b"452"]


async def test_connections_are_bounded_and_free_ones_are_taken_again(server: LmtpServer, taken: Taken) -> None:
    open_ones = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(MAX_CONNECTIONS)]
    for reader, _ in open_ones:
        assert (await reader.readline())[:3] == b"220"
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    assert (await reader.readline())[:3] == b"421"
    for each in (writer, *(one for _, one in open_ones)):
        each.close()
        await each.wait_closed()
    async with asyncio.timeout(5):
        while server._connections:  # noqa: ASYNC110  the server has no event for it
            await asyncio.sleep(0.01)
    await with_client(server, lambda client: client.sendmail(ANNA, [STOP], letter()))
    assert len(taken.mails) == 1


async def test_a_mail_server_that_hangs_up_undoes_nothing(server: LmtpServer, taken: Taken) -> None:
    taken.go_on.clear()
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\nDATA\r\nSubject: x\r\n\r\nx\r\n.\r\n")
    await taken.started.wait()
    writer.transport.abort()
    await asyncio.sleep(0)
    taken.go_on.set()
    await server.stop()
    assert len(taken.mails) == 1


async def test_stopping_finishes_the_mail_under_way_and_ends_idle_connections(server: LmtpServer, taken: Taken) -> None:
    taken.go_on.clear()
    idle, idle_writer = await asyncio.open_connection("127.0.0.1", server.port)
    await idle.readline()
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\nDATA\r\nSubject: x\r\n\r\nx\r\n.\r\n")
    await taken.started.wait()
    stopping = asyncio.ensure_future(server.stop())
    await asyncio.sleep(0.05)
    assert not stopping.done()
    taken.go_on.set()
    async with asyncio.timeout(5):
        await stopping
    assert len(taken.mails) == 1
    with pytest.raises(ConnectionError):
        await asyncio.open_connection("127.0.0.1", server.port)
    for each in (writer, idle_writer):
        each.close()


async def test_octets_that_are_no_command_are_answered(server: LmtpServer) -> None:
    with structlog.testing.capture_logs():
        async with conversation(server) as say:
            assert (await say(b"\xff\xfe\x00"))[:1] in {b"4", b"5"}
            assert (await say(b"LHLO x"))[:3] == b"250"


def test_the_bounds_hold_together() -> None:
    assert lmtp.MAX_MAIL * lmtp.MAX_CONNECTIONS <= 100 * 1024 * 1024
