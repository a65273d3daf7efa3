from collections import Counter
from contextlib import suppress
from dataclasses import replace
from string import ascii_letters

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cutting import octets
from pop3_talk import classes, said_by_server, server_in
from smtp_pop_core import Limits, pop3
from smtp_pop_core._errors import OutOfOrder
from smtp_pop_core.pop3 import State
from smtp_pop_core.pop3._codec import (
    BadLine,
    Codec,
    read_auth_response,
    write_auth_response,
)

DIGEST = "c4c9334bac560ecc979e58001b3e22fb"  # RFC 1939 section 7


def codec_with(*, utf8: bool, limits: Limits | None = None) -> Codec:
    codec = Codec((), limits or Limits())
    codec.utf8 = utf8
    return codec


def allow(_: type[pop3.Command]) -> None:
    """Let every command come now."""


UTF8 = codec_with(utf8=True)
ASCII = codec_with(utf8=False)

# What is read


GOOD = [
    (b"USER mrose", pop3.User("mrose")),  # RFC 1939 section 7
    (b"USER a@b.example", pop3.User("a@b.example")),
    (b"uSeR A", pop3.User("A")),
    (b"PASS secret", pop3.Pass("secret")),
    (b"PASS a b c", pop3.Pass("a b c")),
    (b"PASS  a ", pop3.Pass(" a ")),
    (b"PASS  ", pop3.Pass(" ")),
    (b"PASS a\tb\x7f", pop3.Pass("a\tb\x7f")),
    (f"APOP mrose {DIGEST}".encode(), pop3.Apop("mrose", DIGEST)),
    (b"AUTH", pop3.AuthList()),
    (b"auth", pop3.AuthList()),
    (b"AUTH PLAIN", pop3.Auth("PLAIN")),
    (b"auth scram-sha-256", pop3.Auth("SCRAM-SHA-256")),
    (b"AUTH PLAIN =", pop3.Auth("PLAIN", b"")),  # RFC 5034 section 4
    (b"AUTH PLAIN AA==", pop3.Auth("PLAIN", b"\0")),
    (b"STLS", pop3.Stls()),
    (b"CAPA", pop3.Capa()),
    (b"stat", pop3.Stat()),
    (b"LIST", pop3.List()),
    (b"lIsT 1", pop3.List(1)),
    (b"LIST 007", pop3.List(7)),  # 1*DIGIT
    (b"UIDL", pop3.Uidl()),
    (b"UIDL 99999999999999999999", pop3.Uidl(10**20 - 1)),
    (b"RETR 2", pop3.Retr(2)),
    (b"TOP 1 10", pop3.Top(1, 10)),
    (b"TOP 1 0", pop3.Top(1, 0)),
    (b"DELE 3", pop3.Dele(3)),
    (b"RSET", pop3.Rset()),
    (b"NOOP", pop3.Noop()),
    (b"quit", pop3.Quit()),
    (b"UTF8", pop3.Utf8()),
    (b"LANG", pop3.Lang()),
    (b"LANG zh-Hant", pop3.Lang("zh-Hant")),
    (b"LANG *", pop3.Lang("*")),
]


@pytest.mark.parametrize(("line", "command"), GOOD)
def test_a_line_is_read(line: bytes, command: pop3.Command) -> None:
    for codec in (UTF8, ASCII):
        assert codec.read_command(line, allow) == command


BAD = [
    *(
        b"",
        b" ",
        b"  ",
        b" STAT",
        b"FROB",
        b"STATX",
        b"STAT\0",
        b"\xc5\xbftat",
        b"\xff",
    ),
    *(b"STAT ", b"STAT 1", b"STAT  ", b"STAT\t", b"STAT\r", b"STAT\n", b"STAT\t1"),
    *(b"NOOP x", b"QUIT now", b"RSET 1", b"CAPA x", b"STLS x", b"UTF8 x", b"UTF8 USER"),
    *(b"USER", b"USER ", b"USER  ", b"USER a b", b"USER  a", b"USER a ", b"USER a\tb"),
    *(b"USER a\0b", b"USER a\rb", b"USER a\nb", b"USER a\x7f", b"USER\ta"),
    *(b"PASS", b"PASS ", b"PASS a\0b", b"PASS a\rb", b"PASS a\nb", b"PASS\ta"),
    *(b"APOP", b"APOP ", b"APOP a", b"APOP a ", b"APOP " + DIGEST.encode()),
    *(b"APOP a " + DIGEST.encode()[1:], b"APOP a " + DIGEST.upper().encode()),
    *(b"APOP a b " + DIGEST.encode(), b"APOP a  " + DIGEST.encode()),
    b"APOP a " + DIGEST.encode() + b" ",
    *(
        b"AUTH ",
        b"AUTH  PLAIN",
        b"AUTH PLAIN AA",
        b"AUTH PLAIN AA== ",
        b"AUTH PLAIN ==",
    ),
    *(b"AUTH PLAIN AB CD", b"AUTH X =AAA", b"AUTH X AAA=BBB", b"AUTH X AB=="),
    *(b"AUTH PLAIN \xc3\xa9", b"AUTH LOG\xc4\xb1N", b"AUTH A_MECHANISM_OF_21_LETT"),
    *(b"LIST ", b"LIST 0", b"LIST -1", b"LIST +1", b"LIST 1 2", b"LIST  1", b"LIST 1 "),
    *(
        b"LIST x",
        b"LIST 1_0",
        b"LIST \xd9\xa1",
        b"LIST 100000000000000000000",
        b"LIST\t1",
    ),
    *(b"UIDL 0", b"RETR", b"RETR ", b"RETR 0", b"RETR 01x", b"DELE", b"DELE 1 2"),
    *(b"TOP", b"TOP 1", b"TOP 1 ", b"TOP 1 -1", b"TOP 0 1", b"TOP 1  1", b"TOP 1 1 1"),
    *(b"TOP 1\t1", b"TOP  1 1"),
    *(b"LANG ", b"LANG d e", b"LANG de_DE", b"LANG d\xc3\xa9", b"LANG **", b"LANG de "),
]


