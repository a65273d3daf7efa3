import tomllib
from collections import Counter
from contextlib import suppress
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from string import ascii_letters, digits
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cutting import every_cut
from smtp_pop_core import Limits, smtp
from smtp_pop_core._errors import OutOfOrder
from smtp_pop_core.smtp import Body, Extension, Extensions, State, Tolerances
from smtp_pop_core.smtp import extensions as known_extensions
from smtp_pop_core.smtp._codec import (
    BadLine,
    Codec,
    read_auth_response,
    tables_with,
    write_auth_response,
    write_bdat,
)
from smtp_talk import codes, said_by_server, server_in

DATA = Path(__file__).parents[1] / "data"
COMMANDS = tomllib.loads((DATA / "commands.toml").read_text("utf-8"))["command"]

IMPLEMENTED: dict[str, Extension] = {
    "SIZE": known_extensions.Size(),
    "8BITMIME": known_extensions.EightBitMime(),
    "SMTPUTF8": known_extensions.SmtpUtf8(),
}
NOT_YET = {"DSN", "AUTH", "DELIVERBY", "MT-PRIORITY", "RRVS"}  # their parameters
CASES = [case for case in COMMANDS if not NOT_YET & set(case["offers"])]

STATES = {
    "connected": State.GREETED,
    "greeted": State.READY,
    "mail": State.MAIL,
    "rcpt": State.RCPT,
}
LENIENT = {"space after colon": Tolerances(space_after_colon=True)}


def octets_of(case: dict[str, Any]) -> bytes:
    if "utf8" in case:
        return str(case["utf8"]).encode("utf-8")
    return str(case["wire"]).encode("latin-1")


def offered_in(case: dict[str, Any]) -> list[Extension]:
    return [IMPLEMENTED[keyword] for keyword in case["offers"]]


def codec_with(*extensions: Extension, space_after_colon: bool = False) -> Codec:
    verbs = [verb for each in extensions for verb in each.verbs]
    tables = tables_with(verbs, lmtp=False)
    codec = Codec(tables, Limits(), space_after_colon=space_after_colon)
    codec.offer(Extensions({each.keyword: each for each in extensions}))
    return codec


def allow(_: type[smtp.Command]) -> None:
    """Let every command come now."""


FULL = codec_with(*smtp.known())
BARE = codec_with()


# The table of commands


def test_no_case_is_left_out_but_those_of_extensions_to_come() -> None:
    assert {name for case in CASES for name in case["offers"]} == set(IMPLEMENTED)
    left_out = [case for case in COMMANDS if case not in CASES]
    assert all(set(case["offers"]) <= NOT_YET for case in left_out)
    assert len(CASES) > len(left_out)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["reason"])
def test_a_command_is_answered_alike_however_it_is_cut(case: dict[str, Any]) -> None:
    extensions = offered_in(case)
    answers = []
    for cut in every_cut(octets_of(case)):
        conn = server_in(STATES[case["state"]], extensions=extensions)
        events, replies = said_by_server(conn, cut)
        answers.append((events, replies, conn.state))
    assert all(each == answers[0] for each in answers)
    [reply] = answers[0][1]
    assert reply.code in case["expect"]


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if case.get("path")],
    ids=lambda case: case["reason"],
)
def test_the_path_and_the_parameters_of_a_command_are_read(
    case: dict[str, Any],
) -> None:
    extensions = offered_in(case)
    conn = server_in(STATES[case["state"]], extensions=extensions)
    [command], _ = said_by_server(conn, [octets_of(case)])
    written = codec_with(*extensions).write_command(command).decode("utf-8")  # type: ignore[arg-type]  # a command, if no BadCommand
    verb, path = written[:4], case["path"]
    head = {"MAIL": f"MAIL FROM:<{path}>", "RCPT": f"RCPT TO:<{path}>"}[verb]
    assert written.startswith(head)
    assert set(written.removeprefix(head).split()) == set(case.get("params", []))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["reason"])
