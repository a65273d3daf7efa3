"""The ends of sockets, and sockets that listen."""

import contextlib
import socket

import pytest

from smtp_pop_adapters._sockets import (
    _listen,
    end_of,
    listen,
    listen_on_all,
    own_address,
)

# Ends of sockets

ENDS = [
    (("192.0.2.1", 25), ("192.0.2.1", 25)),
    (("2001:db8::1", 25, 0, 0), ("2001:db8::1", 25)),
    ("/run/lmtp", ("/run/lmtp", 0)),
    ("", ("", 0)),
    (b"\0abstract", ("\0abstract", 0)),
    ("run/lmtp", ("run/lmtp", 0)),
    ("lmtp", ("./lmtp", 0)),
    ("127.0.0.1", ("./127.0.0.1", 0)),  # the name of a file is no IP address
    (None, ("", 0)),
]


@pytest.mark.parametrize(("address", "expected"), ENDS)
def test_an_end_of_a_socket_has_an_address_and_a_port(
    address: object, expected: tuple[str, int]
) -> None:
    assert end_of(address) == expected


def test_only_internet_sockets_have_an_address_of_their_own() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert own_address(ours) == ""
    assert own_address(ours) == ""  # also once it is closed
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert own_address(listener) == "127.0.0.1"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", {"127.0.0.1"}),
        ("::1", {"::1"}),
        ("", {"0.0.0.0", "::"}),
    ],
)
def test_a_server_listens_on_every_address_of_a_name(
    host: str, expected: set[str]
) -> None:
    with contextlib.ExitStack() as stack:
        ends = [
            end_of(stack.enter_context(each).getsockname()) for each in listen(host, 0)
        ]
    assert {address for address, _ in ends} == expected
    assert len({port for _, port in ends}) == 1


def test_an_address_of_others_cannot_be_listened_on() -> None:
    with pytest.raises(OSError, match="assign requested address"):
        listen("192.0.2.1", 0)


def test_a_port_that_is_in_use_cannot_be_listened_on() -> None:
    with (
        socket.create_server(("::1", 0), family=socket.AF_INET6) as other,
        pytest.raises(OSError, match="in use"),
    ):
        listen("::1", other.getsockname()[1])


def test_addresses_that_this_host_lacks_are_left_out() -> None:
    ends = [(socket.AF_INET, (host, 0)) for host in ("192.0.2.1", "127.0.0.1")]
    (listener,) = _listen(ends, 0)
    with listener:
        assert listener.getsockname()[0] == "127.0.0.1"


def test_if_one_address_cannot_be_had_none_is_listened_on() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as other:
        port = other.getsockname()[1]
        ends = [
            (socket.AF_INET, ("127.0.0.1", port)),
            (socket.AF_INET6, ("::1", port, 0, 0)),
        ]
        with pytest.raises(OSError, match="in use"):
            _listen(ends, port)
        socket.create_server(("127.0.0.1", port)).close()


def test_if_no_port_is_free_on_all_addresses_that_is_said() -> None:
    ends = [(socket.AF_INET, (host, 0)) for host in ("127.0.0.1", "0.0.0.0")]
    with pytest.raises(OSError, match="in use"):
        listen_on_all(ends, 0)
