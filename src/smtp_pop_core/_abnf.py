r"""Building blocks of the grammars: regular expressions beside their ABNF.

They are for text: a line has been decoded before it is looked at.  A name that ends in
_UTF8 is the same rule with SMTPUTF8 in force, RFC 6531 section 3.3.  Its classes say
what is left out, because that compiles ten times as fast as what is in.

Every expression takes time linear in the text.  Runs of one class of characters are
possessive; what follows a repeated group never begins like the group itself, so that
there is nothing to go back for.  Groups are not possessive: Python before 3.11.5
matches those wrongly.  No \w, \d, \s or $, which go beyond ASCII or pass a line feed.
"""

from typing import Final

from ._errors import ParseError
from ._expressions import expression

# UTF8-non-ascii = all beyond %d127.  Not here: C1 controls; U+2028 and U+2029, which
# end lines; surrogates, which have no UTF-8.
_NEVER: Final = r"\x7f-\x9f\u2028\u2029\ud800-\udfff"

# atext = ALPHA / DIGIT / one of ! # $ % & ' * + - / = ? ^ _ ` { | } ~
# Atom  = 1*atext                                               RFC 5321 section 4.1.2
ATOM: Final = r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]++"
ATOM_UTF8: Final = rf'[^\0- "(),.:-<>@\[-\]{_NEVER}]++'

# Dot-string = Atom *("." Atom)
DOT_STRING: Final = rf"{ATOM}(?:\.{ATOM})*"
DOT_STRING_UTF8: Final = rf"{ATOM_UTF8}(?:\.{ATOM_UTF8})*"

# Quoted-string   = DQUOTE *QcontentSMTP DQUOTE          (erratum 5414 would have 1*)
# QcontentSMTP    = qtextSMTP / quoted-pairSMTP
# qtextSMTP       = %d32-33 / %d35-91 / %d93-126
# quoted-pairSMTP = %d92 %d32-126                                 (ASCII in any case)
_QTEXT: Final = r"[ !#-\[\]-~]*+"
_QTEXT_UTF8: Final = rf'[^\0-\x1f"\\{_NEVER}]*+'
QUOTED_STRING: Final = rf'"{_QTEXT}(?:\\[ -~]{_QTEXT})*"'
QUOTED_STRING_UTF8: Final = rf'"{_QTEXT_UTF8}(?:\\[ -~]{_QTEXT_UTF8})*"'

# Local-part = Dot-string / Quoted-string
LOCAL_PART: Final = rf"(?:{DOT_STRING}|{QUOTED_STRING})"
LOCAL_PART_UTF8: Final = rf"(?:{DOT_STRING_UTF8}|{QUOTED_STRING_UTF8})"

# Domain     = sub-domain *("." sub-domain)
# sub-domain = Let-dig [Ldh-str] / U-label
# Ldh-str    = *(ALPHA / DIGIT / "-") Let-dig
# U-label: the same with UTF8-non-ascii for letters.  Not here: white space, and the
# full stops U+3002, U+FF0E and U+FF61, which IDNA maps to a dot.
_LET_DIG: Final = "[A-Za-z0-9]++"
_LET_DIG_UTF8: Final = (
    r"[^\0-/:-@\[-`{-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
    r"\u3002\ud800-\udfff\uff0e\uff61]++"
)
_SUB_DOMAIN: Final = f"{_LET_DIG}(?:-++{_LET_DIG})*"
_SUB_DOMAIN_UTF8: Final = f"{_LET_DIG_UTF8}(?:-++{_LET_DIG_UTF8})*"
DOMAIN: Final = rf"{_SUB_DOMAIN}(?:\.{_SUB_DOMAIN})*"
DOMAIN_UTF8: Final = rf"{_SUB_DOMAIN_UTF8}(?:\.{_SUB_DOMAIN_UTF8})*"

# IPv4-address-literal = Snum 3("." Snum)                       RFC 5321 section 4.1.3
# Snum                 = 1*3DIGIT                                            (0 to 255)
_SNUM: Final = "(?:25[0-5]|2[0-4][0-9]|[01]?[0-9]{1,2})"
IPV4: Final = rf"{_SNUM}(?:\.{_SNUM}){{3}}"

