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
        step: Callable[..., Request] = flow.send
        outcome: object = None
        try:
            while True:
                try:
                    request = step(outcome)
                except StopIteration as end:
                    value: T = end.value
                    return value
                try:
                    step, outcome = flow.send, self._carry_out(request)
                except Exception as error:  # the flow decides what it means
                    step, outcome = flow.throw, error
        finally:
            flow.close()

    def _carry_out(self, request: Request, label: str = "") -> object:
        stream = self._others[label] if label else self._stream
        # The most frequent first, and no patterns of fields, which cost 0.1 us each.
        match request:
            case Deadline():
                stream.set_deadline(request.seconds, idle=request.idle)
            case Read():
                return stream.receive(request.most)
            case Write():
                return stream.transmit(request.data, heed=request.heed)
            case Handshake(server_hostname):
                if self._tls is None:
                    raise ValueError("there is no context for TLS")
                return stream.handshake(self._tls, server_hostname, self._certificate)
            case Ask(function, arguments):
                return function(*map(self._handed_over, arguments))
            case Sleep(seconds):
                stream.sleep(seconds)
            case Report(error):
                report_mistake(self._report, error, self._session)
            case Note():
                log_note(request, self._session)
            case On(label, inner):
                return self._carry_out(inner, label)
            case _:
                assert_never(request)
        return None

    def _handed_over(self, argument: object) -> object:
        return Blocks(self.run, argument) if isinstance(argument, Content) else argument
