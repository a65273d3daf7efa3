from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cutting import every_cut, octets
from pop3_talk import CAPABILITIES, asking, drain, feed, feed_all, outcome_of
from smtp_pop_core import CLIENT, ConnectionClosed, Limits, RemoteProtocolError, pop3
from smtp_pop_core._errors import ParseError
from smtp_pop_core._lines import LineBuffer
from smtp_pop_core.pop3 import ERR, MORE, OK, Connection, Response, State
from smtp_pop_core.pop3._response_codec import ResponseReader, write_response

LIMITS = Limits()
Cut: TypeAlias = Callable[[bytes], Iterable[bytes]]


def read(
    wire: bytes,
    command: pop3.Command | None,
    *,
    codes: bool = True,
    any_unique_id: bool = False,
) -> Response:
    """Read one response that is there as a whole."""
    buffer = LineBuffer()
    buffer.feed(wire)
    reader = ResponseReader(LIMITS, any_unique_id=any_unique_id)
    line = buffer.take_line(20_000)
    assert line is not None
    response = reader.add_status(line, command, codes=codes)
    if response is None:
        response = reader.add_listing(buffer)
    assert response is not None
    assert response.command is command
    assert not reader.in_listing
    assert len(buffer) == 0
    return response


def write(
    response: Response, command: pop3.Command | None, *, codes: bool = True
) -> bytes:
    return write_response(response, command, LIMITS, codes=codes)


# Status lines


TEXTS = [
    (b"caf\xc3\xa9", "café"),
    (b"caf\xe9", "café"),  # latin-1: kept, one character an octet
    (b"\xed\xa0\x80", "\xed\xa0\x80"),  # a surrogate is no UTF-8
    (b"\xff\xfe", "ÿþ"),
    (b"\x1b[2J", "\x1b[2J"),
    (b" two", " two"),
    (b"trailing ", "trailing "),
    (b"", ""),
    (b".", "."),
]


@pytest.mark.parametrize(("octets", "text"), TEXTS)
@pytest.mark.parametrize(("status", "cls"), [(b"+OK", OK), (b"-ERR", ERR)])
def test_any_text_is_kept(
    status: bytes, cls: pop3.ResponseClass, octets: bytes, text: str
) -> None:
    assert read(status + b" " + octets + b"\r\n", pop3.Noop()) == Response(cls, text)


@pytest.mark.parametrize(
    "line",
    [
        *(b"", b" ", b"OK", b"ERR", b"+ok", b"-err", b"+Ok", b"+OKAY", b"-ERRx"),
        *(b"-OK", b"+ERR", b" +OK", b"+OK\tx", b"-ERR\tx", b"+x", b"+\tx", b"-"),
        *(b"++", b"220 x", b".", b"+OK a\rb", b"+OK a\nb", b"+OK a\0b", b"-ERR a\0"),
        *(b"+ a\0", b"+ a\nb"),
    ],
)
def test_what_has_no_status_is_no_line_of_a_response(line: bytes) -> None:
    """RFC 1939 section 3: in upper case, and a space or the end behind it."""
    reader = ResponseReader(LIMITS, any_unique_id=False)
    with pytest.raises(ParseError, match="not a line of a response"):
        reader.add_status(line, pop3.Noop(), codes=True)


CODES = [
    # what stands behind -ERR, the code and the text; without RESP-CODES
    (b"[IN-USE] busy", "IN-USE", "busy", True),
    (b"[in-use] busy", "IN-USE", "busy", True),
    (b"[IN-USE]", "IN-USE", "", True),
    (b"[IN-USE] ", "IN-USE", "", True),
    (b"[IN-USE]  busy", "IN-USE", " busy", True),
    (b"[IN-USE]busy", "IN-USE", "busy", True),  # resp-code *CHAR: no space needed
    (b"[LOGIN-DELAY] wait", "LOGIN-DELAY", "wait", True),
    (b"[SYS/TEMP/DISK] full", "SYS/TEMP/DISK", "full", False),
    (b"[AUTH] no", "AUTH", "no", False),
    (b"[X] [Y] z", "X", "[Y] z", False),
    (b"[X[Y] z", "X[Y", "z", False),
]


