import tomllib
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cutting import every_cut, octets
from smtp_pop_core import CLIENT, ConnectionClosed, Limits, RemoteProtocolError, smtp
from smtp_pop_core._errors import ParseError
from smtp_pop_core.smtp import Connection, EnhancedCode, Reply, State
from smtp_pop_core.smtp._reply_codec import (
    ReplyReader,
    read_offers,
    write_offers,
    write_reply,
)
from smtp_talk import EXTENSIONS, client_in, drain, feed, pair_in, ready_client

DATA = Path(__file__).parents[1] / "data"
STREAMS = tomllib.loads((DATA / "replies.toml").read_text("utf-8"))["stream"]
RESPONSES = tomllib.loads((DATA / "ehlo.toml").read_text("utf-8"))["response"]

GOOD = [each for each in STREAMS if each["result"] == "ok"]
INCOMPLETE = [each for each in STREAMS if each["result"] == "incomplete"]
BAD = [each for each in STREAMS if each["result"] in ("error", "fatal", "error_or_ok")]
# An LF ends no line: a client that waits on will hear of the end of the connection.
UNENDED = [each for each in STREAMS if each["result"] == "incomplete_or_error"]

PLAIN = [each for each in EXTENSIONS if each.keyword != "ENHANCEDSTATUSCODES"]
LIMITS = Limits()
Cut: TypeAlias = Callable[[bytes], Iterable[bytes]]


def reason_of(case: dict[str, Any]) -> str:
    return str(case["reason"])


def wire_of(case: dict[str, Any]) -> bytes:
    return str(case["wire"]).encode("latin-1")


def asking_client(code: int, *, enhanced: bool = True) -> Connection:
    """Give a client that waits for a reply which may have this code."""
    command, state = {
        334: (smtp.Auth("LOGIN"), State.READY),
        354: (smtp.Data(), State.RCPT),
    }.get(code, (smtp.Noop(), State.READY))
    client, _ = pair_in(state, extensions=EXTENSIONS if enhanced else PLAIN)
    client.send(command)
    return client


def read_reply(
    lines: list[bytes], command: smtp.Command | None, *, enhanced: bool
) -> Reply:
    """Read the lines of one reply."""
    reader = ReplyReader(len(lines), enhanced=enhanced)
    *earlier, reply = [reader.read(line, command) for line in lines]
    assert not any(earlier)
    assert reply is not None
    return reply


# The table of replies


def test_every_result_of_the_table_is_looked_at() -> None:
    assert len(GOOD) + len(INCOMPLETE) + len(BAD) + len(UNENDED) == len(STREAMS)


@pytest.mark.parametrize("case", GOOD, ids=reason_of)
def test_a_reply_is_read_alike_however_it_is_cut(case: dict[str, Any]) -> None:
    expected = [Reply(each["code"], tuple(each["lines"])) for each in case["replies"]]
    for cut in every_cut(wire_of(case)):
        client = asking_client(expected[0].code, enhanced=False)
        read = [event for piece in cut for event in feed(client, piece)]
        assert read == expected
        assert client.last_reply == expected[-1]


@pytest.mark.parametrize("case", GOOD, ids=reason_of)
def test_an_enhanced_code_is_taken_from_the_text_if_it_was_offered(
    case: dict[str, Any],
) -> None:
    """RFC 2034 section 4."""
    [each] = case["replies"]
    status = each.get("enhanced")
    for cut in every_cut(wire_of(case)):
        client = asking_client(each["code"])
        [reply] = [event for piece in cut for event in feed(client, piece)]
        assert isinstance(reply, Reply)
        assert str(reply.enhanced or "") == (status or "")
        assert reply.lines == tuple(
            line.removeprefix(f"{status} ") for line in each["lines"]
        )


@pytest.mark.parametrize("case", INCOMPLETE, ids=reason_of)
def test_half_a_reply_never_becomes_one(case: dict[str, Any]) -> None:
    for cut in every_cut(wire_of(case)):
        client = asking_client(250)
        assert [event for piece in cut for event in feed(client, piece)] == []
        assert feed(client, b"") == [ConnectionClosed()]
        assert client.state is State.CLOSED
        assert client.unanswered == (smtp.Noop(),)


