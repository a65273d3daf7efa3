"""Strategies for SMTP: what may be said, and octets as peers send them.

All that is drawn is short enough for one line within the default limits.
"""

from collections.abc import Callable, Container, Mapping
from string import ascii_letters, digits
from typing import Final

from hypothesis import strategies as st

from .. import smtp
from ._texts import BEYOND, IN_LINE, LETTERS, MECHANISMS, PRINTABLE, VISIBLE, texts

_ATOM: Final = st.sampled_from(ascii_letters + digits + "!#$%&'*+-/=?^_`{|}~")
_REPLY_TEXT: Final = st.text(IN_LINE, max_size=40)
_OCTET: Final = PRINTABLE | st.characters(min_codepoint=128, max_codepoint=255)
_ANY_PARAMETER: Final = frozenset({"SIZE", "8BITMIME", "BINARYMIME", "SMTPUTF8", "DSN"})

_FRAGMENTS: Final = (
    *(b"EHLO a.example\r\n", b"HELO a\r\n", b"MAIL FROM:<>\r\n", b"MAIL FROM:<a@b>"),
    *(b" SIZE=10\r\n", b" BODY=8BITMIME", b" SMTPUTF8", b"RCPT TO:<c@d>\r\n", b"RCPT "),
    *(b" BODY=BINARYMIME\r\n", b" RET=HDRS", b" ENVID=a+20b\r\n", b" NOTIFY=NEVER"),
    *(b" NOTIFY=DELAY,FAILURE", b" ORCPT=rfc822;c@d\r\n", b" ORCPT=utf-8;\\x{E9}\r\n"),
    *(b"LHLO a.example\r\n", b"ETRN @a\r\n", b"BDAT 3\r\nabc", b"BDAT 0 LAST\r\n"),
    *(b"BDAT 9 LAST\r\n", b"BDAT 1", b"BDAT 99999999999999999999\r\n", b" LAST\r\n"),
    *(b"TO:<Postmaster>\r\n", b'"a b"@[IPv6:::1]', b"@r,@s:", b"DATA\r\n", b"RSET\r\n"),
    *(b"NOOP\r\n", b"VRFY a", b"EXPN a", b"HELP\r\n", b"QUIT\r\n", b"STARTTLS\r\n"),
    *(b"XCLIENT ADDR=IPV6:::1 NAME=[UNAVAILABLE]\r\n", b" LOGIN=a+20b", b"XCLIENT "),
    *(b"XFORWARD NAME=a SOURCE=LOCAL\r\n", b" PORT=25", b" HELO=a\r\n"),
    *(b"AUTH PLAIN", b" AGEAYg==", b"=", b"*\r\n", b"AUTH X\r\n", b"abcd\r\n"),
    *(b"220 a\r\n", b"250-a\r\n", b"250 PIPELINING\r\n", b"250 2.1.0 a\r\n", b"334 "),
    *(b"354 \r\n", b"421 a\r\n", b"451-4.3.0 a\r\n", b"550 5.1.1 a\r\n", b"250", b"-"),
    *(b"\r\n.\r\n", b".\r\n", b"\r\n..", b"\r\n", b"\r", b"\n", b".", b" ", b"\t"),
    *(b"\0", b"\x80", b"\xc3\xa9", b"\xff", b"<", b">", b":", b"x" * 99, b"x" * 600),
)


def _letters_and_more(*, smtputf8: bool) -> st.SearchStrategy[str]:
    return LETTERS | BEYOND if smtputf8 else LETTERS


def domains(*, smtputf8: bool = False) -> st.SearchStrategy[str]:
    """Draw domain names.  RFC 5321 section 4.1.2.

    Args:
        smtputf8: Whether they may hold characters beyond ASCII.
    """
    run = st.text(_letters_and_more(smtputf8=smtputf8), min_size=1, max_size=6)
    label = st.lists(run, min_size=1, max_size=2).map("-".join)
    return st.lists(label, min_size=1, max_size=3).map(".".join)


def address_literals() -> st.SearchStrategy[str]:
    """Draw IP addresses in brackets.  RFC 5321 section 4.1.3."""
    return st.one_of(
        st.ip_addresses(v=4).map("[{}]".format),
        st.ip_addresses(v=6).map("[IPv6:{}]".format),
    )


def mailboxes(*, smtputf8: bool = False) -> st.SearchStrategy[smtp.Mailbox]:
    """Draw addresses; `str` gives them as they stand in MAIL and RCPT.

    Some local parts need quotes, some domains are address literals.

    Args:
        smtputf8: Whether they may hold characters beyond ASCII.
    """
    word = _ATOM | BEYOND if smtputf8 else _ATOM
    quoted = PRINTABLE | BEYOND if smtputf8 else PRINTABLE
    dot_string = st.lists(
        st.text(word, min_size=1, max_size=8), min_size=1, max_size=3
    ).map(".".join)
    return st.builds(
        smtp.Mailbox,
        dot_string | st.text(quoted, max_size=16),
        domains(smtputf8=smtputf8) | address_literals(),
    )


