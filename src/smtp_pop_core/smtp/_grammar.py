"""Mailboxes, paths and parameters of MAIL and RCPT.  RFC 5321 section 4.1.2.

What may stand in a command is decided by one expression a path, here.  Text that passes
holds no CR, LF or NUL, and no space or angle bracket outside a quoted string.
"""

import re
from dataclasses import dataclass
from typing import Final

from .._abnf import (
    DOMAIN,
    DOMAIN_UTF8,
    DOT_STRING_UTF8,
    ESMTP_KEYWORD,
    ESMTP_VALUE,
    ESMTP_VALUE_UTF8,
    MAILBOX,
    MAILBOX_UTF8,
    QUOTED_STRING_UTF8,
    is_address_literal,
    is_domain,
    is_domain_or_literal,
    number,
    require_str,
    upper,
)
from .._errors import ParseError
from .._expressions import expression

_POSTMASTER: Final = "(?ai:postmaster)"  # not U+017F, which (?i:s) takes for an s


def _path(mailbox: str, domain: str) -> str:
    # Reverse-path = Path / "<>"        Forward-path = Path / "<Postmaster>"
    # Path         = "<" [A-d-l ":"] Mailbox ">"
    # A-d-l        = At-domain *("," At-domain)              At-domain = "@" Domain
    route = f"@{domain}(?:,@{domain})*:"
    return f"<(?:(?:{route})?({mailbox})|({_POSTMASTER})?)>"


# Group 1 is the mailbox, group 2 Postmaster alone; "<>" has neither.
_PATH: Final = expression(_path(MAILBOX, DOMAIN))
_PATH_UTF8: Final = expression(_path(MAILBOX_UTF8, DOMAIN_UTF8))

_MAILBOX: Final = expression(MAILBOX)
_MAILBOX_UTF8: Final = expression(MAILBOX_UTF8)
_BARE_POSTMASTER: Final = expression(_POSTMASTER)

_DOT_STRING: Final = expression(DOT_STRING_UTF8)
_QUOTED_STRING: Final = expression(QUOTED_STRING_UTF8)
_QUOTED_PAIR: Final = expression(r"\\(.)")
_MUST_BE_PAIR: Final = expression(r'(["\\])')

# esmtp-param = esmtp-keyword ["=" esmtp-value]
_PARAMETER: Final = expression(f"({ESMTP_KEYWORD})(?:=({ESMTP_VALUE}))?")
_PARAMETER_UTF8: Final = expression(f"({ESMTP_KEYWORD})(?:=({ESMTP_VALUE_UTF8}))?")

parse_integer: Final = number  # under the name that stands on the door


@dataclass(frozen=True, slots=True, eq=False)
class Mailbox:
    """An address that compares equal where RFC 5321 says so.

    Local parts are equal only if they are the same, except for postmaster, which is the
    same in any case; domains are equal whatever the case of their ASCII letters.
    RFC 5321 sections 2.3.11, 2.4 and 4.5.1.

    `str` gives the address with as little quoting as it needs.

    Attributes:
        local_part: The local part without quotes and backslashes.
        domain: The domain, or an address in brackets, as written.  "" only where the
            local part is postmaster, which needs none in RCPT.

    Raises:
        ValueError: The address cannot be written.
    """

    local_part: str
    domain: str

    def __post_init__(self) -> None:
        require_str("local_part", self.local_part)
        require_str("domain", self.domain)
        if not _QUOTED_STRING.fullmatch(_quote(self.local_part)):
            raise ValueError(f"not a local part: {self.local_part!r}")
        if not self.domain and _BARE_POSTMASTER.fullmatch(self.local_part):
            return
        if not is_domain_or_literal(self.domain, utf8=True):
            raise ValueError(f"not a domain or an address literal: {self.domain!r}")

    @property
    def is_ascii(self) -> bool:
        """Whether the address can be used without SMTPUTF8."""
        return self.local_part.isascii() and self.domain.isascii()

    def __str__(self) -> str:
        local = self.local_part
        if not _DOT_STRING.fullmatch(local):
            local = _quote(local)
        return f"{local}@{self.domain}" if self.domain else local

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mailbox):
            return NotImplemented
        return self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[str, str]:
        local = self.local_part
        if _BARE_POSTMASTER.fullmatch(local):
            local = upper(local)
        return local, upper(self.domain)


def _quote(local_part: str) -> str:
    return '"' + _MUST_BE_PAIR.sub(r"\\\1", local_part) + '"'


def parse_mailbox(text: str, *, smtputf8: bool = False) -> Mailbox:
    """Read an address.

    Args:
        text: The address without angle brackets or a source route.
        smtputf8: Whether it may hold characters beyond ASCII.  RFC 6531 section 3.3.

    Raises:
        ValueError: It is not an address.
    """
    require_str("text", text)
    if not (_MAILBOX.fullmatch(text) or (smtputf8 and _is_utf8_mailbox(text))):
        raise ParseError(f"not a mailbox: {text!r}")
    local, _, domain = text.rpartition("@")  # neither domains nor literals have an "@"
    if local.startswith('"'):
        local = _QUOTED_PAIR.sub(r"\1", local[1:-1])
    return Mailbox(local, domain)


