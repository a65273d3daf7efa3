"""Networks, to say who is trusted."""

from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final, TypeAlias

Network: TypeAlias = str | IPv4Network | IPv6Network

_UNIX: Final = "unix"


class Networks:
    """A set of networks, to look the addresses of peers up in.

    An IPv4-mapped address of IPv6 is the IPv4 address that it stands for, in networks
    as in addresses, so that it does not matter which kind of socket listens.

    Args:
        given: Networks as "192.0.2.0/24" or "2001:db8::/32", addresses that stand for
            themselves alone, or "unix" for all Unix sockets; a text may hold several,
            with commas.  None: no peer is in it.

    Raises:
        ValueError: A text is no network, has bits set behind its prefix, or a zone.
    """

    __slots__ = ("_networks", "_unix")

    def __init__(self, given: Iterable[Network] | None = None) -> None:
        self._networks: list[IPv4Network | IPv6Network] = []
        self._unix = False
        for each in [given] if isinstance(given, str) else given or ():
            for one in each.split(",") if isinstance(each, str) else [each]:
                self._add(one)

    def _add(self, network: Network) -> None:
        text = str(network).strip()
        if text == _UNIX:
            self._unix = True
        elif "%" in text:  # of peers, the zone does not count
            raise ValueError(f"a network has no zone: {text!r}")
        else:
            self._networks.append(_without_mapping(ip_network(text)))

    def __contains__(self, address: str) -> bool:
        """Whether a peer belongs to one of the networks.

        Args:
            address: Its IP address, which may have a zone, as "fe80::1%eth0"; the path
                of a Unix socket, "" of one without a name.
        """
        if not (self._networks or self._unix):
            return False  # as on most servers; to read the address takes 5 us
        ip = _ip(address)
        if ip is None:
            return self._unix
        return any(ip in each for each in self._networks)


def _ip(address: str) -> IPv4Address | IPv6Address | None:
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return (ip.ipv4_mapped or ip) if isinstance(ip, IPv6Address) else ip


def _without_mapping(network: IPv4Network | IPv6Network) -> IPv4Network | IPv6Network:
    """Return the IPv4 network that one of IPv4-mapped addresses stands for."""
    if isinstance(network, IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return IPv4Network((mapped, network.prefixlen - 96))
    return network