# IPv6-addr     = IPv6-full / IPv6-comp / IPv6v4-full / IPv6v4-comp
# IPv6-hex      = 1*4HEXDIG
# IPv6-full     = IPv6-hex 7(":" IPv6-hex)
# IPv6-comp     = [IPv6-hex *5(":" IPv6-hex)] "::" [IPv6-hex *5(":" IPv6-hex)]
#                                                  (no more than 6 groups beside "::")
# IPv6v4-full   = IPv6-hex 5(":" IPv6-hex) ":" IPv4-address-literal
# IPv6v4-comp   = [IPv6-hex *3(":" IPv6-hex)] "::" [IPv6-hex *3(":" IPv6-hex) ":"]
#                 IPv4-address-literal             (no more than 4 groups beside "::")
# The two lookaheads count the groups.
_HEX: Final = "[0-9A-Fa-f]{1,4}"
IPV6: Final = (
    f"(?:{_HEX}(?::{_HEX}){{7}}"
    f"|(?:{_HEX}:){{6}}{IPV4}"
    f"|(?!:*+(?:{_HEX}:++){{6}}{_HEX})(?:{_HEX}(?::{_HEX})*)?::(?:{_HEX}(?::{_HEX})*)?"
    f"|(?!:*+(?:{_HEX}:++){{5}})(?:{_HEX}(?::{_HEX})*)?::(?:{_HEX}:)*{IPV4})"
)

# address-literal      = "[" ( IPv4-address-literal / IPv6-address-literal ) "]"
# IPv6-address-literal = "IPv6:" IPv6-addr
ADDRESS_LITERAL: Final = rf"\[(?:{IPV4}|(?ai:ipv6):{IPV6})\]"

# General-address-literal = Standardized-tag ":" 1*dcontent
# Standardized-tag        = Ldh-str              (a registered one; so far only IPv6 is)
# dcontent                = %d33-90 / %d94-126
_GENERAL_LITERAL: Final = (
    r"\[(?!(?ai:ipv6):)[A-Za-z0-9-]++(?<=[A-Za-z0-9]):[!-Z^-~]++\]"
)

# Mailbox = Local-part "@" ( Domain / address-literal )
MAILBOX: Final = f"{LOCAL_PART}@(?:{DOMAIN}|{ADDRESS_LITERAL})"
MAILBOX_UTF8: Final = f"{LOCAL_PART_UTF8}@(?:{DOMAIN_UTF8}|{ADDRESS_LITERAL})"

# esmtp-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")
# esmtp-value   = 1*(%d33-60 / %d62-126)
ESMTP_KEYWORD: Final = "[A-Za-z0-9][A-Za-z0-9-]*+"
ESMTP_VALUE: Final = "[!-<>-~]++"
ESMTP_VALUE_UTF8: Final = rf"[^\0- ={_NEVER}]++"

_ATOM: Final = expression(ATOM)
_DOMAIN: Final = expression(DOMAIN)
_DOMAIN_UTF8: Final = expression(DOMAIN_UTF8)
_ADDRESS_LITERAL: Final = expression(ADDRESS_LITERAL)
_ANY_LITERAL: Final = expression(f"{ADDRESS_LITERAL}|{_GENERAL_LITERAL}")
_KEYWORD: Final = expression(ESMTP_KEYWORD)
_VALUE: Final = expression(ESMTP_VALUE)
_VALUE_UTF8: Final = expression(ESMTP_VALUE_UTF8)

# xtext   = *( xchar / hexchar )                                  RFC 3461 section 4
# xchar   = %d33-42 / %d44-60 / %d62-126
# hexchar = "+" 2(%x30-39 / %x41-46)
_XTEXT: Final = expression(r"(?:[!-*,-<>-~]++|\+[0-9A-F]{2})*")
_HEXCHAR: Final = expression(r"\+([0-9A-F]{2})")
_NO_XCHAR: Final = expression("[^!-*,-<>-~]")

# utf-8-addr-unitext = 1*(QUCHAR / EmbeddedUnicodeChar)             RFC 6533 section 3
# QUCHAR             = %x21-2a / %x2c-3c / %x3e-5b / %x5d-7e / UTF8-non-ascii
# EmbeddedUnicodeChar = "\x{" HEXPOINT "}"                   (2 to 6 upper-case digits)
_UNITEXT: Final = expression(
    rf"(?:[^\0- +=\\{_NEVER}]++|\\x\{{(?:10|[1-9A-F])?[0-9A-F]{{2,4}}\}})+"
)
_EMBEDDED: Final = expression(r"\\x\{([0-9A-F]+)\}")
_NO_QCHAR: Final = expression(r"[^!-*,-<>-\[\]-~]")

