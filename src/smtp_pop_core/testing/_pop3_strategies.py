"""Strategies for POP3: what may be said, and octets as peers send them.

All that is drawn is short enough for one line within the default limits.
"""

from collections.abc import Callable, Mapping
from string import ascii_letters, digits
from typing import Final

from hypothesis import strategies as st

from .. import pop3
from ._texts import BEYOND, IN_LINE, MECHANISMS, PRINTABLE, VISIBLE, texts

_MOST: Final = 10**20 - 1
_NUMBERS: Final = st.integers(1, 9) | st.integers(1, _MOST)
_SIZES: Final = st.integers(0, 9_999) | st.integers(0, _MOST)
_DIGESTS: Final = st.binary(min_size=16, max_size=16).map(bytes.hex)
_OCTETS: Final = st.binary(max_size=40)
_SUBTAGS: Final = st.text(
    st.sampled_from(ascii_letters + digits), min_size=1, max_size=8
)
_TAGS: Final = st.builds(
    lambda first, more: "-".join([first, *more]),
    st.text(st.sampled_from(ascii_letters), min_size=1, max_size=8),
    st.lists(_SUBTAGS, max_size=2),
)
_LINE_OF_ASCII: Final = st.text(
    st.characters(max_codepoint=127, exclude_characters="\r\n\0"), max_size=40
)
_LINE: Final = _LINE_OF_ASCII | st.text(IN_LINE, max_size=40)
_LEVELS: Final = st.text(
    st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!-_.[\\^~"),
    min_size=1,
    max_size=8,
)
_CODES: Final = st.sampled_from(tuple(pop3.ResponseCode)) | st.lists(
    _LEVELS, min_size=1, max_size=3
).map("/".join)
_WORDS: Final = st.text(VISIBLE, min_size=1, max_size=12)

_FRAGMENTS: Final = (
    *(b"USER a\r\n", b"PASS b c\r\n", b"APOP a ", b"0" * 32, b"AUTH\r\n", b"AUTH X"),
    *(b" AGEAYg==", b" =", b"*\r\n", b"YQ==\r\n", b"STLS\r\n", b"CAPA\r\n"),
    *(b"STAT\r\n", b"LIST\r\n", b"LIST 1\r\n", b"UIDL\r\n", b"UIDL 2\r\n"),
    *(b"RETR 1\r\n", b"TOP 1 0", b"DELE 1\r\n", b"RSET\r\n", b"NOOP\r\n", b"QUIT\r\n"),
    *(b"UTF8\r\n", b"LANG\r\n", b"LANG de\r\n", b"LANG *\r\n"),
    *(b"99999999999999999999\r\n", b"0\r\n", b"-1", b"x", b"+OK\r\n"),
    *(b"+OK <1@a.example>\r\n", b"-ERR\r\n", b"-ERR [IN-USE] a\r\n", b"+\r\n"),
    *(b"-ERR [SYS/TEMP] a\r\n", b"+OK 2 320\r\n", b"+OK 1 a\r\n", b"+ YQ==\r\n"),
    *(b"+OK ", b"1 120\r\n", b"2 200\r\n", b"1 a\r\n", b"2 b\r\n", b"TOP\r\n"),
    *(b"UIDL\r\n", b"[X] ", b"PIPELINING\r\n", b"SASL PLAIN\r\n", b"UTF8 USER\r\n"),
    *(b"EXPIRE NEVER\r\n", b"RESP-CODES\r\n", b"de Deutsch\r\n", b"\r\n.\r\n"),
    *(b".\r\n", b"\r\n..", b"..a\r\n", b"\r\n", b"\r", b"\n", b".", b" ", b"\t", b"\0"),
    *(b"\x80", b"\xc3\xa9", b"\xff", b"<", b">", b"@", b"[", b"]", b"+", b"-"),
    *(b"x" * 99, b"x" * 600),
)


def unique_ids() -> st.SearchStrategy[str]:
    """Draw unique ids: 1 to 70 printable characters.  RFC 1939 section 7."""
    return st.text(VISIBLE, min_size=1, max_size=70)


def apop_timestamps() -> st.SearchStrategy[str]:
    """Draw time-stamps for the greeting, with their angle brackets.

    RFC 1939 section 7.
    """
    part = st.text(
        st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="<>@"),
        min_size=1,
        max_size=20,
    )
    return st.builds("<{}@{}>".format, part, part)


