from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtp_pop_core._networks import Network, Networks

_COMPLAINT = r"network|host bits"

CASES = [
    # networks, address, whether it is in one of them
    (["127.0.0.0/8"], "127.0.0.1", True),
    (["127.0.0.0/8"], "127.255.255.255", True),
    (["127.0.0.0/8"], "128.0.0.0", False),
    (["192.0.2.1"], "192.0.2.1", True),
    (["192.0.2.1"], "192.0.2.2", False),
    (["10.0.0.0/255.0.0.0"], "10.9.8.7", True),
    (["0.0.0.0/0"], "192.0.2.1", True),
    (["0.0.0.0/0"], "2001:db8::1", False),
    (["2001:db8::/32"], "2001:db8:ffff::1", True),
    (["2001:DB8::/32"], "2001:0db8::1", True),
    (["2001:db8::/32"], "2001:db9::1", False),
    (["::1"], "::1", True),
    (["::/0"], "::1", True),
    (["::/0"], "192.0.2.1", False),
    # several
    (["10.0.0.0/8", "192.168.0.0/16"], "192.168.1.1", True),
    (["10.0.0.0/8,192.168.0.0/16"], "192.168.1.1", True),
    (["10.0.0.0/8, ::1 "], "::1", True),
    ("10.0.0.0/8,::1", "::1", True),
    ([IPv4Network("10.0.0.0/8"), IPv6Network("::1")], "10.0.0.1", True),
    ([IPv4Network("10.0.0.0/8"), IPv6Network("::1")], "::1", True),
    # an IPv4-mapped address is the IPv4 address
    (["127.0.0.0/8"], "::ffff:127.0.0.1", True),
    (["127.0.0.0/8"], "::FFFF:7f00:1", True),
    (["127.0.0.0/8"], "::127.0.0.1", False),
    (["::/0"], "::ffff:127.0.0.1", False),
    (["::ffff:127.0.0.0/104"], "127.0.0.1", True),
    (["::ffff:127.0.0.0/104"], "::ffff:127.0.0.1", True),
    (["::ffff:127.0.0.0/104"], "128.0.0.1", False),
    (["::ffff:0:0/96"], "192.0.2.1", True),
    (["::fffe:0:0/96"], "::fffe:1.2.3.4", True),
    # the zone of a link-local address does not count
    (["fe80::/10"], "fe80::1%eth0", True),
    (["fe80::1"], "fe80::1%1", True),
    (["127.0.0.0/8"], "::ffff:127.0.0.1%1", True),
    # Unix sockets
    (["unix"], "", True),
    (["unix"], "/run/proxy.sock", True),
    (["unix"], "\0proxy", True),
    (["unix"], "127.0.0.1", False),
    (["10.0.0.0/8,unix"], "", True),
    (["0.0.0.0/0", "::/0"], "", False),
    (["0.0.0.0/0", "::/0"], "/run/proxy.sock", False),
    # nobody
    ([], "127.0.0.1", False),
    ([], "", False),
    (None, "127.0.0.1", False),
    (None, "", False),
]


@pytest.mark.parametrize(("networks", "address", "expected"), CASES)
def test_a_peer_is_in_a_network(
    networks: Iterable[Network] | None, address: str, expected: bool
) -> None:
    assert (address in Networks(networks)) is expected


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", ",", "127.0.0.0/8,", "localhost", "UNIX", "/run/proxy.sock", "1"),
        *("127.0.0.1/8", "2001:db8::1/32", "10.0.0.0/33", "::/129", "10.0.0.0/-1"),
        *("010.0.0.0/8", "10.0.0/8", "fe80::1%eth0", "fe80::%1/64", "10.0.0.0 /8"),
    ],
)
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=_COMPLAINT):
        Networks([text])
    with pytest.raises(ValueError, match=_COMPLAINT):
        Networks(text)


@given(st.ip_addresses(), st.integers(0, 32))
def test_an_address_is_in_each_network_around_it(
    ip: IPv4Address | IPv6Address, bits: int
) -> None:
    around = ip_network((ip, ip.max_prefixlen - bits), strict=False)
    assert str(ip) in Networks([around])
