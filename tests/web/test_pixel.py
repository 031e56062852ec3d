"""The pixel's answer: the same for everyone, and what is recorded behind it."""

from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from io import BytesIO

import pytest
from PIL import Image
from sqlalchemy import func, select
from starlette.types import Message

from pixel_service.domain.consent import State
from pixel_service.domain.errors import StorageUnavailable
from pixel_service.domain.messages import PixelId
from pixel_service.domain.tokens import Tokens
from pixel_service.storage.engine import Database
from pixel_service.storage.schema import opens
from pixel_service.usecases.record_opens import Outcome, Recorder, RecorderLimits
from pixel_service.web.pixel import PixelEndpoint
from tests.tracked_mail import NOW, TrackedMail, add_tracked_mail, new_id, withdraw_tracking

GIF = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")
HEADERS = {
    "content-type": "image/gif",
    "content-length": "43",
    "cache-control": "private, no-store, no-cache, max-age=0, must-revalidate",
    "pragma": "no-cache",
    "expires": "0",
    "cross-origin-resource-policy": "cross-origin",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-robots-tag": "noindex",
}
GMAIL = {"user-agent": "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"}
TOKENS = Tokens([b"k" * 32])
FORGER = Tokens([b"f" * 32])


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


@dataclass(slots=True)
class Pixel:
    """The endpoint as a server calls it."""

    endpoint: PixelEndpoint
    recorder: Recorder
    counted: Counter[Outcome] = field(default_factory=Counter)

    async def ask(self, path: str, *, method: str = "GET", headers: dict[str, str] | None = None) -> Answer:
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        async def receive() -> Message:
            raise AssertionError("the body of a request for a pixel is not read")

        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in (headers or {}).items()]
        await self.endpoint({"type": "http", "method": method, "path": path, "headers": raw}, receive, send)
        start, body = sent
        assert (start["type"], body["type"]) == ("http.response.start", "http.response.body")
        return Answer(status=start["status"], headers=start["headers"], body=body["body"])


def path_of(pixel_id: PixelId, tokens: Tokens = TOKENS) -> str:
    return f"/o/{tokens.mint_pixel(pixel_id)}.gif"


Make = Callable[..., Pixel]


@pytest.fixture
async def make(db: Database) -> AsyncIterator[Make]:
    started: list[Recorder] = []

    def make(*, honour_gpc: bool = True) -> Pixel:
        counted: Counter[Outcome] = Counter()
        patient = RecorderLimits(deadline=timedelta(seconds=30))
        recorder = Recorder(db, count=lambda reason, n: counted.update({reason: n}), limits=patient)
        recorder.start()
        started.append(recorder)
        ids = iter(range(1, 10_000))

        def event_id(at: datetime) -> bytes:
            assert at == NOW
            return next(ids).to_bytes(16, "big")

        endpoint = PixelEndpoint(TOKENS, recorder, lambda: NOW, event_id, honour_gpc=honour_gpc)
        return Pixel(endpoint, recorder, counted)

    yield make
    for recorder in started:
        await recorder.stop()


@pytest.fixture
async def pixel(make: Make) -> Pixel:
    return make()


@pytest.fixture
async def mail(db: Database) -> TrackedMail:
    async with db.write() as connection:
        return await add_tracked_mail(connection)


async def stored(db: Database) -> int:
    async with db.read() as connection:
        return (await connection.execute(select(func.count()).select_from(opens))).scalar_one()


def test_the_image_is_one_transparent_pixel() -> None:
    with Image.open(BytesIO(GIF)) as image:
        assert (image.format, image.size) == ("GIF", (1, 1))
        assert image.convert("RGBA").getchannel("A").getextrema() == (0, 0)


async def test_a_get_answers_with_the_image_and_stores_the_open(db: Database, pixel: Pixel, mail: TrackedMail) -> None:
    answer = await pixel.ask(path_of(mail.pixel_id), headers=GMAIL)
    assert (answer.status, answer.body) == (200, GIF)
    assert {name.decode(): value.decode() for name, value in answer.headers} == HEADERS
    async with db.read() as connection:
        row = (await connection.execute(select(opens))).one()
    assert (row.message_id, row.opened_at) == (mail.message_id, NOW)
    assert (row.verdict, row.reason, row.client_family) == ("proxy_open", "gmail", "Gmail")


async def test_the_stored_row_holds_nothing_else_of_the_request(db: Database, pixel: Pixel, mail: TrackedMail) -> None:
    await pixel.ask(
        path_of(mail.pixel_id),
        headers={"user-agent": "Tellingly/1.0", "referer": "https://webmail.example/", "x-forwarded-for": "192.0.2.7"},
    )
    async with db.read() as connection:
        row = (await connection.execute(select(opens))).one()
    assert not any(part in repr(row) for part in ("Tellingly", "webmail", "192.0.2.7"))


async def test_every_token_gets_the_same_answer(db: Database, pixel: Pixel) -> None:
    async with db.write() as connection:
        consenting, withdrawn = [await add_tracked_mail(connection) for _ in range(2)]
        refused = await add_tracked_mail(connection, State.REFUSED)
        await withdraw_tracking(connection, withdrawn.subscriber_id)
    genuine = path_of(consenting.pixel_id)
    paths = [
        genuine,
        path_of(withdrawn.pixel_id),
        path_of(refused.pixel_id),
        path_of(PixelId(new_id())),
        path_of(consenting.pixel_id, FORGER),
        genuine.upper(),
        genuine.replace(".gif", ""),
        genuine + "/",
        genuine[:-10] + ".gif",
        "/o/.gif",
        "/o/",
        "/",
        "",
        "/o/../../etc/passwd",
        "/o/\x00\ud800\U0001f600ﬆ.gif",
        "/o/" + "a" * 100_000 + ".gif",
        "/o/" + "." * 100_000,
    ]
    answers = [await pixel.ask(path, headers=GMAIL) for path in paths]
    assert all(answer == answers[0] for answer in answers)
    assert answers[0].body == GIF
    assert await stored(db) == 1
    # The genuine one, with and without its ending.
    assert pixel.counted == {
        Outcome.RECORDED: 1,
        Outcome.COLLAPSED: 1,
        Outcome.NOT_CONSENTED: 3,
        Outcome.FORGED: len(paths) - 5,
    }