_TO_UPPER: Final = str.maketrans(
    "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
)


def is_domain(text: str, *, utf8: bool = False) -> bool:
    """Whether text is a Domain.  RFC 5321 section 4.1.2."""
    return (_DOMAIN_UTF8 if utf8 else _DOMAIN).fullmatch(text) is not None


def is_address_literal(text: str, *, any_tag: bool = False) -> bool:
    """Whether text is an address in brackets.  RFC 5321 section 4.1.3.

    Args:
        text: The literal with its brackets.
        any_tag: Take tags that are not registered too.  "[2001:db8::1]", which lacks
            its tag, then passes as an address with the tag 2001.
    """
    return (_ANY_LITERAL if any_tag else _ADDRESS_LITERAL).fullmatch(text) is not None


def is_domain_or_literal(
    text: str, *, utf8: bool = False, any_tag: bool = False
) -> bool:
    """Whether text is a Domain or an address in brackets, as after EHLO."""
    return is_domain(text, utf8=utf8) or is_address_literal(text, any_tag=any_tag)


def is_atom(text: str) -> bool:
    """Whether text is an Atom.  RFC 5321 section 4.1.2."""
    return _ATOM.fullmatch(text) is not None


def is_esmtp_keyword(text: str) -> bool:
    """Whether text is the name of a parameter.  RFC 5321 section 4.1.2."""
    return _KEYWORD.fullmatch(text) is not None


def is_esmtp_value(text: str, *, utf8: bool = False) -> bool:
    """Whether text is the value of a parameter.  RFC 5321 section 4.1.2."""
    return (_VALUE_UTF8 if utf8 else _VALUE).fullmatch(text) is not None


def require_str(name: str, value: object) -> None:
    """Refuse what is not text.

    Raises:
        TypeError: The value is not a str.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} must be str, not {type(value).__name__}")


def number(text: str, digits: int = 20) -> int:
    """Read a decimal number: ASCII digits and nothing else.

    Args:
        text: What int() would read, but without signs, spaces and other scripts.
        digits: The most digits that are taken; leading zeros count.

    Raises:
        ValueError: It is not a number, or too long for one.
    """
    require_str("text", text)
    if len(text) > digits:
        raise ParseError(f"number is longer than {digits} digits")
    if not (text.isascii() and text.isdigit()):
        raise ParseError(f"not a number: {text!r}")
    return int(text)


def upper(text: str) -> str:
    """Put the ASCII letters of text in upper case and leave all others alone."""
    return text.upper() if text.isascii() else text.translate(_TO_UPPER)


def decode_xtext(text: str) -> str:
    """Read xtext.  RFC 3461 section 4.

    Returns:
        The text, a character U+0000 to U+00FF for each octet.

    Raises:
        ParseError: A character must not stand there, or an escape is cut off.
    """
    if not _XTEXT.fullmatch(text):
        raise ParseError(f"not xtext: {text!r}")
    return _HEXCHAR.sub(lambda found: chr(int(found[1], 16)), text)


def encode_xtext(text: str) -> str:
    """Write xtext: escape what must be escaped, and nothing else.

    Raises:
        ValueError: A character is beyond U+00FF.
    """
    if any(character > "\xff" for character in text):
        raise ValueError(f"xtext cannot hold this: {text!r}")
    return _NO_XCHAR.sub(lambda found: f"+{ord(found[0]):02X}", text)


def decode_unitext(text: str) -> str:
    """Read an address with characters beyond ASCII, as in ORCPT.  RFC 6533 section 3.

    Raises:
        ParseError: A character must not stand there, or an escape is malformed.
    """
    if not _UNITEXT.fullmatch(text):
        raise ParseError(f"not an address with UTF-8: {text!r}")
    return _EMBEDDED.sub(lambda found: chr(int(found[1], 16)), text)


def encode_unitext(text: str) -> str:
    r"""Write such an address in ASCII, as "\\x{E9}" for what is beyond it."""
    return _NO_QCHAR.sub(lambda found: f"\\x{{{ord(found[0]):02X}}}", text)
