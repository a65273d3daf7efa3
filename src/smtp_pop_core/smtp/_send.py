"""Sending one message, as a flow.  A "no" of the server is a value in its result."""

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from .._dots import LineEnds, Survey
from .._errors import (
    ConnectionLost,
    LocalProtocolError,
    ParseError,
    PolicyError,
    RemoteProtocolError,
)
from .._events import MessageData, surveyed
from .._flow import Flow
from .._progress import Progress, Told
from .._source import Sendable, Source
from .._waiting import settle, write
from ._commands import (
    Bdat,
    BdatLast,
    Body,
    Data,
    EndOfChunk,
    EndOfMessage,
    Mail,
    Rcpt,
    Rset,
    mail_from,
    rcpt_to,
)
from ._connection import Connection
from ._exchange import receive, seconds
from ._message import needs_utf8, octets_of, recipients_of, sender_of
from ._needs import Needs, has_utf8_header, within_limits
from ._replies import Command, Reply
from ._results import MailResult, Outcome, RecipientResult
from ._state import State

if TYPE_CHECKING:
    from email.message import Message

# To look up a member of an Enum takes 60 ns.
_ACCEPTED: Final = Outcome.ACCEPTED
_REFUSED: Final = Outcome.REFUSED
_IN_DOUBT: Final = Outcome.IN_DOUBT
_BINARYMIME: Final = Body.BINARYMIME
_IN_DATA: Final = State.DATA

# Commands that are always the same.
_DATA: Final = Data()
_END_OF_MESSAGE: Final = EndOfMessage()

# A transaction was begun and not ended.
_OPEN: Final = (State.MAIL, State.RCPT, State.BDAT, State.FAILED)
_BEFORE: Final = (State.READY, *_OPEN)
_CHUNKS_UNHEARD: Final = 4  # whose replies are not read, with PIPELINING


def send_mail(
    conn: Connection,
    sender: str | Mail,
    recipients: Iterable[str | Rcpt] | str | Rcpt,
    content: Sendable,
    *,
    chunking: bool = False,
    progress: Progress | None = None,
) -> Flow[MailResult]:
    r"""Send one message.

    Commands are pipelined if the server offers it.  Refused recipients do not stop the
    others.  What a Mail leaves open is filled in as content, addresses and server need
    it: size, body, smtputf8.  A transaction that was left open is reset first, so a
    connection can be used for many messages.

    Args:
        conn: A connection after `open`.
        sender: The reverse-path, "" for a bounce; or a Mail with its parameters.
        recipients: The forward-paths, at least one; or Rcpt with their parameters.
        content: What to send.  Lines end with LF or CRLF; CRLF is sent.  With
            `Mail(body=Body.BINARYMIME)` it is sent as it is.
        chunking: Send the content with BDAT if the server offers CHUNKING.
        progress: Called before each block of the content is sent, with the octets up to
            its end and with all there are, or None where nobody knows before.

    Returns:
        What became of it.  IN_DOUBT: the connection was lost after the last octet and
        before the reply.

    Raises:
        ValueError: An address cannot be written; there is no recipient; the content
            holds a bare CR.  If that was found out only while it was sent, the state is
            CLOSED.
        TypeError: The content is nothing that can be sent.
        PolicyError: The server lacks what the message needs (8BITMIME, SMTPUTF8, DSN,
            BINARYMIME), or said that it is too large.
        LocalProtocolError: No message can be sent now, or a parameter was not offered.
        RemoteProtocolError: The server broke the protocol.  The state is CLOSED.
        ConnectionLost: The connection ended before the last octet.  The state is
            CLOSED.
    """
    if isinstance(recipients, (str, Rcpt)):
        recipients = [recipients]
    rcpts = [rcpt_to(each) if isinstance(each, str) else each for each in recipients]
    if not rcpts:
        raise ValueError("a message needs a recipient")
    if conn.state not in _BEFORE:
        raise LocalProtocolError(f"no message can be sent in {conn.state!r}")
    if isinstance(sender, str):
        sender = mail_from(sender)
    needs = Needs(conn, sender, rcpts)
    source = Source(content, conn.limits.block)
    size: int | None
    eight_bit: bool | None
    if sender.body is _BINARYMIME:
        size = len(content) if isinstance(content, bytes) else None
        eight_bit = None
    else:
        survey = yield from source.survey()
        size = None if survey is None else survey.size
        eight_bit = None if survey is None else survey.eight_bit
    needs.declare(
        size=size,
        eight_bit=eight_bit,
        utf8_header=eight_bit is not False and has_utf8_header(source.head),
        chunking=chunking,
    )
    return (yield from _Sending(conn, needs, rcpts, Told(progress, size)).run(source))