@pytest.mark.parametrize(("said", "code", "text", "in_any_case"), CODES)
@pytest.mark.parametrize(("status", "cls"), [(b"+OK", OK), (b"-ERR", ERR)])
def test_a_code_begins_the_text(
    status: bytes,
    cls: pop3.ResponseClass,
    said: bytes,
    code: str,
    text: str,
    in_any_case: bool,
) -> None:
    """RFC 2449 sections 3, 6.4 and 8."""
    wire = status + b" " + said + b"\r\n"
    coded = Response(cls, text, code)
    assert read(wire, pop3.Noop()) == coded
    plain = coded if in_any_case else Response(cls, said.decode())
    assert read(wire, pop3.Noop(), codes=False) == plain


@pytest.mark.parametrize(
    "text",
    [
        *("[]", "[", "[a", "a [X]", " [X]", "[a b] c", "[/] x", "[a/] x", "[a//b] x"),
        *("[é] x", "[\x01] x", "[\u017fYS] x", "]"),
    ],
)
def test_nothing_else_in_brackets_is_a_code(text: str) -> None:
    wire = f"-ERR {text}\r\n".encode()
    assert read(wire, pop3.Noop()) == Response(ERR, text)


def test_a_no_has_one_line_also_where_a_listing_was_asked_for() -> None:
    """POP3-1939-3-o."""
    for command in (pop3.List(), pop3.Uidl(), pop3.Capa(), pop3.Lang(), pop3.Retr(1)):
        for cut in every_cut(b"-ERR no\r\n+OK next\r\n"):
            client = asking(command, pop3.Noop())
            assert feed_all(client, cut) == [Response(ERR, "no"), Response(OK, "next")]


# Challenges


CHALLENGES = [
    (b"+", b""),
    (b"+ ", b""),
    (b"+ Zm9v", b"foo"),
    (b"+ AA==", b"\0"),
    (b"+ AA", None),
    (b"+ AB==", None),  # a second spelling of AA==
    (b"+ AB CD", None),
    (b"+ =AAA", None),
    (b"+ AAA=BBB", None),
    (b"+  Zm9v", None),
    (b"+ Zm9v ", None),
    (b"+ what is your name?", None),
    (b"+ \xff", None),
    (b"+ [X] Zm9v", None),
]


@pytest.mark.parametrize(("line", "data"), CHALLENGES)
def test_a_challenge_is_read_or_known_to_be_none(
    line: bytes, data: bytes | None
) -> None:
    """RFC 5034 section 4: the client answers what is no base64 with a cancel."""
    response = Response(MORE, data=pop3.Challenge(data))
    assert read(line + b"\r\n", pop3.Auth("LOGIN")) == response
    client = asking(pop3.Auth("LOGIN"), state=State.AUTHORIZATION)
    assert feed(client, line + b"\r\n") == [response]
    assert client.state is State.AUTH
    assert client.send(pop3.AuthResponse(None)) == b"*\r\n"


def test_a_challenge_that_is_no_base64_is_not_written() -> None:
    with pytest.raises(ParseError, match="is no base64"):
        write(Response(MORE, data=pop3.Challenge(None)), pop3.Auth("LOGIN"))


# What a response brings


LISTINGS: list[tuple[pop3.Command, bytes, pop3.Data]] = [
    (pop3.List(), b"", pop3.Sizes({})),
    (pop3.List(), b"1 120\r\n2 200\r\n", pop3.Sizes({1: 120, 2: 200})),
    (pop3.List(), b"2 5 x y\r\n1 0\r\n", pop3.Sizes({2: 5, 1: 0})),
    (pop3.List(), b"01 007\r\n", pop3.Sizes({1: 7})),
    (pop3.List(), b"1 5 caf\xe9\r\n", pop3.Sizes({1: 5})),
    (pop3.Uidl(), b"", pop3.UniqueIds({})),
    (pop3.Uidl(), b"1 a\r\n2 a\r\n", pop3.UniqueIds({1: "a", 2: "a"})),
    (pop3.Capa(), b"", pop3.CapabilityLines(())),
    (
        pop3.Capa(),
        b"top\r\nSASL  plain   LOGIN \r\nX-A b\r\n",
        pop3.CapabilityLines((("TOP", ""), ("SASL", "plain LOGIN"), ("X-A", "b"))),
    ),
    (
        pop3.Capa(),
        b"TOP\r\n\r\n UIDL\r\nX\tY\r\nX \xc3\xa9\r\nUSER\r\n",
        pop3.CapabilityLines((("TOP", ""), ("USER", ""))),
    ),
    (pop3.Capa(), b"..X\r\n", pop3.CapabilityLines(((".X", ""),))),
    (pop3.Lang(), b"", pop3.Languages(())),
    (
        pop3.Lang(),
        b"en English\r\nde\r\n\r\nde_DE no tag\r\nfr fran\xc3\xa7ais, oui\r\n",
        pop3.Languages(
            (
                pop3.Language("en", "English"),
                pop3.Language("de"),
                pop3.Language("fr", "français, oui"),
            )
        ),
    ),
]