def smtp_commands(
    *kinds: type[smtp.Command], offered: Container[str] = _ANY_PARAMETER
) -> st.SearchStrategy[smtp.Command]:
    """Draw commands that a client can send.

    Args:
        *kinds: Their classes, or none for all of them: also Ehlo and Helo, which are
            for SMTP only, and Lhlo, which is for LMTP only.
        offered: Keywords of the extensions whose parameters may be used, as in
            `Connection.extensions`.

    Raises:
        ValueError: No client sends commands of that class.
    """
    unknown = [kind.__name__ for kind in kinds if kind not in _COMMANDS]
    if unknown:
        raise ValueError(f"no client sends {', '.join(unknown)}")
    return st.one_of([_COMMANDS[kind](offered) for kind in kinds or _COMMANDS])


def smtp_replies(*classes: smtp.ReplyClass) -> st.SearchStrategy[smtp.Reply]:
    """Draw replies, with any code: also 421, and codes that nobody uses.

    Args:
        *classes: The classes of their codes, or none for all of them.
    """
    return st.sampled_from(classes or tuple(smtp.ReplyClass)).flatmap(_replies)


def smtp_octets() -> st.SearchStrategy[bytes]:
    """Draw octets that a peer may send: whole lines, parts of lines, and noise.

    Most of what they make is wrong.  They are for either side.
    """
    return st.lists(
        st.sampled_from(_FRAGMENTS) | st.binary(max_size=6), max_size=20
    ).map(b"".join)


def _replies(cls: smtp.ReplyClass) -> st.SearchStrategy[smtp.Reply]:
    status: st.SearchStrategy[smtp.EnhancedCode | None] = st.none()
    if cls is not smtp.ReplyClass.INTERMEDIATE:
        number = st.integers(0, 999)
        status |= st.builds(smtp.EnhancedCode, st.just(int(cls)), number, number)
    return st.builds(
        smtp.Reply,
        st.integers(100 * cls, 100 * cls + 99),
        st.lists(_REPLY_TEXT, min_size=1, max_size=3).map(tuple),
        status,
    )


def _addresses(*, smtputf8: bool) -> st.SearchStrategy[str]:
    return mailboxes(smtputf8=smtputf8).map(str)


def _mail(offered: Container[str]) -> st.SearchStrategy[smtp.Command]:
    fields = _mail_fields(offered)
    plain = st.builds(smtp.Mail, st.just("") | _addresses(smtputf8=False), **fields)
    if "SMTPUTF8" not in offered:
        return plain
    return plain | st.builds(
        smtp.Mail,
        st.just("") | _addresses(smtputf8=True),
        smtputf8=st.just(True),
        **fields,
    )


def _mail_fields(offered: Container[str]) -> dict[str, st.SearchStrategy[object]]:
    fields: dict[str, st.SearchStrategy[object]] = {}
    if "SIZE" in offered:
        fields["size"] = st.none() | st.integers(0, 10**20 - 1)
    bodies: list[smtp.Body | None] = [None]
    if "8BITMIME" in offered:
        bodies += [smtp.Body.SEVEN_BIT, smtp.Body.EIGHT_BIT_MIME]
    if "BINARYMIME" in offered:
        bodies.append(smtp.Body.BINARYMIME)
    fields["body"] = st.sampled_from(bodies)
    if "DSN" in offered:
        fields["ret"] = st.sampled_from([None, *smtp.Ret])
        fields["envid"] = st.none() | st.text(_OCTET, min_size=1, max_size=20)
    return fields


def _rcpt(offered: Container[str]) -> st.SearchStrategy[smtp.Command]:
    recipient = _addresses(smtputf8="SMTPUTF8" in offered)
    fields: dict[str, st.SearchStrategy[object]] = {}
    if "DSN" in offered:
        fields = {"notify": _NOTIFY, "orcpt": _ORCPT}
    return st.builds(
        smtp.Rcpt, recipient | st.sampled_from(["Postmaster", "postmaster"]), **fields
    )


def _of_string(
    kind: type[smtp.Vrfy | smtp.Expn],
) -> Callable[[Container[str]], st.SearchStrategy[smtp.Command]]:
    def commands(offered: Container[str]) -> st.SearchStrategy[smtp.Command]:
        plain = st.builds(kind, texts(VISIBLE))
        if "SMTPUTF8" not in offered:
            return plain
        return plain | st.builds(kind, texts(BEYOND), smtputf8=st.just(True))

    return commands