@pytest.mark.parametrize("line", BAD)
def test_another_line_is_refused_with_the_response_that_is_due(line: bytes) -> None:
    for codec in (UTF8, ASCII):
        with pytest.raises(BadLine) as caught:
            codec.read_command(line, allow)
        assert caught.value.response.cls is pop3.ERR
        assert caught.value.response.text


def test_the_order_is_checked_before_the_arguments() -> None:
    def refuse(kind: type[pop3.Command]) -> None:
        raise OutOfOrder(kind.__name__)

    for line, kind in (
        (b"RETR nonsense", "Retr"),
        (b"AUTH", "AuthList"),
        (b"AUTH ", "AuthList"),
        (b"AUTH ?", "Auth"),
    ):
        with pytest.raises(OutOfOrder, match=f"^{kind}$"):
            UTF8.read_command(line, refuse)
    with pytest.raises(BadLine):
        UTF8.read_command(b"FROB", refuse)


# Characters beyond ASCII


BEYOND_ASCII = [
    ("USER é", pop3.User("é")),
    ("PASS é \u4e2d", pop3.Pass("é \u4e2d")),
    (f"APOP é {DIGEST}", pop3.Apop("é", DIGEST)),
]


@pytest.mark.parametrize(("line", "command"), BEYOND_ASCII)
def test_names_and_passwords_are_utf8_if_that_was_said(
    line: str, command: pop3.Command
) -> None:
    """RFC 6856 section 2.2."""
    wire = line.encode()
    assert UTF8.read_command(wire, allow) == command
    assert UTF8.write_command(command) == wire + b"\r\n"
    with pytest.raises(BadLine, match="Only ASCII"):
        ASCII.read_command(wire, allow)
    with pytest.raises(OutOfOrder, match="needs UTF8 with USER"):
        ASCII.write_command(command)


MALFORMED = [
    b"\xc0\xaf",  # overlong
    b"\xed\xa0\x80",  # a surrogate
    b"\xf4\x90\x80\x80",  # beyond U+10FFFF
    b"\xe2\x82",  # cut off
    b"\xe9",
    b"\xff",
]


@pytest.mark.parametrize("malformed", MALFORMED)
@pytest.mark.parametrize("line", [b"USER %b", b"PASS a%bb", b"APOP %b " + b"0" * 32])
def test_malformed_utf8_is_refused(line: bytes, malformed: bytes) -> None:
    """RFC 6856 section 2.2."""
    with pytest.raises(BadLine, match="Syntax error"):
        UTF8.read_command(line % malformed, allow)


@pytest.mark.parametrize(
    "line",
    [
        b"LIST \xc3\xa9",
        b"NOOP \xc3\xa9",
        b"AUTH \xc3\xa9",
        b"LANG \xc3\xa9",
        b"\xc3\xa9",
    ],
)
def test_no_other_argument_is_utf8(line: bytes) -> None:
    with pytest.raises(BadLine):
        UTF8.read_command(line, allow)


# What is written is read


def characters(exclude: str) -> st.SearchStrategy[str]:
    beyond = st.characters(
        min_codepoint=0xA1,
        exclude_categories=["Cs"],
        exclude_characters="\u2028\u2029",
    )
    printable = st.characters(
        min_codepoint=32, max_codepoint=126, exclude_characters=exclude
    )
    return st.one_of(printable, beyond)


