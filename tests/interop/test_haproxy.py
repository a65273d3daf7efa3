"""HAProxy in front of two servers of ours, which learn from it where clients are."""

import contextlib
import re
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import trustme

from peers import free_port, public_folder, running
from program import PROGRAM
from smtp_pop_adapters.blocking import connect_pop3, connect_smtp
from smtp_pop_core import sasl

KINDS: Final = ("smtp", "smtps", "pop3", "pop3s")
CLIENT: Final = "127.0.0.7"  # where clients connect from
ALICE: Final = sasl.Password("alice", "secret")
MESSAGES: Final = [b"Subject: %d\r\n\r\n.dots\r\n" % number for number in range(4)]

CHECKS: Final = {
    "smtp": "option smtpchk EHLO balancer.example",
    "pop3": "option tcp-check\n    tcp-check expect rstring ^\\\\+OK",
}
CONFIGURATION: Final = """
global
    stats socket {control}
defaults
    mode tcp
    balance roundrobin
    option redispatch
    retries 3
    timeout connect 10s
    timeout client 60s
    timeout server 60s
    timeout check 10s
"""
LISTEN: Final = """
listen {kind}
    bind 127.0.0.1:{port}
    {check}
    server one 127.0.0.1:{one} {options}
    server two 127.0.0.1:{two} {options}
"""