@pytest.mark.parametrize(("command", "lines", "data"), LISTINGS)
def test_a_listing_is_one_event_however_it_is_cut(
    command: pop3.Command, lines: bytes, data: pop3.Data
) -> None:
    """POP3-1939-3-l to n; it ends after CRLF only."""
    expected = Response(OK, "listed", data=data)
    for cut in every_cut(b"+OK listed\r\n" + lines + b".\r\n-ERR next\r\n"):
        client = asking(command, pop3.Noop())
        assert feed_all(client, cut) == [expected, Response(ERR, "next")]


MECHANISMS = [
    (b"", ()),
    (b"PLAIN\r\nLOGIN\r\n", ("PLAIN", "LOGIN")),
    (b"PLAIN LOGIN\r\n", ("PLAIN", "LOGIN")),
    (b"plain\r\n\r\nX\xff\r\n..Y\r\n", ("plain", ".Y")),
]


@pytest.mark.parametrize(("lines", "names"), MECHANISMS)
def test_auth_without_an_argument_lists_mechanisms(
    lines: bytes, names: tuple[str, ...]
) -> None:
    for cut in every_cut(b"+OK\r\n" + lines + b".\r\n"):
        client = asking(pop3.AuthList(), state=State.AUTHORIZATION)
        assert feed_all(client, cut) == [Response(OK, data=pop3.Mechanisms(names))]


BAD_LISTINGS = [
    (pop3.List(), b"1\r\n"),
    (pop3.List(), b"1 \r\n"),
    (pop3.List(), b" 1 5\r\n"),
    (pop3.List(), b"1  5\r\n"),
    (pop3.List(), b"1\t5\r\n"),
    (pop3.List(), b"1 5\r\n1 6\r\n"),
    (pop3.List(), b"1 5\r\n01 5\r\n"),
    (pop3.List(), b"1 5\n2 6\r\n"),
    (pop3.List(), b"1 5\r2 6\r\n"),
    (pop3.List(), b"1 5\r\n\r\n"),
    (pop3.List(), b"1 5\r\n+OK\r\n"),
    (pop3.Uidl(), b"1\r\n"),
    (pop3.Uidl(), b"1 a b\r\n"),
    (pop3.Uidl(), b"1 a \r\n"),
    (pop3.Uidl(), b"1 a\r\n1 b\r\n"),
    (pop3.Uidl(), b"1 a\n2 b\r\n"),
    (pop3.Capa(), b"TOP\nUIDL\r\n"),
    (pop3.Capa(), b"TOP\rUIDL\r\n"),
]


@pytest.mark.parametrize(("command", "lines"), BAD_LISTINGS)
def test_a_malformed_listing_ends_the_session(
    command: pop3.Command, lines: bytes
) -> None:
    for cut in every_cut(b"+OK\r\n" + lines + b".\r\n"):
        client = asking(command)
        assert outcome_of(client, cut) == ([], True)
        assert client.state is State.CLOSED


@pytest.mark.parametrize("end", [b".\n", b"\n.\r\n", b"\r.\r\n", b".\r", b". \r\n"])
def test_nothing_but_a_line_of_one_dot_ends_a_listing(end: bytes) -> None:
    for cut in every_cut(b"+OK\r\n1 5\r\n" + end):
        client = asking(pop3.List())
        assert feed_all(client, cut) == []
        assert feed(client, b"") == [ConnectionClosed()]
        assert client.unanswered == (pop3.List(),)


