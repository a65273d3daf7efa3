"""The commands of SMTP as values.

A command that exists can be written: its fields are checked when it is made, so nothing
that came from outside, or from the caller, becomes a second line or another parameter.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, TypeAlias

from .._abnf import (
    encode_unitext,
    encode_xtext,
    is_atom,
    is_domain_or_literal,
    is_esmtp_keyword,
    is_esmtp_value,
    require_str,
    upper,
)
from .._expressions import expression
from .._values import quick, unchecked
from ..sasl import is_mechanism_name
from ._grammar import is_forward_path, is_reverse_path
from ._replies import Command, Reply

Extra: TypeAlias = tuple[tuple[str, str | None], ...]
"""Parameters of extensions: keyword in upper case, and its value or None."""

_TEXT: Final = expression(r"[!-~](?:[ -~]*[!-~])?")
_UTF8_TEXT: Final = expression(
    r"[^\0- \x7f-\xa0\ud800-\udfff\u2028\u2029]"
    r"(?:[^\0-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]*"
    r"[^\0- \x7f-\xa0\ud800-\udfff\u2028\u2029])?"
)
_FIELDS: Final = frozenset(
    {"SIZE", "BODY", "SMTPUTF8", "RET", "ENVID", "AUTH", "NOTIFY", "ORCPT"}
)  # they have a field of their own
_LARGEST_CHUNK: Final = 10**18
_ENVID_LENGTH: Final = 100  # RFC 3461 section 4.4
_AUTH_LENGTH: Final = 494  # RFC 4954 section 5: 500 with " AUTH="
_ORCPT_LENGTH: Final = 500  # RFC 3461 section 4.2
_NODE: Final = expression("[!-~]+")
_XTEXT_OF: Final = expression("[ -~\x80-\xff]+")


class Body(Enum):
    """What the octets of a message's content may be.  RFC 6152."""

    SEVEN_BIT = "7BIT"
    EIGHT_BIT_MIME = "8BITMIME"
    BINARYMIME = "BINARYMIME"


class Ret(Enum):
    """What a failure notice brings back of the message.  RFC 3461 section 4.3."""

    FULL = "FULL"
    HDRS = "HDRS"


class Notify(Enum):
    """When a delivery status notification is wanted.  RFC 3461 section 4.1."""

    NEVER = "NEVER"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    DELAY = "DELAY"


@dataclass(frozen=True, slots=True)
class Connect(Command):
    """The connection itself, which the greeting answers.  It is never sent."""


@dataclass(frozen=True, slots=True)
class Ehlo(Command):
    """EHLO: say who you are, and ask for the extensions.  RFC 5321 section 4.1.1.1.

    Attributes:
        domain: The client's domain name, or an address literal as "[192.0.2.1]".

    Raises:
        ValueError: It is neither.
    """

    domain: str

    def __post_init__(self) -> None:
        _check_domain(self.domain)


@dataclass(frozen=True, slots=True)
class Helo(Command):
    """HELO: say who you are, without extensions.  RFC 5321 section 4.1.1.1.

    Deviation: an address literal is accepted, as most servers and clients do.

    Attributes:
        domain: The client's domain name, or an address literal.

    Raises:
        ValueError: It is neither.
    """

    domain: str

    def __post_init__(self) -> None:
        _check_domain(self.domain)


@dataclass(frozen=True, slots=True)
class Lhlo(Command):
    """LHLO: EHLO in LMTP.  RFC 2033 section 4.1.

    Attributes:
        domain: The client's domain name, or an address literal.

    Raises:
        ValueError: It is neither.
    """

    domain: str

    def __post_init__(self) -> None:
        _check_domain(self.domain)