class Backend:
    """`smtp-pop serve` as a process, which believes whoever connects from loopback.

    Attributes:
        ports: Where it listens, by kind.
    """

    def __init__(self, folder: Path, name: str, *arguments: object) -> None:
        self._log = folder / f"{name}.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*PROGRAM, "serve", "--log-level", "info", *map(str, arguments)],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        self.ports: dict[str, int] = {}
        for _ in KINDS:
            _, kind, address = self.process.stdout.readline().split()
            self.ports[kind] = int(address.rpartition(":")[2])

    def visitors(self) -> list[tuple[str, int, str]]:
        """Return whom it has seen: address, port, and the proxy in front."""
        said = self._log.read_text()
        seen = re.findall(r"connected address=(\S+) port=(\d+) proxy=(\S+)", said)
        assert len(seen) == said.count("connected address=")
        return [(address, int(port), proxy) for address, port, proxy in seen]

    def end(self) -> int:
        """Ask it to end, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def close(self) -> None:
        self.process.terminate()  # not killed: its workers have to hear of it
        self.process.communicate(timeout=30)


@dataclass(frozen=True)
class Place:
    """HAProxy, and what is behind it.

    Attributes:
        ports: Where HAProxy listens, by kind.
        backends: Our servers.
        context: How clients begin TLS.
        control: HAProxy's own socket.
    """

    ports: dict[str, int]
    backends: tuple[Backend, Backend]
    context: ssl.SSLContext
    control: Path

    def options(self, kind: str) -> dict[str, Any]:
        """Return the options of a client that connects from CLIENT."""
        where = ("127.0.0.1", self.ports[kind])
        sock = socket.create_connection(where, 30, source_address=(CLIENT, 0))
        if kind in ("smtps", "pop3s"):
            return {"sock": sock, "tls": "implicit", **self._secure}
        return {"sock": sock, "tls": "require", **self._secure}

    @property
    def _secure(self) -> dict[str, Any]:
        return {"context": self.context, "server_hostname": "localhost"}

    def checked(self) -> dict[tuple[str, str], tuple[str, str]]:
        """Wait until each server is checked; return what HAProxy says of it."""
        while True:
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(str(self.control))
                sock.sendall(b"show stat\n")
                with sock.makefile(encoding="utf-8") as file:
                    names, *rows = file.read().removeprefix("# ").splitlines()
            table = [
                dict(zip(names.split(","), row.split(","), strict=True))
                for row in rows
                if row
            ]
            checks = {
                # "*" stands before the last result while the next check goes on
                (row["pxname"], row["svname"]): (
                    row["status"],
                    row["check_status"].removeprefix("* "),
                )
                for row in table
                if row["svname"] in ("one", "two")
            }
            if all(check not in ("", "INI") for _, check in checks.values()):
                return checks
            time.sleep(0.05)


@pytest.fixture(params=["send-proxy", "send-proxy-v2"])
def place(request: pytest.FixtureRequest, programs: dict[str, str]) -> Iterator[Place]:
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    adapters = {
        "send-proxy": (("--adapter", "asyncio"), ("--adapter", "trio")),
        "send-proxy-v2": (("--adapter", "blocking"), ("--workers", "2")),
    }
    with public_folder() as folder, contextlib.ExitStack() as stack:
        pem = folder / "server.pem"
        issued.private_key_and_cert_chain_pem.write_to_path(pem)
        arguments = (
            *("--maildir", folder / "mail", "--user", "alice:secret", "--cert", pem),
            *("--proxy-protocol", "127.0.0.0/8"),
            *(word for kind in KINDS for word in (f"--{kind}", "127.0.0.1:0")),
        )
        one, two = (
            Backend(folder, name, *arguments, *more)
            for name, more in zip(("one", "two"), adapters[request.param], strict=True)
        )
        stack.callback(one.close)
        stack.callback(two.close)
        ports = {kind: free_port() for kind in KINDS}
        control = folder / "control"
        written = folder / "haproxy.cfg"
        written.write_text(
            CONFIGURATION.format(control=control)
            + "".join(
                LISTEN.format(
                    kind=kind,
                    port=ports[kind],
                    check=CHECKS[kind.removesuffix("s")],
                    one=one.ports[kind],
                    two=two.ports[kind],
                    options=f"{request.param} check inter 500ms check-send-proxy"
                    + (" check-ssl verify none" if kind.endswith("s") else ""),
                )
                for kind in KINDS
            )
        )
        command = [programs["haproxy"], "-db", "-f", str(written)]
        stack.enter_context(running(command, ports["smtp"]))
        yield Place(ports, (one, two), context, control)


def send(place: Place, kind: str, content: bytes) -> int:
    """Send a message, and return the port that the client had."""
    options = place.options(kind)
    port: int = options["sock"].getsockname()[1]
    with connect_smtp(**options) as client:
        client.send_mail("bob@example.com", "alice@example.com", content).check()
    return port


def fetch(place: Place, kind: str) -> tuple[list[bytes], int]:
    """Fetch all messages, and return them and the port that the client had."""
    options = place.options(kind)
    port: int = options["sock"].getsockname()[1]
    with connect_pop3(**options, auth=ALICE) as client:
        return sorted(map(client.fetch, client.messages())), port


def test_mail_passes_and_each_server_knows_the_clients(place: Place) -> None:
    sent = [send(place, "smtp", content) for content in MESSAGES]
    sent += [send(place, "smtps", content) for content in MESSAGES]
    fetched = [fetch(place, kind) for kind in ("pop3", "pop3", "pop3s", "pop3s")]
    contents = sorted(MESSAGES * 2)
    assert [messages for messages, _ in fetched] == [contents] * 4
    ports = [*sent, *(port for _, port in fetched)]
    seen = [
        [(port, proxy) for address, port, proxy in each.visitors() if address == CLIENT]
        for each in place.backends
    ]
    assert sorted(seen[0] + seen[1]) == [(port, "127.0.0.1") for port in sorted(ports)]
    assert all(seen)


def test_the_balancer_finds_both_servers_in_health(place: Place) -> None:
    assert place.checked() == {
        (kind, name): ("UP", "L7OK") for kind in KINDS for name in ("one", "two")
    }
    for each in place.backends:
        assert {(address, proxy) for address, _, proxy in each.visitors()} == {
            ("127.0.0.1", "127.0.0.1")
        }


def test_mail_passes_while_a_server_is_away(place: Place) -> None:
    first, second = place.backends
    assert first.end() == 0
    ports = [send(place, "smtp", content) for content in MESSAGES]
    ports += [fetch(place, "pop3s")[1] for _ in range(2)]
    seen = [port for address, port, _ in second.visitors() if address == CLIENT]
    assert sorted(seen) == sorted(ports)