@pytest.mark.parametrize("case", [*BAD, *UNENDED], ids=reason_of)
def test_what_is_no_reply_ends_the_session(case: dict[str, Any]) -> None:
    for cut in every_cut(wire_of(case)):
        client = asking_client(250)
        events = []
        try:
            events = [event for piece in (*cut, b"") for event in feed(client, piece)]
        except RemoteProtocolError as error:
            assert error.line in wire_of(case)  # noqa: PT017  either is right
            assert b"\r\n" in wire_of(case)
            events = drain(client)
        assert events == [ConnectionClosed()]
        assert client.state is State.CLOSED
        assert client.last_reply == Reply(250, client.last_reply.lines)  # type: ignore[union-attr]


@pytest.mark.parametrize("code", [b"200", b"299", b"358", b"458", b"558", b"599"])
def test_unknown_codes_are_read(code: bytes) -> None:
    """RFC 5321 section 4.2: by their first digit."""
    assert read_reply([code], None, enhanced=False).code == int(code)


@pytest.mark.parametrize(
    "line",
    [b"", b"2", b"25", b"25x", b"250x", b"250\t", b"\xb2\xb350 OK", b"-250 OK"],
)
def test_what_has_no_code_is_no_line_of_a_reply(line: bytes) -> None:
    with pytest.raises(ParseError):
        read_reply([line], None, enhanced=False)


TEXTS = [
    (b"caf\xc3\xa9", "café"),
    (b"caf\xe9", "café"),  # latin-1: kept, one character an octet
    (b"\xed\xa0\x80", "\xed\xa0\x80"),  # a surrogate is no UTF-8
    (b"\xff\xfe", "ÿþ"),
    (b"\x1b[2J", "\x1b[2J"),
    (b" two", " two"),
]


@pytest.mark.parametrize(("octets", "text"), TEXTS)
def test_any_text_is_kept(octets: bytes, text: str) -> None:
    wire = [b"250-" + octets, b"250 " + octets]
    assert read_reply(wire, None, enhanced=False).lines == (text, text)


STATUS = [
    # lines on the wire, the lines and the code that are read
    ([b"550 5.1.1 no"], ("no",), "5.1.1"),
    ([b"550 5.1.1"], ("",), "5.1.1"),
    ([b"550 5.1.1 "], ("",), "5.1.1"),
    ([b"550-5.1.1 a", b"550 b"], ("a", "b"), "5.1.1"),
    ([b"550-5.1.1 a", b"550 5.1.2 b"], ("a", "5.1.2 b"), "5.1.1"),
    ([b"550-5.1.1 5.1.1 a", b"550 5.1.1"], ("5.1.1 a", ""), "5.1.1"),
    ([b"550-a", b"550 5.1.1 b"], ("a", "5.1.1 b"), ""),
    ([b"550 4.1.1 no"], ("4.1.1 no",), ""),
    ([b"550 5.01.1 no"], ("5.01.1 no",), ""),
    ([b"550 5.1.1no"], ("5.1.1no",), ""),
    ([b"550 5.1.1. no"], ("5.1.1. no",), ""),
    ([b"550 5.1.1000 no"], ("5.1.1000 no",), ""),
    ([b"354 3.0.0 go"], ("3.0.0 go",), ""),
    ([b"354 2.0.0 go"], ("2.0.0 go",), ""),
]


@pytest.mark.parametrize(("wire", "lines", "status"), STATUS)
def test_an_enhanced_code_begins_the_text(
    wire: list[bytes], lines: tuple[str, ...], status: str
) -> None:
    reply = read_reply(wire, smtp.Noop(), enhanced=True)
    assert reply.lines == lines
    assert str(reply.enhanced or "") == status