@quick
@dataclass(frozen=True, slots=True)
class Mail(Command):
    """MAIL FROM: begin a mail transaction.  RFC 5321 section 4.1.1.2.

    Attributes:
        sender: The reverse-path without its angle brackets; "" in a bounce.
        size: The declared size of the content in octets, or None.  RFC 1870.
        body: What the octets of the content may be, or None.  RFC 6152.
        smtputf8: Whether the envelope or the header may hold UTF-8.  RFC 6531.
        ret: What a failure notice brings back, or None.  RFC 3461.
        envid: An identifier that notices bring back, 1 to 100 printable ASCII
            characters as xtext, or None.  RFC 3461 section 4.4.
        auth: Who has handed the message in, as the client says: an address; "" for
            somebody who is not known; or None.  It counts only from those who are
            trusted.  RFC 4954 section 5.
        extra: Parameters of extensions that have no field here.

    Raises:
        ValueError: A field cannot be written in a command line.
    """

    sender: str
    size: int | None = field(default=None, kw_only=True)
    body: Body | None = field(default=None, kw_only=True)
    smtputf8: bool = field(default=False, kw_only=True)
    ret: Ret | None = field(default=None, kw_only=True)
    envid: str | None = field(default=None, kw_only=True)
    auth: str | None = field(default=None, kw_only=True)
    extra: Extra = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        if type(self.sender) is not str:
            require_str("sender", self.sender)
        if not is_reverse_path(self.sender, utf8=self.smtputf8):
            raise ValueError(f"not a reverse-path: {self.sender!r}")
        self._check_parameters()

    def _check_parameters(self) -> None:
        if self.size is not None:
            _require("size", self.size, int)
            if not 0 <= self.size < 10**20:  # 1*20DIGIT
                raise ValueError(f"not a size: {self.size!r}")
        if self.body is not None:
            _require("body", self.body, Body)
        if self.ret is not None:
            _require("ret", self.ret, Ret)
        if self.envid is not None:
            _check_xtext(self.envid, _ENVID_LENGTH)
        if self.auth:
            _check_xtext(self.auth, _AUTH_LENGTH)
            if not is_reverse_path(self.auth, utf8=True):
                raise ValueError(f"not an address: {self.auth!r}")
        if self.extra:
            _check_extra(self.extra)


@quick
@dataclass(frozen=True, slots=True)
class Rcpt(Command):
    """RCPT TO: name one recipient.  RFC 5321 section 4.1.1.3.

    Attributes:
        recipient: The forward-path without its angle brackets; "Postmaster" has no
            domain.  With non-ASCII characters only after `Mail(smtputf8=True)`.
        notify: When a delivery status notification is wanted, each once and NEVER
            alone; () leaves it to the server.  RFC 3461 section 4.1.
        orcpt: The original recipient: the type of its address, "rfc822" for one, and
            the address; or None.  RFC 3461 section 4.2.  With the type "utf-8" it may
            have characters beyond ASCII, RFC 6533 section 3.
        extra: Parameters of extensions that have no field here.

    Raises:
        ValueError: A field cannot be written in a command line.
    """

    recipient: str
    notify: tuple[Notify, ...] = field(default=(), kw_only=True)
    orcpt: tuple[str, str] | None = field(default=None, kw_only=True)
    extra: Extra = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        if not is_forward_path(self.recipient, utf8=True):
            raise ValueError(f"not a forward-path: {self.recipient!r}")
        if self.notify != () or self.orcpt is not None or self.extra:
            self._check_parameters()

    def _check_parameters(self) -> None:
        for word in self.notify:
            _require("notify", word, Notify)
        if len(set(self.notify)) < len(self.notify) or (
            Notify.NEVER in self.notify and len(self.notify) > 1
        ):
            raise ValueError(f"these do not go together: {self.notify!r}")
        if self.orcpt is not None:
            address_type, address = self.orcpt
            if not is_atom(address_type):
                raise ValueError(f"not the type of an address: {address_type!r}")
            require_str("address", address)
            longest = _ORCPT_LENGTH - len(address_type) - 1
            if upper(address_type) != "UTF-8":
                _check_xtext(address, longest)
            elif not address.isprintable() or not (
                0 < len(encode_unitext(address)) <= longest
            ):
                raise ValueError(f"not an original recipient: {address!r}")
        if self.extra:
            _check_extra(self.extra)


_mail_unchecked: Final = unchecked(Mail)
_rcpt_unchecked: Final = unchecked(Rcpt)


def mail_from(sender: str) -> Mail:
    """Make a Mail, with SMTPUTF8 if the sender needs it, and check it.

    It takes half as long as `Mail(sender)`, which sets each field by a call.

    Raises:
        ValueError: It is no reverse-path.
    """
    mail = _mail_unchecked(sender, smtputf8=not sender.isascii())
    mail.__post_init__()
    return mail


def rcpt_to(recipient: str) -> Rcpt:
    """Make a Rcpt and check it, in half the time of `Rcpt(recipient)`.

    Raises:
        ValueError: It is no forward-path.
    """
    rcpt = _rcpt_unchecked(recipient)
    rcpt.__post_init__()
    return rcpt


