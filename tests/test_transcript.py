import pytest

from smtp_pop_core._transcript import Transcript, printable

HARMLESS = ["", "a b", "é", "\U0001f600", "~"]
ESCAPED = [
    ("\x1b[2J", r"\x1b[2J"),
    ("\0\a\t\r\n\x7f", r"\x00\x07\t\r\n\x7f"),
    ("\x85\x9b", r"\x85\x9b"),  # C1, which some terminals heed
    ("\u2028\u2029", r"\u2028\u2029"),
    ("\ud800", r"\ud800"),
]


@pytest.mark.parametrize("text", HARMLESS)
def test_text_stays_as_it_is(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(("text", "shown"), ESCAPED)
def test_what_would_steer_a_terminal_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert shown.isprintable()


LINES = [
    # lines, how much of each may be seen, what is shown
    (b"NOOP", None, ["C: NOOP"]),
    (b"NOOP\r\n", None, ["C: NOOP"]),
    (b"", None, ["C: "]),
    (b"250-a\r\n250 b\r\n", None, ["C: 250-a", "C: 250 b"]),
    (b"PASS secret", 5, ["C: PASS (secret)"]),
    (b"secret", 0, ["C: (secret)"]),
    (b"", 0, ["C: "]),
    (b"AUTH", 5, ["C: AUTH"]),
    (b"334-ab\r\n334 cd", 4, ["C: 334-(secret)", "C: 334 (secret)"]),
    (b"\xc3\xa9\xff\x1b", None, [r"C: é\xff\x1b"]),
    (b"a\rb\nc", None, [r"C: a\rb\nc"]),
]


@pytest.mark.parametrize(("lines", "visible", "expected"), LINES)
def test_each_line_is_shown_with_its_speaker(
    lines: bytes, visible: int | None, expected: list[str]
) -> None:
    shown: list[str] = []
    Transcript(shown.append).lines("C", lines, visible=visible)
    assert shown == expected


def test_content_is_counted_until_something_else_is_said() -> None:
    shown: list[str] = []
    transcript = Transcript(shown.append)
    for block in (b"one\r\n", b"", b"two"):
        transcript.content("C", block, len(block))
    assert shown == []
    transcript.lines("S", b"250 OK")
    transcript.lines("C", b"QUIT")
    assert shown == ["C: (8 octets of content)", "S: 250 OK", "C: QUIT"]


def test_content_is_shown_if_it_is_wanted() -> None:
    shown: list[str] = []
    transcript = Transcript(shown.append, content=True)
    for block in (b"one\r\n\r\ntwo\r\n", b"", b"three\x1b"):
        transcript.content("S", block, len(block))
    transcript.end_content()
    transcript.end_content()
    assert shown == [
        *("S| one", "S| ", "S| two", r"S| three\x1b", "S: (18 octets of content)")
    ]
