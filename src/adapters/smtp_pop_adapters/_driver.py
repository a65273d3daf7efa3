"""The loop that carries out, on blocking sockets, what flows ask for."""

import ssl
from collections.abc import Callable, Mapping
from typing import TypeVar, assert_never

from smtp_pop_core import (
    Ask,
    Blocks,
    Content,
    Deadline,
    Flow,
    Handshake,
    Note,
    On,
    Read,
    Report,
    Request,
    Sleep,
    Write,
)

from ._log import log_mistake, log_note, report_mistake
from ._sockets import Stream

T = TypeVar("T")


class Driver:
    """Runs flows on a stream, and on others that they name.

    Args:
        stream: What requests without a label are carried out on.
        others: Further streams, by the label that `On` names.
        report: Called with the mistakes of an application; by default they are logged.
        tls: How TLS is begun when a flow asks for it.
        certificate: For a server, its own certificate in DER: then logins can be bound
            to it.
        session: What names the session in the log, or "".
    """

    def __init__(
        self,
        stream: Stream,
        *,
        others: Mapping[str, Stream] | None = None,
        report: Callable[[Exception], None] | None = None,
        tls: ssl.SSLContext | None = None,
        certificate: bytes | None = None,
        session: str = "",
    ) -> None:
        self._stream = stream
        self._others = others or {}
        self._report = report or log_mistake
        self._tls = tls
        self._certificate = certificate
        self._session = session

    def run(self, flow: Flow[T]) -> T:
        """Run a flow to its end and return its result.  It is closed in any case."""
        return self._run(flow, self._stream)

    def _run(self, flow: Flow[T], stream: Stream) -> T:
        send: Callable[[object], Request] = flow.send
        step: Callable[..., Request] = send
        outcome: object = None
        try:
            while True:
                try:
                    request = step(outcome)
                except StopIteration as end:
                    value: T = end.value
                    return value
                step, outcome = send, None
                try:
                    # The most frequent here, which saves them a call.
                    if isinstance(request, Deadline):
                        stream.set_deadline(request.seconds, idle=request.idle)
                    elif isinstance(request, Read):
                        outcome = stream.receive(request.most)
                    elif isinstance(request, Write):
                        outcome = stream.transmit(request.data, heed=request.heed)
                    elif isinstance(request, Ask):
                        arguments = map(self._handed_over, request.arguments)
                        outcome = request.function(*arguments)
                    else:
                        outcome = self._carry_out(request, stream)
                except Exception as error:  # the flow decides what it means
                    step, outcome = flow.throw, error
        finally:
            flow.close()

    def _carry_out(
        self, request: Handshake | Sleep | Report | Note | On, stream: Stream
    ) -> object:
        match request:
            case Handshake(server_hostname):
                if self._tls is None:
                    raise ValueError("there is no context for TLS")
                return stream.handshake(self._tls, server_hostname, self._certificate)
            case Sleep(seconds):
                stream.sleep(seconds)
            case Report(error):
                report_mistake(self._report, error, self._session)
            case Note():
                log_note(request, self._session)
            case On(label, inner):
                other = self._others[label] if label else self._stream
                return self._run(_alone(inner), other)
            case _:
                assert_never(request)
        return None

    def _handed_over(self, argument: object) -> object:
        return Blocks(self.run, argument) if isinstance(argument, Content) else argument


def _alone(request: Request) -> Flow[object]:
    """Ask for one thing, and return the answer."""
    answer: object = yield request
    return answer