ONE_LINE: list[tuple[pop3.Command, bytes, pop3.Data]] = [
    (pop3.Stat(), b"0 0", pop3.Totals(0, 0)),
    (pop3.Stat(), b"2 320 x [y]", pop3.Totals(2, 320)),
    (pop3.List(2), b"2 200", pop3.Sizes({2: 200})),
    (pop3.List(2), b"2 200 x y", pop3.Sizes({2: 200})),
    (pop3.Uidl(2), b"2 QhdPYR:00WBw1Ph7x7", pop3.UniqueIds({2: "QhdPYR:00WBw1Ph7x7"})),
    (pop3.Lang("de"), b"de", pop3.Languages((pop3.Language("de"),))),
    (
        pop3.Lang("*"),
        b"de Deutsch, \xc3\xa9",
        pop3.Languages((pop3.Language("de", "Deutsch, é"),)),
    ),
    (
        pop3.Lang("de"),
        b"as you like",
        pop3.Languages((pop3.Language("as", "you like"),)),
    ),
    (pop3.Lang("de"), b"d'accord", pop3.Languages(())),
]


@pytest.mark.parametrize(("command", "text", "data"), ONE_LINE)
def test_what_has_one_line_brings_it_in_the_place_of_its_text(
    command: pop3.Command, text: bytes, data: pop3.Data
) -> None:
    expected = Response(OK, data=data)
    for cut in every_cut(b"+OK " + text + b"\r\n"):
        assert feed_all(asking(command), cut) == [expected]


def test_a_response_knows_what_it_answers() -> None:
    commands = (pop3.List(), pop3.Noop(), pop3.Retr(1), pop3.Stat(), pop3.Dele(1))
    client = asking(*commands)
    events = feed(client, b"+OK\r\n.\r\n+OK\r\n-ERR\r\n+OK 1 2\r\n-ERR\r\n")
    responses = [event for event in events if isinstance(event, Response)]
    assert tuple(response.command for response in responses) == commands


# Unique ids that are none


@pytest.mark.parametrize(
    "unique_id", ["x" * 71, "x" * 5_000, "é", "<a@b.example>", "/path/to\u3000it"]
)
@pytest.mark.parametrize(
    ("command", "wire"),
    [(pop3.Uidl(1), "+OK 1 {}\r\n"), (pop3.Uidl(), "+OK\r\n1 {}\r\n.\r\n")],
)
def test_any_word_is_a_unique_id_by_option(
    command: pop3.Command, wire: str, unique_id: str
) -> None:
    lenient = pop3.Tolerances(any_unique_id=True)
    said = wire.format(unique_id).encode()
    for cut in ((said,), octets(said)):
        client = asking(command, tolerances=lenient, limits=Limits(reply_line=9_000))
        ids = pop3.UniqueIds({1: unique_id})
        assert feed_all(client, cut) == [Response(OK, data=ids)]


@pytest.mark.parametrize("any_unique_id", [False, True])
def test_only_what_a_strict_reader_has_read_is_known_to_be_standard(
    any_unique_id: bool,
) -> None:
    wire = b"+OK\r\n1 a\r\n.\r\n"
    response = read(wire, pop3.Uidl(), any_unique_id=any_unique_id)
    assert response.data == pop3.UniqueIds({1: "a"})
    assert isinstance(response.data, pop3.UniqueIds)
    assert response.data.standard is not any_unique_id
    assert write(response, pop3.Uidl()) == wire


def test_an_id_that_was_borne_is_not_sent_on() -> None:
    wire = b"+OK\r\n1 " + 71 * b"x" + b"\r\n.\r\n"
    response = read(wire, pop3.Uidl(), any_unique_id=True)
    with pytest.raises(ParseError, match="only a client bears ids"):
        write(response, pop3.Uidl())


@pytest.mark.parametrize(
    "line", [b"1 a b", b"1 ", b"1", b"1 a\tb", b"1 a\x7f", b"1 \0"]
)
def test_no_option_makes_a_unique_id_of_several_words_or_controls(line: bytes) -> None:
    lenient = pop3.Tolerances(any_unique_id=True)
    client = asking(pop3.Uidl(), tolerances=lenient)
    assert outcome_of(client, [b"+OK\r\n" + line + b"\r\n.\r\n"]) == ([], True)


# What is written is read


NUMBERS = st.integers(1, 10**20 - 1)
SIZES = st.integers(0, 10**20 - 1)
IDS = st.text(
    st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=70
)
WORDS = st.text(
    st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20
)
LINE = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), max_size=60
)
TEXT = LINE.filter(lambda text: not text.startswith("["))
CODE = st.none() | st.sampled_from([*pop3.ResponseCode, "SYS/TEMP/X", "A", "[", "!/~"])
LANGUAGES = st.builds(pop3.Language, st.sampled_from(["*", "de", "zh-Hant"]), LINE)
CAPABILITY = st.tuples(WORDS.map(str.upper), st.lists(WORDS, max_size=4).map(" ".join))

