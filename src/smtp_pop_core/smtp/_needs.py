"""What a message needs of the server, and what MAIL must say of it."""

from typing import Final

from .._errors import PolicyError
from ._commands import Body, Mail, Rcpt, declaring
from ._connection import Connection
from ._extensions import Limits, Size
from ._grammar import domain_of
from ._replies import EnhancedCode, Reply

_NOT_SENT: Final = Reply(
    452, ("Not sent: the server takes no more recipients",), EnhancedCode(4, 5, 3)
)


class Needs:
    """What one message needs of the server.

    Args:
        conn: The connection.
        mail: What the caller has said of it.
        rcpts: Its recipients.

    Attributes:
        mail: What MAIL says.
        chunked: Whether the content is sent with BDAT.
        seven_bit: Octets above 127 must not be sent.

    Raises:
        PolicyError: The server does not offer what it needs.
    """

    def __init__(self, conn: Connection, mail: Mail, rcpts: list[Rcpt]) -> None:
        self._offered: Final = conn.extensions
        self.mail = mail
        self.chunked = False
        self.seven_bit = False
        limits = self._offered.find(Limits)
        most = None if limits is None else limits.mailmax
        if most is not None and conn.mails >= most:
            raise PolicyError("the server takes no more messages in this session")
        self._utf8 = mail.smtputf8 or not mail.sender.isascii()
        notices = mail.ret is not None or mail.envid is not None
        for rcpt in rcpts:
            self._utf8 = self._utf8 or not rcpt.recipient.isascii()
            notices = notices or bool(rcpt.notify) or rcpt.orcpt is not None
        if self._utf8:
            self._require("SMTPUTF8")
        if notices:
            self._require("DSN")
        if mail.auth is not None:
            self._require("AUTH")
        if mail.body is Body.BINARYMIME:
            self._require("BINARYMIME")
            self._require("CHUNKING")

    def _require(self, keyword: str) -> None:
        if keyword not in self._offered:
            raise PolicyError(f"the server does not offer {keyword}, which is needed")

    def declare(
        self,
        *,
        size: int | None,
        eight_bit: bool | None,
        utf8_header: bool,
        chunking: bool,
    ) -> None:
        """Fill in what MAIL must say of the content; None is for what is not known.

        Raises:
            PolicyError: The server does not offer what it needs, or said that it is too
                large.
        """
        if utf8_header:
            self._require("SMTPUTF8")
        body = self.mail.body
        if body is Body.BINARYMIME:
            chunking = True
        elif body is Body.SEVEN_BIT:
            if eight_bit:
                raise PolicyError("octets above 127 do not go with BODY=7BIT")
            self.seven_bit = True
        elif "8BITMIME" in self._offered:
            if body is None and eight_bit is not False:
                body = Body.EIGHT_BIT_MIME
        elif eight_bit:
            self._require("8BITMIME")
        else:
            self.seven_bit = True
        self.chunked = chunking and "CHUNKING" in self._offered
        limit = self._offered.find(Size)
        if limit is None:
            size = None
        elif limit.limit and size is not None and size > limit.limit:
            raise PolicyError(f"{size} octets are more than the server's {limit.limit}")
        self.mail = declaring(
            self.mail,
            size=size if self.mail.size is None else self.mail.size,
            body=body,
            smtputf8=self._utf8 or utf8_header,
        )


def within_limits(conn: Connection, rcpts: list[Rcpt]) -> dict[int, Reply]:
    """Return the recipients that the server's LIMITS leave no room for, by index.

    Each has a reply such as the server would give: try them again in another
    transaction, or for their domains in another session.  RFC 9422 section 4.
    """
    limits = conn.extensions.find(Limits)
    if limits is None:
        return {}
    beyond: dict[int, Reply] = {}
    domains = set(conn.rcpt_domains)
    for index, rcpt in enumerate(rcpts):
        domain = domain_of(rcpt.recipient)
        if (limits.rcptmax is not None and index - len(beyond) >= limits.rcptmax) or (
            limits.rcptdomainmax is not None
            and domain not in domains
            and len(domains) >= limits.rcptdomainmax
        ):
            beyond[index] = _NOT_SENT
        else:
            domains.add(domain)
    return beyond


def has_utf8_header(content: bytes) -> bool:
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
