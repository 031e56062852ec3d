"""Whose network a request came from."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from itertools import pairwise

import pytest
from hypothesis import example, given, strategies as st

from pixel_service.domain.networks import _GATEWAYS, _INTERVALS, _SCANNERS, network_of
from pixel_service.domain.opens import Network

SCANNER, GATEWAY, ELSEWHERE = Network.SCANNER, Network.GATEWAY, Network.ELSEWHERE
#: FACTS.md, section 1, word by word.
MICROSOFT_PROTECTION = (
    "40.92.0.0/15",
    "40.107.0.0/16",
    "52.100.0.0/14",
    "52.238.78.88/32",
    "104.47.0.0/17",
    "2a01:111:f400::/48",
    "2a01:111:f403::/48",
)
RANGES = [(written, SCANNER) for written in _SCANNERS] + [(written, GATEWAY) for written in _GATEWAYS]


def _beside(written: str) -> list[str]:
    network = ip_network(written)
    return [str(network[0] - 1), str(network[-1] + 1)]


def _expected(ip: str) -> Network:
    """By the plainest way: every range is asked."""
    address = ip_address(ip)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return next((kind for written, kind in RANGES if (mapped or address) in ip_network(written)), ELSEWHERE)


@pytest.mark.parametrize("written", MICROSOFT_PROTECTION)
def test_microsofts_protection_is_a_scanner(written: str) -> None:
    assert {network_of(str(ip_network(written)[place])) for place in (0, -1)} == {SCANNER}


@pytest.mark.parametrize(
    "ip, network",
    [
        ("209.222.87.255", SCANNER),  # Barracuda
        ("67.231.152.1", GATEWAY),  # Proofpoint
        ("207.211.31.64", GATEWAY),  # Mimecast
        ("155.190.3.4", GATEWAY),  # Cisco Umbrella
        ("::ffff:40.92.1.2", SCANNER),
        ("::FFFF:40.92.1.2", SCANNER),
        ("::ffff:285c:102", SCANNER),
        ("2A01:111:F400::1", SCANNER),
    ],
)
def test_a_network_is_known_however_its_address_is_written(ip: str, network: Network) -> None:
    assert network_of(ip) is network


@pytest.mark.parametrize(
    "ip",
    [
        "40.126.0.1",  # Microsoft's other networks: mail proxies live there
        "52.96.0.1",
        "20.190.128.1",
        "2603:1026::1",
        "66.249.84.1",  # Google's image proxy
        "74.125.208.1",
        "2a00:1450:4864::1",
        "17.58.0.1",  # Apple
        "104.28.0.1",  # Private Relay
        "192.0.2.1",
        "::1",
    ],
)
def test_no_network_is_suppressed_where_mail_proxies_and_people_are(ip: str) -> None:
    assert network_of(ip) is ELSEWHERE


@pytest.mark.parametrize(
    "garbage",
    [
        "",
        ".",
        ":",
        "40.92",
        "40.92.1",
        "40.92.1.2.3",
        "40.92.1.2 ",
        "40.92.1.256",
        "40.92.1.2:80",
        "40.92.٣.1",
        "40.92.1.\x00",
        "x" * 100_000,
        "40.92." + "1" * 100_000,
        "unix:",
        "\ud800",
        "2a01:111:zz::",
    ],
)
def test_garbage_is_elsewhere(garbage: str) -> None:
    assert network_of(garbage) is ELSEWHERE


@pytest.mark.parametrize("written, kind", RANGES)
def test_a_range_ends_where_it_ends(written: str, kind: Network) -> None:
    network = ip_network(written)
    assert network_of(str(network[0])) is network_of(str(network[-1])) is kind
    for neighbour in _beside(written):
        assert network_of(neighbour) is _expected(neighbour)


def test_no_two_ranges_overlap() -> None:
    assert all(last < first for (_, last, _), (first, _, _) in pairwise(_INTERVALS))


_NEAR_A_RANGE = st.sampled_from([written for written, _ in RANGES if ":" not in written]).flatmap(
    lambda written: st.integers(-70_000, 70_000).map(lambda steps: str(ip_network(written)[0] + steps))
)


@given(st.one_of(st.ip_addresses().map(str), _NEAR_A_RANGE))
@example("0.0.0.0")
@example("255.255.255.255")
@example("::")
def test_the_search_finds_what_asking_every_range_finds(ip: str) -> None:
    assert network_of(ip) is _expected(ip)
    if isinstance(address := ip_address(ip), IPv4Address):
        assert network_of(f"::ffff:{address}") is _expected(ip)


@given(st.text())
def test_no_text_is_an_error(text: str) -> None:
    assert network_of(text) in Network