def pop3_capabilities() -> st.SearchStrategy[tuple[pop3.Capability, ...]]:
    """Draw what a server may offer, also capabilities that nobody knows."""
    return st.lists(
        _CAPABILITY, max_size=8, unique_by=lambda capability: capability.tag
    ).map(tuple)


def pop3_commands(
    *kinds: type[pop3.Command], utf8: bool = False
) -> st.SearchStrategy[pop3.Command]:
    """Draw commands that a client can send.

    Args:
        *kinds: Their classes, or none for all of them.
        utf8: Whether names and passwords may hold characters beyond ASCII: servers that
            offer UTF8 with USER take them after UTF8.

    Raises:
        ValueError: No client sends commands of that class.
    """
    unknown = [kind.__name__ for kind in kinds if kind not in _COMMANDS]
    if unknown:
        raise ValueError(f"no client sends {', '.join(unknown)}")
    return st.one_of([_COMMANDS[kind](utf8) for kind in kinds or _COMMANDS])


def pop3_responses(
    command: pop3.Command, *classes: pop3.ResponseClass, utf8: bool = False
) -> st.SearchStrategy[pop3.Response]:
    """Draw responses that a server can give to a command: +OK brings what it asks for.

    Args:
        command: What is answered.
        *classes: The classes of the responses, or none for all that can answer it.
        utf8: Whether texts may hold characters beyond ASCII: servers send them after
            UTF8 or LANG.

    Raises:
        ValueError: No response of that class answers the command.
    """
    fitting = _fitting(command)
    unfit = [cls.name for cls in classes if cls not in fitting]
    if unfit:
        name = type(command).__name__
        raise ValueError(f"{', '.join(unfit)} is no answer to {name}")
    return st.one_of(
        [_responses(command, cls, utf8=utf8) for cls in classes or fitting]
    )


def pop3_octets() -> st.SearchStrategy[bytes]:
    """Draw octets that a peer may send: whole lines, parts of lines, and noise.

    Most of what they make is wrong.  They are for either side.
    """
    return st.lists(
        st.sampled_from(_FRAGMENTS) | st.binary(max_size=6), max_size=20
    ).map(b"".join)


def _fitting(command: pop3.Command) -> tuple[pop3.ResponseClass, ...]:
    match command:
        case pop3.BadCommand() | pop3.AuthResponse(data=None):
            return (pop3.ERR,)
        case pop3.Auth() | pop3.AuthResponse():
            return (pop3.OK, pop3.ERR, pop3.MORE)
        case _:
            return (pop3.OK, pop3.ERR)


def _responses(
    command: pop3.Command, cls: pop3.ResponseClass, *, utf8: bool
) -> st.SearchStrategy[pop3.Response]:
    if cls is pop3.MORE:
        challenge = _OCTETS.map(pop3.Challenge)
        return st.builds(pop3.Response, st.just(cls), data=challenge)
    line = _LINE if utf8 else _LINE_OF_ASCII
    text = line.map(lambda drawn: drawn.lstrip("["))  # what begins so is a code
    code = st.none() | _CODES
    data: st.SearchStrategy[pop3.Data | None] = st.none()
    if cls is pop3.OK:
        data = _data(command, utf8=utf8)
        if _is_one_line(command):
            text, code = st.just(""), st.none()
    return st.builds(pop3.Response, st.just(cls), text, code, data)


def _is_one_line(command: pop3.Command) -> bool:
    """Whether what +OK brings stands in the place of its text."""
    match command:
        case (
            pop3.Stat()
            | pop3.List(number=int())
            | pop3.Uidl(number=int())
            | pop3.Lang(tag=str())
        ):
            return True
        case _:
            return False


