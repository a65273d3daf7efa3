import pytest

from smtp_pop_core import Rejected, smtp
from smtp_pop_core.smtp import EnhancedCode, Reply, ReplyClass

NO_CODES = [-250, 0, 25, 100, 150, 199, 600, 650, 2500]
UNWRITABLE = ["\r\n", "\r", "\n", "\0", "\ud800", "\udfff"]


@pytest.mark.parametrize("code", [200, 250, 299, 354, 421, 550, 599])
def test_a_code_has_three_digits_and_begins_with_2_to_5(code: int) -> None:
    """RFC 5321 section 4.2.1: clients act on the first digit."""
    reply = Reply(code)
    assert reply.cls is ReplyClass(code // 100)
    assert reply.temporary is (400 <= code <= 499)


@pytest.mark.parametrize("code", NO_CODES)
def test_no_other_code_can_be_sent(code: int) -> None:
    with pytest.raises(ValueError, match="not a reply code"):
        Reply(code)


@pytest.mark.parametrize("octet", UNWRITABLE)
@pytest.mark.parametrize("lines", [("a{}b",), ("ok", "a{}"), ("{}",)])
def test_text_holds_nothing_that_ends_a_line(
    lines: tuple[str, ...], octet: str
) -> None:
    with pytest.raises(ValueError, match="cannot hold"):
        Reply(550, tuple(line.format(octet) for line in lines))


@pytest.mark.parametrize("lines", [(), ["ok"], "ok", None])
def test_lines_are_a_tuple_of_one_at_least(lines: object) -> None:
    with pytest.raises(ValueError, match="not a tuple of lines"):
        Reply(250, lines)  # type: ignore[arg-type]  # that is the point


@pytest.mark.parametrize("code", ["250", None, b"250"])
def test_a_code_is_an_int(code: object) -> None:
    with pytest.raises(TypeError):
        Reply(code)  # type: ignore[arg-type]  # that is the point


@pytest.mark.parametrize("line", [b"ok", None, 5])
def test_a_line_is_text(line: object) -> None:
    with pytest.raises(TypeError):
        Reply(250, (line,))  # type: ignore[arg-type]  # that is the point


@pytest.mark.parametrize(
    ("code", "status"), [(250, (5, 1, 1)), (550, (4, 1, 1)), (354, (2, 0, 0))]
)
def test_the_classes_of_both_codes_agree(
    code: int, status: tuple[int, int, int]
) -> None:
    """RFC 2034 section 4."""
    with pytest.raises(ValueError, match="does not go with"):
        Reply(code, enhanced=EnhancedCode(*status))


def test_the_command_is_not_part_of_equality_or_repr() -> None:
    reply = Reply(250, ("OK",), command=smtp.Noop("x"))
    assert reply == Reply(250, ("OK",))
    assert hash(reply) == hash(Reply(250, ("OK",)))
    assert "Noop" not in repr(reply)


STRINGS = [
    (Reply(250), "250"),
    (Reply(250, ("",), EnhancedCode(2, 0, 0)), "250 2.0.0"),
    (Reply(250, ("OK",)), "250 OK"),
    (Reply(550, ("a", "b"), EnhancedCode(5, 1, 1)), "550 5.1.1 a b"),
    (Reply(550, ("\x1b[2J\x85\u2028\t",)), r"550 \x1b[2J\x85\u2028\t"),
]


@pytest.mark.parametrize(("reply", "text"), STRINGS)
def test_a_reply_as_a_string_is_one_safe_line(reply: Reply, text: str) -> None:
    assert str(reply) == text


def test_the_text_of_a_reply_is_its_lines() -> None:
    assert Reply(250, ("a", "", "b")).text == "a\n\nb"


GOOD_STATUS = ["2.0.0", "4.7.999", "5.0.10", "5.999.0"]
BAD_STATUS = [
    *("", "5", "5.1", "5.1.1.1", "3.0.0", "1.0.0", "6.0.0", "5.01.1", "5.1.01"),
    *("5.1.1000", "5.1000.1", "5.1.-1", " 5.1.1", "5.1.1 ", "5.1.1\n", "5.\u0661.1"),
    "\u0665.1.1",
]


@pytest.mark.parametrize("text", GOOD_STATUS)
def test_an_enhanced_code_is_read_and_written(text: str) -> None:
    """RFC 3463 section 2."""
    assert str(EnhancedCode.parse(text)) == text


@pytest.mark.parametrize("text", BAD_STATUS)
def test_nothing_else_is_read_as_an_enhanced_code(text: str) -> None:
    with pytest.raises(ValueError, match="not an enhanced status code"):
        EnhancedCode.parse(text)


@pytest.mark.parametrize(
    "status", [(3, 0, 0), (0, 0, 0), (5, -1, 0), (5, 0, -1), (5, 1000, 0), (5, 0, 1000)]
)
def test_no_enhanced_code_is_out_of_range(status: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="not an enhanced status code"):
        EnhancedCode(*status)


def test_enhanced_codes_have_an_order() -> None:
    assert EnhancedCode(4, 7, 1) < EnhancedCode(5, 0, 0) < EnhancedCode(5, 0, 1)


@pytest.mark.parametrize(("code", "temporary"), [(450, True), (550, False)])
def test_a_rejection_says_what_was_asked_and_the_answer(
    code: int, temporary: bool
) -> None:
    command, reply = smtp.Mail("a@b"), Reply(code, ("no\x1b",))
    error = smtp.Rejected(command, reply)
    assert isinstance(error, Rejected)
    assert str(error) == rf"Mail: {code} no\x1b"
    assert error.command is command
    assert error.reply is reply
    assert error.temporary is temporary


# Who stands behind a name


def member(mailbox: str, name: str = "") -> smtp.Member:
    return smtp.Member(smtp.parse_mailbox(mailbox, smtputf8=True), name)


@pytest.mark.parametrize(
    ("code", "lines", "members"),
    [
        # what RFC 5321 section 3.5.1 wants
        (
            250,
            ("Fred Smith <smith@example.com>",),
            [member("smith@example.com", "Fred Smith")],
        ),
        (250, ("smith@example.com",), [member("smith@example.com")]),
        (250, ("<smith@example.com>",), [member("smith@example.com")]),
        (
            250,
            ("Jon Postel <Postel@isi.example>", "Sam Q. Smith <SQSmith@x.example>"),
            [
                member("Postel@isi.example", "Jon Postel"),
                member("SQSmith@x.example", "Sam Q. Smith"),
            ],
        ),
        (250, ('"a<b" <"c>d"@x.example>',), []),
        (250, ('Odd <"c>d"@x.example>',), [member('"c>d"@x.example', "Odd")]),
        (250, ("2.1.5 Joe <joe@x.example>",), [member("joe@x.example", "Joe")]),
        (250, ("2.1.5 joe@x.example",), [member("joe@x.example")]),
        (
            250,
            ("Jürgen <jürgen@exämple.com>",),
            [member("jürgen@exämple.com", "Jürgen")],
        ),
        (250, ("Joe <joe@x.example", "Joe <joe>", "joe", "", "<>", ">"), []),
        (250, ("Joe <joe@x.example> (away)",), []),
        (251, ("Not here; will go to <joe@y.example>",), [member("joe@y.example")]),
        (251, ("Not here",), []),
        (252, ("joe@x.example",), []),
        (550, ("joe@x.example",), []),
        (
            553,
            (
                "5.1.4 Ambiguous; possibilities are",
                "Joe <joe@x.example>",
                "jo@x.example",
            ),
            [member("joe@x.example", "Joe"), member("jo@x.example")],
        ),
        (551, ("try <joe@y.example>",), []),
    ],
)
def test_the_mailboxes_of_an_answer_are_read(
    code: int, lines: tuple[str, ...], members: list[smtp.Member]
) -> None:
    assert list(smtp.Reply(code, lines).members) == members
