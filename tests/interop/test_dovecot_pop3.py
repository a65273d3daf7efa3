"""Our POP3 client reads from Dovecot, and logs in to it in every way."""

from collections.abc import Iterator

import pytest

from interop.dovecot import MECHANISMS, PASSWORD, Dovecot, running_dovecot
from smtp_pop_adapters.blocking import (
    Pop3Client,
    connect_pop3,
    connect_smtp,
    serve_smtp,
)
from smtp_pop_core import AuthenticationFailed, Blocks, PolicyError, pop3, sasl, smtp

DOTS = b"Subject: dots\n\n.\n..\n.a\nh\xc3\xa9llo\nthe end\n"
CREDENTIALS = sasl.Password("alice", PASSWORD)
taken: list[bytes] = []


class Relay(smtp.Application):
    """Takes what submission hands on."""

    def message(self, envelope: smtp.Envelope, content: Blocks) -> None:
        taken.append(content.read())


@pytest.fixture(scope="module")
def dovecot(programs: dict[str, str]) -> Iterator[Dovecot]:
    with (
        serve_smtp(Relay, "127.0.0.1") as relay,
        running_dovecot(programs["dovecot"], relay=relay.addresses[0][1]) as running,
    ):
        yield running


def connect(dovecot: Dovecot, user: str = "alice") -> Pop3Client:
    return connect_pop3(
        *("127.0.0.1", dovecot.pop3),
        context=dovecot.trust,
        auth=sasl.Password(user, PASSWORD),
    )


def as_sent(content: bytes) -> bytes:
    return content.replace(b"\n", b"\r\n")


@pytest.mark.parametrize("mechanism", [*MECHANISMS, "USER"])
@pytest.mark.parametrize("tls", ["require", "implicit"])
def test_we_log_in_with_each_mechanism(
    dovecot: Dovecot, mechanism: str, tls: str
) -> None:
    port = dovecot.pop3 if tls == "require" else dovecot.pop3s
    with connect_pop3(
        *("127.0.0.1", port),
        tls=tls,
        context=dovecot.trust,
        auth=CREDENTIALS,
        mechanism=mechanism,
    ) as client:
        assert client.connection.authenticated
        assert client.connection.tls


@pytest.mark.parametrize("mechanism", ["APOP", "CRAM-MD5", "SCRAM-SHA-256"])
def test_we_log_in_without_tls_and_show_no_password(
    dovecot: Dovecot, mechanism: str
) -> None:
    with connect_pop3(
        *("127.0.0.1", dovecot.pop3),
        tls="none",
        auth=CREDENTIALS,
        mechanism=mechanism,
    ) as client:
        assert client.connection.authenticated


@pytest.mark.parametrize("mechanism", ["USER", "SCRAM-SHA-256"])
def test_a_wrong_password_is_a_no(dovecot: Dovecot, mechanism: str) -> None:
    """Two are enough: Dovecot takes longer with each."""
    with pytest.raises(AuthenticationFailed) as failed:
        connect_pop3(
            *("127.0.0.1", dovecot.pop3),
            context=dovecot.trust,
            auth=sasl.Password("alice", "wrong"),
            mechanism=mechanism,
        )
    assert not failed.value.temporary


def test_no_password_is_shown_without_tls(dovecot: Dovecot) -> None:
    with pytest.raises(PolicyError):
        connect_pop3(
            *("127.0.0.1", dovecot.pop3),
            tls="none",
            auth=CREDENTIALS,
            mechanism=["PLAIN", "LOGIN", "USER"],
        )


def test_we_list_and_fetch(dovecot: Dovecot) -> None:
    dovecot.put("list", DOTS, b"", b"x\n")
    with connect(dovecot, "list") as client:
        first, second, third = client.messages()
        assert client.status() == pop3.Totals(3, first.size + second.size + third.size)
        assert client.fetch(first) == as_sent(DOTS)
        assert (first.size, third.size) == (len(as_sent(DOTS)), 3)
        with client.top(first, 2) as blocks:
            assert blocks.read() == as_sent(b"Subject: dots\n\n.\n..\n")
        assert first.unique_id == "1700000000.M1P1.host"


def test_we_fetch_many_pipelined(dovecot: Dovecot) -> None:
    contents = [b"Subject: %d\n\n.%d\n" % (n, n) for n in range(1_000)]
    dovecot.put("many", *contents)
    fetched: dict[int, bytes] = {}

    def sink(number: int, blocks: Blocks) -> None:
        fetched[number] = blocks.read()

    with connect(dovecot, "many") as client:
        assert "PIPELINING" in client.capabilities
        assert client.retrieve_many(client.messages(), sink) == {}
    assert [fetched[n + 1] for n in range(1_000)] == list(map(as_sent, contents))


def test_we_stream_25_megabytes(dovecot: Dovecot) -> None:
    line = b"." * 76 + b"\n"
    content = b"Subject: large\n\n" + line * (25_000_000 // len(line))
    dovecot.put("large", content)
    with connect(dovecot, "large") as client, client.retrieve(1) as blocks:
        assert b"".join(blocks) == as_sent(content)


def test_what_we_delete_is_gone_after_quit_only(dovecot: Dovecot) -> None:
    dovecot.put("gone", DOTS, DOTS, DOTS)
    client = connect(dovecot, "gone")
    client.delete(1, 2)
    client.close()
    assert dovecot.left("gone") == 3
    with connect(dovecot, "gone") as client:
        assert client.delete(1, 3) == {}
        client.reset()
        assert client.delete(2) == {}
        assert list(client.delete(2, 9)) == [2, 9]
    assert dovecot.left("gone") == 2


def test_messages_are_left_on_the_server(dovecot: Dovecot) -> None:
    dovecot.put("left", DOTS, b"x\n")
    seen = pop3.Seen()
    stored: list[bytes] = []

    def store(message: pop3.Listed, blocks: Blocks) -> None:
        stored.append(blocks.read())

    for delete in (False, True):
        with connect(dovecot, "left") as client:
            result = client.collect(store, seen=seen, delete_stored=delete)
        result.check()
    assert stored == [as_sent(DOTS), b"x\r\n"]
    assert len(result.deleted) == 2
    assert dovecot.left("left") == 0


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_we_submit_with_each_mechanism(dovecot: Dovecot, mechanism: str) -> None:
    taken.clear()
    with connect_smtp(
        *("127.0.0.1", dovecot.submission),
        context=dovecot.trust,
        auth=CREDENTIALS,
        mechanism=mechanism,
    ) as client:
        client.send_mail("alice@example.com", "bob@example.com", DOTS).check()
    assert [each.endswith(as_sent(DOTS)) for each in taken] == [True]
