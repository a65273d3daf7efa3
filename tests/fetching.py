"""A scripted POP3 server in tests: what it says, and clients that have come so far."""

from typing import Any, Final

from driving import Expect, Say, Step, play
from smtp_pop_core import CLIENT, Security, Tls, pop3, sasl
from smtp_pop_core.pop3 import Connection, State

OK: Final = Say(b"+OK\r\n")
NO: Final = Say(b"-ERR no\r\n")
CAPA: Final = Expect(b"CAPA\r\n")
GREETING: Final = Say(b"+OK ready\r\n")
QUIT: Final[list[Step]] = [Expect(b"QUIT\r\n"), Say(b"+OK bye\r\n")]
PASSWORD: Final = sasl.Password("alice", "hunter2")
LOGIN: Final[list[Step]] = [
    Expect(b"USER alice\r\n"),
    OK,
    Expect(b"PASS hunter2\r\n"),
    Say(b"+OK 2 messages\r\n"),
]


def nonce() -> str:
    """Give the client's nonce in the example of RFC 7677 section 3."""
    return "rOprNGfwEbeRWgbNEkqO"


def security(tls: Tls | str | None = "none", **options: Any) -> Security:
    """Give what a client insists on that has a password; by default without TLS."""
    usual: dict[str, Any] = {
        "credentials": PASSWORD,
        "nonce": nonce,
        "server_hostname": "mx.example",
    }
    return Security(tls=tls, **usual | options)


INSECURE: Final = security(allow_insecure=True)


def ask(line: str, *answer: str) -> list[Step]:
    """Expect a command, and answer it with lines."""
    said = "".join(f"{each}\r\n" for each in answer)
    return [Expect(f"{line}\r\n".encode()), Say(said.encode("latin-1"))]


def capable(*offers: str) -> list[Step]:
    """Expect CAPA, and offer this."""
    return ask("CAPA", "+OK", *offers, ".")


def client(**options: Any) -> Connection:
    """Give a client that waits for the greeting."""
    return Connection(CLIENT, **options)


def greeted(*offers: str, **options: Any) -> Connection:
    """Give a client before its login, whose server offers this."""
    conn = client(**options)
    play(pop3.open(conn), GREETING, *capable(*offers))
    assert conn.state is State.AUTHORIZATION
    return conn


def logged_in(*offers: str, **options: Any) -> Connection:
    """Give a client after its login, whose server offers this beside USER."""
    conn = client(**options)
    offered = capable("USER", *offers)
    play(pop3.open(conn, INSECURE), GREETING, *offered, *LOGIN, *offered)
    assert conn.state is State.TRANSACTION
    return conn
