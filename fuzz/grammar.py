"""The grammars that stand on their own: addresses, status codes, xtext, parameters.

What is read can be written, and is read back equal; what is not raises ValueError.
"""

from fuzz.cuts import LONGEST
from smtp_pop_core import smtp
from smtp_pop_core._abnf import (
    decode_unitext,
    decode_xtext,
    encode_unitext,
    encode_xtext,
)
from smtp_pop_core.smtp._grammar import (
    split_forward_path,
    split_parameters,
    split_reverse_path,
)


def one_input(data: bytes) -> None:
    choice = data[0] if data else 0
    octets = data[1:LONGEST]
    try:
        text = octets.decode("utf-8")
    except UnicodeDecodeError:
        text = octets.decode("latin-1")
    utf8 = bool(choice & 8)
    match choice % 8:
        case 0:
            _mailbox(text, utf8=utf8)
        case 1:
            _forward_path(text, utf8=utf8)
        case 2:
            _status(text)
        case 3:
            _xtext(text)
        case 4:
            _unitext(text)
        case 5:
            _parameters(text, utf8=utf8)
        case 6:
            _split_reverse_path(text, utf8=utf8)
        case _:
            _split_forward_path(text, utf8=utf8)


def _mailbox(text: str, *, utf8: bool) -> None:
    try:
        mailbox = smtp.parse_mailbox(text, smtputf8=utf8)
    except ValueError:
        return
    _check_mailbox(mailbox, utf8=utf8)
    assert smtp.Mail(text, smtputf8=utf8).sender == text


def _forward_path(text: str, *, utf8: bool) -> None:
    try:
        mailbox = smtp.parse_forward_path(text, smtputf8=utf8)
    except ValueError:
        return
    assert smtp.Rcpt(text).recipient == text
    assert smtp.Rcpt(str(mailbox)).recipient == str(mailbox)
    if mailbox.domain:
        _check_mailbox(mailbox, utf8=utf8)


def _check_mailbox(mailbox: smtp.Mailbox, *, utf8: bool) -> None:
    written = str(mailbox)
    again = smtp.parse_mailbox(written, smtputf8=utf8)
    assert again == mailbox
    assert (again.local_part, again.domain) == (mailbox.local_part, mailbox.domain)
    assert str(again) == written
    assert hash(again) == hash(mailbox)
    assert mailbox.is_ascii or utf8
    assert smtp.Mailbox(mailbox.local_part, mailbox.domain) == mailbox


def _status(text: str) -> None:
    try:
        code = smtp.EnhancedCode.parse(text)
    except ValueError:
        return
    assert str(code) == text


def _xtext(text: str) -> None:
    if all(character <= "\xff" for character in text):
        assert decode_xtext(encode_xtext(text)) == text
    try:
        plain = decode_xtext(text)
    except ValueError:
        return
    written = encode_xtext(plain)
    assert decode_xtext(written) == plain
    assert len(written) <= len(text)


def _unitext(text: str) -> None:
    if text:
        written = encode_unitext(text)
        assert written.isascii()
        assert decode_unitext(written) == text
    try:
        plain = decode_unitext(text)
    except ValueError:
        return
    assert decode_unitext(encode_unitext(plain)) == plain


def _parameters(text: str, *, utf8: bool) -> None:
    try:
        parameters = split_parameters(text, utf8=utf8)
    except ValueError:
        return
    written = "".join(
        f" {keyword}" if value is None else f" {keyword}={value}"
        for keyword, value in parameters
    )
    assert split_parameters(written, utf8=utf8) == parameters
    assert len(written) <= len(text)


def _split_reverse_path(text: str, *, utf8: bool) -> None:
    try:
        address, rest = split_reverse_path(text, utf8=utf8)
    except ValueError:
        return
    assert text.endswith(rest)
    assert split_reverse_path(f"<{address}>{rest}", utf8=utf8) == (address, rest)
    assert smtp.Mail(address, smtputf8=utf8).sender == address


def _split_forward_path(text: str, *, utf8: bool) -> None:
    try:
        address, rest = split_forward_path(text, utf8=utf8)
    except ValueError:
        return
    assert text.endswith(rest)
    assert split_forward_path(f"<{address}>{rest}", utf8=utf8) == (address, rest)
    assert smtp.Rcpt(address).recipient == address
