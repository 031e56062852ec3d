"""Whose network a pixel was fetched from: looked at while the request is judged, and forgotten."""

from collections.abc import Callable
from datetime import datetime
from ipaddress import ip_network
from pathlib import Path

import pytest
from starlette.types import Message, Scope
from structlog.testing import capture_logs

from pixel_service.domain.opens import Fetch, Network
from pixel_service.domain.tokens import Tokens
from pixel_service.storage.engine import Database
from pixel_service.usecases.record_opens import Outcome, Recorder
from pixel_service.web.pixel import PixelEndpoint
from tests.tracked_mail import NOW

SCANNER, ELSEWHERE = Network.SCANNER, Network.ELSEWHERE
#: Microsoft 365 protection.
CERTAIN = "40.92.13.77"
READER = "192.0.2.44"


def no_chance(at: datetime) -> bytes:
    return bytes(16)


def uncounted(reason: Outcome, number: int) -> None:
    pass


def endpoint_with(clock: Callable[[], datetime], folder: Path) -> PixelEndpoint:
    """Its recorder is never started, so nothing is stored."""
    recorder = Recorder(Database(f"sqlite:///{folder / 'unused.db'}"), count=uncounted)
    trusted = [ip_network(written) for written in ("127.0.0.0/8", "::1/128", "10.1.2.0/24", "fd00::/64")]
    return PixelEndpoint(Tokens([b"k" * 32]), recorder, clock, no_chance, trusted_proxies=trusted)


@pytest.fixture
def endpoint(tmp_path: Path) -> PixelEndpoint:
    return endpoint_with(lambda: NOW, tmp_path)


def request(client: tuple[str, int] | None, *forwarded: str) -> Scope:
    headers = [(b"x-forwarded-for", value.encode("latin-1")) for value in forwarded]
    return {"type": "http", "method": "GET", "path": "/o/x.gif", "headers": headers, "client": client}


def fetched(endpoint: PixelEndpoint, scope: Scope) -> Fetch:
    fetch = endpoint._fetch(scope)
    assert fetch
    return fetch


@pytest.mark.parametrize(
    "peer, network", [((CERTAIN, 443), SCANNER), (("67.231.152.9", 1), Network.GATEWAY), ((READER, 1), ELSEWHERE)]
)
def test_the_peers_network_is_told(endpoint: PixelEndpoint, peer: tuple[str, int], network: Network) -> None:
    assert fetched(endpoint, request(peer)).network is network


@pytest.mark.parametrize("proxy", ["127.0.0.1", "10.1.2.3", "::1", "fd00::7", "::ffff:127.0.0.1"])
def test_our_own_reverse_proxy_names_who_asked(endpoint: PixelEndpoint, proxy: str) -> None:
    assert fetched(endpoint, request((proxy, 1), CERTAIN)).network is SCANNER
    assert fetched(endpoint, request((proxy, 1), f"{READER}, {CERTAIN}")).network is SCANNER
    assert fetched(endpoint, request((proxy, 1), READER, CERTAIN)).network is SCANNER
    assert fetched(endpoint, request((proxy, 1), f"{CERTAIN}, {READER}")).network is ELSEWHERE
    for written in (f"{CERTAIN}:5060", f"[::ffff:{CERTAIN}]:5060", f"[::ffff:{CERTAIN}]"):
        assert fetched(endpoint, request((proxy, 1), written)).network is SCANNER
    assert fetched(endpoint, request((proxy, 1), f"{READER}:5060")).network is ELSEWHERE
    assert fetched(endpoint, request((proxy, 1), "nonsense")).network is ELSEWHERE
    assert fetched(endpoint, request((proxy, 1))).network is ELSEWHERE


def test_where_everybody_is_trusted_visitors_are_not_remembered(endpoint: PixelEndpoint) -> None:
    endpoint._trusted_proxies = [ip_network("0.0.0.0/0")]
    for number in range(1000):
        assert fetched(endpoint, request((f"198.51.{number // 250}.{number % 250}", 1), CERTAIN)).network is SCANNER
    assert len(endpoint._known_proxies) <= 100


@pytest.mark.parametrize("stranger", [READER, "10.1.3.3", "192.168.7.7", "2001:db8::1", "testclient"])
def test_nobody_else_is_asked_who_asked(endpoint: PixelEndpoint, stranger: str) -> None:
    assert fetched(endpoint, request((stranger, 1), CERTAIN)).network is ELSEWHERE


@pytest.mark.parametrize("client", [None, ("", 0)])
def test_on_a_unix_socket_only_the_proxy_knows(endpoint: PixelEndpoint, client: tuple[str, int] | None) -> None:
    assert fetched(endpoint, request(client)).network is ELSEWHERE
    assert fetched(endpoint, request(client, CERTAIN)).network is SCANNER


def test_a_server_that_names_no_peer_is_no_error(endpoint: PixelEndpoint) -> None:
    scope = request(None)
    del scope["client"]
    assert fetched(endpoint, scope).network is ELSEWHERE


async def test_the_address_is_in_nothing_that_outlives_the_request(endpoint: PixelEndpoint, tmp_path: Path) -> None:
    async def send(message: Message) -> None:
        assert CERTAIN not in repr(message)

    async def receive() -> Message:
        raise AssertionError("the body of a request for a pixel is not read")

    def broken_clock() -> datetime:
        raise ZeroDivisionError(CERTAIN)

    scope = request((CERTAIN, 1), CERTAIN)
    assert CERTAIN not in repr(fetched(endpoint, scope))
    broken = endpoint_with(broken_clock, tmp_path)
    with capture_logs() as lines:
        await broken(scope, receive, send)
    assert [line["event"] for line in lines] == ["open not recorded"]
    assert CERTAIN not in repr(lines)
