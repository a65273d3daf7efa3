"""A real client that sends PROXY headers of its own making to our server."""

import subprocess
from collections.abc import Iterator
from typing import Final

import pytest

from smtp_pop_adapters.blocking import Server, serve_smtp
from smtp_pop_core import Blocks, smtp
from smtp_pop_core.proxy import Header, Inet, Transport

met: Final[list[smtp.Peer]] = []
IPV4: Final = Inet("192.0.2.1", 56_324), Inet("198.51.100.7", 25)
IPV6: Final = Inet("2001:db8::1", 56_324), Inet("2001:db8::25", 25)
HEADERS: Final = [
    # version, family, the header
    (1, "TCP4", Header(Transport.TCP4, *IPV4, version=1)),
    (1, "TCP6", Header(Transport.TCP6, *IPV6, version=1)),
    (2, "AF_INET", Header(Transport.TCP4, *IPV4)),
    (2, "AF_INET6", Header(Transport.TCP6, *IPV6)),
]


class Receiver(smtp.Application):
    def message(self, envelope: smtp.Envelope, content: Blocks) -> None:
        content.read()
        met.append(self.peer)


@pytest.fixture
def server() -> Iterator[Server]:
    met.clear()
    with serve_smtp(Receiver, "127.0.0.1", proxy_protocol=["127.0.0.0/8"]) as it:
        yield it


def swaks(
    programs: dict[str, str], server: Server, *arguments: object
) -> tuple[int, str]:
    """Run it, and return its exit code and what it has said."""
    host, port = server.addresses[0]
    done = subprocess.run(
        [
            *(programs["swaks"], "--server", f"{host}:{port}", "--helo", "me.example"),
            *("--from", "a@example.com", "--to", "b@example.com", *map(str, arguments)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def spoken(version: int, family: str, source: Inet, destination: Inet) -> list[object]:
    """Give the arguments for a header."""
    return [
        *("--proxy-version", version, "--proxy-family", family),
        *("--proxy-source", source.host, "--proxy-source-port", source.port),
        *("--proxy-dest", destination.host, "--proxy-dest-port", destination.port),
    ]


@pytest.mark.parametrize(("version", "family", "header"), HEADERS)
def test_swaks_says_whose_connection_it_is(
    programs: dict[str, str], server: Server, version: int, family: str, header: Header
) -> None:
    source, destination = IPV6 if family.endswith("6") else IPV4
    words = spoken(version, family, source, destination)
    code, said = swaks(programs, server, *words)
    assert code == 0, said
    assert [(peer.address, peer.port) for peer in met] == [(source.host, source.port)]
    assert [peer.proxy for peer in met] == [header]


@pytest.mark.parametrize(
    "words",
    [
        ["--proxy", "TCP4 192.0.2.1 198.51.100.7 56324"],
        ["--proxy", "TCP4 192.0.2.1 2001:db8::25 56324 25"],
    ],
)
def test_swaks_hears_nothing_after_a_bad_header(
    programs: dict[str, str], server: Server, words: list[str]
) -> None:
    code, said = swaks(programs, server, *words)
    assert code != 0
    assert "220" not in said
    assert met == []