def send_message(
    conn: Connection,
    message: "Message",
    sender: str | Mail | None = None,
    recipients: Iterable[str | Rcpt] | str | Rcpt | None = None,
    *,
    chunking: bool = False,
    progress: Progress | None = None,
) -> Flow[MailResult]:
    """Send an `email.message.EmailMessage`.

    The envelope comes from its header (RFC 5322 section 3.6.6: of a message that was
    sent again, from the first block of Resent-* fields), unless it is given.  Bcc is
    not sent.  What the server lacks is done without where that is possible: a body is
    encoded in 7 bits, a header in encoded words.  The message itself is not changed.

    Args:
        conn: A connection after `open`.
        message: The message.
        sender: The reverse-path in place of the header's.
        recipients: The forward-paths in place of the header's.
        chunking: Send the content with BDAT if the server offers CHUNKING.
        progress: Called before each block of the content is sent, with the octets up to
            its end and with all there are, or None where nobody knows before.

    Returns:
        What became of it.

    Raises:
        ValueError: The header names no sender or no recipient, or an address of it
            cannot be written.
        PolicyError: An address needs SMTPUTF8, which the server does not offer.
        LocalProtocolError: As for `send_mail`; so are the other errors.
    """
    if sender is None:
        sender = sender_of(message)
    if recipients is None:
        recipients = recipients_of(message)
    content = octets_of(
        message,
        eight_bit="8BITMIME" in conn.extensions,
        utf8=needs_utf8(message) and "SMTPUTF8" in conn.extensions,
    )
    return (
        yield from send_mail(
            conn, sender, recipients, content, chunking=chunking, progress=progress
        )
    )