BROUGHT: Mapping[pop3.Command, st.SearchStrategy[pop3.Data]] = {
    pop3.Stat(): st.builds(pop3.Totals, SIZES, SIZES),
    pop3.List(1): st.builds(lambda size: pop3.Sizes({1: size}), SIZES),
    pop3.Uidl(1): st.builds(lambda each: pop3.UniqueIds({1: each}), IDS),
    pop3.Lang("de"): LANGUAGES.map(lambda each: pop3.Languages((each,))),
    pop3.List(): st.dictionaries(NUMBERS, SIZES).map(pop3.Sizes),
    pop3.Uidl(): st.dictionaries(NUMBERS, IDS).map(pop3.UniqueIds),
    pop3.Lang(): st.lists(LANGUAGES).map(tuple).map(pop3.Languages),
    pop3.Capa(): st.lists(CAPABILITY).map(tuple).map(pop3.CapabilityLines),
    pop3.AuthList(): st.lists(WORDS).map(tuple).map(pop3.Mechanisms),
}
ONE_LINE_ONLY = [*BROUGHT][:4]


@pytest.mark.parametrize("command", ONE_LINE_ONLY)
def test_what_has_one_line_is_written_and_read_back(command: pop3.Command) -> None:
    @settings(max_examples=100)
    @given(BROUGHT[command])
    def check(data: pop3.Data) -> None:
        response = Response(OK, data=data)
        wire = write(response, command)
        assert wire.count(b"\n") == 1
        assert read(wire, command) == response

    check()


@pytest.mark.parametrize("command", [*BROUGHT][4:])
def test_what_has_several_lines_is_written_and_read_back(command: pop3.Command) -> None:
    @settings(max_examples=60)
    @given(TEXT, CODE, BROUGHT[command])
    def check(text: str, code: str | None, data: pop3.Data) -> None:
        response = Response(OK, text, code, data)
        wire = write(response, command)
        assert wire.endswith(b"\r\n.\r\n")
        assert wire.count(b"\r\n.\r\n") == 1
        assert read(wire, command) == response

    check()


@settings(max_examples=300)
@given(st.sampled_from([OK, ERR]), TEXT, CODE)
def test_what_brings_nothing_is_written_and_read_back(
    cls: pop3.ResponseClass, text: str, code: str | None
) -> None:
    for command in (pop3.Noop(), pop3.Retr(1), pop3.Connect()):
        response = Response(cls, text, code)
        wire = write(response, command)
        assert wire.endswith(b"\r\n")
        assert not set(wire[:-2]) & set(b"\r\n\0")
        assert read(wire, command) == response


@given(st.binary(max_size=200))
def test_a_challenge_is_written_and_read_back(data: bytes) -> None:
    """RFC 5034 section 4: "+ " and base64, nothing else."""
    response = Response(MORE, data=pop3.Challenge(data))
    wire = write(response, pop3.Auth("LOGIN"))
    assert wire.startswith(b"+ ")
    assert read(wire, pop3.Auth("LOGIN")) == response


LINES = st.text("0123456789 \r\nax", max_size=30)


@given(st.dictionaries(NUMBERS, SIZES), st.dictionaries(NUMBERS, IDS))
def test_a_listing_is_written_as_if_line_by_line(
    sizes: dict[int, int], ids: dict[int, str]
) -> None:
    listed = Response(OK, data=pop3.Sizes(sizes))
    lines = "".join(f"{number} {size}\r\n" for number, size in sizes.items())
    assert write(listed, pop3.List()) == f"+OK\r\n{lines}.\r\n".encode()
    listed = Response(OK, data=pop3.UniqueIds(ids))
    lines = "".join(f"{number} {each}\r\n" for number, each in ids.items())
    assert write(listed, pop3.Uidl()) == f"+OK\r\n{lines}.\r\n".encode()


@given(st.sampled_from([pop3.List(), pop3.Uidl()]), LINES)
def test_numbers_that_were_read_could_have_been_made(
    command: pop3.Command, lines: str
) -> None:
    wire = f"+OK\r\n1 1\r\n{lines}\r\n.\r\n".encode()
    with suppress(ParseError):
        data = read(wire, command).data
        assert isinstance(data, pop3.Sizes | pop3.UniqueIds)
        made: object = type(data)(data.by_number)  # type: ignore[arg-type]
        assert made == data


