"""A client proves who it is, as flows: what TLS and logins of both protocols share."""

from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

from . import sasl  # types in quotes: a login opens its rooms
from ._endpoint import Endpoint
from ._errors import AuthenticationFailed, LocalProtocolError
from ._flow import Ask, Deadline, Flow, Handshake, Negotiated
from ._security import Security

C = TypeVar("C")
A = TypeVar("A")


def shake_hands(conn: Endpoint[Any], security: Security) -> Flow[Negotiated]:
    """Begin TLS.  Where that fails, the connection is of no use."""
    try:
        yield Deadline(conn.limits.timeouts.greeting)
        negotiated: Negotiated = yield Handshake(security.server_hostname)
    except BaseException:
        conn.close()
        raise
    return negotiated


class Login(ABC, Generic[C, A]):
    """One login with AUTH: how a protocol says its commands C and hears its answers A.

    Args:
        conn: The connection.
        mechanism: The mechanism.
    """

    def __init__(self, conn: Endpoint[Any], mechanism: "sasl.Mechanism") -> None:
        self._endpoint = conn
        self._mechanism = mechanism

    @abstractmethod
    def auth(self, initial: bytes | None) -> C:
        """Return the command that begins."""

    @abstractmethod
    def response(self, data: bytes | None) -> C:
        """Return the command that answers a challenge; None cancels."""

    @abstractmethod
    def exchange(self, command: C) -> Flow[A]:
        """Send a command and return its answer."""

    @abstractmethod
    def goes_on(self, answer: A) -> bool:
        """Whether an answer is a challenge."""

    @abstractmethod
    def challenge(self, answer: A) -> bytes | None:
        """Return the challenge in an answer, None where it is not base64."""

    @abstractmethod
    def refused(self, answer: A) -> bool:
        """Whether an answer is a no."""

    @abstractmethod
    def failure(
        self, command: C, answer: A, reason: Exception | None
    ) -> AuthenticationFailed:
        """Return what is raised."""

    def carry_out(
        self,
        security: Security,
        credentials: "sasl.Credentials",
        service: str,
        negotiated: Negotiated | None,
    ) -> Flow[None]:
        """Log in.

        An initial response that fits no line waits for the first challenge.  A
        challenge that is wrong is answered with a cancel.

        Raises:
            AuthenticationFailed: The server said no, or has not proved itself; if it
                said yes all the same, the state is CLOSED.
            ValueError: The credentials cannot be used.  Nothing was sent.
        """
        conn = self._endpoint
        nonce: str = yield Ask(security.nonce, quick=True)
        context = security.context(nonce, service, conn.mechanisms, negotiated)
        prover = self._mechanism.begin(credentials, context)
        unsaid = prover.initial
        command = self.auth(unsaid)
        try:
            answer = yield from self.exchange(command)
            unsaid = None
        except LocalProtocolError:  # the line would be too long: send it in two
            command = self.auth(None)
            answer = yield from self.exchange(command)
        reason: Exception | None = None
        while self.goes_on(answer) and reason is None:
            try:
                command = self.response(self._respond(prover, answer, unsaid))
                unsaid = None
                answer = yield from self.exchange(command)
            except (sasl.ExchangeError, LocalProtocolError) as error:
                reason = error
            except BaseException:
                conn.close()
                raise
        if reason is not None:
            command = self.response(None)
            answer = yield from self.exchange(command)
        if not self.refused(answer):
            if unsaid is not None and reason is None:
                reason = sasl.ExchangeError("the server said yes before it was asked")
            if reason is None and prover.complete:
                return
            conn.close()
        raise self.failure(command, answer, reason or prover.error)

    def _respond(
        self, prover: "sasl.ClientExchange", answer: A, unsaid: bytes | None
    ) -> bytes:
        """Return what is said to a challenge: the initial response if it is unsaid.

        Raises:
            ExchangeError: The challenge is malformed, or wrong.
        """
        challenge = self.challenge(answer)
        if challenge is None:
            raise sasl.ExchangeError("a challenge is not base64")
        return prover.respond(challenge) if unsaid is None else unsaid
