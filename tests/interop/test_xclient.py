"""XCLIENT and XFORWARD with those who made them, and with one who speaks them."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pytest

from interop.postfix import Postfix, running_postfix
from smtp_pop_adapters.blocking import connect_smtp, serve_smtp
from smtp_pop_core import Blocks, smtp
from smtp_pop_core.smtp import Source, Unavailable, Xclient, Xforward

AUTHORIZED: Final = """
inet_protocols = all
smtpd_authorized_xclient_hosts = 127.0.0.0/8
smtpd_authorized_xforward_hosts = 127.0.0.0/8
"""


@pytest.fixture(scope="module")
def postfix(programs: dict[str, str]) -> Iterator[Postfix]:
    with running_postfix(programs["postfix"], more=AUTHORIZED) as it:
        yield it


@pytest.mark.parametrize(
    ("client", "logged"),
    [
        (
            Xclient(name="c.example", addr="192.0.2.7", port=4711),
            r"connect from c\.example\[192\.0\.2\.7\]",
        ),
        (
            Xclient(name=Unavailable.TEMPUNAVAIL, addr="2001:db8::7"),
            r"connect from unknown\[2001:db8::7\]",
        ),
    ],
)
def test_postfix_believes_who_the_client_is(
    postfix: Postfix, client: Xclient, logged: str
) -> None:
    """A client from elsewhere may not relay, which a proxy from here may."""
    with connect_smtp("127.0.0.1", postfix.port) as conn:
        offer = conn.extensions.find(smtp.extensions.Xclient)
        assert offer is not None
        assert set(offer.attributes) == set(smtp.extensions.Xclient().attributes)
        offered = conn.xclient(client)
        assert "XCLIENT" not in offered
        result = conn.send_mail("a@example.com", ["b@example.com"], b"a: b\n\nc\n")
        assert result.outcome is smtp.Outcome.REFUSED
    postfix.wait_for_log(logged)


def test_postfix_takes_the_login_and_the_long_name_of_a_client(
    postfix: Postfix,
) -> None:
    before = len(postfix.by_smtp.taken)
    name = ".".join(["x" * 60] * 4)
    with connect_smtp("127.0.0.1", postfix.port) as conn:
        conn.xclient(
            Xclient(name=name, addr="127.0.0.2", helo=name, login="j+o=e@example.com")
        )
        assert "XCLIENT" in conn.extensions
        conn.send_mail("a@example.com", ["b@example.com"], b"a: b\n\nc\n").check()
    postfix.wait_for_log(rf"client={name}\[127\.0\.0\.2\].*sasl_username=j\+o=e@")
    postfix.by_smtp.wait_for(before + 1)


def test_postfix_logs_where_a_message_came_from(postfix: Postfix) -> None:
    before = len(postfix.by_smtp.taken)
    with connect_smtp("127.0.0.1", postfix.port) as conn:
        offer = conn.extensions.find(smtp.extensions.Xforward)
        assert offer is not None
        assert set(offer.attributes) == set(smtp.extensions.Xforward().attributes)
        told = Xforward(
            name="d.example",
            addr="2001:db8::8",
            port=99,
            proto="ESMTP",
            helo="e.example",
            ident="4FqX0z",
            source=Source.REMOTE,
        )
        assert conn.xforward(told).code == 250
        conn.send_mail("a@example.com", ["b@example.com"], b"a: b\n\nc\n").check()
    postfix.wait_for_log(r"orig_queue_id=4FqX0z, orig_client=d\.example\[2001:db8::8\]")
    postfix.by_smtp.wait_for(before + 1)


@dataclass(frozen=True)
class Noted:
    """Who has sent a message, and from where."""

    address: str
    port: int
    name: str
    helo: str
    identity: str
    protocol: str
    forwarded: smtp.Forwarded | None


class Noting(smtp.Application):
    noted: list[Noted]

    def message(self, envelope: smtp.Envelope, content: Blocks) -> None:
        content.read()
        peer = self.peer
        who = (peer.address, peer.port, peer.name, peer.helo, peer.identity)
        self.noted.append(Noted(*who, peer.protocol, peer.forwarded))


@pytest.fixture
def noting() -> type[Noting]:
    return type("Noted", (Noting,), {"noted": []})


def test_swaks_speaks_for_another_client(
    programs: dict[str, str], noting: type[Noting]
) -> None:
    with serve_smtp(noting, "127.0.0.1", xclient=["127.0.0.0/8"]) as server:
        host, port = server.addresses[0]
        done = subprocess.run(
            [
                *(programs["swaks"], "--server", f"{host}:{port}", "--helo", "h.x"),
                *("--from", "a@example.com", "--to", "b@example.com"),
                *("--xclient-name", "c.example", "--xclient-addr", "IPV6:2001:db8::7"),
                *("--xclient-port", "99", "--xclient-login", "joe"),
                *("--xclient-helo", "e.example", "--xclient-proto", "SMTP"),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert noting.noted == [
        Noted("2001:db8::7", 99, "c.example", "h.x", "joe", "ESMTP", None)
    ]


def test_postfix_forwards_to_us(programs: dict[str, str], noting: type[Noting]) -> None:
    """The client of Postfix says XFORWARD, in one group with MAIL."""
    with serve_smtp(noting, "127.0.0.1", xclient=["127.0.0.0/8"]) as server:
        more = (
            "smtp_send_xforward_command = yes\n"
            f"default_transport = smtp:[127.0.0.1]:{server.addresses[0][1]}\n"
            "smtpd_recipient_restrictions = permit_mynetworks reject\n"
        )
        with running_postfix(programs["postfix"], more=AUTHORIZED + more) as postfix:
            with connect_smtp("127.0.0.1", postfix.port) as conn:
                conn.xclient(Xclient(name="c.example", addr="127.0.0.9", port=99))
                conn.send_mail("a@x.example", ["b@z.example"], b"a: b\n\nc\n").check()
            postfix.wait_for_log(r"to=<b@z\.example>.*status=sent")
    (noted,) = noting.noted
    assert (noted.address, noted.name) == ("127.0.0.1", "")
    assert (noted.helo, noted.identity) == ("mx.example.com", "")
    told = noted.forwarded
    assert told is not None
    assert (told.name, told.address, told.port) == ("c.example", "127.0.0.9", 99)
    assert told.source is Source.REMOTE  # no client is local to this Postfix