STATUSES = st.sampled_from(
    [b"+OK", b"-ERR", b"+OK ", b"-ERR ", b"+OK [A] ", b"-ERR [in-use]", b"+OK 2 ", b"+"]
)


@settings(max_examples=500)
@given(
    st.sampled_from([pop3.Noop(), pop3.Stat(), pop3.Auth("PLAIN")]),
    STATUSES,
    st.binary(max_size=30)
    | st.text("0123456789 []/A\r\n", max_size=30).map(str.encode),
)
def test_what_was_read_could_have_been_made(
    command: pop3.Command, status: bytes, rest: bytes
) -> None:
    """A reader makes no checks twice; to replace nothing makes all of them."""
    reader = ResponseReader(LIMITS, any_unique_id=False)
    with suppress(ParseError):
        response = reader.add_status(status + rest, command, codes=True)
        assert response is not None
        assert replace(response) == response
        assert isinstance(response.data, pop3.Totals) is (
            command == pop3.Stat() and response.cls is OK
        )
        assert response.data is None or replace(response.data) == response.data


@settings(max_examples=500)
@given(STATUSES, st.binary(max_size=30))
def test_what_is_read_is_written_and_read_back(status: bytes, rest: bytes) -> None:
    reader = ResponseReader(LIMITS, any_unique_id=False)
    with suppress(ParseError):  # and nothing else
        response = reader.add_status(status + rest, pop3.Noop(), codes=True)
        assert response is not None
        assert read(write(response, pop3.Noop()), pop3.Noop()) == response


@pytest.mark.parametrize(
    ("response", "wire"),
    [
        (Response(OK), b"+OK\r\n"),
        (Response(ERR), b"-ERR\r\n"),
        (Response(OK, " x"), b"+OK  x\r\n"),
        (Response(ERR, "busy", "IN-USE"), b"-ERR [IN-USE] busy\r\n"),
        (Response(ERR, "", "IN-USE"), b"-ERR [IN-USE]\r\n"),
        (Response(ERR, "[b] c", "A"), b"-ERR [A] [b] c\r\n"),
        (Response(ERR, "é"), b"-ERR \xc3\xa9\r\n"),
    ],
)
def test_a_status_line_is_written(response: Response, wire: bytes) -> None:
    assert write(response, pop3.Noop()) == wire


def test_a_code_that_is_not_offered_is_not_written() -> None:
    """RFC 2449 section 6.4."""
    response = Response(ERR, "busy", "IN-USE")
    assert write(response, pop3.Noop(), codes=False) == b"-ERR busy\r\n"


@pytest.mark.parametrize("text", ["[IN-USE] busy", "[]", "[", "[draft] x"])
def test_text_that_would_be_taken_for_a_code_is_not_written(text: str) -> None:
    """RFC 2449 section 6.4: with RESP-CODES what begins with a bracket is a code."""
    response = Response(ERR, text)
    with pytest.raises(ParseError, match="would be taken for a code"):
        write(response, pop3.Noop())
    assert write(response, pop3.Noop(), codes=False) == f"-ERR {text}\r\n".encode()


def test_a_greeting_may_begin_with_an_address_in_brackets() -> None:
    """Whoever is greeted does not know of RESP-CODES yet."""
    response = Response(OK, "[192.0.2.1] POP3")
    wire = write(response, pop3.Connect())
    assert wire == b"+OK [192.0.2.1] POP3\r\n"
    assert feed(Connection(CLIENT), wire) == [response]