async def test_head_answers_with_the_same_headers_and_records_nothing(
    db: Database, pixel: Pixel, mail: TrackedMail
) -> None:
    get = await pixel.ask(path_of(mail.pixel_id))
    head = await pixel.ask(path_of(mail.pixel_id), method="HEAD")
    assert (head.status, head.headers, head.body) == (200, get.headers, b"")
    assert await stored(db) == 1
    assert pixel.counted == {Outcome.RECORDED: 1, Outcome.HEAD: 1}


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "get", "PROPFIND"])
async def test_other_methods_are_not_allowed(db: Database, pixel: Pixel, mail: TrackedMail, method: str) -> None:
    answer = await pixel.ask(path_of(mail.pixel_id), method=method)
    assert answer.status == 405
    assert (b"allow", b"GET, HEAD") in answer.headers
    assert answer.body == b""
    assert await stored(db) == 0


@pytest.mark.parametrize("header", [{"sec-gpc": "1"}, {"dnt": "1"}, {"sec-gpc": " 1"}, {"sec-gpc": "0", "dnt": "1"}])
async def test_who_asks_not_to_be_measured_is_not(
    db: Database, pixel: Pixel, mail: TrackedMail, header: dict[str, str]
) -> None:
    plain = await pixel.ask("/o/x.gif")
    assert await pixel.ask(path_of(mail.pixel_id), headers=header) == plain
    assert await stored(db) == 0
    assert pixel.counted == {Outcome.FORGED: 1, Outcome.OPTED_OUT: 1}


@pytest.mark.parametrize("header", [{"sec-gpc": "0"}, {"dnt": "0"}, {"dnt": ""}, {"dnt": "unspecified"}, {}])
async def test_without_an_opt_out_the_open_is_stored(
    db: Database, pixel: Pixel, mail: TrackedMail, header: dict[str, str]
) -> None:
    await pixel.ask(path_of(mail.pixel_id), headers=header)
    assert await stored(db) == 1


async def test_an_operator_may_switch_the_opt_out_header_off(db: Database, make: Make, mail: TrackedMail) -> None:
    await make(honour_gpc=False).ask(path_of(mail.pixel_id), headers={"sec-gpc": "1"})
    assert await stored(db) == 1


@pytest.mark.parametrize("header", ["purpose", "sec-purpose"])
async def test_a_prefetch_header_is_judged(db: Database, pixel: Pixel, mail: TrackedMail, header: str) -> None:
    await pixel.ask(path_of(mail.pixel_id), headers={**GMAIL, header: "prefetch"})
    async with db.read() as connection:
        row = (await connection.execute(select(opens.c.verdict, opens.c.reason))).one()
    assert tuple(row) == ("prefetch", "header")


async def test_a_request_without_or_with_strange_headers_gets_the_same_answer(
    db: Database, pixel: Pixel, mail: TrackedMail
) -> None:
    plain = await pixel.ask(path_of(mail.pixel_id))
    for value in ("", "\xff\x00" * 4, "x" * 60_000, "bot " * 10_000):
        assert await pixel.ask(path_of(mail.pixel_id), headers={"user-agent": value, "purpose": value}) == plain
    assert pixel.counted.total() == 5


def no_chance(at: datetime) -> bytes:
    return bytes(16)


class Gone(Database):
    """A database that can not be reached."""

    def write(self) -> "Gone":  # type: ignore[override]
        raise StorageUnavailable("gone")

    def write_at_once(self, work: object) -> "Gone":  # type: ignore[override]
        raise StorageUnavailable("gone")


async def test_without_a_database_and_with_a_full_buffer_the_answer_is_the_same(
    database_url: str, pixel: Pixel, mail: TrackedMail
) -> None:
    well = await pixel.ask(path_of(mail.pixel_id))
    soon = timedelta(milliseconds=20)
    counted: Counter[Outcome] = Counter()
    recorder = Recorder(
        Gone(database_url),
        count=lambda reason, n: counted.update({reason: n}),
        limits=RecorderLimits(capacity=2, deadline=soon, drain=soon),
    )
    recorder.start()
    down = Pixel(PixelEndpoint(TOKENS, recorder, lambda: NOW, no_chance), recorder)
    assert [await down.ask(path_of(mail.pixel_id)) for _ in range(4)] == [well] * 4
    assert counted == {Outcome.DROPPED: 2}
    await recorder.stop()


async def test_an_unforeseen_error_does_not_show(pixel: Pixel, mail: TrackedMail) -> None:
    def broken_clock() -> datetime:
        raise ZeroDivisionError

    well = await pixel.ask(path_of(mail.pixel_id))
    broken = Pixel(PixelEndpoint(TOKENS, pixel.recorder, broken_clock, no_chance), pixel.recorder)
    assert await broken.ask(path_of(mail.pixel_id)) == well


async def test_what_a_middleware_adds_to_one_answer_is_not_in_the_next(pixel: Pixel) -> None:
    first = await pixel.ask("/o/x.gif")
    first.headers.append((b"set-cookie", b"a=b"))
    second = await pixel.ask("/o/x.gif")
    assert {name.decode() for name, _ in second.headers} == set(HEADERS)
