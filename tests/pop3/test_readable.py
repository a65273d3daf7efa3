"""What can be written can be read; what cannot be read is an error of the peer only."""

import pytest

from smtp_pop_core import CLIENT, SERVER, LocalProtocolError, RemoteProtocolError, pop3
from smtp_pop_core.pop3 import MORE, OK, Response, State

LOGIN = (pop3.User("a"), pop3.Pass("b"))


def client(*commands: pop3.Command) -> pop3.Connection:
    """Return a client that waits for the response to the last of the commands."""
    conn = pop3.Connection(CLIENT)
    conn.receive_data(b"+OK\r\n")
    conn.next_event()
    for command in commands[:-1]:
        conn.send(command)
        conn.receive_data(b"+OK\r\n")
        conn.next_event()
    conn.send(commands[-1])
    return conn


def server(*lines: bytes) -> pop3.Connection:
    """Return a server that has to answer the last of the lines."""
    conn = pop3.Connection(
        SERVER, capabilities=(*pop3.usual(), pop3.capabilities.Lang())
    )
    for line in lines:
        conn.next_event()
        conn.send(Response(OK))
        conn.receive_data(line)
    conn.next_event()
    return conn


def in_transaction(line: bytes) -> pop3.Connection:
    return server(b"USER a\r\n", b"PASS b\r\n", line)


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (pop3.List(), b"+OK\r\n0 120\r\n.\r\n"),
        (pop3.List(1), b"+OK 0 120\r\n"),
        (pop3.List(), b"+OK\r\n1 120\r\n00 120\r\n.\r\n"),
        (pop3.Uidl(), b"+OK\r\n0 a\r\n.\r\n"),
        (pop3.Uidl(1), b"+OK 0 a\r\n"),
    ],
)
def test_a_message_0_in_a_listing_is_an_error_of_the_server(
    command: pop3.Command, answer: bytes
) -> None:
    conn = client(*LOGIN, command)
    conn.receive_data(answer)
    with pytest.raises(RemoteProtocolError, match=r"^a listing names a message 0$"):
        conn.next_event()
    assert conn.state is State.CLOSED


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (pop3.List(1), b"+OK 2 120\r\n"),
        (pop3.List(12), b"+OK 1 120\r\n"),
        (pop3.Uidl(1), b"+OK 2 a\r\n"),
    ],
)
def test_an_answer_about_another_message_is_an_error_of_the_server(
    command: pop3.Command, answer: bytes
) -> None:
    conn = client(*LOGIN, command)
    conn.receive_data(answer)
    with pytest.raises(
        RemoteProtocolError, match=r"^the answer is about another message$"
    ):
        conn.next_event()
    assert conn.state is State.CLOSED


@pytest.mark.parametrize("word", [b"\xff", b"\0", b"\x7f", b"\xc3\xa9"])
def test_a_word_that_names_no_mechanism_is_passed_over(word: bytes) -> None:
    conn = client(pop3.AuthList())
    conn.receive_data(b"+OK\r\nPLAIN\r\n" + word + b" LOGIN\r\n.\r\n")
    event = conn.next_event()
    assert isinstance(event, Response)
    assert event.data == pop3.Mechanisms(("PLAIN", "LOGIN"))


def test_a_language_described_with_nul_is_passed_over() -> None:
    conn = client(pop3.Capa())
    conn.receive_data(b"+OK\r\nLANG\r\n.\r\n+OK\r\nde a\0b\r\nen English\r\n.\r\n")
    conn.next_event()
    conn.send(pop3.Lang())
    event = conn.next_event()
    assert isinstance(event, Response)
    assert event.data == pop3.Languages((pop3.Language("en", "English"),))


def test_a_unique_id_without_utf8_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="not a unique id"):
        pop3.UniqueIds({1: "\ud800"})


@pytest.mark.parametrize("unique_id", ["x" * 71, "é", "\u3000"])
@pytest.mark.parametrize("number", [None, 1])
def test_a_server_sends_no_unique_id_that_a_client_refuses(
    number: int | None, unique_id: str
) -> None:
    conn = in_transaction(b"UIDL\r\n" if number is None else b"UIDL 1\r\n")
    ids = pop3.UniqueIds({1: unique_id})
    with pytest.raises(LocalProtocolError, match="only a client bears ids"):
        conn.send(Response(OK, data=ids))
    assert conn.unanswered == (pop3.Uidl(number),)


@pytest.mark.parametrize(
    ("line", "data"),
    [
        (b"STAT\r\n", pop3.Totals(1, 2)),
        (b"LIST 1\r\n", pop3.Sizes({1: 2})),
        (b"UIDL 1\r\n", pop3.UniqueIds({1: "a"})),
        (b"LANG de\r\n", pop3.Languages((pop3.Language("de"),))),
    ],
)
def test_a_code_takes_no_place_where_numbers_are_due(
    line: bytes, data: pop3.Data
) -> None:
    """RFC 1939 section 5: the numbers stand right behind +OK."""
    conn = in_transaction(line)
    with pytest.raises(LocalProtocolError, match="one line and nothing else"):
        conn.send(Response(OK, code="X", data=data))
    assert conn.send(Response(OK, data=data)).startswith(b"+OK ")


@pytest.mark.parametrize(("text", "code"), [("a", None), ("", "X")])
def test_a_challenge_has_neither_text_nor_code(text: str, code: str | None) -> None:
    with pytest.raises(ValueError, match=r"^a challenge has neither text nor code$"):
        Response(MORE, text, code, pop3.Challenge(b""))


def test_a_description_keeps_its_last_space() -> None:
    conn = in_transaction(b"LANG\r\n")
    languages = pop3.Languages((pop3.Language("de", "a "), pop3.Language("en")))
    assert conn.send(Response(OK, data=languages)) == b"+OK\r\nde a \r\nen\r\n.\r\n"