@pytest.mark.parametrize("command", [*BROUGHT, pop3.Noop(), pop3.Retr(1), None])
@pytest.mark.parametrize(
    "data",
    [
        *(None, pop3.Totals(1, 2), pop3.Sizes({1: 2}), pop3.UniqueIds({1: "a"})),
        *(pop3.CapabilityLines(()), pop3.Mechanisms(("PLAIN",))),
        pop3.Languages((pop3.Language("de"),)),
    ],
)
def test_a_response_brings_what_was_asked_for(
    command: pop3.Command | None, data: pop3.Data | None
) -> None:
    fitting = {
        pop3.Stat(): pop3.Totals,
        pop3.List(): pop3.Sizes,
        pop3.List(1): pop3.Sizes,
        pop3.Uidl(): pop3.UniqueIds,
        pop3.Uidl(1): pop3.UniqueIds,
        pop3.Capa(): pop3.CapabilityLines,
        pop3.AuthList(): pop3.Mechanisms,
        pop3.Lang(): pop3.Languages,
        pop3.Lang("de"): pop3.Languages,
    }
    wanted = type(None) if command is None else fitting.get(command, type(None))
    try:
        written = bool(write(Response(OK, data=data), command))
    except ParseError:
        written = False
    assert written is (type(data) is wanted)


@pytest.mark.parametrize("command", [*BROUGHT, pop3.Noop()])
def test_a_no_brings_nothing(command: pop3.Command) -> None:
    assert write(Response(ERR, "no"), command) == b"-ERR no\r\n"
    with pytest.raises(ParseError, match=r"^ERR to \w+ brings nothing$"):
        write(Response(ERR, data=pop3.Totals(1, 2)), command)


@pytest.mark.parametrize(
    ("command", "response"),
    [
        (pop3.Stat(), Response(OK, "x", data=pop3.Totals(1, 2))),
        (pop3.List(1), Response(OK, data=pop3.Sizes({}))),
        (pop3.List(1), Response(OK, data=pop3.Sizes({1: 2, 2: 3}))),
        (pop3.Uidl(1), Response(OK, data=pop3.UniqueIds({1: "a", 2: "b"}))),
        (pop3.Lang("de"), Response(OK, data=pop3.Languages(()))),
    ],
)
def test_what_has_one_line_has_one(command: pop3.Command, response: Response) -> None:
    with pytest.raises(ParseError, match="is answered with one line"):
        write(response, command)


@pytest.mark.parametrize(
    ("command", "data"),
    [
        (pop3.List(1), pop3.Sizes({2: 2})),
        (pop3.Uidl(2), pop3.UniqueIds({1: "a"})),
    ],
)
def test_what_is_said_is_about_the_message_that_was_asked_for(
    command: pop3.Command, data: pop3.Data
) -> None:
    with pytest.raises(ParseError, match=r"^the answer is about another message$"):
        write(Response(OK, data=data), command)


# The limits


def padded(text: str, *, by: int) -> Response:
    return Response(OK, text + "x" * by)


@pytest.mark.parametrize(
    ("response", "fits"),
    [
        (padded("", by=506), True),  # 512 octets with CRLF
        (padded("", by=507), False),
        (padded("é" * 250, by=6), True),  # octets count
        (padded("é" * 250, by=7), False),
        (Response(ERR, "x" * 499, "AUTH"[:2]), True),
        (Response(ERR, "x" * 501, "AUTH"[:2]), False),
    ],
)
def test_no_status_line_is_longer_than_the_standard_allows(
    response: Response, fits: bool
) -> None:
    """RFC 1939 section 3."""
    try:
        written = len(write(response, pop3.Noop())) <= 512
    except ParseError:
        written = False
    assert written is fits


def languages(about: str) -> Response:
    items = (pop3.Language("en"), pop3.Language("de", about))
    return Response(OK, data=pop3.Languages(items))


@pytest.mark.parametrize(
    ("about", "fits"),
    [
        ("x" * 507, True),  # "de ", and CRLF
        ("x" * 508, False),
        ("\U0001f600" * 126 + "xxx", True),
        ("\U0001f600" * 126 + "xxxx", False),
        ("\U0001f600" * 124, True),
    ],
)
def test_no_line_of_a_listing_is_longer_than_the_standard_allows(
    about: str, fits: bool
) -> None:
    try:
        written = write(languages(about), pop3.Lang()) != b""
    except ParseError:
        written = False
    assert written is fits


@pytest.mark.parametrize(("length", "fits"), [(9_213, True), (9_216, False)])
def test_a_challenge_may_be_longer(length: int, fits: bool) -> None:
    """RFC 5034 section 4; with "+ " and CRLF 12,288 octets."""
    response = Response(MORE, data=pop3.Challenge(b"x" * length))
    try:
        written = len(write(response, pop3.Auth("X"))) <= 12_288
    except ParseError:
        written = False
    assert written is fits