NAMES = st.text(characters(" "), min_size=1, max_size=40)
PASSWORDS = st.text(characters("") | st.sampled_from("\t\x7f"), min_size=1, max_size=40)
DIGESTS = st.from_regex(r"\A[0-9a-f]{32}\Z")
MECHANISMS = st.from_regex(r"\A[A-Z0-9_-]{1,20}\Z")
NUMBERS = st.integers(1, 10**20 - 1)
TAGS = st.sampled_from(["*", "i-default"]) | st.text(
    st.sampled_from(ascii_letters), min_size=1, max_size=8
)

ANY_COMMAND: st.SearchStrategy[pop3.Command] = st.one_of(
    st.builds(pop3.User, NAMES),
    st.builds(pop3.Pass, PASSWORDS),
    st.builds(pop3.Apop, NAMES, DIGESTS),
    st.builds(pop3.Auth, MECHANISMS, st.none() | st.binary(max_size=100)),
    st.builds(pop3.List, st.none() | NUMBERS),
    st.builds(pop3.Uidl, st.none() | NUMBERS),
    st.builds(pop3.Retr, NUMBERS),
    st.builds(pop3.Top, NUMBERS, NUMBERS | st.just(0)),
    st.builds(pop3.Dele, NUMBERS),
    st.builds(pop3.Lang, st.none() | TAGS),
    st.sampled_from(
        [
            *(pop3.AuthList(), pop3.Stls(), pop3.Capa(), pop3.Stat(), pop3.Rset()),
            *(pop3.Noop(), pop3.Quit(), pop3.Utf8()),
        ]
    ),
)


@settings(max_examples=500)
@given(ANY_COMMAND)
def test_what_can_be_made_is_written_in_one_line_and_read_back(
    command: pop3.Command,
) -> None:
    wire = UTF8.write_command(command)
    assert wire.endswith(b"\r\n")
    assert not set(wire[:-2]) & set(b"\r\n\0")
    assert UTF8.read_command(wire[:-2], allow) == command


@given(st.none() | st.binary())
def test_a_response_to_a_challenge_is_written_in_one_line_and_read_back(
    data: bytes | None,
) -> None:
    response = pop3.AuthResponse(data)
    wire = write_auth_response(response)
    assert wire.endswith(b"\r\n")
    assert read_auth_response(wire[:-2]) == response


AUTH_RESPONSES = [
    (b"*", pop3.AuthResponse(None)),
    (b"", pop3.AuthResponse(b"")),
    (b"AA==", pop3.AuthResponse(b"\0")),
    (b"Zm9v", pop3.AuthResponse(b"foo")),
]


@pytest.mark.parametrize(("line", "response"), AUTH_RESPONSES)
def test_a_response_to_a_challenge_is_read(
    line: bytes, response: pop3.AuthResponse
) -> None:
    """RFC 5034 section 4."""
    assert read_auth_response(line) == response
    assert write_auth_response(response) == line + b"\r\n"


@pytest.mark.parametrize(
    "line",
    [
        *(b"=", b"**", b"* ", b" ", b"A", b"AA", b"AB==", b"Zm9v ", b" Zm9v", b"AB CD"),
        *(b"=AAA", b"AAA=BBB", b"Zm9v\r", b"Zm9v\n", b"Zm9v\0", b"\xc3\xa9", b"QUIT!"),
    ],
)
def test_undecodable_base64_is_refused(line: bytes) -> None:
    """RFC 5034 section 4; "=" stands only for an initial response."""
    with pytest.raises(BadLine, match="Cannot decode base64"):
        read_auth_response(line)


VERBS = [
    *("USER", "PASS", "APOP", "AUTH", "STLS", "CAPA", "STAT", "LIST", "UIDL", "RETR"),
    *("TOP", "DELE", "RSET", "NOOP", "QUIT", "UTF8", "LANG", "user"),
]
WORDS = [
    *VERBS,
    *(
        " a",
        " 1",
        " 0",
        " PLAIN",
        " =",
        " AAAA",
        f" {DIGEST}",
        " de",
        " *",
        " ",
        "\t",
        "\0",
        "\r",
        "\n",
    ),
    *("é", " é", "\u017f", "\u212a", "\u0131", "\u2028", " 99999999999999999999", "-"),
]
LINES = st.tuples(
    st.sampled_from(VERBS), st.lists(st.sampled_from(WORDS), max_size=3).map("".join)
).map(lambda parts: "".join(parts).encode())

readable: Counter[type[pop3.Command]] = Counter()


@settings(max_examples=1_000, derandomize=True)
@given(LINES | st.binary(max_size=40))
def check_what_is_read(line: bytes) -> None:
    for codec in (UTF8, ASCII):
        with suppress(BadLine):  # and nothing else
            command = codec.read_command(line, allow)
            written = codec.write_command(command)
            assert not set(written[:-2]) & set(b"\r\n\0")
            assert codec.read_command(written[:-2], allow) == command
            assert replace(command) == command  # type: ignore[type-var]  # all checks
            readable[type(command)] += 1