def test_a_tolerance_changes_only_what_it_names(case: dict[str, Any]) -> None:
    """The others whom the table calls lenient have no option here."""
    tolerances = LENIENT.get(case["reason"], Tolerances())
    expected = [250] if case["reason"] in LENIENT else case["expect"]
    extensions = offered_in(case)
    for cut in every_cut(octets_of(case)):
        state = STATES[case["state"]]
        conn = server_in(state, extensions=extensions, tolerances=tolerances)
        _, [reply] = said_by_server(conn, cut)
        assert reply.code in expected


@pytest.mark.parametrize(
    "wire", [b"MAIL FROM: <a@b>", b"MAIL FROM:   <a@b>", b"mail from: <a@b>"]
)
def test_the_space_after_a_colon_is_borne_by_option(wire: bytes) -> None:
    lenient = codec_with(space_after_colon=True)
    assert lenient.read_command(wire, allow) == smtp.Mail("a@b")
    with pytest.raises(BadLine):
        BARE.read_command(wire, allow)


@pytest.mark.parametrize(
    "wire", [b"MAIL FROM :<a@b>", b"MAIL FROM:\t<a@b>", b"MAIL FROM: a@b", b"MAIL  F"]
)
def test_no_other_space_is_borne_by_that_option(wire: bytes) -> None:
    with pytest.raises(BadLine):
        codec_with(space_after_colon=True).read_command(wire, allow)


# What is written is read


LITERALS = ["[192.0.2.1]", "[IPv6:2001:db8::1]", "a.example", "1.2.3.4", "x", "a-b.c"]
DOMAINS = st.sampled_from(LITERALS)
ATOMS = st.text(
    st.sampled_from(ascii_letters + digits + "!#$%&'*+-/=?^_`{|}~"), min_size=1
)
QUOTED = st.text(st.characters(min_codepoint=32, max_codepoint=126))
BEYOND = st.characters(
    min_codepoint=0xA1,
    exclude_categories=["Cs", "Cc", "Z"],
    exclude_characters="\u2028\u2029",
)
LOCAL_PARTS = st.one_of(ATOMS, QUOTED, st.text(BEYOND, min_size=1))
ADDRESSES = st.builds(smtp.Mailbox, LOCAL_PARTS, DOMAINS).map(str)
SIZES = st.none() | st.integers(0, 10**20 - 1)
BODIES = st.none() | st.sampled_from(Body)
TEXTS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1)
TEXTS_UTF8 = st.text(BEYOND | st.sampled_from("az09!~"), min_size=1)
STRINGS = (
    st.lists(TEXTS, min_size=1, max_size=3)
    .map(" ".join)
    .filter(lambda text: not text.upper().endswith(" SMTPUTF8"))
)
STRINGS_UTF8 = st.lists(TEXTS_UTF8, min_size=1, max_size=3).map(" ".join)
MECHANISMS = st.from_regex(r"\A[A-Z0-9_-]{1,20}\Z")


def mail(sender: str, size: int | None, body: Body | None, utf8: bool) -> smtp.Mail:
    return smtp.Mail(
        sender, size=size, body=body, smtputf8=utf8 or not sender.isascii()
    )


ANY_COMMAND: st.SearchStrategy[smtp.Command] = st.one_of(
    st.builds(smtp.Ehlo, DOMAINS),
    st.builds(smtp.Helo, DOMAINS),
    st.builds(mail, st.just("") | ADDRESSES, SIZES, BODIES, st.booleans()),
    st.builds(smtp.Rcpt, st.sampled_from(["postmaster", "POSTMASTER"]) | ADDRESSES),
    st.builds(smtp.Vrfy, STRINGS, smtputf8=st.booleans()),
    st.builds(smtp.Expn, STRINGS, smtputf8=st.booleans()),
    st.builds(smtp.Vrfy, STRINGS_UTF8, smtputf8=st.just(True)),
    st.builds(smtp.Expn, STRINGS_UTF8, smtputf8=st.just(True)),
    st.builds(smtp.Help, st.just("") | STRINGS),
    st.builds(smtp.Noop, st.just("") | STRINGS),
    st.builds(smtp.Auth, MECHANISMS, st.none() | st.binary()),
    st.sampled_from(
        [smtp.Data(), smtp.Rset(), smtp.Quit(), smtp.StartTls(), smtp.Vrfy("SMTPUTF8")]
    ),
)


