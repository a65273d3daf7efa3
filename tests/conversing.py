"""A client flow and a server flow in one process, with octets carried across."""

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import cycle
from typing import TypeVar

from driving import NEGOTIATED, Driver, Stream, Unforeseen
from smtp_pop_core import Flow, Negotiated

A = TypeVar("A")
B = TypeVar("B")
T = TypeVar("T")


@dataclass
class _Pipe:
    """One direction of a conversation in memory."""

    octets: bytearray = field(default_factory=bytearray)
    ended: bool = False


class _Waits(Exception):
    """A Read found nothing, and the other side has to go on first."""


class _End:
    """One end of a conversation.  Reads take as many octets as `sizes` says in turn."""

    def __init__(
        self,
        incoming: _Pipe,
        outgoing: _Pipe,
        sizes: Iterable[int],
        go_on: Callable[[], None],
        negotiated: Negotiated,
    ) -> None:
        self._negotiated = negotiated
        self._incoming = incoming
        self._outgoing = outgoing
        self._sizes = cycle(sizes)
        self._go_on = go_on

    def read(self) -> bytes:
        while not self._incoming.octets and not self._incoming.ended:
            self._go_on()
        size = next(self._sizes)
        data = bytes(self._incoming.octets[:size])
        del self._incoming.octets[:size]
        return data

    def write(self, data: bytes, *, heed: bool) -> bool:
        if heed and (self._incoming.octets or self._incoming.ended):
            return True
        self._outgoing.octets += data
        return False

    def set_deadline(self, seconds: float | None) -> None:
        pass

    def sleep(self, seconds: float) -> None:
        pass

    def handshake(self, server_hostname: str | None) -> Negotiated:
        """Let both sides go on as if inside TLS."""
        return self._negotiated


def converse(
    client: Flow[A],
    server: Flow[B],
    sizes: Sequence[int] = (65_536,),
    negotiated: Negotiated = NEGOTIATED,
) -> tuple[A, B, list[Exception]]:
    """Run a client flow against a server flow.

    The server has the lead: whenever it has nothing to read, the client goes on until
    it has nothing to read either.

    Args:
        client: The flow of the client.  When it ends, the connection ends.
        server: The flow of the server.
        sizes: Octets that the reads of each side take, over and over.
        negotiated: What a handshake comes to, on both sides.

    Returns:
        What the flows have returned, and what the server has reported.
    """
    up, down = _Pipe(), _Pipe()
    turns = _turns(client, _End(down, up, sizes, _wait, negotiated))
    results: list[A] = []

    def let_client_go_on() -> None:
        try:
            next(turns)
        except StopIteration as end:
            results.append(end.value)
            up.ended = True
            return
        if not up.octets:
            raise Unforeseen("both sides wait")

    driver = Driver(_End(up, down, sizes, let_client_go_on, negotiated))
    ending = driver.run(server)
    down.ended = True
    while not results:
        let_client_go_on()
    return results[0], ending, driver.reports


def _wait() -> None:
    raise _Waits


def _turns(flow: Flow[T], stream: Stream) -> Generator[None, None, T]:
    """Run a flow, and yield wherever it waits for the other side."""
    driver = Driver(stream)
    with closing(flow):
        outcome: object = None
        while True:
            try:
                request = flow.send(outcome)
            except StopIteration as end:
                value: T = end.value
                return value
            while True:
                try:
                    outcome = driver.carry_out(request, "")
                    break
                except _Waits:
                    yield
