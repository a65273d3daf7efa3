from typing import Any, Final

import pytest

from proxy_headers import DESTINATION, SOURCE, with_values
from smtp_pop_core import proxy
from smtp_pop_core.proxy import Address, Command, Header, Inet, Transport, Unix

HOST_6: Final = Inet("2001:db8::1", 1)


@pytest.mark.parametrize(
    "host",
    [
        *("0.0.0.0", "255.255.255.255", "192.0.2.1"),
        *("::", "::1", "2001:db8::25", "1:2:3:4:5:6:7:8", "1:0:2:0:3:0:4:0"),
        *("::ffff:192.0.2.1", "::ffff:0.0.0.0", "fe80::1"),
    ],
)
@pytest.mark.parametrize("port", [0, 25, 65535])
def test_an_end_has_a_canonical_address_and_a_port(host: str, port: int) -> None:
    end = Inet(host, port)
    assert (end.host, end.port) == (host, port)


@pytest.mark.parametrize(
    "host",
    [
        *("", "localhost", "192.0.2", "192.0.2.01", "192.0.2.256", " 192.0.2.1"),
        *("192.0.2.1/24", "192.0.2.1\n", "\uff13.0.2.1", "3221225985", "0xc0.0.2.1"),
        *("2001:DB8::1", "2001:db8:0::1", "2001:0db8::1", "[2001:db8::1]", ":::"),
        *("fe80::1%eth0", "fe80::1%", "1::2::3", "::ffff:c000:201", "1:2:3:4:5:6:7"),
    ],
)
def test_another_form_of_an_address_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match="IP"):
        Inet(host, 25)


def test_an_address_is_text() -> None:
    with pytest.raises(TypeError, match="host must be str, not int"):
        Inet(3221225985, 25)  # type: ignore[arg-type]  # ipaddress would take it


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_has_16_bits(port: int) -> None:
    with pytest.raises(ValueError, match=f"not a port: {port}"):
        Inet("192.0.2.1", port)


@pytest.mark.parametrize(
    "path", [b"", b"/run/smtp", b"/" * 108, b"\0abstract", b"\0a\0b", b"\xff"]
)
def test_the_path_of_a_unix_socket_has_108_octets(path: bytes) -> None:
    assert Unix(path).path == path


@pytest.mark.parametrize("path", [b"/" * 109, b"a\0", b"a\0b", b"\0", b"\0a\0"])
def test_a_path_that_would_be_read_as_another_is_refused(path: bytes) -> None:
    with pytest.raises(ValueError, match="not the path of a Unix socket"):
        Unix(path)


ENDS: Final[dict[Transport, Address | None]] = {
    Transport.UNSPEC: None,
    Transport.TCP4: Inet("192.0.2.1", 1),
    Transport.UDP4: Inet("192.0.2.1", 1),
    Transport.TCP6: HOST_6,
    Transport.UDP6: Inet("::ffff:192.0.2.1", 1),
    Transport.UNIX_STREAM: Unix(b"/a"),
    Transport.UNIX_DATAGRAM: Unix(b""),
}


FITTING: Final = [
    (transport, ends)
    for transport in Transport
    for other, ends in ENDS.items()
    if other.value >> 4 == transport.value >> 4
]
UNFITTING: Final = [
    (transport, ends)
    for transport in Transport
    for other, ends in ENDS.items()
    if other.value >> 4 != transport.value >> 4
]


@pytest.mark.parametrize(("transport", "ends"), FITTING)
def test_the_addresses_are_those_of_the_transport(
    transport: Transport, ends: Address | None
) -> None:
    header = Header(transport, ENDS[transport], ends)
    assert header.source == ENDS[transport]
    assert header.destination == ends


@pytest.mark.parametrize(("transport", "ends"), UNFITTING)
def test_the_addresses_of_another_transport_are_refused(
    transport: Transport, ends: Address | None
) -> None:
    good = ENDS[transport]
    for source, destination in [(good, ends), (ends, good), (ends, ends)]:
        with pytest.raises(ValueError, match=f"not for {transport.name}"):
            Header(transport, source, destination)


VALUES: Final = (proxy.Noop(),)
WRONG: Final[list[tuple[dict[str, Any], str]]] = [
    ({"version": 0}, "not a version: 0"),
    ({"version": 3}, "not a version: 3"),
    ({"version": 1, "command": Command.LOCAL}, "version 1 has TCP"),
    ({"version": 1, "tlvs": VALUES}, "version 1 has TCP"),
    ({"transport": Transport.UDP4, "version": 1}, "version 1 has TCP"),
    ({"transport": Transport.UNIX_STREAM, "version": 1}, "version 1 has TCP"),
    ({"transport": Transport.TCP4, "command": Command.LOCAL}, "LOCAL has no addresses"),
    ({"tlvs": VALUES}, "nothing behind them"),
    ({"command": Command.LOCAL, "tlvs": VALUES}, "nothing behind them"),
    ({"source": SOURCE}, "not for UNSPEC"),
    ({"command": Command.LOCAL, "destination": SOURCE}, "not for UNSPEC"),
]


@pytest.mark.parametrize(("fields", "message"), WRONG)
def test_fields_that_do_not_belong_together_are_refused(
    fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Header(**fields)


def test_a_header_is_as_long_as_its_length_can_say() -> None:
    room = 65535 - 12 - 3
    assert with_values(proxy.Noop(bytes(room))).tlvs == (proxy.Noop(bytes(room)),)
    with pytest.raises(ValueError, match="at most 65535 octets behind its first"):
        with_values(proxy.Noop(bytes(room + 1)))
    with pytest.raises(ValueError, match="a vector has at most 65535 octets"):
        with_values(proxy.Noop(bytes(65536)))


def test_a_vector_is_found_by_its_class() -> None:
    header = with_values(
        proxy.Noop(b"a"), proxy.Authority("mx.example"), proxy.Noop(b"b")
    )
    assert header.find(proxy.Authority) == proxy.Authority("mx.example")
    assert header.find(proxy.Noop) == proxy.Noop(b"a")
    assert header.find(proxy.Ssl) is None


def test_the_ends_are_those_that_were_given() -> None:
    header = with_values()
    assert (header.source, header.destination) == (SOURCE, DESTINATION)
    assert (header.version, header.command) == (2, Command.PROXY)