CUTS = [lambda wire: (wire,), octets]


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("longest", [512, 4_096])
def test_a_line_of_a_response_may_be_as_long_as_the_limit(
    cut: Cut, longest: int
) -> None:
    """POP3-1939-3-j."""
    text = "x" * (longest - 6)
    client = asking(pop3.Noop(), limits=Limits(reply_line=longest))
    assert feed_all(client, cut(f"+OK {text}\r\n".encode())) == [Response(OK, text)]


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("octets_of_text", [507, 100_000])
def test_a_longer_line_ends_the_session(cut: Cut, octets_of_text: int) -> None:
    client = asking(pop3.Noop(), limits=Limits(reply_line=512))
    wire = b"+OK " + b"x" * octets_of_text + b"\r\n"
    with pytest.raises(RemoteProtocolError, match="longer than 512") as caught:
        feed_all(client, cut(wire))
    assert caught.value.line == b""  # it was not kept
    assert client.state is State.CLOSED
    assert drain(client) == [ConnectionClosed()]


@pytest.mark.parametrize("cut", CUTS)
def test_a_challenge_is_as_long_as_the_line_of_an_exchange(cut: Cut) -> None:
    limits = Limits(reply_line=512, auth_line=1_024)
    data = b"x" * 765
    wire = write(Response(MORE, data=pop3.Challenge(data)), pop3.Auth("X"))
    assert len(wire) == 1_024
    for command, state in (
        (pop3.Auth("LOGIN"), State.AUTHORIZATION),
        (pop3.AuthResponse(b""), State.AUTH),
    ):
        client = asking(command, state=state, limits=limits)
        [response] = feed_all(client, cut(wire))
        assert response == Response(MORE, data=pop3.Challenge(data))
    client = asking(pop3.Auth("LOGIN"), state=State.AUTHORIZATION, limits=limits)
    assert outcome_of(client, cut(b"+ AAAA" + wire[2:])) == ([], True)


LISTED = b"1 5\r\n2 6 " + b"x" * 190 + b"\r\n"


@pytest.mark.parametrize(("less", "fits"), [(0, True), (1, False)])
def test_a_listing_is_as_long_as_the_limit(less: int, fits: bool) -> None:
    limits = Limits(listing=len(LISTED) - less)
    for cut in every_cut(b"+OK\r\n" + LISTED + b".\r\n"):
        client = asking(pop3.List(), limits=limits)
        events, broken = outcome_of(client, cut)
        assert (len(events), broken) == (fits, not fits)
        assert (client.state is State.CLOSED) is not fits


@pytest.mark.parametrize("block", [1, 2, 3, 7, 1_000])
def test_a_listing_is_taken_in_blocks(block: int) -> None:
    client = asking(pop3.List(), pop3.Noop(), limits=Limits(block=block))
    events = feed(client, b"+OK\r\n1 5\r\n2 6\r\n.\r\n+OK next\r\n")
    sizes = pop3.Sizes({1: 5, 2: 6})
    assert events == [Response(OK, data=sizes), Response(OK, "next")]


def test_the_limit_is_one_of_each_listing() -> None:
    client = asking(*[pop3.List()] * 3, limits=Limits(listing=len(LISTED)))
    wire = (b"+OK\r\n" + LISTED + b".\r\n") * 3
    assert len(feed_all(client, octets(wire))) == 3


def test_the_lines_of_a_listing_have_no_limit_of_their_own() -> None:
    client = asking(pop3.List(), limits=Limits(reply_line=512))
    wire = b"+OK\r\n1 5 " + b"x" * 1_000 + b"\r\n.\r\n"
    assert feed(client, wire) == [Response(OK, data=pop3.Sizes({1: 5}))]


def test_capabilities_decide_which_codes_are_known() -> None:
    """RFC 2449 section 6.4, RFC 3206 section 5."""
    for tags in (["RESP-CODES"], ["AUTH-RESP-CODE"], []):
        offered = [each for each in CAPABILITIES if each.tag in ("USER", *tags)]
        client = asking(pop3.Dele(1), offered=offered)
        [response] = feed(client, b"-ERR [SYS/PERM] no\r\n")
        assert isinstance(response, Response)
        assert response.code == ("SYS/PERM" if tags else None)
    unasked = Connection(CLIENT)
    [greeting, _] = feed(unasked, b"-ERR [SYS/TEMP] later\r\n")
    assert isinstance(greeting, Response)
    assert greeting.code is None
