"""How the time grows with the work: the exponent, 1 where it is linear.

Each work is done at one size and at ten times that size.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Final

from smtp_pop_core import CLIENT, SERVER, Limits, pop3, smtp

from ._contents import pieces, stuffed, text
from ._in_memory import REPLIES, Session, Talk
from ._measure import OURS, Contender, Effort, Outcome, cpu, repetitions
from ._smtp_servers import DOMAIN, Sink, transaction

_LIMITS: Final = Limits(content=None, recipients=1_000_000, idle_commands=1_000_000)
_EHLO: Final = b"EHLO client.example\r\n"


def _serve(said: Iterable[bytes]) -> None:
    conn = smtp.Connection(SERVER, domain=DOMAIN, limits=_LIMITS)
    one = Session(smtp.serve(conn, Sink))
    one.hear([_EHLO])
    one.hear(said)
    assert one.written.startswith(b"250"), one.written
    assert not one.ended


def _octets(size: int) -> list[bytes]:
    return transaction(text(20_000 * size))


def _octets_in_small_reads(size: int) -> list[bytes]:
    *commands, _ = transaction(b"")
    return [*commands, *pieces(stuffed(text(200 * size)), 1)]


def _commands(size: int) -> list[bytes]:
    return [b"NOOP\r\n"] * (20 * size)


def _pipelined(size: int) -> list[bytes]:
    return list(pieces(b"NOOP\r\n" * (20 * size)))


def _recipients(size: int) -> list[bytes]:
    return transaction(b"short\r\n", 10 * size)


def _pipelined_recipients(size: int) -> list[bytes]:
    commands = b"".join(transaction(b"short\r\n", 10 * size)[:-1])
    return [*pieces(commands), stuffed(b"short\r\n")]


def _messages(size: int) -> list[bytes]:
    return transaction(b"short\r\n") * (2 * size)


def _client_recipients(size: int) -> None:
    """Send one message to many."""
    conn, talk = smtp.Connection(CLIENT, limits=_LIMITS), Talk()
    talk.run(smtp.open(conn), [REPLIES["greeting"], REPLIES["ehlo"]])
    to = [f"bob{number}@b.example" for number in range(10 * size)]

    def replies() -> Iterator[bytes]:
        while True:
            yield b"".join(
                REPLIES["go" if isinstance(each, smtp.Data) else "ok"]
                for each in conn.unanswered
            )

    result = talk.run(smtp.send_mail(conn, "a@a.example", to, b"short\n"), replies())
    assert result.outcome is smtp.Outcome.ACCEPTED


def _listing(size: int) -> None:
    conn, talk = pop3.Connection(CLIENT, limits=_LIMITS), Talk()
    for heard, command in (
        (b"+OK ready\r\n", None),
        (b"+OK name\r\n", pop3.User("joe")),
        (b"+OK welcome\r\n", pop3.Pass("secret")),
    ):
        if command is not None:
            conn.send(command)
        conn.receive_data(heard)
        conn.next_event()
    lines = b"".join(b"%d 120\r\n" % (number + 1) for number in range(20 * size))
    reads = pieces(b"+OK\r\n" + lines + b".\r\n", 1_460)
    assert len(talk.run(pop3.sizes(conn), reads)) == 20 * size


def _served(said: Callable[[int], list[bytes]]) -> Callable[[int], Callable[[], None]]:
    return lambda size: partial(_serve, said(size))


WORKS: Final[Mapping[str, Callable[[int], Callable[[], None]]]] = {
    "octets": _served(_octets),
    "octets in reads of one octet": _served(_octets_in_small_reads),
    "commands": _served(_commands),
    "pipelined commands": _served(_pipelined),
    "recipients": _served(_recipients),
    "pipelined recipients": _served(_pipelined_recipients),
    "messages": _served(_messages),
    "recipients of a client": lambda size: partial(_client_recipients, size),
    "messages of a POP3 listing": lambda size: partial(_listing, size),
}
"""Given a size, each prepares the work, which is larger in proportion."""

_SMALL: Final = 10
_TIMES: Final = 10


def measure(effort: Effort, outcome: Outcome) -> None:
    """Do each work at two sizes in turn."""
    for name, work in WORKS.items():
        small, large = (
            Contender(name, partial(_repeated, work(_SMALL * times)))
            for times in (1, _TIMES)
        )
        counts = [repetitions(each, effort.seconds) for each in (small, large)]
        for _ in range(effort.rounds):
            spent = [
                cpu(each, count)
                for each, count in zip((small, large), counts, strict=True)
            ]
            exponent = math.log(spent[1] / spent[0], _TIMES)
            outcome.note(f"growth with {name}", OURS, exponent)


def _repeated(run: Callable[[], None], count: int) -> Callable[[], None]:
    def repeat() -> None:
        for _ in range(count):
            run()

    return repeat