def _data(command: pop3.Command, *, utf8: bool) -> st.SearchStrategy[pop3.Data | None]:
    """Draw what +OK to a command brings."""
    languages = st.builds(
        pop3.Language, _TAGS, st.just("") | texts(BEYOND if utf8 else PRINTABLE)
    )
    match command:
        case pop3.Stat():
            return st.builds(pop3.Totals, _SIZES, _SIZES)
        case pop3.List(number=int(number)):
            return _SIZES.map(lambda size: pop3.Sizes({number: size}))
        case pop3.List():
            return st.dictionaries(_NUMBERS, _SIZES, max_size=5).map(pop3.Sizes)
        case pop3.Uidl(number=int(number)):
            return unique_ids().map(lambda each: pop3.UniqueIds({number: each}))
        case pop3.Uidl():
            listing = st.dictionaries(_NUMBERS, unique_ids(), max_size=5)
            return listing.map(pop3.UniqueIds)
        case pop3.Capa():
            return pop3_capabilities().map(
                lambda offers: pop3.CapabilityLines(
                    tuple((each.tag, each.arguments()) for each in offers)
                )
            )
        case pop3.AuthList():
            return st.lists(MECHANISMS, max_size=5).map(
                lambda names: pop3.Mechanisms(tuple(names))
            )
        case pop3.Lang(tag=str()):
            return languages.map(lambda each: pop3.Languages((each,)))
        case pop3.Lang():
            return st.lists(languages, max_size=5).map(
                lambda items: pop3.Languages(tuple(items))
            )
        case _:
            return st.none()


def _names(utf8: bool) -> st.SearchStrategy[str]:
    return st.text(VISIBLE | BEYOND if utf8 else VISIBLE, min_size=1, max_size=20)


def _passwords(utf8: bool) -> st.SearchStrategy[str]:
    return st.text(PRINTABLE | BEYOND if utf8 else PRINTABLE, min_size=1, max_size=20)


def _always(
    strategy: st.SearchStrategy[pop3.Command],
) -> Callable[[bool], st.SearchStrategy[pop3.Command]]:
    return lambda utf8: strategy


_COMMANDS: Final[
    Mapping[type[pop3.Command], Callable[[bool], st.SearchStrategy[pop3.Command]]]
] = {
    pop3.User: lambda utf8: st.builds(pop3.User, _names(utf8)),
    pop3.Pass: lambda utf8: st.builds(pop3.Pass, _passwords(utf8)),
    pop3.Apop: lambda utf8: st.builds(pop3.Apop, _names(utf8), _DIGESTS),
    pop3.Auth: _always(st.builds(pop3.Auth, MECHANISMS, st.none() | _OCTETS)),
    pop3.AuthList: _always(st.just(pop3.AuthList())),
    pop3.AuthResponse: _always(st.builds(pop3.AuthResponse, st.none() | _OCTETS)),
    pop3.Stls: _always(st.just(pop3.Stls())),
    pop3.Capa: _always(st.just(pop3.Capa())),
    pop3.Stat: _always(st.just(pop3.Stat())),
    pop3.List: _always(st.builds(pop3.List, st.none() | _NUMBERS)),
    pop3.Uidl: _always(st.builds(pop3.Uidl, st.none() | _NUMBERS)),
    pop3.Retr: _always(st.builds(pop3.Retr, _NUMBERS)),
    pop3.Top: _always(st.builds(pop3.Top, _NUMBERS, _SIZES)),
    pop3.Dele: _always(st.builds(pop3.Dele, _NUMBERS)),
    pop3.Rset: _always(st.just(pop3.Rset())),
    pop3.Noop: _always(st.just(pop3.Noop())),
    pop3.Quit: _always(st.just(pop3.Quit())),
    pop3.Utf8: _always(st.just(pop3.Utf8())),
    pop3.Lang: _always(st.builds(pop3.Lang, st.none() | st.just("*") | _TAGS)),
}
_CAPABILITY: Final[st.SearchStrategy[pop3.Capability]] = st.one_of(
    st.sampled_from(
        [
            pop3.capabilities.Top(),
            pop3.capabilities.Uidl(),
            pop3.capabilities.RespCodes(),
            pop3.capabilities.AuthRespCode(),
            pop3.capabilities.Pipelining(),
            pop3.capabilities.Stls(),
            pop3.capabilities.Lang(),
        ]
    ),
    st.builds(pop3.capabilities.User, st.booleans()),
    st.builds(pop3.capabilities.Sasl, st.lists(MECHANISMS, max_size=3).map(tuple)),
    st.builds(pop3.capabilities.LoginDelay, _SIZES, st.booleans()),
    st.builds(pop3.capabilities.Expire, st.none() | _SIZES, st.booleans()),
    st.builds(
        pop3.capabilities.Implementation,
        st.lists(_WORDS, min_size=1, max_size=3).map(" ".join),
    ),
    st.builds(pop3.capabilities.Utf8, st.booleans()),
    st.builds(
        pop3.capabilities.Unknown,
        _WORDS.map(lambda word: f"X-{word.upper()}"),
        st.lists(_WORDS, max_size=3).map(" ".join),
    ),
)