@settings(max_examples=500)
@given(ANY_COMMAND)
def test_what_can_be_made_is_written_in_one_line_and_read_back(
    command: smtp.Command,
) -> None:
    wire = FULL.write_command(command)
    assert wire.endswith(b"\r\n")
    assert not set(wire[:-2]) & set(b"\r\n\0")
    assert FULL.read_command(wire[:-2], allow) == command


@given(st.none() | st.binary())
def test_a_response_is_written_in_one_line_and_read_back(data: bytes | None) -> None:
    response = smtp.AuthResponse(data)
    wire = write_auth_response(response)
    assert wire.endswith(b"\r\n")
    assert read_auth_response(wire[:-2]) == response


VERBS = [
    *("MAIL", "RCPT", "EHLO", "HELO", "DATA", "RSET", "VRFY", "EXPN", "HELP", "NOOP"),
    *("QUIT", "AUTH", "STARTTLS"),
]
WORDS = [
    *VERBS,
    *(" FROM:", " TO:", "<a@b>", "<>", "<é@b>", "<@r:a@b>"),
    *('<"a> "@b>', "<postmaster>", " SIZE=1", " BODY=8BITMIME", " SMTPUTF8", " X=1"),
    *(" a", " [192.0.2.1]", " PLAIN", " =", " AAAA", " ", "\t", "\0", "\r", "\n", "é"),
    *("\u017f", "\u212a", "\u0131", "\u2028", "<", ">"),
]
LINES = st.tuples(
    st.sampled_from(VERBS), st.lists(st.sampled_from(WORDS), max_size=5).map("".join)
).map(lambda parts: "".join(parts).encode("utf-8"))


readable: Counter[type[smtp.Command]] = Counter()


@settings(max_examples=1_000, derandomize=True)
@given(LINES | st.binary(max_size=40))
def check_what_is_read(line: bytes) -> None:
    for codec in (FULL, BARE):
        with suppress(BadLine):  # and nothing else
            command = codec.read_command(line, allow)
            if isinstance(command, (smtp.Bdat, smtp.BdatLast)):
                written = write_bdat(command)
            else:
                written = codec.write_command(command)
            assert not set(written[:-2]) & set(b"\r\n\0")
            assert codec.read_command(written[:-2], allow) == command
            readable[type(command)] += 1


def test_what_is_read_is_written_and_read_back() -> None:
    readable.clear()
    check_what_is_read()
    assert len(readable) >= 8, "too few of the lines were commands"


PIECES = [
    *(
        '"',
        "\\",
        '\\"',
        ".",
        "-",
        "@",
        "a",
        "1",
        "é",
        "\u3002",
        "\u2028",
        "(",
        "\0",
        "K",
    ),
    *(
        "[",
        "]",
        ":",
        "IPv6:",
        "::",
        "1.2.3.4",
        "@r:",
        ",",
        " ",
        "\u017f",
        "\x80",
        "\xa0",
    ),
]
PATHS = st.builds(
    "{}{}".format,
    st.just("") | st.lists(st.sampled_from(PIECES), max_size=4).map("".join),
    st.sampled_from(
        ["", "a@b", "@b", '"@[1.2.3.4]', "@[IPv6:::1]", "é@é", "postmaster"]
    ),
)
MAIL_PARAMETERS = [
    *(" SIZE=1", " BODY=8bitmime", " SMTPUTF8", " RET=FULL", " ENVID=a+20b", ""),
    *(" ENVID=a+0Ab", " ENVID=+FF", " AUTH=<>", " AUTH=a@b", " AUTH=a+0Ab", " AUTH=a"),
]
RCPT_PARAMETERS = [
    *("", " NOTIFY=NEVER", " NOTIFY=DELAY,DELAY", " NOTIFY=NEVER,DELAY", " ORCPT=a;"),
    *(" ORCPT=rfc822;a@b", " ORCPT=(;a", " ORCPT=a;+0A", " ORCPT=utf-8;\\x{85}"),
]
addressed: Counter[type[smtp.Command]] = Counter()