def test_what_is_read_is_written_and_read_back() -> None:
    readable.clear()
    check_what_is_read()
    assert len(readable) >= 12, "too few of the lines were commands"


@settings(max_examples=300)
@given(st.binary(max_size=40) | st.sampled_from([b"*", b"=", b"====", b"AAAA"]))
def test_what_is_read_of_an_exchange_is_written_as_it_was(line: bytes) -> None:
    """Base64 has one spelling."""
    with suppress(BadLine):
        assert write_auth_response(read_auth_response(line)) == line + b"\r\n"


# What is written


WRITTEN = [
    (pop3.Pass(" a b "), b"PASS  a b \r\n"),
    (pop3.Apop("mrose", DIGEST), f"APOP mrose {DIGEST}\r\n".encode()),
    (pop3.Auth("PLAIN", b""), b"AUTH PLAIN =\r\n"),  # RFC 5034 section 4
    (pop3.Auth("PLAIN", b"\0a\0b"), b"AUTH PLAIN AGEAYg==\r\n"),
    (pop3.Auth("PLAIN"), b"AUTH PLAIN\r\n"),
    (pop3.AuthList(), b"AUTH\r\n"),
    (pop3.List(), b"LIST\r\n"),
    (pop3.List(12), b"LIST 12\r\n"),
    (pop3.Top(1, 0), b"TOP 1 0\r\n"),
    (pop3.Lang(), b"LANG\r\n"),
]


@pytest.mark.parametrize(("command", "wire"), WRITTEN)
def test_a_command_is_written(command: pop3.Command, wire: bytes) -> None:
    assert ASCII.write_command(command) == wire


class Frob(pop3.Command):
    """A command that no connection knows."""


@pytest.mark.parametrize(
    "command",
    [
        Frob(),
        pop3.Connect(),
        pop3.BadCommand(b"STAT", pop3.Response(pop3.ERR)),
        pop3.AuthResponse(b""),
    ],
)
def test_no_other_command_is_written(command: pop3.Command) -> None:
    with pytest.raises(OutOfOrder, match="is not a command here"):
        ASCII.write_command(command)


# The length of a line


@pytest.mark.parametrize("longest", [255, 256, 1_000])
def test_a_line_that_is_too_long_is_not_written(longest: int) -> None:
    """RFC 2449 section 4: 255 octets with CRLF."""
    codec = codec_with(utf8=True, limits=Limits(pop3_command_line=longest))
    room = longest - len("USER \r\n")
    assert len(codec.write_command(pop3.User("x" * room))) == longest
    for command in (
        pop3.User("x" * (room + 1)),
        pop3.Pass("x" * (room - 1) + "é"),  # octets count
        pop3.Auth("PLAIN", b"x" * longest),
    ):
        with pytest.raises(OutOfOrder, match="longer than a line may be"):
            codec.write_command(command)


@pytest.mark.parametrize("longest", [255, 256, 1_000])
def test_a_line_may_be_as_long_as_the_limit_says(longest: int) -> None:
    """RFC 2449 section 4, RFC 1939 section 3."""
    name = b"x" * (longest - 7)
    good, bad = b"USER " + name + b"\r\n", b"USER " + name + b"x\r\n"
    limits = Limits(pop3_command_line=longest)
    for wire, expected in ((good, "oo"), (bad, "eo"), (bad * 2, "eeo")):
        for cut in ((wire, b"CAPA\r\n"), octets(wire + b"CAPA\r\n")):
            server = server_in(State.AUTHORIZATION, limits=limits)
            _, responses = said_by_server(server, cut)
            assert classes(responses) == expected


@pytest.mark.parametrize(
    ("length", "kind"),
    [
        (12_286, pop3.AuthResponse),
        (12_290, pop3.BadCommand),
        (30_002, pop3.BadCommand),
    ],
)
def test_a_line_of_an_exchange_may_be_longer(
    length: int, kind: type[pop3.Command]
) -> None:
    """RFC 5034 section 4: the limit of command lines does not hold there."""
    wire = b"A" * (length - 2) + b"\r\n"
    for cut in ((wire, b"CAPA\r\n"), octets(wire + b"CAPA\r\n")):
        server = server_in(State.AUTH)
        [command, _], responses = said_by_server(server, cut)
        assert isinstance(command, kind)
        assert classes(responses) == "eo"
        assert server.state is State.AUTHORIZATION


def test_an_overlong_line_of_an_exchange_is_bounded() -> None:
    limits = Limits(auth_line=602)
    for over, kind in ((0, pop3.AuthResponse), (4, pop3.BadCommand)):
        server = server_in(State.AUTH, limits=limits)
        [command], _ = said_by_server(server, [b"A" * (600 + over) + b"\r\n"])
        assert isinstance(command, kind)
