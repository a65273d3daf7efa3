"""What an exchange is, seen from either side, and how it ends.

A client is a generator of responses, a server one of challenges and questions.  Neither
knows how its messages travel.  Data that comes with success is one more challenge,
which is answered with an empty response: SMTP and POP3 have no other place for it.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar

from .._errors import Error
from ._questions import Question

T = TypeVar("T")

LONGEST: Final = 9_216
"""Octets of a message; as base64 it is 12,288 long.  RFC 4954 section 4."""

ROUNDS: Final = 20
"""Challenges that a client answers in one exchange."""


class ExchangeError(Error):
    """A message is malformed, or not what the mechanism allows now."""


class _TooEarly(ExchangeError):
    """The server said yes, and the mechanism wanted another challenge."""

    def __init__(self) -> None:
        super().__init__("the server said yes before the mechanism was done")


class Denied(Error):
    """The credentials are wrong, or do not allow what was asked."""

    def __init__(self) -> None:
        super().__init__("the credentials were not accepted")


@dataclass(frozen=True, slots=True)
class Challenge:
    """A server sends this, and is sent the response.

    Attributes:
        data: The octets before their base64.
    """

    data: bytes


@dataclass(frozen=True, slots=True)
class Success:
    """Who a client turned out to be.

    Attributes:
        identity: Who it acts as from now on, as the application named it.
        user: The name that it gave, prepared; "" if it gave none.
    """

    identity: str
    user: str


Client: TypeAlias = Generator[bytes | None, bytes, None]
"""The client's side of an exchange.

It yields its initial response first, or None if the server speaks first.  Then it is
sent each challenge and yields the response to it.  Once the server has said yes it is
sent None, by `next()`, and has to end: only then has the exchange succeeded.
"""

Server: TypeAlias = Generator[Challenge | Question, object, Success]
"""The server's side of an exchange.

It yields challenges, and is sent the response to each, and questions, and is sent the
application's answer.  It returns Success, or raises `Denied` or `ExchangeError`; an
answer that is not what the question documents is a TypeError.
"""


class ClientExchange:
    """One exchange of a client, bounded, with a record of how it went.

    Answer each challenge with `respond`.  Once the server has said yes, ask `complete`;
    once it has said no, `error` may know why.  Both end the exchange.

    Attributes:
        initial: The initial response, b"" for an empty one, or None: the server speaks
            first.
    """

    __slots__ = ("_client", "_complete", "_error", "_rounds", "initial")

    def __init__(self, client: Client) -> None:
        self.initial = next(client)
        self._client = client
        self._rounds = 0
        self._complete: bool | None = None
        self._error: ExchangeError | None = None

    def respond(self, challenge: bytes) -> bytes:
        """Return the response to a challenge.

        Raises:
            ExchangeError: The challenge is malformed, or was tampered with, or is one
                too many.  The exchange has failed: cancel it.
        """
        try:
            response = self._respond(challenge)
        except ExchangeError as error:
            self._error = error
            self._complete = False
            raise
        if response is None:
            raise TypeError("a mechanism answered a challenge with None")
        return response

    def _respond(self, challenge: bytes) -> bytes | None:
        self._rounds += 1
        if self._complete is not None:
            raise ExchangeError("the exchange is over")
        if self._rounds > ROUNDS:
            raise ExchangeError(f"more than {ROUNDS} challenges")
        if len(challenge) > LONGEST:
            raise ExchangeError(f"a challenge is longer than {LONGEST} octets")
        try:
            return self._client.send(challenge)
        except StopIteration:
            raise ExchangeError("a challenge too many") from None

    @property
    def complete(self) -> bool:
        """Whether success, now that the server has said yes, can be believed.

        Where it is False, `error` says why.
        """
        if self._complete is None:
            self._error = self._end()
            self._complete = self._error is None
        return self._complete

    @property
    def error(self) -> ExchangeError | None:
        """Why the exchange has failed, or None: the mechanism knows no reason."""
        if self._complete is None:
            error = self._end()
            self._error = None if isinstance(error, _TooEarly) else error
            self._complete = False
        return self._error

    def _end(self) -> ExchangeError | None:
        """Let the mechanism end, and return why it does not."""
        try:
            next(self._client)
        except StopIteration:
            return None
        except ExchangeError as error:
            return error
        except Exception:  # without a challenge it may do anything but end
            return _TooEarly()
        self._client.close()
        return _TooEarly()


def receive(response: bytes | None) -> Generator[bytes | None, bytes | None, bytes]:
    """Send a response, None for none, and return the challenge that follows.

    Raises:
        ExchangeError: None follows: the server has said yes.
    """
    challenge = yield response
    if challenge is None:
        raise _TooEarly
    return challenge


def ask_client(challenge: bytes) -> Generator[Challenge, object, bytes]:
    """Send a challenge and return the response.

    Raises:
        ExchangeError: The response is too long.
        TypeError: It is not octets.
    """
    response = yield Challenge(challenge)
    return _check_response(response)


def first_response(initial: bytes | None) -> Generator[Challenge, object, bytes]:
    """Return the initial response; ask for it if there is none.  RFC 4422 section 3.4.

    Raises:
        ExchangeError: The response is too long.
    """
    if initial is None:
        return (yield from ask_client(b""))
    return _check_response(initial)


def refuse_initial(initial: bytes | None) -> None:
    """Check that there is no initial response: the server speaks first.

    Raises:
        ExchangeError: There is one.  RFC 4422 section 3.3.
    """
    if initial is not None:
        raise ExchangeError("the mechanism has no initial response")


def _check_response(response: object) -> bytes:
    if not isinstance(response, bytes):
        raise TypeError(f"a response must be bytes, not {type(response).__name__}")
    if len(response) > LONGEST:
        raise ExchangeError(f"a response is longer than {LONGEST} octets")
    return response


def ask_identity(question: Question) -> Generator[Question, object, str]:
    """Ask the application who this is.

    Raises:
        Denied: Nobody whom it lets in.
        TypeError: The answer is neither an identity nor None.
    """
    answer = yield question
    if answer is None:
        raise Denied
    if not isinstance(answer, str) or not answer:
        raise TypeError(f"{_wrong(question, answer)}, not with an identity or None")
    return answer


def ask_secret(
    question: Question, kind: type[T]
) -> Generator[Question, object, T | None]:
    """Ask the application for what it has stored.

    Raises:
        TypeError: The answer is neither of that kind nor None.
    """
    answer = yield question
    if answer is not None and not isinstance(answer, kind):
        raise TypeError(f"{_wrong(question, answer)}, not with {kind.__name__} or None")
    return answer


def _wrong(question: Question, answer: object) -> str:
    return f"{type(question).__name__} was answered with {type(answer).__name__}"


def text_of(message: bytes) -> str:
    """Return a message as text.

    Raises:
        ExchangeError: It is not UTF-8.
    """
    try:
        return message.decode("utf-8")
    except UnicodeDecodeError:
        raise ExchangeError("a message is not UTF-8") from None