def _attributes(
    kind: Callable[..., smtp.Command], **fields: st.SearchStrategy[object]
) -> st.SearchStrategy[smtp.Command]:
    unknown = st.just(smtp.Unavailable.UNAVAILABLE)
    known = {
        name: field if name == "proto" else field | unknown
        for name, field in fields.items()
    }
    return (
        st.fixed_dictionaries({}, optional=known)
        .filter(bool)
        .map(lambda given: kind(**given))
    )


def _always(
    strategy: st.SearchStrategy[smtp.Command],
) -> Callable[[Container[str]], st.SearchStrategy[smtp.Command]]:
    return lambda offered: strategy


_NOTIFY: Final = st.sampled_from([(), (smtp.Notify.NEVER,)]) | st.lists(
    st.sampled_from([smtp.Notify.SUCCESS, smtp.Notify.FAILURE, smtp.Notify.DELAY]),
    min_size=1,
    unique=True,
).map(tuple)
_ORCPT: Final = st.one_of(
    st.none(),
    st.tuples(
        st.sampled_from(["rfc822", "x400"]), st.text(_OCTET, min_size=1, max_size=20)
    ),
    st.tuples(st.just("utf-8"), st.text(PRINTABLE | BEYOND, min_size=1, max_size=20)),
)
_UNAVAILABLE: Final = frozenset(each.value for each in smtp.Unavailable)
_WORD: Final = st.text(
    st.sampled_from(ascii_letters + digits + "!#$%&'*+-./:=?[]^_`{|}~"),
    min_size=1,
    max_size=16,
).filter(lambda word: word.upper() not in _UNAVAILABLE)
_IP: Final = (st.ip_addresses(v=4) | st.ip_addresses(v=6)).map(str)
_TCP_PORT: Final = st.integers(0, 65535)
_CHUNK_SIZE: Final = st.integers(0, 10**18)
_COMMANDS: Final[
    Mapping[
        type[smtp.Command], Callable[[Container[str]], st.SearchStrategy[smtp.Command]]
    ]
] = {
    smtp.Ehlo: _always(st.builds(smtp.Ehlo, domains() | address_literals())),
    smtp.Helo: _always(st.builds(smtp.Helo, domains() | address_literals())),
    smtp.Lhlo: _always(st.builds(smtp.Lhlo, domains() | address_literals())),
    smtp.Mail: _mail,
    smtp.Rcpt: _rcpt,
    smtp.Data: _always(st.just(smtp.Data())),
    smtp.Bdat: _always(st.builds(smtp.Bdat, _CHUNK_SIZE)),
    smtp.BdatLast: _always(st.builds(smtp.BdatLast, _CHUNK_SIZE)),
    smtp.EndOfChunk: _always(st.just(smtp.EndOfChunk())),
    smtp.EndOfMessage: _always(st.just(smtp.EndOfMessage())),
    smtp.Rset: _always(st.just(smtp.Rset())),
    smtp.Vrfy: _of_string(smtp.Vrfy),
    smtp.Expn: _of_string(smtp.Expn),
    smtp.Help: _always(st.builds(smtp.Help, st.just("") | texts(VISIBLE))),
    smtp.Noop: _always(st.builds(smtp.Noop, st.just("") | texts(VISIBLE))),
    smtp.Quit: _always(st.just(smtp.Quit())),
    smtp.StartTls: _always(st.just(smtp.StartTls())),
    smtp.Auth: _always(
        st.builds(smtp.Auth, MECHANISMS, st.none() | st.binary(max_size=40))
    ),
    smtp.AuthResponse: _always(
        st.builds(smtp.AuthResponse, st.none() | st.binary(max_size=40))
    ),
    smtp.Etrn: _always(st.builds(smtp.Etrn, st.text(VISIBLE, min_size=1, max_size=20))),
    smtp.Xclient: _always(
        _attributes(
            smtp.Xclient,
            name=_WORD | st.just(smtp.Unavailable.TEMPUNAVAIL),
            addr=_IP,
            port=_TCP_PORT,
            proto=st.sampled_from(["SMTP", "ESMTP"]),
            helo=_WORD,
            login=st.text(PRINTABLE | BEYOND, min_size=1, max_size=9),
            destaddr=_IP,
            destport=_TCP_PORT,
        )
    ),
    smtp.Xforward: _always(
        _attributes(
            smtp.Xforward,
            name=_WORD | st.just(smtp.Unavailable.TEMPUNAVAIL),
            addr=_IP | st.just("host"),
            port=_TCP_PORT,
            proto=st.sampled_from(["ESMTP", "ESMTPS", "UUCP"]),
            helo=_WORD,
            ident=_WORD,
            source=st.sampled_from(smtp.Source),
        )
    ),
}
