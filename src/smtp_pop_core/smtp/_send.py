"""Sending one message, as a flow.  A "no" of the server is a value in its result."""

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from .._errors import (
    ConnectionLost,
    LocalProtocolError,
    PolicyError,
    RemoteProtocolError,
)
from .._events import MessageData
from .._flow import Flow
from .._source import Sendable, Source
from ._commands import Body, Data, EndOfMessage, Mail, Rcpt, Rset
from ._connection import Connection
from ._exchange import receive, seconds, settle, write
from ._extensions import Size
from ._message import needs_utf8, octets_of, recipients_of, sender_of
from ._replies import Command, Reply
from ._results import MailResult, Outcome, RecipientResult
from ._state import State

if TYPE_CHECKING:
    from email.message import Message

_OPEN: Final = (State.MAIL, State.RCPT)  # a transaction was begun and not ended


def send_mail(
    conn: Connection,
    sender: str | Mail,
    recipients: Iterable[str | Rcpt] | str | Rcpt,
    content: Sendable,
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
        content: What to send.  Lines end with LF or CRLF; CRLF is sent.

    Returns:
        What became of it.  IN_DOUBT: the connection was lost after the last octet and
        before the reply.

    Raises:
        ValueError: An address cannot be written; there is no recipient; the content
            holds a bare CR.  If that was found out only while it was sent, the state is
            CLOSED.
        TypeError: The content is nothing that can be sent.
        PolicyError: The server lacks what the message needs (8BITMIME, SMTPUTF8), or
            said that it is too large.
        LocalProtocolError: No message can be sent now, or a parameter was not offered.
        RemoteProtocolError: The server broke the protocol.  The state is CLOSED.
        ConnectionLost: The connection ended before the last octet.  The state is
            CLOSED.
    """
    if isinstance(recipients, (str, Rcpt)):
        recipients = [recipients]
    rcpts = [Rcpt(each) if isinstance(each, str) else each for each in recipients]
    if not rcpts:
        raise ValueError("a message needs a recipient")
    if conn.state not in (State.READY, *_OPEN):
        raise LocalProtocolError(f"no message can be sent in {conn.state!r}")
    source = Source(content, conn.limits.block)
    survey = yield from source.survey()
    if isinstance(sender, str):
        sender = Mail(sender, smtputf8=not sender.isascii())
    needs = _Needs(conn, sender, rcpts)
    if survey is not None:
        needs.declare(survey.size, eight_bit=survey.eight_bit, content=content)
    else:
        needs.declare(None, eight_bit=None, content=b"")
    sending = _Sending(conn, needs.mail, rcpts)
    return (yield from sending.run(source, seven_bit=needs.seven_bit))


def send_message(
    conn: Connection,
    message: "Message",
    sender: str | Mail | None = None,
    recipients: Iterable[str | Rcpt] | str | Rcpt | None = None,
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
    return (yield from send_mail(conn, sender, recipients, content))


class _Needs:
    """What a message needs of the server."""

    def __init__(self, conn: Connection, mail: Mail, rcpts: list[Rcpt]) -> None:
        self._offered: Final = conn.extensions
        self._addresses: Final = [mail.sender, *(rcpt.recipient for rcpt in rcpts)]
        self.mail = mail
        self.seven_bit = False  # octets above 127 must not be sent

    def declare(
        self, size: int | None, *, eight_bit: bool | None, content: Sendable
    ) -> None:
        """Fill in what MAIL must say; None stands for what is not known."""
        smtputf8 = self.mail.smtputf8 or not all(map(str.isascii, self._addresses))
        if eight_bit and isinstance(content, bytes):
            smtputf8 = smtputf8 or _has_utf8_header(content)
        if smtputf8 and "SMTPUTF8" not in self._offered:
            raise PolicyError("the server does not offer SMTPUTF8, which is needed")
        body = self.mail.body
        if "8BITMIME" in self._offered:
            if body is None and eight_bit is not False:
                body = Body.EIGHT_BIT_MIME
        elif eight_bit:
            raise PolicyError("the server does not offer 8BITMIME, which is needed")
        else:
            self.seven_bit = True
        limit = self._offered.find(Size)
        if limit is not None and size is not None:
            if limit.limit and size > limit.limit:
                raise PolicyError(
                    f"{size} octets are more than the server's {limit.limit}"
                )
        else:
            size = None
        self.mail = Mail(
            self.mail.sender,
            size=size if self.mail.size is None else self.mail.size,
            body=body,
            smtputf8=smtputf8,
            extra=self.mail.extra,
        )


def _has_utf8_header(content: bytes) -> bool:
    """Whether the header section holds UTF-8.  RFC 6532."""
    ends = [content.find(end) for end in (b"\r\n\r\n", b"\n\n")]
    header = content[: min((end for end in ends if end >= 0), default=len(content))]
    if header.isascii():
        return False
    try:
        header.decode("utf-8")
    except UnicodeDecodeError:
        return False  # some older charset, which SMTPUTF8 does not make right
    return True


class _Sending:
    """One message on its way."""

    def __init__(self, conn: Connection, mail: Mail, rcpts: list[Rcpt]) -> None:
        self._conn: Final = conn
        self._mail: Final = mail
        self._rcpts: Final = rcpts
        self._answers: list[Reply] = []  # to the RCPT commands, in their order
        self._refusal: Reply | None = None  # for all recipients
        self._accepted: Reply | None = None  # for those whose RCPT was accepted

    def run(self, source: Source, *, seven_bit: bool) -> Flow[MailResult]:
        """Send it, and return what became of it."""
        yield from self._envelope()
        if self._conn.state is State.DATA:
            yield from self._content(source, seven_bit=seven_bit)
        return self._result()

    def _envelope(self) -> Flow[None]:
        """Send what comes before the content, as far as the server goes along."""
        conn = self._conn
        waiting: deque[Command] = deque([self._mail, *self._rcpts, Data()])
        if conn.state in _OPEN:
            waiting.appendleft(Rset())
        while waiting and not self._is_hopeless(waiting[0]):
            yield from settle(conn)
            sent, data, error = self._gather(waiting)
            if sent:
                yield from write(conn, data)
            for command in sent:
                limit = seconds(conn.limits.timeouts, command)
                self._note(command, (yield from receive(conn, limit)))
                if conn.state is State.CLOSED:
                    return
            if error is not None:
                raise error

    def _is_hopeless(self, following: Command) -> bool:
        if self._refusal is not None:
            return True
        return isinstance(following, Data) and not self._conn.recipients

    def _gather(
        self, waiting: deque[Command]
    ) -> tuple[list[Command], bytes, LocalProtocolError | None]:
        """Take the commands that may be sent before their replies are read."""
        conn, limits = self._conn, self._conn.limits
        sent: list[Command] = []
        data = bytearray()
        while waiting:
            try:
                data += conn.send(waiting[0])
            except LocalProtocolError as error:
                return sent, bytes(data), error
            sent.append(waiting.popleft())
            if (
                "PIPELINING" not in conn.extensions
                or len(sent) >= limits.pipelined_commands
                or len(data) >= limits.pipelined_octets
            ):
                break
        return sent, bytes(data), None

    def _note(self, command: Command, reply: Reply) -> None:
        match command:
            case Rcpt():
                self._answers.append(reply)
            case Mail() if reply.code >= 400:
                self._refusal = reply
            case Data() if reply.code >= 400 and self._conn.recipients:
                self._refusal = self._refusal or reply
        if self._conn.state is State.CLOSED:
            self._refusal = reply

    def _content(self, source: Source, *, seven_bit: bool) -> Flow[None]:
        """Send the content and hear what the server says to it.

        If no recipient is left and the server asked for content all the same, an empty
        message ends the transaction.  RFC 2920 section 3.1.
        """
        conn = self._conn
        hopeless = self._refusal is not None or not conn.recipients
        if conn.trailing_data:  # more than 354 was said
            self._refusal = yield from receive(conn, conn.limits.timeouts.end)
            return
        try:
            data = b""
            while not hopeless and (block := (yield from source.piece())):
                if data and (yield from write(conn, data, heed=True)):
                    self._refusal = yield from receive(conn, conn.limits.timeouts.end)
                    return
                if seven_bit and not block.isascii():
                    raise PolicyError("the server does not offer 8BITMIME")
                data = conn.send(MessageData(block, lf_ends_lines=True))
            data += conn.send(EndOfMessage())
        except LocalProtocolError as error:
            conn.close()
            raise ValueError(f"the content cannot be sent: {error}") from error
        except BaseException:
            conn.close()  # content that breaks off is never ended
            raise
        heard = yield from write(conn, data, heed=True)
        try:
            reply = yield from receive(conn, conn.limits.timeouts.end)
        except (ConnectionLost, RemoteProtocolError, TimeoutError):
            if heard:
                raise
            return  # in doubt
        if heard:  # before the end was sent: there is no way back in step
            conn.close()
        if hopeless:
            return
        if reply.code >= 400:
            self._refusal = reply
        elif heard:
            raise RemoteProtocolError("the server accepted what it has not got")
        else:
            self._accepted = reply

    def _result(self) -> MailResult:
        """What became of the message."""
        recipients = tuple(
            self._recipient(rcpt.recipient, index)
            for index, rcpt in enumerate(self._rcpts)
        )
        outcomes = {each.outcome for each in recipients}
        if Outcome.IN_DOUBT in outcomes:
            return MailResult(Outcome.IN_DOUBT, recipients, None)
        reply = self._accepted or self._refusal or self._answers[-1]
        if len(outcomes) > 1:
            return MailResult(Outcome.PARTLY_ACCEPTED, recipients, reply)
        return MailResult(outcomes.pop(), recipients, reply)

    def _recipient(self, address: str, index: int) -> RecipientResult:
        answer = self._answers[index] if index < len(self._answers) else self._refusal
        if answer is not None and answer.code >= 400:
            return RecipientResult(address, Outcome.REFUSED, answer)
        if self._refusal is not None:
            return RecipientResult(address, Outcome.REFUSED, self._refusal)
        if self._accepted is not None:
            return RecipientResult(address, Outcome.ACCEPTED, self._accepted)
        return RecipientResult(address, Outcome.IN_DOUBT, None)