def mail_as_read(sender: str, fields: Mapping[str, Any] | None = None) -> Mail:
    """Make a Mail whose path was read by the expression that Mail checks.

    Raises:
        ValueError: A field cannot be written in a command line.
    """
    if not fields:
        return _mail_unchecked(sender)
    mail = _mail_unchecked(sender, **fields)
    mail._check_parameters()
    return mail


def declaring(
    mail: Mail, *, size: int | None, body: Body | None, smtputf8: bool
) -> Mail:
    """Return a Mail that says so of its content, and the rest as it was checked.

    Without checking it all again it takes 1 us in place of 8.

    Args:
        mail: What it has been.
        size: Octets that were counted, or None.
        body: What was found out about them, or None.
        smtputf8: True where it was so before.
    """
    return _mail_unchecked(
        mail.sender,
        size=size,
        body=body,
        smtputf8=smtputf8,
        ret=mail.ret,
        envid=mail.envid,
        auth=mail.auth,
        extra=mail.extra,
    )


def rcpt_as_read(recipient: str, fields: Mapping[str, Any] | None = None) -> Rcpt:
    """Make a Rcpt whose path was read by the expression that Rcpt checks.

    Raises:
        ValueError: A field cannot be written in a command line.
    """
    if not fields:
        return _rcpt_unchecked(recipient)
    rcpt = _rcpt_unchecked(recipient, **fields)
    rcpt._check_parameters()
    return rcpt


@dataclass(frozen=True, slots=True)
class Data(Command):
    """DATA: ask to send the content.  RFC 5321 section 4.1.1.4."""


@dataclass(frozen=True, slots=True)
class Bdat(Command):
    """BDAT: a chunk of the content follows at once.  RFC 3030 section 2.

    It has no reply; `EndOfChunk` has.

    Attributes:
        size: Octets of the chunk, 0 to 10**18.

    Raises:
        ValueError: It is no such size.
    """

    size: int

    def __post_init__(self) -> None:
        _check_chunk(self.size)


@dataclass(frozen=True, slots=True)
class BdatLast(Command):
    """BDAT LAST: the last chunk of the content follows at once.  RFC 3030 section 2.

    It has no reply; `EndOfMessage` has.

    Attributes:
        size: Octets of the chunk, 0 to 10**18.

    Raises:
        ValueError: It is no such size.
    """

    size: int

    def __post_init__(self) -> None:
        _check_chunk(self.size)


@dataclass(frozen=True, slots=True)
class EndOfChunk(Command):
    """The end of a chunk that is not the last, which the server answers.

    Attributes:
        refusal: For a server: the reply that is due because the chunk cannot be
            accepted, else None.  Then no 2xx can be sent.  Not part of equality.
    """

    refusal: Reply | None = field(default=None, compare=False)


@quick
@dataclass(frozen=True, slots=True)
class EndOfMessage(Command):
    """The end of the content, which the server answers.

    Attributes:
        refusal: For a server: the reply that is due because the content cannot be
            accepted, else None.  Then no 2xx can be sent.  Not part of equality.
    """

    refusal: Reply | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Rset(Command):
    """RSET: forget the open transaction.  RFC 5321 section 4.1.1.5."""


@dataclass(frozen=True, slots=True)
class Vrfy(Command):
    """VRFY: ask whether a user or mailbox exists.  RFC 5321 section 4.1.1.6.

    Attributes:
        string: A user name or an address.
        smtputf8: Whether the reply may hold UTF-8.  RFC 6531 section 3.7.4.2.

    Raises:
        ValueError: The string cannot be written in a command line.
    """

    string: str
    smtputf8: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        _check_string(self.string, utf8=self.smtputf8)


@dataclass(frozen=True, slots=True)
class Expn(Command):
    """EXPN: ask for the members of a mailing list.  RFC 5321 section 4.1.1.7.

    Attributes:
        string: The name of the list.
        smtputf8: Whether the reply may hold UTF-8.  RFC 6531 section 3.7.4.2.

    Raises:
        ValueError: The string cannot be written in a command line.
    """

    string: str
    smtputf8: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        _check_string(self.string, utf8=self.smtputf8)


@dataclass(frozen=True, slots=True)
class Help(Command):
    """HELP: ask for help.  RFC 5321 section 4.1.1.8.

    Attributes:
        topic: What about, or "".

    Raises:
        ValueError: The topic cannot be written in a command line.
    """

    topic: str = ""

    def __post_init__(self) -> None:
        _check_text(self.topic)