def parameters(given: list[str]) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(given), max_size=3).map("".join)


@settings(max_examples=1_000, derandomize=True)
@given(
    st.builds("MAIL FROM:<{}>{}".format, PATHS, parameters(MAIL_PARAMETERS))
    | st.builds("RCPT TO:<{}>{}".format, PATHS, parameters(RCPT_PARAMETERS))
)
def check_what_was_read_is_checked_again(line: str) -> None:
    with suppress(BadLine):
        command = FULL.read_command(line.encode("utf-8"), allow)
        assert isinstance(command, (smtp.Mail, smtp.Rcpt))
        again = replace(command)  # __init__ checks all fields
        assert again == command
        assert repr(again) == repr(command)
        addressed[type(command)] += 1


def test_a_command_that_was_read_would_pass_the_checks_of_one_that_is_made() -> None:
    check_what_was_read_is_checked_again()
    assert min(addressed[smtp.Mail], addressed[smtp.Rcpt]) > 15


def test_a_command_that_was_read_cannot_be_changed() -> None:
    for line in (b"MAIL FROM:<a@b> SIZE=1", b"RCPT TO:<a@b>"):
        command = FULL.read_command(line, allow)
        with pytest.raises(FrozenInstanceError):
            command.extra = ()  # type: ignore[attr-defined]


# Parts of the table that have no line of their own in the data


GOOD = [
    (b"NOOP \t ", smtp.Noop()),  # RFC 5321 section 4.1.1
    (b"quit\t", smtp.Quit()),
    (b"help mail", smtp.Help("mail")),
    (b"HELP", smtp.Help()),
    (b"VRFY a b", smtp.Vrfy("a b")),
    (b"VRFY \xc3\xa9 smtputf8", smtp.Vrfy("é", smtputf8=True)),
    (b"EXPN a  SMTPUTF8", smtp.Expn("a", smtputf8=True)),
    (b"VRFY SMTPUTF8", smtp.Vrfy("SMTPUTF8")),
    (b"auth plain", smtp.Auth("PLAIN")),
    (b"AUTH PLAIN =", smtp.Auth("PLAIN", b"")),
    (b"AUTH PLAIN AA==", smtp.Auth("PLAIN", b"\0")),
    (b"MAIL FROM:<> body=7bit", smtp.Mail("", body=Body.SEVEN_BIT)),
    (b"MAIL FROM:<> SMTPUTF8", smtp.Mail("", smtputf8=True)),
    (b"RCPT TO:<\xc3\xa9@b>", smtp.Rcpt("é@b")),
    (b"STARTTLS", smtp.StartTls()),
]


@pytest.mark.parametrize(("line", "command"), GOOD)
def test_a_line_is_read(line: bytes, command: smtp.Command) -> None:
    assert FULL.read_command(line, allow) == command


