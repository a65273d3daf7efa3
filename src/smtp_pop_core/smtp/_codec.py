"""Octets to commands and replies, and back: each reader beside its writer.

Text is decoded and encoded here and nowhere else.  A reader raises BadLine, which holds
the reply that is due.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any, Final, TypeAlias

from .._abnf import upper
from .._base64 import decode_base64, encode_base64
from .._errors import OutOfOrder, ParseError
from .._expressions import expression
from .._limits import Limits
from ._commands import (
    Auth,
    AuthResponse,
    Bdat,
    BdatLast,
    Body,
    Data,
    Ehlo,
    Expn,
    Extra,
    Helo,
    Help,
    Lhlo,
    Mail,
    Noop,
    Quit,
    Rcpt,
    Rset,
    StartTls,
    Vrfy,
    mail_as_read,
    rcpt_as_read,
)
from ._extensions import Extensions, Parameter, Verb
from ._extensions._extension import NO_EXTENSIONS
from ._grammar import split_forward_path, split_parameters, split_reverse_path
from ._replies import Command, EnhancedCode, Reply
from ._state import NotOffered


class BadLine(ParseError):
    """A command line that cannot be accepted, with the reply that is due.

    Attributes:
        reply: The reply.
        octets: How many octets behind the line belong to it, and are to be dropped; or
            None: it opens no chunk.
    """

    def __init__(
        self,
        code: int,
        text: str,
        subject: int,
        detail: int,
        *,
        octets: int | None = None,
    ) -> None:
        super().__init__(text)
        self.reply: Final = Reply(code, (text,), EnhancedCode(5, subject, detail))
        self.octets: Final = octets


def _no_argument(command: Command) -> Callable[[str], Command]:
    def read(arguments: str) -> Command:
        if arguments:
            raise BadLine(501, "No argument allowed", 5, 4)
        return command

    return read


def _write_nothing(*_: object) -> str:
    return ""


def _read_auth(arguments: str) -> Auth:
    mechanism, _, initial = arguments.partition(" ")
    mechanism = upper(mechanism)
    if not initial:
        return Auth(mechanism)
    return Auth(mechanism, b"" if initial == "=" else _decode(initial.encode()))


def _write_auth(command: Auth) -> str:
    if command.initial is None:
        return command.mechanism
    initial = encode_base64(command.initial) or b"="
    return f"{command.mechanism} {initial.decode('ascii')}"


def _decode(text: bytes) -> bytes:
    try:
        return decode_base64(text)
    except ParseError as error:
        raise BadLine(501, "Cannot decode base64", 5, 2) from error


_BINARYMIME: Final = Body.BINARYMIME  # to look it up takes 60 ns

_SMTP_VERBS: Final = (
    Verb("EHLO", Ehlo, Ehlo, attrgetter("domain")),
    Verb("HELO", Helo, Helo, attrgetter("domain")),
)
_LMTP_VERBS: Final = (Verb("LHLO", Lhlo, Lhlo, attrgetter("domain")),)
_VERBS: Final = (
    Verb("DATA", Data, _no_argument(Data()), _write_nothing),
    Verb("RSET", Rset, _no_argument(Rset()), _write_nothing),
    Verb("QUIT", Quit, _no_argument(Quit()), _write_nothing),
    Verb("HELP", Help, Help, attrgetter("topic")),
    Verb("NOOP", Noop, Noop, attrgetter("text")),
    Verb("STARTTLS", StartTls, _no_argument(StartTls()), _write_nothing),
    Verb("AUTH", Auth, _read_auth, _write_auth),
)


_CHUNK: Final = expression(rb"([0-9]{1,19})( +LAST)?", re.IGNORECASE)


def _read_bdat(
    arguments: bytes, check: Callable[[type[Command]], None]
) -> Bdat | BdatLast:
    """Read BDAT.  If it is refused, its octets have to go: RFC 3030 section 2."""
    found = _CHUNK.fullmatch(arguments)
    if found is None:
        raise BadLine(501, "Syntax: BDAT size [LAST]", 5, 4)
    size = int(found[1])
    try:
        command = BdatLast(size) if found[2] else Bdat(size)
    except ValueError as error:
        raise BadLine(501, "No chunk is that large", 5, 4) from error
    try:
        check(type(command))
    except NotOffered as error:
        raise BadLine(502, "Command not implemented", 5, 1, octets=size) from error
    except OutOfOrder as error:
        raise BadLine(503, "Bad sequence of commands", 5, 1, octets=size) from error
    return command


def write_bdat(command: Bdat | BdatLast) -> bytes:
    """Write BDAT with its CRLF; the octets of the chunk follow."""
    last = " LAST" if isinstance(command, BdatLast) else ""
    return f"BDAT {command.size}{last}\r\n".encode("ascii")


_Readers: TypeAlias = Mapping[
    bytes, tuple[type[Command], Callable[["Codec", str], Command]]
]
_Writers: TypeAlias = Mapping[type[Command], tuple[str, Callable[["Codec", Any], str]]]


Tables: TypeAlias = tuple[_Readers, _Writers]
"""Readers by verb, and writers by class of command."""


class Codec:
    """The commands of one connection: what may be read and written depends on it.

    Args:
        tables: How they are read and written.
        limits: They bound lines.
        space_after_colon: Whether a space may stand before the path of MAIL and RCPT.

    Attributes:
        utf8: Whether addresses may hold UTF-8, because SMTPUTF8 holds.
    """

    __slots__ = (
        "_binary",
        "_by_kind",
        "_by_verb",
        "_limits",
        "_mail",
        "_mail_fields",
        "_more_for_mail",
        "_more_for_rcpt",
        "_rcpt",
        "_rcpt_fields",
        "_short",
        "_space_after_colon",
        "longest",
        "utf8",
    )

    def __init__(
        self, tables: Tables, limits: Limits, *, space_after_colon: bool
    ) -> None:
        self._space_after_colon = space_after_colon
        self._limits = limits
        # without CRLF, for any command
        self._short = min(limits.command_line, limits.auth_line) - 2
        self._by_verb, self._by_kind = tables
        self.offer(NO_EXTENSIONS)

    def offer(self, offered: Extensions) -> None:
        """Take the extensions that hold from now on."""
        self.utf8 = "SMTPUTF8" in offered
        self._binary = "BINARYMIME" in offered
        self._mail = offered.mail
        self._rcpt = offered.rcpt
        self._mail_fields = offered.mail_fields
        self._rcpt_fields = offered.rcpt_fields
        self._more_for_mail = offered.mail_octets
        self._more_for_rcpt = offered.rcpt_octets
        more = max(offered.mail_octets, offered.rcpt_octets)
        self.longest = max(self._limits.auth_line, self._limits.command_line + more)

    def _longest(self, kind: type[Command]) -> int:
        limits = self._limits
        if kind is Auth:
            return limits.auth_line
        if kind is Mail:
            return limits.command_line + self._more_for_mail
        if kind is Rcpt:
            return limits.command_line + self._more_for_rcpt
        return limits.command_line

    def read_command(
        self, line: bytes, check: Callable[[type[Command]], None]
    ) -> Command:
        """Read a command line.  Its faults are looked for in the order of RFC practice.

        Args:
            line: The line without its CRLF.
            check: Raises OutOfOrder if a command of the class may not come now.

        Raises:
            BadLine: The line is not a command, or malformed.
            OutOfOrder: It may not come now.
        """
        verb, _, arguments = line.rstrip(b" \t").partition(b" ")
        found = self._by_verb.get(verb) or self._by_verb.get(verb.upper())
        if found is None:
            if verb.upper() == b"BDAT":
                return _read_bdat(arguments, check)
            raise BadLine(500, "Command not recognized", 5, 1)
        kind, read = found
        check(kind)
        if len(line) > self._short and len(line) + 2 > self._longest(kind):
            raise BadLine(500, "Line too long", 5, 2)
        try:
            if arguments.isascii():
                return read(self, arguments.decode("ascii"))
            return read(self, self._text(arguments))
        except BadLine:
            raise
        except ValueError as error:
            raise BadLine(501, "Syntax error in arguments", 5, 4) from error

    def _text(self, arguments: bytes) -> str:
        if not self.utf8:
            raise BadLine(501, "Only ASCII is allowed here", 5, 2)
        return arguments.decode("utf-8")

    def write_command(self, command: Command) -> bytes:
        """Write a command line with its CRLF.

        Raises:
            OutOfOrder: It is not a command of the protocol that is spoken, needs an
                extension that was not offered, or is too long.
        """
        kind = type(command)
        found = self._by_kind.get(kind)
        if found is None:
            raise OutOfOrder(f"{kind.__name__} is not a command here")
        name, write = found
        arguments = write(self, command)
        line = f"{name} {arguments}\r\n" if arguments else f"{name}\r\n"
        data = line.encode("utf-8")
        if len(data) > self._short:
            # an AUTH that is longer waits for a challenge: RFC 4954 section 4
            longest = self._limits.command_line if kind is Auth else self._longest(kind)
            if len(data) > longest:
                raise OutOfOrder(f"{kind.__name__} is longer than a line may be")
        if not self.utf8 and not data.isascii():
            raise OutOfOrder("SMTPUTF8 was not offered")
        return data

    def _read_mail(self, arguments: str) -> Mail:
        start = self._path_start(arguments, "FROM:")
        try:
            sender, rest = split_reverse_path(arguments, start, utf8=self.utf8)
        except ValueError as error:
            raise BadLine(501, "Bad address syntax", 1, 7) from error
        if not rest and sender.isascii():
            return mail_as_read(sender)
        fields = _read_parameters(rest, self._mail, utf8=self.utf8)
        if not sender.isascii() and "smtputf8" not in fields:
            raise BadLine(550, "A non-ASCII sender needs SMTPUTF8", 6, 7)
        if fields.get("body") is _BINARYMIME and not self._binary:
            raise BadLine(501, "BODY=BINARYMIME is not offered", 5, 4)
        return mail_as_read(sender, fields)

    def _read_rcpt(self, arguments: str) -> Rcpt:
        start = self._path_start(arguments, "TO:")
        try:
            recipient, rest = split_forward_path(arguments, start, utf8=self.utf8)
        except ValueError as error:
            raise BadLine(501, "Bad address syntax", 1, 3) from error
        if not rest:
            return rcpt_as_read(recipient)
        fields = _read_parameters(rest, self._rcpt, utf8=self.utf8)
        return rcpt_as_read(recipient, fields)

    def _path_start(self, arguments: str, keyword: str) -> int:
        """Return where the path begins, behind the keyword."""
        start = len(keyword)
        if not arguments.startswith(keyword) and upper(arguments[:start]) != keyword:
            raise BadLine(501, f"Syntax: {keyword}<address>", 5, 4)
        if self._space_after_colon:
            while arguments.startswith(" ", start):
                start += 1
        return start

    def _write_mail(self, command: Mail) -> str:
        if command.body is _BINARYMIME and not self._binary:
            raise OutOfOrder("BINARYMIME was not offered")
        text = f"FROM:<{command.sender}>"
        if command.size is not None:
            text += _write_field(self._mail_fields, "size", command.size)
        if command.body is not None:
            text += _write_field(self._mail_fields, "body", command.body)
        if command.smtputf8:
            text += _write_field(self._mail_fields, "smtputf8", command.smtputf8)
        if command.ret is not None:
            text += _write_field(self._mail_fields, "ret", command.ret)
        if command.envid is not None:
            text += _write_field(self._mail_fields, "envid", command.envid)
        if command.auth is not None:
            text += _write_field(self._mail_fields, "auth", command.auth)
        if command.extra:
            text += _write_extra(command.extra, self._mail)
        return text

    def _write_rcpt(self, command: Rcpt) -> str:
        text = f"TO:<{command.recipient}>"
        if command.notify:
            text += _write_field(self._rcpt_fields, "notify", command.notify)
        if command.orcpt is not None:
            text += _write_field(self._rcpt_fields, "orcpt", command.orcpt)
        if command.extra:
            text += _write_extra(command.extra, self._rcpt)
        return text

    def _read_vrfy(self, arguments: str) -> Vrfy:
        string, smtputf8 = self._read_string(arguments)
        return Vrfy(string, smtputf8=smtputf8)

    def _read_expn(self, arguments: str) -> Expn:
        string, smtputf8 = self._read_string(arguments)
        return Expn(string, smtputf8=smtputf8)

    def _read_string(self, arguments: str) -> tuple[str, bool]:
        string, _, last = arguments.rpartition(" ")
        if self.utf8 and string and last.isascii() and last.upper() == "SMTPUTF8":
            return string.rstrip(" "), True
        return arguments, False

    def _write_string(self, command: Vrfy | Expn) -> str:
        if not command.smtputf8:
            return command.string
        if not self.utf8:
            raise OutOfOrder("SMTPUTF8 was not offered")
        return f"{command.string} SMTPUTF8"


def _tables(verbs: Iterable[Verb]) -> Tables:
    """Return the readers and writers of verbs that do not ask the codec."""

    def reader(read: Callable[[str], Command]) -> Callable[[Codec, str], Command]:
        return lambda _, arguments: read(arguments)

    def writer(write: Callable[[Any], str]) -> Callable[[Codec, Any], str]:
        if write is _write_nothing:
            return _write_nothing  # as for DATA, which each message has
        return lambda _, command: write(command)

    readers = {each.name.encode(): (each.command, reader(each.read)) for each in verbs}
    writers = {each.command: (each.name, writer(each.write)) for each in verbs}
    return readers, writers


def _with_codec(verbs: Iterable[Verb]) -> Tables:
    """Return the same with the verbs that depend on what was offered."""
    readers, writers = _tables(verbs)
    return (
        {
            b"MAIL": (Mail, Codec._read_mail),
            b"RCPT": (Rcpt, Codec._read_rcpt),
            b"VRFY": (Vrfy, Codec._read_vrfy),
            b"EXPN": (Expn, Codec._read_expn),
            **readers,
        },
        {
            Mail: ("MAIL", Codec._write_mail),
            Rcpt: ("RCPT", Codec._write_rcpt),
            Vrfy: ("VRFY", Codec._write_string),
            Expn: ("EXPN", Codec._write_string),
            **writers,
        },
    )


_SMTP: Final = _with_codec((*_SMTP_VERBS, *_VERBS))
_LMTP: Final = _with_codec((*_LMTP_VERBS, *_VERBS))


def tables_with(verbs: Iterable[Verb], *, lmtp: bool) -> Tables:
    """Return how commands are read and written: the standard ones, and these."""
    readers, writers = _LMTP if lmtp else _SMTP
    if not verbs:
        return readers, writers
    more_readers, more_writers = _tables(verbs)
    return {**readers, **more_readers}, {**writers, **more_writers}


def _read_parameters(
    text: str, known: Mapping[str, Parameter], *, utf8: bool
) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    extra: list[tuple[str, str | None]] = []
    given = split_parameters(text, utf8=utf8)
    for keyword, _ in given:
        if keyword not in known:
            raise BadLine(555, f"{keyword[:40]} is not recognized", 5, 4)
    for keyword, value in given:
        parameter = known[keyword]
        try:
            content = parameter.read(value)
        except ValueError as error:
            raise BadLine(501, f"{keyword} is malformed", 5, 4) from error
        if parameter.field is None:
            extra.append((keyword, value))
        else:
            fields[parameter.field] = content
    if extra:
        fields["extra"] = tuple(extra)
    return fields


def _write_field(
    offered: Mapping[str, tuple[str, Parameter]], field: str, content: object
) -> str:
    """Write the parameter that a field holds, with a space before it."""
    found = offered.get(field)
    if found is None:
        raise OutOfOrder(f"no extension that was offered has {field!r}")
    keyword, parameter = found
    return _write_parameter(keyword, parameter.write(content))


def _write_extra(extra: Extra, offered: Mapping[str, Parameter]) -> str:
    """Write the parameters that have no field, with a space before each."""
    for keyword, value in extra:
        if keyword not in offered:
            raise OutOfOrder(f"no extension that was offered has {keyword!r}")
        try:
            offered[keyword].read(value)
        except ValueError as error:
            raise OutOfOrder(f"{keyword} is malformed: {value!r}") from error
    return "".join(_write_parameter(*each) for each in extra)


def _write_parameter(keyword: str, value: str | None) -> str:
    return f" {keyword}" if value is None else f" {keyword}={value}"


def read_auth_response(line: bytes) -> AuthResponse:
    """Read a line of an authentication exchange.  RFC 4954 section 4."""
    if line == b"*":
        return AuthResponse(None)
    return AuthResponse(_decode(line))


def write_auth_response(command: AuthResponse) -> bytes:
    """Write a line of an authentication exchange."""
    return (b"*" if command.data is None else encode_base64(command.data)) + b"\r\n"