@dataclass(frozen=True, slots=True)
class Noop(Command):
    """NOOP: do nothing.  RFC 5321 section 4.1.1.9.

    Attributes:
        text: Anything, which is ignored, or "".

    Raises:
        ValueError: The text cannot be written in a command line.
    """

    text: str = ""

    def __post_init__(self) -> None:
        _check_text(self.text)


@dataclass(frozen=True, slots=True)
class Quit(Command):
    """QUIT: end the session.  RFC 5321 section 4.1.1.10."""


@dataclass(frozen=True, slots=True)
class StartTls(Command):
    """STARTTLS: begin TLS once the server has said 220.  RFC 3207."""


@dataclass(frozen=True, slots=True)
class Auth(Command):
    """AUTH: begin an authentication exchange.  RFC 4954.

    Attributes:
        mechanism: The name of the mechanism, in upper case.
        initial: The initial response, b"" for an empty one, or None for none.

    Raises:
        ValueError: The name is not that of a mechanism.
    """

    mechanism: str
    initial: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not is_mechanism_name(self.mechanism):
            raise ValueError(f"not the name of a mechanism: {self.mechanism!r}")
        if self.initial is not None:
            _require("initial", self.initial, bytes)


@dataclass(frozen=True, slots=True)
class AuthResponse(Command):
    """The answer to a challenge of the server.  RFC 4954 section 4.

    Attributes:
        data: The response, or None to cancel the exchange.
    """

    data: bytes | None = field(repr=False)

    def __post_init__(self) -> None:
        if self.data is not None:
            _require("data", self.data, bytes)


@dataclass(frozen=True, slots=True)
class Etrn(Command):
    """ETRN: ask for the messages that wait for a host.  RFC 1985.

    Attributes:
        node: The name of the host; with "@" before it, of all hosts of the domain; with
            "#", of a queue.

    Raises:
        ValueError: It is no such name.
    """

    node: str

    def __post_init__(self) -> None:
        if not _NODE.fullmatch(self.node):
            raise ValueError(f"not the name of a node: {self.node!r}")


@dataclass(frozen=True, slots=True)
class BadCommand(Command):
    """What a client sent and a server cannot accept.  Only a server meets it.

    Attributes:
        line: The line as received without its CRLF, b"" where it was too long.  It may
            hold a secret and is not in the repr.
        reply: The reply that is due.
    """

    line: bytes = field(repr=False)
    reply: Reply


def _require(name: str, value: object, kind: type) -> None:
    if type(value) is not kind:
        raise TypeError(f"{name} must be {kind.__name__}, not {type(value).__name__}")


def _check_domain(domain: str) -> None:
    if not is_domain_or_literal(domain):
        raise ValueError(f"not a domain or an address literal: {domain!r}")


def _check_chunk(size: int) -> None:
    _require("size", size, int)
    if not 0 <= size <= _LARGEST_CHUNK:
        raise ValueError(f"not the size of a chunk: {size!r}")


def _check_xtext(text: str, longest: int) -> None:
    """Check what is written as xtext.

    Deviation: RFC 3461 wants printable ASCII before the encoding.  Octets above 127 are
    let pass: relays put the UTF-8 of an address there, and its mail would be lost.
    """
    require_str("text", text)
    if not _XTEXT_OF.fullmatch(text):
        raise ValueError(f"not printable: {text!r}")
    if len(encode_xtext(text)) > longest:
        raise ValueError(f"longer than {longest} characters as xtext: {text!r}")


def _check_string(string: str, *, utf8: bool) -> None:
    if not (_UTF8_TEXT if utf8 else _TEXT).fullmatch(string):
        raise ValueError(f"not a string for a command line: {string!r}")
    if string.upper().endswith(" SMTPUTF8"):
        raise ValueError(f"a string cannot end like a parameter: {string!r}")


def _check_text(text: str) -> None:
    require_str("text", text)
    if text and not _TEXT.fullmatch(text):
        raise ValueError(f"not a text for a command line: {text!r}")


def _check_extra(extra: Extra) -> None:
    keywords = [keyword for keyword, _ in extra]
    if len(set(keywords)) < len(keywords):
        raise ValueError(f"a parameter is given twice: {keywords!r}")
    for keyword, value in extra:
        if keyword in _FIELDS or keyword != upper(keyword):
            raise ValueError(f"not the keyword of an extra parameter: {keyword!r}")
        if not is_esmtp_keyword(keyword):
            raise ValueError(f"not the keyword of a parameter: {keyword!r}")
        if value is not None and not is_esmtp_value(value, utf8=True):
            raise ValueError(f"not the value of a parameter: {value!r}")