BAD = [
    (b"VRFY", 501),
    (b"EXPN \xc3\xa9", 501),  # without SMTPUTF8
    (b"STARTTLS now", 501),  # RFC 3207 section 4
    (b"RSET now", 501),
    (b"AUTH", 501),
    (b"AUTH ", 501),
    (b"AUTH  PLAIN", 501),
    (b"AUTH PLAIN AA", 501),
    (b"AUTH PLAIN AA== x", 501),
    (b"AUTH PLAIN ==", 501),
    (b"AUTH PLAIN \xc3\xa9", 501),
    (b"AUTH LOG\xc4\xb1N", 501),  # U+0131, whose upper case is I
    (b"AUTH CRAM-MD5\xc5\xbf", 501),
    (b"AUTH A_MECHANISM_OF_21_LETT", 501),
    (b"MAIL FROM:<> SMTPUTF8=1", 501),  # RFC 6531 section 3.4
    (b"MAIL FROM:<> BODY=8BITMIME BODY=7BIT", 501),
    (b"MAIL FROM:<> BODY=8BITM\xc4\xb1ME", 501),
    (b"MAIL FROM:<> \xc5\xbfIZE=1", 501),
    (b"MAIL FROM:<>SIZE=1", 501),
    (b"MAIL FROM:<> SIZE=1_0", 501),
    (b"MAIL FROM:<> SIZE=\xd9\xa5", 501),  # U+0665 is a digit for int()
    (b"MAIL FROM:<\xc3\xa9@b>", 550),  # RFC 6531 section 3.5
    (b"MAIL FROM:<\xc0\xaf@b> SMTPUTF8", 501),  # overlong
    (b"MAIL FROM:<\xed\xa0\x80@b> SMTPUTF8", 501),  # a surrogate
    (b"MAIL FROM:<\xf4\x90\x80\x80@b> SMTPUTF8", 501),  # beyond U+10FFFF
    (b"MAIL FROM:<\xe2\x82@b> SMTPUTF8", 501),  # cut off
    (b"EHLO \xc3\xa9.example", 501),  # RFC 6531 section 3.7.1: A-labels only
    (b"\xc5\xbftarttls", 500),
    (b"", 500),
    (b" ", 500),
    (b"NOOP\tx", 500),
    (b"NOOP\0", 500),
    (b"NOOP x\ry", 501),
    (b"NOOP x\ny", 501),
    (b"NOOP\rx", 500),
    (b"NOOP\n", 500),
]


@pytest.mark.parametrize(("line", "code"), BAD)
def test_a_line_is_refused_with_the_reply_that_is_due(line: bytes, code: int) -> None:
    with pytest.raises(BadLine) as caught:
        FULL.read_command(line, allow)
    assert caught.value.reply.code == code
    assert caught.value.reply.enhanced is not None


def test_a_malformed_parameter_is_worse_than_an_unknown_one() -> None:
    with pytest.raises(BadLine) as caught:
        FULL.read_command(b"MAIL FROM:<> X=1 A_B=1", allow)
    assert caught.value.reply.code == 501
    with pytest.raises(BadLine) as caught:
        FULL.read_command(b"MAIL FROM:<> SIZE=x X=1", allow)
    assert caught.value.reply.code == 555


def test_the_order_is_checked_before_the_syntax() -> None:
    def refuse(kind: type[smtp.Command]) -> None:
        raise OutOfOrder(kind.__name__)

    with pytest.raises(OutOfOrder, match="Mail"):
        FULL.read_command(b"MAIL nonsense" + b"x" * 600, refuse)
    with pytest.raises(BadLine):
        FULL.read_command(b"FROB", refuse)


def test_the_longest_keyword_is_refused_with_a_reply_that_can_be_sent() -> None:
    """A reply that quotes it whole would be longer than a reply line may be."""
    line = b"MAIL FROM:<> " + b"X" * 497 + b"\r\n"
    for cut in ([line], [line[:300], line[300:]]):
        conn = server_in(State.READY, extensions=[])
        _, replies = said_by_server(conn, cut)
        assert codes(replies) == [555]


# The length of a line