@pytest.mark.parametrize(
    "command", [smtp.Connect(), smtp.Ehlo("a.example"), smtp.Helo("a.example")]
)
def test_the_greeting_and_the_answers_to_ehlo_have_no_enhanced_code(
    command: smtp.Command,
) -> None:
    """RFC 2034 section 4."""
    reply = Reply(250, ("2.0.0 x",), EnhancedCode(2, 0, 0))
    assert write_reply(reply, command, LIMITS, enhanced=True) == b"250 2.0.0 x\r\n"
    read = read_reply([b"250 2.0.0 x"], command, enhanced=True)
    assert read == Reply(250, ("2.0.0 x",))


# What is written is read


TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), max_size=60
)
NUMBERS = st.integers(0, 999)


@st.composite
def replies(draw: st.DrawFn, *, coded: bool) -> Reply:
    code = draw(st.integers(200, 599))
    lines = tuple(draw(st.lists(TEXT, min_size=1, max_size=4)))
    if not coded or code // 100 == 3:
        return Reply(code, lines)
    status = EnhancedCode(code // 100, draw(NUMBERS), draw(NUMBERS))
    return Reply(code, lines, status)


@pytest.mark.parametrize("enhanced", [False, True])
def test_what_can_be_made_is_written_and_read_back(enhanced: bool) -> None:
    @settings(max_examples=300)
    @given(replies(coded=enhanced))
    def check(reply: Reply) -> None:
        wire = write_reply(reply, None, Limits(), enhanced=enhanced)
        *lines, last = wire.split(b"\r\n")
        assert last == b""
        reader = ReplyReader(len(lines), enhanced=enhanced)
        for _ in range(2):  # nothing of the first is left
            read = [reader.read(line, None) for line in lines]
            assert read == [*[None] * (len(lines) - 1), reply]

    check()


@pytest.mark.parametrize(
    ("reply", "wire"),
    [
        (Reply(250), b"250 2.0.0 \r\n"),
        (Reply(451, ("a", "b")), b"451-4.0.0 a\r\n451 4.0.0 b\r\n"),
        (Reply(550, ("5.1.1 a",)), b"550 5.1.1 a\r\n"),  # it was there already
        (Reply(550, ("5.1.1 a", "b")), b"550-5.0.0 5.1.1 a\r\n550 5.0.0 b\r\n"),
        (Reply(250, ("5.1.1 a",)), b"250 2.0.0 5.1.1 a\r\n"),
        (Reply(354, ("go",)), b"354 go\r\n"),
        (Reply(334), b"334 \r\n"),
    ],
)
def test_every_line_gets_an_enhanced_code_if_they_are_offered(
    reply: Reply, wire: bytes
) -> None:
    """RFC 2034 section 4."""
    assert write_reply(reply, smtp.Noop(), LIMITS, enhanced=True) == wire


def test_a_code_that_is_not_offered_is_not_written() -> None:
    reply = Reply(250, ("OK",), EnhancedCode(2, 0, 0))
    assert write_reply(reply, None, LIMITS, enhanced=False) == b"250 OK\r\n"


LENGTHS = [
    # a reply, and whether it can be written
    (Reply(250, ("x" * 506,)), True),  # 512 octets with CRLF
    (Reply(250, ("x" * 507,)), False),
    (Reply(250, ("é" * 253,)), True),  # octets count
    (Reply(250, ("é" * 253 + "x",)), False),
    (Reply(250, ("x" * 506,) * 9), True),  # a limit of each line
    (Reply(250, ("a", "x" * 507, "b")), False),
    (Reply(334, ("x" * (12_288 - 6),)), True),  # RFC 4954 section 4
    (Reply(334, ("x" * (12_288 - 5),)), False),
]


@pytest.mark.parametrize(("reply", "fits"), LENGTHS)
def test_no_line_of_a_reply_is_longer_than_the_standard_allows(
    reply: Reply, fits: bool
) -> None:
    """RFC 5321 section 4.5.3.1.5."""
    try:
        written = write_reply(reply, None, LIMITS, enhanced=False) != b""
    except ParseError:
        written = False
    assert written is fits


# The EHLO response


def known() -> dict[str, smtp.Extension]:
    return {each.keyword: each for each in smtp.known()}


@pytest.mark.parametrize("case", RESPONSES, ids=reason_of)
def test_the_extensions_are_read_alike_however_the_response_is_cut(
    case: dict[str, Any],
) -> None:
    for cut in every_cut(wire_of(case)):
        client = client_in(State.GREETED)
        client.send(smtp.Ehlo("me.example"))
        [reply] = [event for piece in cut for event in feed(client, piece)]
        assert isinstance(reply, Reply)
        offers = [
            f"{keyword}={offer.arguments()}".upper()
            for keyword, offer in client.extensions.items()
        ]
        assert offers == [each.upper() for each in case["keywords"]]
        assert client.state is State.READY


def test_offers_are_typed() -> None:
    lines = "size 5", "AUTH plain LOGIN", "X-FOO a  b", "SMTPUTF8 ignored"
    offers = read_offers(lines, known())
    assert offers["SIZE"] == smtp.extensions.Size(5)
    assert offers["AUTH"] == smtp.extensions.Auth(("PLAIN", "LOGIN"))
    assert offers["X-FOO"] == smtp.extensions.Unknown("X-FOO", "a b")
    assert offers["SMTPUTF8"] == smtp.extensions.SmtpUtf8()  # RFC 6531 section 3.1


def test_offers_are_found_by_their_class() -> None:
    offers = read_offers(("PIPELINING", "SIZE 5"), known())
    assert offers.find(smtp.extensions.Size) == smtp.extensions.Size(5)
    assert offers.find(smtp.extensions.StartTls) is None
    assert list(offers) == ["PIPELINING", "SIZE"]
    assert repr(offers) == "Extensions([Pipelining(), Size(limit=5)])"


@pytest.mark.parametrize(
    "line",
    [
        *("SIZE -1", "SIZE +1", "SIZE 1_0", "SIZE 0x10", "SIZE 1 2", "SIZE \u0661"),
        *("SIZE " + "9" * 21, " SIZE", "SIZE\t1", "SIZE=1", "SI\u017fE", "SIZE \x01"),
        *("-SIZE", "SIZE\x80"),
    ],
)
def test_an_offer_that_is_malformed_is_passed_over(line: str) -> None:
    assert len(read_offers((line,), known())) == 0


@pytest.mark.parametrize(
    ("limit", "line"),
    [(None, "SIZE"), (0, "SIZE 0"), (10**20 - 1, f"SIZE {10**20 - 1}")],
)
def test_size_is_offered_with_a_limit_or_without(limit: int | None, line: str) -> None:
    """RFC 1870 section 3."""
    size = smtp.extensions.Size(limit)
    reply = write_offers("x", smtp.Extensions({"SIZE": size}))
    assert reply == Reply(250, ("x", line))
    assert read_offers(reply.lines[1:], known())["SIZE"] == size


@pytest.mark.parametrize("limit", [-1, 10**20])
def test_no_other_size_can_be_offered(limit: int) -> None:
    with pytest.raises(ValueError, match="not a size"):
        smtp.extensions.Size(limit)


def test_offers_are_written_and_read_back() -> None:
    offers = smtp.Extensions(
        {
            each.keyword: each
            for each in (*EXTENSIONS, smtp.extensions.Unknown("X-A", "b c"))
        }
    )
    assert dict(read_offers(write_offers("x", offers).lines[1:], known())) == dict(
        offers
    )


# The limits


CUTS = [lambda wire: (wire,), octets]


@pytest.mark.parametrize("cut", CUTS)
def test_a_line_of_a_reply_may_be_as_long_as_the_limit(cut: Cut) -> None:
    client = ready_client(limits=Limits(reply_line=512))
    client.send(smtp.Noop())
    wire = b"250 " + b"x" * 506 + b"\r\n"
    events = [event for piece in cut(wire) for event in feed(client, piece)]
    assert events == [Reply(250, ("x" * 506,))]


@pytest.mark.parametrize("cut", CUTS)
def test_a_longer_line_ends_the_session(cut: Cut) -> None:
    client = ready_client(limits=Limits(reply_line=512))
    client.send(smtp.Noop())
    wire = b"250 " + b"x" * 507 + b"\r\n"
    with pytest.raises(RemoteProtocolError, match="longer than 512") as caught:
        [feed(client, piece) for piece in cut(wire)]
    assert caught.value.line == b""  # it was not kept
    assert client.state is State.CLOSED


@pytest.mark.parametrize("lines", [1, 2, 3])
def test_as_many_lines_as_the_limit_says_are_read(lines: int) -> None:
    client = Connection(CLIENT, limits=Limits(reply_lines=lines))
    assert feed(client, b"220-x\r\n" * (lines - 1) + b"220 x\r\n") == [
        Reply(220, ("x",) * lines)
    ]


@pytest.mark.parametrize("last", [b"220 x\r\n", b"220-x\r\n"])
@pytest.mark.parametrize("lines", [1, 2, 3])
def test_one_line_more_ends_the_session(lines: int, last: bytes) -> None:
    for cut in every_cut(b"220-x\r\n" * lines + last):
        client = Connection(CLIENT, limits=Limits(reply_lines=lines))
        with pytest.raises(RemoteProtocolError, match="too many lines"):
            [feed(client, piece) for piece in cut]
        assert client.state is State.CLOSED
        assert client.last_reply is None


# What is made without its checks


PREFIXES = st.sampled_from(
    [b"", b"2.1.5 ", b"4.999.0 ", b"5.0.0", b"5.01.0 ", b"2.1.5\t"]
)


@given(
    st.builds(bytes.__add__, PREFIXES, st.binary(max_size=30)),
    st.sampled_from([200, 250, 354, 421, 550, 599]),
    st.booleans(),
)
def test_a_reply_that_was_read_would_pass_the_checks_of_one_that_is_made(
    text: bytes, code: int, enhanced: bool
) -> None:
    line = b"%d %s" % (code, text.translate(None, b"\r\n\0"))
    reply = read_reply([line], None, enhanced=enhanced)
    again = Reply(reply.code, reply.lines, reply.enhanced, reply.command)
    assert (again, repr(again)) == (reply, repr(reply))


LINES = st.builds(
    b"".join,
    st.tuples(
        st.sampled_from([b"250", b"354", b"421", b"550", b"199", b"2500"]),
        st.sampled_from([b" ", b"-", b"", b"\t"]),
        PREFIXES,
        st.binary(max_size=30) | st.binary(min_size=60, max_size=70),
    ),
)


@given(st.lists(LINES, min_size=1, max_size=3), st.booleans())
def test_what_is_remembered_of_a_line_is_what_is_read_in_it(
    lines: list[bytes], enhanced: bool
) -> None:
    """The answer to NOOP is understood anew each time, that to RCPT is not."""
    read = [outcome(lines, smtp.Noop(), enhanced=enhanced)]
    again = [
        outcome(lines, smtp.Rcpt("a@b.example"), enhanced=enhanced) for _ in range(2)
    ]
    assert again == read * 2


def outcome(
    lines: list[bytes], command: smtp.Command, *, enhanced: bool
) -> list[Reply | str | None]:
    """Read lines, as far as they are those of a reply."""
    reader = ReplyReader(2, enhanced=enhanced)
    read: list[Reply | str | None] = []
    with suppress(ParseError):
        read.extend(reader.read(line, command) for line in lines)
    return read


def test_what_is_long_is_not_remembered() -> None:
    reader = ReplyReader(1)
    line = b"250 " + b"x" * 61
    read = [reader.read(line, smtp.Data()) for _ in range(2)]
    assert read[0] == read[1] == Reply(250, ("x" * 61,))
    assert read[0].lines is not read[1].lines


def test_the_same_reply_is_written_with_its_enhanced_code_or_without() -> None:
    reply = Reply(250, ("a", "b"), smtp.EnhancedCode(2, 1, 0))
    noop = smtp.Noop()
    written = [
        write_reply(reply, noop, Limits(), enhanced=enhanced)
        for enhanced in (True, False, True, False)
    ]
    assert (
        written
        == [
            b"250-2.1.0 a\r\n250 2.1.0 b\r\n",
            b"250-a\r\n250 b\r\n",
        ]
        * 2
    )