class _Sending:
    """One message on its way."""

    def __init__(
        self, conn: Connection, needs: Needs, rcpts: list[Rcpt], told: Told
    ) -> None:
        self._conn: Final = conn
        self._needs: Final = needs
        self._rcpts: Final = rcpts
        self._told: Final = told
        self._answers = within_limits(conn, rcpts)  # to RCPT, by its index
        self._refusal: Reply | None = None  # for all recipients
        self._verdicts: list[Reply] = []  # on the content: one, in LMTP one a recipient

    def run(self, source: Source) -> Flow[MailResult]:
        """Send it, and return what became of it."""
        conn = self._conn
        yield from self._envelope()
        try:
            if conn.state is _IN_DATA:
                yield from self._content(source)
            elif self._needs.chunked and conn.state is State.RCPT and not self._refusal:
                yield from self._chunks(source)
        except (LocalProtocolError, ParseError) as error:
            conn.close()
            raise ValueError(f"the content cannot be sent: {error}") from error
        except BaseException:
            conn.close()  # content that breaks off is never ended
            raise
        return self._result()

    def _envelope(self) -> Flow[None]:
        """Send what comes before the content, as far as the server goes along."""
        conn = self._conn
        if len(self._answers) == len(self._rcpts):
            return  # the server has said before that it takes none of them
        waiting: deque[tuple[Command, int]] = deque([(self._needs.mail, -1)])
        if conn.state in _OPEN:
            waiting.appendleft((Rset(), -1))
        waiting.extend(
            (rcpt, index)
            for index, rcpt in enumerate(self._rcpts)
            if index not in self._answers
        )
        if not self._needs.chunked:
            waiting.append((_DATA, -1))
        while waiting and not self._is_hopeless(waiting[0][0]):
            if not conn.settled:
                yield from settle(conn)
            sent, data, error = self._gather(waiting)
            if sent:
                yield from write(conn, data)
            for command, index in sent:
                reply = conn.next_event()
                if not isinstance(reply, Reply):  # else it came with the one before
                    limit = seconds(conn.limits.timeouts, command)
                    reply = yield from receive(conn, limit)
                self._note(command, index, reply)
                if conn.closed:
                    return
            if error is not None:
                raise error

    def _is_hopeless(self, following: Command) -> bool:
        if self._refusal is not None:
            return True
        return isinstance(following, Data) and not self._conn.recipients

    def _gather(
        self, waiting: deque[tuple[Command, int]]
    ) -> tuple[list[tuple[Command, int]], bytes, LocalProtocolError | None]:
        """Take the commands that may be sent before their replies are read."""
        conn, limits = self._conn, self._conn.limits
        sent: list[tuple[Command, int]] = []
        data = bytearray()
        pipelined = "PIPELINING" in conn.extensions
        while waiting:
            try:
                data += conn.send(waiting[0][0])
            except LocalProtocolError as error:
                return sent, bytes(data), error
            sent.append(waiting.popleft())
            if (
                not pipelined
                or len(sent) >= limits.pipelined_commands
                or len(data) >= limits.pipelined_octets
            ):
                break
        return sent, bytes(data), None

    def _note(self, command: Command, index: int, reply: Reply) -> None:
        if index >= 0:
            if self._refusal is None:
                self._answers[index] = reply
        elif reply.code >= 400 and (
            isinstance(command, Mail)
            or (isinstance(command, Data) and self._conn.recipients)
        ):
            self._refusal = self._refusal or reply
        if self._conn.closed:
            self._refusal = reply

    def _content(self, source: Source) -> Flow[None]:
        """Send the content with DATA and hear what the server says to it.

        If no recipient is left and the server asked for content all the same, an empty
        message ends the transaction.  RFC 2920 section 3.1.
        """
        conn = self._conn
        hopeless = self._refusal is not None or not conn.recipients
        if conn.trailing_data:  # more than 354 was said
            self._refusal = yield from receive(conn, conn.limits.timeouts.end)
            return
        data = b""
        counted = _Counted(self._told) if self._told.heard else None
        while not hopeless and (block := (yield from source.piece())):
            if data and (yield from write(conn, data, heed=True)):
                self._refusal = yield from receive(conn, conn.limits.timeouts.end)
                return
            self._check_bits(block)
            if counted is not None:
                yield from counted.feed(block)
            data = conn.send(
                surveyed(block)
                if source.only_crlf
                else MessageData(block, lf_ends_lines=True)
            )
        if counted is not None:
            yield from counted.finish()
        data += conn.send(_END_OF_MESSAGE)
        heard = yield from write(conn, data, heed=True)
        yield from self._hear_verdicts(heard=heard)
        if heard:  # before the end was sent: there is no way back in step
            conn.close()

    def _check_bits(self, block: bytes) -> None:
        if self._needs.seven_bit and not block.isascii():
            raise PolicyError("the server does not offer 8BITMIME")

    def _chunks(self, source: Source) -> Flow[None]:
        """Send the content with BDAT; after a no to a chunk, no more of it."""
        conn = self._conn
        octets = _Octets(source, binary=self._needs.mail.body is Body.BINARYMIME)
        window = _CHUNKS_UNHEARD if "PIPELINING" in conn.extensions else 1
        chunk = yield from octets.following()
        while following := (yield from octets.following()):
            self._check_bits(chunk)
            yield from self._settle()
            yield from self._told.further(len(chunk))
            data = conn.send(Bdat(len(chunk))) + conn.send(MessageData(chunk))
            yield from write(conn, data + conn.send(EndOfChunk()))
            yield from self._hear_chunks(fewer_than=window)
            if self._refusal is not None:
                return
            chunk = following
        yield from self._hear_chunks(fewer_than=1)
        if self._refusal is not None:
            return
        self._check_bits(chunk)
        yield from self._settle()
        yield from self._told.further(len(chunk))
        data = conn.send(BdatLast(len(chunk)))
        if chunk:
            data += conn.send(MessageData(chunk))
        yield from write(conn, data + conn.send(_END_OF_MESSAGE))
        yield from self._hear_verdicts(heard=False)

    def _settle(self) -> Flow[None]:
        """See that no reply comes before its chunk, where that can be told."""
        if not self._conn.unanswered:
            yield from settle(self._conn)

    def _hear_chunks(self, *, fewer_than: int) -> Flow[None]:
        """Read the replies to chunks until so few are left; after a no, all."""
        conn = self._conn
        while self._unheard() >= (1 if self._refusal else fewer_than):
            reply = yield from receive(conn, conn.limits.timeouts.end)
            if reply.code >= 400:
                self._refusal = self._refusal or reply
            if conn.state is State.CLOSED:
                return

    def _unheard(self) -> int:
        """How many chunks have not been answered."""
        return sum(isinstance(each, EndOfChunk) for each in self._conn.unanswered)

    def _hear_verdicts(self, *, heard: bool) -> Flow[None]:
        """Read what the server says to the content; without it, that is in doubt."""
        conn = self._conn
        due = conn.replies_due
        try:
            while len(self._verdicts) < due:
                reply = yield from receive(conn, conn.limits.timeouts.end)
                self._verdicts.append(reply)
                if heard or conn.closed:  # it is for all that are left
                    self._verdicts += [reply] * (due - len(self._verdicts))
        except (ConnectionLost, RemoteProtocolError, TimeoutError):
            if heard:
                raise
        if heard and self._verdicts[0].code < 400:
            raise RemoteProtocolError("the server accepted what it has not got")

    def _result(self) -> MailResult:
        """What became of the message."""
        verdicts = iter(self._verdicts)
        verdict = next(verdicts, None)
        recipients: list[RecipientResult] = []
        for index, rcpt in enumerate(self._rcpts):
            answer = self._answers.get(index, self._refusal)
            if answer is None or answer.code < 400:
                decisive = self._refusal or verdict
                if self._conn.lmtp:
                    verdict = next(verdicts, None)
            else:
                decisive = answer
            recipients.append(
                RecipientResult(rcpt.recipient, _outcome(decisive), decisive)
            )
        return _summary(tuple(recipients), self._refusal)