def parse_forward_path(text: str, *, smtputf8: bool = False) -> Mailbox:
    """Read what a RCPT names: an address, or postmaster without a domain.

    Args:
        text: The address without angle brackets or a source route, as in `Rcpt`.
        smtputf8: Whether it may hold characters beyond ASCII.  RFC 6531 section 3.3.

    Raises:
        ValueError: It is neither.
    """
    require_str("text", text)
    if _BARE_POSTMASTER.fullmatch(text):
        return Mailbox(text, "")
    return parse_mailbox(text, smtputf8=smtputf8)


def is_reverse_path(text: str, *, utf8: bool = False) -> bool:
    """Whether text may be the sender of a message: an address, or "" in a bounce."""
    return (
        not text
        or _MAILBOX.fullmatch(text) is not None
        or (utf8 and _is_utf8_mailbox(text))
    )


def is_forward_path(text: str, *, utf8: bool = False) -> bool:
    """Whether text may be a recipient: an address, or postmaster alone."""
    return (
        _MAILBOX.fullmatch(text) is not None
        or (utf8 and _is_utf8_mailbox(text))
        or _BARE_POSTMASTER.fullmatch(text) is not None
    )


def _is_utf8_mailbox(text: str) -> bool:
    """Whether text is a mailbox with SMTPUTF8 in force, which takes all others too."""
    return _MAILBOX_UTF8.fullmatch(text) is not None


def split_reverse_path(
    text: str, start: int = 0, *, utf8: bool = False
) -> tuple[str, str]:
    """Take the path off what stands after "MAIL FROM:".

    Args:
        text: The path, and what follows.
        start: Where the path begins.
        utf8: Whether it may hold characters beyond ASCII.

    Returns:
        The address as written, without angle brackets and source route, "" for "<>";
        and the rest of the text.

    Raises:
        ParseError: The text does not begin with a reverse-path.
    """
    match = _PATH.match(text, start) or _match_beyond_ascii(text, start, utf8=utf8)
    if match is None or match[2]:
        raise ParseError(f"not a reverse-path: {text[start:]!r}")
    return match[1] or "", text[match.end() :]


def split_forward_path(
    text: str, start: int = 0, *, utf8: bool = False
) -> tuple[str, str]:
    """Take the path off what stands after "RCPT TO:".

    Args:
        text: The path, and what follows.
        start: Where the path begins.
        utf8: Whether it may hold characters beyond ASCII.

    Returns:
        The address as written, without angle brackets and source route; and the rest of
        the text.

    Raises:
        ParseError: The text does not begin with a forward-path.
    """
    match = _PATH.match(text, start) or _match_beyond_ascii(text, start, utf8=utf8)
    if match is None or not (address := match[1] or match[2]):
        raise ParseError(f"not a forward-path: {text[start:]!r}")
    return address, text[match.end() :]


def _match_beyond_ascii(text: str, start: int, *, utf8: bool) -> re.Match[str] | None:
    if not utf8 or text.isascii():
        return None
    return _PATH_UTF8.match(text, start)


def split_parameters(
    text: str, *, utf8: bool = False
) -> tuple[tuple[str, str | None], ...]:
    """Read what stands after the path of MAIL or RCPT.

    Args:
        text: The parameters with a space before each.  Spaces after the last are let
            pass, RFC 5321 section 4.1.1.
        utf8: Whether values may hold characters beyond ASCII.

    Returns:
        The keywords in upper case, each with its value, or with None if it has none.

    Raises:
        ParseError: A parameter is malformed, or given twice.
    """
    text = text.rstrip(" ")
    if not text:
        return ()
    start, *words = text.split(" ")
    if start:
        raise ParseError(f"no space after the path: {text!r}")
    expression = _PARAMETER_UTF8 if utf8 else _PARAMETER
    parameters: dict[str, str | None] = {}
    for word in words:
        match = expression.fullmatch(word)
        if match is None:
            raise ParseError(f"not a parameter: {word!r}")
        keyword = upper(match[1])
        if keyword in parameters:
            raise ParseError(f"parameter given twice: {keyword!r}")
        parameters[keyword] = match[2]
    return tuple(parameters.items())


def own_domain(hostname: str, address: str) -> str:
    """Choose the name by which a host calls itself.  RFC 5321 section 4.1.1.1.

    Args:
        hostname: What the system calls the host, as good or bad as that is.
        address: The IP address of our end of the connection, "" where there is none.

    Returns:
        The host name if it is a domain of several labels, else the address as a
        literal, else "localhost".
    """
    if "." in hostname and is_domain(hostname):
        return hostname
    for literal in (f"[{address}]", f"[IPv6:{address.partition('%')[0]}]"):
        if is_address_literal(literal):
            return literal
    return "localhost"


def domain_of(address: str) -> str:
    """Return the domain of an address in upper case, "" if it has none."""
    _, at, domain = address.rpartition("@")
    return upper(domain) if at else ""