PADS = [
    # what stands before and behind the padding, the longest line
    (b"NOOP ", b"", 512),
    (b"FROB ", b"", 512),
    (b"EHLO ", b"", 512),
    (b"RCPT TO:<", b"@b>", 512 + 507 + 29),  # RFC 3885 section 3.1
    (b"VRFY ", b"", 512),
    # RFC 1870 section 3, RFC 6531 section 3.1, RFC 3030 section 3, RFC 3885
    (b"MAIL FROM:<", b"@b>", 512 + 26 + 10 + 16 + 107 + 9 + 500),
    (b"AUTH PLAIN ", b"", 12_288),  # RFC 4954 section 4
]


@pytest.mark.parametrize(("head", "tail", "longest"), PADS)
@pytest.mark.parametrize("over", [0, 1])
def test_a_line_may_be_as_long_as_its_command_allows(
    head: bytes, tail: bytes, longest: int, over: int
) -> None:
    line = head + b"a" * (longest + over - len(head) - len(tail) - 2) + tail
    assert len(line) + 2 == longest + over
    try:
        FULL.read_command(line, allow)
        said = "read"
    except BadLine as error:
        said = f"{error.reply}"
    assert ("Line too long" in said) is (over == 1 and head != b"FROB ")


def test_parameters_make_room_only_if_they_are_offered() -> None:
    """RFC 1870 section 3, RFC 6531 section 3.1."""
    lengths = [
        ([], 512),
        ([IMPLEMENTED["SIZE"]], 538),
        ([IMPLEMENTED["SMTPUTF8"]], 522),
        ([IMPLEMENTED["8BITMIME"]], 512),
    ]
    for extensions, longest in lengths:
        codec = codec_with(*extensions)
        line = b"MAIL FROM:<" + b"a" * (longest - 16) + b"@b>"
        codec.read_command(line, allow)
        with pytest.raises(BadLine, match="Line too long"):
            codec.read_command(line + b" ", allow)


def test_a_line_that_is_too_long_is_not_written() -> None:
    longest = 512 - len("NOOP \r\n")
    assert len(FULL.write_command(smtp.Noop("x" * longest))) == 512
    with pytest.raises(OutOfOrder, match="longer than a line may be"):
        FULL.write_command(smtp.Noop("x" * (longest + 1)))


def test_no_initial_response_makes_a_line_too_long() -> None:
    """RFC 4954 section 4, though a server reads one that does."""
    octets = (512 - len("AUTH SKEY \r\n")) // 4 * 3
    assert len(FULL.write_command(smtp.Auth("SKEY", b"x" * octets))) == 512
    with pytest.raises(OutOfOrder, match="longer than a line may be"):
        FULL.write_command(smtp.Auth("SKEY", b"x" * (octets + 1)))


# What was not offered is not written


@pytest.mark.parametrize(
    "command",
    [
        smtp.Mail("", size=0),
        smtp.Mail("", body=Body.SEVEN_BIT),
        smtp.Mail("", smtputf8=True),
        smtp.Mail("", extra=(("X-FOO", None),)),
        smtp.Rcpt("a@b", extra=(("X-FOO", "1"),)),
        smtp.Rcpt("é@b"),
        smtp.Vrfy("x", smtputf8=True),
        smtp.Expn("é", smtputf8=True),
    ],
)
def test_what_was_not_offered_is_not_written(command: smtp.Command) -> None:
    with pytest.raises(OutOfOrder):
        BARE.write_command(command)


def test_paths_stand_in_brackets_without_a_space() -> None:
    """RFC 5321 section 3.3."""
    assert BARE.write_command(smtp.Mail("")) == b"MAIL FROM:<>\r\n"
    assert BARE.write_command(smtp.Rcpt("a@b")) == b"RCPT TO:<a@b>\r\n"
    assert BARE.write_command(smtp.Data()) == b"DATA\r\n"
    full = smtp.Mail("é@b", size=5, body=Body.EIGHT_BIT_MIME, smtputf8=True)
    assert FULL.write_command(full) == (
        "MAIL FROM:<é@b> SIZE=5 BODY=8BITMIME SMTPUTF8\r\n".encode()
    )