def _outcome(reply: Reply | None) -> Outcome:
    if reply is None:
        return _IN_DOUBT
    return _REFUSED if reply.code >= 400 else _ACCEPTED


def _summary(
    recipients: tuple[RecipientResult, ...], refusal: Reply | None
) -> MailResult:
    accepted = [each for each in recipients if each.outcome is _ACCEPTED]
    if len(accepted) == len(recipients):
        return MailResult(_ACCEPTED, recipients, accepted[0].reply)
    if any(each.outcome is _IN_DOUBT for each in recipients):
        return MailResult(_IN_DOUBT, recipients, None)
    if accepted:
        return MailResult(Outcome.PARTLY_ACCEPTED, recipients, accepted[0].reply)
    return MailResult(_REFUSED, recipients, refusal or recipients[-1].reply)


class _Counted:
    """Content before it is sent with DATA, of which is told how much there is."""

    def __init__(self, told: Told) -> None:
        self._told: Final = told
        self._survey: Final = Survey()

    def feed(self, block: bytes) -> Flow[None]:
        """Count a block, as a receiver counts it."""
        before = self._survey.size
        self._survey.feed(block)
        yield from self._told.further(self._survey.size - before)

    def finish(self) -> Flow[None]:
        """Count what only the end decides."""
        before = self._survey.size
        self._survey.finish()
        yield from self._told.further(self._survey.size - before)


class _Octets:
    """Content as it is sent in chunks: text with CRLF, or as it is."""

    def __init__(self, source: Source, *, binary: bool) -> None:
        self._source: Final = source
        self._line_ends: Final = None if binary else LineEnds()
        self._ended = False

    def following(self) -> Flow[bytes]:
        """Return the next octets, b"" at the end.

        Raises:
            ValueError: There is a bare CR in a text.
        """
        while not self._ended:
            block = yield from self._source.piece()
            self._ended = not block
            if self._line_ends is not None:
                line_ends = self._line_ends
                block = line_ends.feed(block) if block else line_ends.end()
            if block:
                return block
        return b""
