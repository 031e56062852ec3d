"""Whose network a request came from: the few whose requests say something about people (FACTS.md, section 1).

A range stands here only with its source. Microsoft and Google as a whole never do: their mail proxies live there and
fetch when a person opens the mail. What follows from a network is decided with the time of acceptance, in `settling`.
The address is looked up and forgotten: nothing here keeps one, not even in a cache.
"""

from bisect import bisect_right
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from pixel_service.domain.opens import Network

_SCANNERS = (
    # Microsoft 365 protection: "Office 365 URLs and IP address ranges", Exchange Online, ids 9 and 10.
    "40.92.0.0/15",
    "40.107.0.0/16",
    "52.100.0.0/14",
    "52.238.78.88/32",
    "104.47.0.0/17",
    "2a01:111:f400::/48",
    "2a01:111:f403::/48",
    # Barracuda Email Gateway Defense: Barracuda Campus, "IP Analysis - Inbound" (doc 96023004). Its pages for other
    # regions than the US name hosts at Amazon that we found no list of.
    "209.222.80.0/21",
)
_GATEWAYS = (
    # Barracuda Networks itself: ARIN, NET-64-235-144-0-1. Machines and offices share it, so it is no certain scanner.
    "64.235.144.0/20",
    # Proofpoint: "Support information" on proofpoint.my.site.com, its own ranges without the leased ones.
    "62.209.50.0/24",
    "67.231.144.0/20",
    "91.209.104.0/24",
    "208.84.64.0/22",
    "208.86.200.0/22",
    # Proofpoint Essentials: the ranges customers let through at Exchange Online (AS26211, AS52129).
    "148.163.128.0/19",
    "185.132.180.0/22",
    "185.183.28.0/22",
    # Mimecast: the ranges customers let through at Exchange Online, as far as independent set-ups agree.
    "63.128.21.0/24",
    "91.220.42.0/24",
    "170.10.128.0/22",
    "170.10.132.0/23",
    "195.130.217.0/24",
    "205.139.110.0/23",
    "207.211.30.0/24",
    "207.211.31.0/25",
    "216.205.24.0/24",
    # Cisco Umbrella: "Additional egress IP address range" (360059292052), and Microsoft Learn, "Cisco Secure Access
    # coexistence".
    "146.112.0.0/16",
    "151.186.0.0/16",
    "155.190.0.0/16",
)
#: Where IPv4 lies among the IPv6 addresses, so that one sorted table holds both.
_MAPPED = int(IPv6Address("::ffff:0:0"))


def _interval(network: IPv4Network | IPv6Network) -> tuple[int, int]:
    offset = _MAPPED if network.version == 4 else 0
    return offset + int(network.network_address), offset + int(network.broadcast_address)


_INTERVALS = sorted(
    (*_interval(ip_network(written)), kind)
    for kind, ranges in ((Network.SCANNER, _SCANNERS), (Network.GATEWAY, _GATEWAYS))
    for written in ranges
)
_FIRSTS = [first for first, _, _ in _INTERVALS]


def _head(ip: str) -> str:
    """The first two numbers of an address as written: ``192.0``, ``2001:db8``, ``::ffff:192.0``."""
    return ip.rsplit(".", 2)[0] if "." in ip else ":".join(ip.split(":", 2)[:2])


def _heads() -> frozenset[str]:
    heads = {":"}  # an IPv4 address written in hexadecimal: ::ffff:c000:201
    for first, last, _ in _INTERVALS:
        if first < _MAPPED + 2**32:
            dotted = {f"{pair >> 8 & 255}.{pair & 255}" for pair in range(first >> 16, (last >> 16) + 1)}
            heads |= dotted | {f"::ffff:{head}" for head in dotted}
        else:
            heads.add(_head(str(IPv6Address(first))))
    return frozenset(heads)


#: No IPv6 range spans two heads. Almost nobody's address begins with one, and parsing it takes ten times the search.
_HEADS = _heads()


def network_of(ip: str) -> Network:
    """`ip` as a server or proxy writes it, without leading zeros; what is no address is elsewhere."""
    if _head(ip.lower()) not in _HEADS:
        return Network.ELSEWHERE
    try:
        address = ip_address(ip)
    except ValueError:
        return Network.ELSEWHERE
    number = int(address) + (_MAPPED if address.version == 4 else 0)
    # Before the first range this is the last one, which does not hold it either.
    first, last, kind = _INTERVALS[bisect_right(_FIRSTS, number) - 1]
    return kind if first <= number <= last else Network.ELSEWHERE
