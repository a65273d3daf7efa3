import importlib
import re
import tomllib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutting import every_cut, octets, pieces
from smtp_pop_core._dots import LfToCrlf, Stuffer, Survey, Unstuffer
from smtp_pop_core._errors import ParseError

DATA = Path(__file__).parent / "data"
DOTSTUFF = tomllib.loads((DATA / "dotstuff.toml").read_text("utf-8"))
ENDS = tomllib.loads((DATA / "security.toml").read_text("utf-8"))["eod"]

PAIRS = [
    pytest.param(
        pair["content"].encode("latin-1"),
        pair["wire"].encode("latin-1"),
        id=pair["name"],
    )
    for pair in DOTSTUFF["pair"]
]
DECODE_ONLY = [
    pytest.param(
        case["content"].encode("latin-1"),
        case["wire"].encode("latin-1"),
        id=case["name"],
    )
    for case in DOTSTUFF["decode_only"]
]
FALSE_ENDS, TRUE_ENDS = (
    [
        pytest.param(end["sequence"].encode("latin-1"), id=end["id"])
        for end in ENDS
        if end["true_end"] is true_end
    ]
    for true_end in (False, True)
)
SMUGGLED = (
    b"MAIL FROM:<evil@example.com>\r\nRCPT TO:<victim@example.com>\r\nDATA\r\n"
    b"second\r\n.\r\n"
)

BLOCKS = st.lists(
    st.sampled_from(
        [b"\r\n", b"\r", b"\n", b".", b"a", b"\xe9", b"\r\n.", b"\r\n.\r\n"]
    ),
    max_size=20,
).map(b"".join)
TEXTS = st.lists(st.sampled_from([b"\r\n", b".", b"a", b"\xe9", b"\r\n."])).map(
    b"".join
)
LF_TEXTS = TEXTS.map(lambda text: text.replace(b"\r\n", b"\n"))


class Decoded(NamedTuple):
    content: bytes
    ended: bool
    rest: bytes
    bare: bool


def decode(wire: bytes) -> Decoded:
    """Decode an octet at a time."""
    content = line = b""
    bare = False
    last = b"\n"  # of a line that ended before the content
    for at, octet in enumerate(octets(wire)):
        bare = bare or (last == b"\r" and octet != b"\n")
        bare = bare or (octet == b"\n" and last != b"\r")
        last = octet
        line += octet
        if line == b".\r\n":
            return Decoded(content, True, wire[at + 1 :], bare)
        if line.endswith(b"\r\n"):
            content += line.removeprefix(b".")
            line = b""
    content += b"" if line == b".\r" else line.removeprefix(b".")
    return Decoded(content, False, b"", bare)


def encode(content: bytes, *, lf_ends_lines: bool = False) -> bytes | None:
    """Encode an octet at a time; None if the content is refused."""
    wire = last = b""
    for octet in octets(content):
        if last == b"\r" and octet != b"\n":
            return None
        if octet == b"\n" and last != b"\r":
            if not lf_ends_lines:
                return None
            wire += b"\r"
        if octet == b"." and last in (b"", b"\n"):
            wire += b"."
        wire += octet
        last = octet
    if last == b"\r":
        return None
    return wire + (b".\r\n" if last in (b"", b"\n") else b"\r\n.\r\n")


def unstuff(cut: Iterable[bytes]) -> Decoded:
    unstuffer = Unstuffer()
    content = b"".join([unstuffer.feed(piece) for piece in cut])
    return Decoded(content, unstuffer.ended, unstuffer.rest, unstuffer.bare)


def stuff(cut: Iterable[bytes], *, lf_ends_lines: bool = False) -> bytes | None:
    stuffer = Stuffer()
    try:
        wire = [stuffer.feed(piece, lf_ends_lines=lf_ends_lines) for piece in cut]
        return b"".join([*wire, stuffer.end()])
    except ParseError:
        return None


def survey(cut: Iterable[bytes]) -> Survey:
    found = Survey()
    for piece in cut:
        found.feed(piece)
    found.finish()
    return found


def is_safe(wire: bytes) -> bool:
    """Whether no reader can see an end but the last, or a line end but CRLF."""
    end = (b"\r\n" + wire).find(b"\r\n.\r\n")
    return end + 3 == len(wire) and not re.search(rb"\r(?!\n)|(?<!\r)\n", wire)


# What comes off the wire.


@pytest.mark.parametrize(("content", "wire"), [*PAIRS, *DECODE_ONLY])
def test_every_cut_of_the_wire_gives_the_same_content(
    content: bytes, wire: bytes
) -> None:
    bare = decode(wire).bare
    assert decode(wire) == (content, True, b"", bare)
    for cut in every_cut(wire):
        assert unstuff(cut) == (content, True, b"", bare)


@pytest.mark.parametrize(
    ("wire", "decoded"),
    [
        (b".\r\n", (b"", True, b"", False)),
        (b"a\r\r\n.\r\n", (b"a\r\r\n", True, b"", True)),
        (b"a\n.\r\n.\r\n", (b"a\n.\r\n", True, b"", True)),
        (b"a\r\n.\r\nQUIT\r\n", (b"a\r\n", True, b"QUIT\r\n", False)),
        (b"a\r\n.\r\n\n.\r\n", (b"a\r\n", True, b"\n.\r\n", False)),
        (b".\r\n.\r\n", (b"", True, b".\r\n", False)),
        (b"\r\n.\r\n.\r\n", (b"\r\n", True, b".\r\n", False)),
        (b"..\r\n.\r", (b".\r\n", False, b"", False)),
        (b".\r", (b"", False, b"", False)),
        (b".\ra", (b"\ra", False, b"", True)),
        (b".\r\r\n", (b"\r\r\n", False, b"", True)),
        (b".\n", (b"\n", False, b"", True)),
        (b"\n", (b"\n", False, b"", True)),
        (b"\n.\r\n", (b"\n.\r\n", False, b"", True)),
        (b"a\r", (b"a\r", False, b"", False)),
    ],
)
def test_what_is_decoded_does_not_depend_on_the_cut(
    wire: bytes, decoded: tuple[bytes, bool, bytes, bool]
) -> None:
    assert decode(wire) == decoded
    for cut in every_cut(wire):
        assert unstuff(cut) == decoded


@given(st.data(), BLOCKS)
def test_any_wire_gives_the_content_of_the_reference(
    data: st.DataObject, wire: bytes
) -> None:
    assert unstuff(data.draw(pieces(wire))) == decode(wire)


@given(BLOCKS)
def test_content_is_given_as_soon_as_it_is_certain(wire: bytes) -> None:
    unstuffer = Unstuffer()
    content = b""
    for at, octet in enumerate(octets(wire), 1):
        content += unstuffer.feed(octet)
        found = Decoded(content, unstuffer.ended, unstuffer.rest, unstuffer.bare)
        assert found == decode(wire[:at])


def test_an_empty_block_changes_nothing() -> None:
    assert unstuff([b"", b"a\r\n.", b"", b"\r", b"", b"\n", b""]) == decode(
        b"a\r\n.\r\n"
    )


@pytest.mark.parametrize("sequence", FALSE_ENDS)
def test_nothing_but_a_line_of_one_dot_ends_the_content(sequence: bytes) -> None:
    """SMTP smuggling: a second message must not hide in the content of the first."""
    wire = b"first" + sequence + SMUGGLED
    expected = decode(wire)
    assert expected.content.endswith(b"second\r\n")
    assert (expected.ended, expected.rest) == (True, b"")
    for cut in every_cut(wire):
        assert unstuff(cut) == expected


@pytest.mark.parametrize("sequence", TRUE_ENDS)
def test_a_line_of_one_dot_ends_the_content(sequence: bytes) -> None:
    wire = b"first" + sequence + SMUGGLED
    end = wire.index(b"\r\n.\r\n")
    for cut in every_cut(wire):
        found = unstuff(cut)
        assert found.content == wire[: end + 2]
        assert found.ended
        assert found.rest == wire[end + 5 :]
        assert found.bare is (b"\r\r" in sequence)


# What comes off the wire of a peer whose lines end with LF.


def to_crlf(cut: Iterable[bytes]) -> bytes:
    line_ends = LfToCrlf()
    return b"".join([line_ends.feed(piece) for piece in cut])


@pytest.mark.parametrize(
    ("received", "taken"),
    [
        (b"", b""),
        (b"a", b"a"),
        (b"\n", b"\r\n"),
        (b"\r\n", b"\r\n"),
        (b"a\nb\r\nc\n", b"a\r\nb\r\nc\r\n"),
        (b"\n\n\r\n\n", b"\r\n\r\n\r\n\r\n"),
        (b"\n.\n", b"\r\n.\r\n"),
        (b"\r", b"\r"),
        (b"a\rb\n", b"a\rb\r\n"),
        (b"\r\r\n\n", b"\r\r\n\r\n"),
        (b"\n\r", b"\r\n\r"),
    ],
)
def test_every_lf_becomes_crlf_however_it_is_cut(received: bytes, taken: bytes) -> None:
    for cut in every_cut(received):
        assert to_crlf(cut) == taken


@given(st.data(), BLOCKS)
def test_any_lf_becomes_crlf_and_nothing_else_changes(
    data: st.DataObject, received: bytes
) -> None:
    taken = re.sub(rb"(?<!\r)\n", b"\r\n", received)
    assert to_crlf(data.draw(pieces(received))) == taken
    assert to_crlf([taken]) == taken


def test_an_empty_block_parts_no_cr_from_its_lf() -> None:
    assert to_crlf([b"a\r", b"", b"\n", b"", b"\n"]) == b"a\r\n\r\n"


def test_a_cr_is_not_held_back() -> None:
    line_ends = LfToCrlf()
    assert line_ends.feed(b"a\r") == b"a\r"
    assert line_ends.feed(b"\n") == b"\n"


# What goes onto the wire.


@pytest.mark.parametrize(("content", "wire"), PAIRS)
def test_every_cut_of_the_content_gives_the_same_wire(
    content: bytes, wire: bytes
) -> None:
    assert encode(content) == wire
    for cut in every_cut(content):
        assert stuff(cut) == wire


@pytest.mark.parametrize(("content", "wire"), PAIRS)
def test_what_was_surveyed_gives_the_same_wire(content: bytes, wire: bytes) -> None:
    for cut in every_cut(content):
        stuffer = Stuffer()
        sent = b"".join([stuffer.feed(block, surveyed=True) for block in cut])
        assert sent + stuffer.end() == wire


@pytest.mark.parametrize(("content", "wire"), PAIRS)
def test_content_with_lf_is_sent_with_crlf(content: bytes, wire: bytes) -> None:
    lines = content.replace(b"\r\n", b"\n")
    assert encode(lines, lf_ends_lines=True) == wire
    for cut in every_cut(lines):
        assert stuff(cut, lf_ends_lines=True) == wire


@pytest.mark.parametrize(
    ("content", "wire"),
    [
        (b"a", b"a\r\n.\r\n"),
        (b".", b"..\r\n.\r\n"),
        (b"\r\n", b"\r\n.\r\n"),
        (b"a\r\n.", b"a\r\n..\r\n.\r\n"),
        (b"a\n.\r\n.\nb", b"a\r\n..\r\n..\r\nb\r\n.\r\n"),
        (b"\n", b"\r\n.\r\n"),
        (b"\n\r\n\n", b"\r\n\r\n\r\n.\r\n"),
        (b"a\r", None),
        (b"a\rb", None),
        (b"a\r\r\n", None),
        (b"a\n\rb\n", None),
    ],
)
def test_a_line_end_is_completed_and_a_bare_cr_refused(
    content: bytes, wire: bytes | None
) -> None:
    assert encode(content, lf_ends_lines=True) == wire
    for cut in every_cut(content):
        assert stuff(cut, lf_ends_lines=True) == wire


@pytest.mark.parametrize("content", [b"\n", b"a\n.\n", b"a\r\nb\n", b"\r\n\n"])
def test_a_bare_lf_is_refused_unless_asked_for(content: bytes) -> None:
    for cut in every_cut(content):
        assert stuff(cut) is None


@given(st.data(), BLOCKS | TEXTS | LF_TEXTS, st.booleans())
def test_any_content_gives_the_wire_of_the_reference(
    data: st.DataObject, content: bytes, lf_ends_lines: bool
) -> None:
    wire = stuff(data.draw(pieces(content)), lf_ends_lines=lf_ends_lines)
    assert wire == encode(content, lf_ends_lines=lf_ends_lines)
    assert wire is None or is_safe(wire)


@given(st.data(), TEXTS)
def test_what_was_stuffed_is_unstuffed(data: st.DataObject, content: bytes) -> None:
    wire = stuff(data.draw(pieces(content)))
    assert wire is not None
    missing = b"" if not content or content.endswith(b"\r\n") else b"\r\n"
    cut = data.draw(pieces(wire))
    assert unstuff(cut) == (content + missing, True, b"", False)


@pytest.mark.parametrize(
    ("content", "before", "after"),
    [
        (b"", 0, 0),
        (b"a\r\n", 3, 3),
        (b"a", 1, 3),  # the end brings the last line end
        (b".\r\n..", 5, 7),  # as its receiver counts them, without the stuffing
        (b"a\nb\n", 6, 6),
        (b"a\n\r\nb", 6, 8),
    ],
)
def test_octets_are_counted_as_a_receiver_counts_them(
    content: bytes, before: int, after: int
) -> None:
    """RFC 1870 section 5, RFC 1939 section 11."""
    for cut in every_cut(content):
        stuffer = Stuffer()
        wire = [stuffer.feed(piece, lf_ends_lines=True) for piece in cut]
        assert stuffer.octets == before
        wire.append(stuffer.end())
        assert stuffer.octets == after == len(decode(b"".join(wire)).content)


def test_octets_that_were_refused_are_not_counted() -> None:
    stuffer = Stuffer()
    stuffer.feed(b"a\r")
    with suppress(ParseError):
        stuffer.feed(b"b")
    with suppress(ParseError):
        stuffer.end()
    assert stuffer.octets == 1


@given(TEXTS | LF_TEXTS)
def test_the_octets_counted_are_the_size_that_was_surveyed(content: bytes) -> None:
    stuffer = Stuffer()
    stuffer.feed(content, lf_ends_lines=True)
    stuffer.end()
    assert stuffer.octets == survey([content]).size


@pytest.mark.parametrize("sequence", [*FALSE_ENDS, *TRUE_ENDS])
@pytest.mark.parametrize("lf_ends_lines", [False, True])
def test_content_that_imitates_an_end_is_refused_or_made_safe(
    sequence: bytes, lf_ends_lines: bool
) -> None:
    content = b"first" + sequence + b"second\r\n"
    expected = encode(content, lf_ends_lines=lf_ends_lines)
    assert expected is None or is_safe(expected)
    for cut in every_cut(content):
        assert stuff(cut, lf_ends_lines=lf_ends_lines) == expected


@pytest.mark.parametrize("sequence", FALSE_ENDS)
def test_content_that_came_in_is_safe_when_it_is_sent_on(sequence: bytes) -> None:
    received = unstuff([b"first" + sequence + SMUGGLED])
    sent = stuff([received.content])
    assert (sent is None) is received.bare
    assert sent is None or is_safe(sent)


def test_only_a_cr_is_held_back() -> None:
    stuffer = Stuffer()
    assert stuffer.feed(b"a\r") == b"a"
    assert stuffer.feed(b"") == b""
    assert stuffer.feed(b"\n") == b"\r\n"
    assert stuffer.feed(b".\r") == b".."
    assert stuffer.feed(b"\n.") == b"\r\n.."
    assert stuffer.end() == b"\r\n.\r\n"


@given(st.lists(st.tuples(BLOCKS, st.booleans()), max_size=6))
def test_a_block_that_is_refused_changes_nothing(
    blocks: list[tuple[bytes, bool]],
) -> None:
    stuffer = Stuffer()
    sent = accepted = b""
    for block, lf_ends_lines in [*blocks, (b"\n", True)]:
        with suppress(ParseError):
            sent += stuffer.feed(block, lf_ends_lines=lf_ends_lines)
            accepted += block
    assert sent + stuffer.end() == encode(accepted, lf_ends_lines=True)


def test_an_end_that_is_refused_changes_nothing() -> None:
    stuffer = Stuffer()
    assert stuffer.feed(b"a\r") == b"a"
    with pytest.raises(ParseError, match=r"^content ends with a bare CR$"):
        stuffer.end()
    assert stuffer.feed(b"\n") == b"\r\n"
    assert stuffer.end() == b".\r\n"


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (b"a\rb", "content has a bare CR"),
        (b"a\nb", "content has a bare LF"),
        (b"a\nb\rc\r\n", "content has a bare CR"),
    ],
)
def test_the_error_says_what_is_bare(block: bytes, message: str) -> None:
    with pytest.raises(ParseError, match=f"^{message}$"):
        Stuffer().feed(block)


# What is known before sending.


@pytest.mark.parametrize(
    ("content", "size", "eight_bit", "bare_cr", "bare_lf"),
    [
        (b"", 0, False, False, False),
        (b"a", 3, False, False, False),
        (b"a\r\n", 3, False, False, False),
        (b".\r\n.\r\n", 6, False, False, False),
        (b"a\nb", 6, False, False, True),
        (b"\n\r\n\n", 6, False, False, True),
        (b"a\r", 4, False, True, False),
        (b"\r\r\n", 3, False, True, False),
        (b"\n\r", 5, False, True, True),
        (b"\xe9\r\n", 3, True, False, False),
        (b"\x7f\r\n", 3, False, False, False),
    ],
)
def test_a_survey_does_not_depend_on_the_cut(
    content: bytes, size: int, eight_bit: bool, bare_cr: bool, bare_lf: bool
) -> None:
    for cut in every_cut(content):
        found = survey(cut)
        assert found.size == size
        assert found.eight_bit is eight_bit
        assert (found.bare_cr, found.bare_lf) == (bare_cr, bare_lf)


@given(st.data(), BLOCKS)
def test_a_survey_finds_what_a_slow_look_finds(
    data: st.DataObject, content: bytes
) -> None:
    lines = re.sub(rb"(?<!\r)\n", b"\r\n", content)
    missing = 0 if not lines or lines.endswith(b"\r\n") else 2
    found = survey(data.draw(pieces(content)))
    assert found.size == len(lines) + missing
    assert found.eight_bit is (max(content, default=0) > 127)
    assert found.bare_cr is bool(re.search(rb"\r(?!\n)", content))
    assert found.bare_lf is bool(re.search(rb"(?<!\r)\n", content))


@pytest.mark.parametrize("after", [b"", b"a", b"a" * 300_000])
@pytest.mark.parametrize("ends", [b"\r\n", b"\r", b"\n", b"\n\r", b"\r\n\r", b"\r\r\n"])
@pytest.mark.parametrize("before", [262_142, 262_143, 262_144, 524_287])
def test_a_survey_finds_it_around_the_cuts_of_a_large_content(
    before: int, ends: bytes, after: bytes
) -> None:
    """It is looked at in pieces of 262,144 octets."""
    content = b"a" * before + ends + after
    found = survey([content])
    assert found.bare_cr is bool(re.search(rb"\r(?!\n)", content))
    assert found.bare_lf is bool(re.search(rb"(?<!\r)\n", content))


@given(TEXTS | LF_TEXTS)
def test_the_size_surveyed_is_the_size_received(content: bytes) -> None:
    wire = stuff([content], lf_ends_lines=True)
    assert wire is not None
    assert survey([content]).size == len(decode(wire).content)


# What is relied on in the standard library.


@pytest.mark.parametrize("module", ["io", "_pyio"])
@pytest.mark.parametrize(
    ("cut", "newlines"),
    [
        ([], None),
        (["a"], None),
        (["a\r\nb\r\n"], "\r\n"),
        (["a\r", "\nb"], "\r\n"),
        (["a\r", "", "\n"], "\r\n"),
        (["a\r\nb\r"], "\r\n"),  # not known yet
        (["a\r"], None),
        (["a\r", "b"], "\r"),
        (["a\rb"], "\r"),
        (["a\nb"], "\n"),
        (["a\r\r\n"], ("\r", "\r\n")),
        (["a\r", "\r", "\n"], ("\r", "\r\n")),
        (["a\r\n\n"], ("\n", "\r\n")),
        (["a\n\r", "b"], ("\r", "\n")),
        (["\n\r\n\r\r\n"], ("\r", "\n", "\r\n")),
        (["a\x0b\x0c\x1c\x1d\x1e\x85"], None),
    ],
)
def test_the_newline_decoder_knows_the_line_ends_it_saw(
    module: str, cut: list[str], newlines: str | tuple[str, ...] | None
) -> None:
    decoder = importlib.import_module(module).IncrementalNewlineDecoder(None, False)
    for piece in cut:
        decoder.decode(piece)
    assert decoder.newlines == newlines


@pytest.mark.parametrize("module", ["io", "_pyio"])
@pytest.mark.parametrize(
    ("text", "translated", "newlines"),
    [
        ("a\r\nb\nc", "a\nb\nc", ("\n", "\r\n")),
        ("\n\r\n\x85\xff", "\n\n\x85\xff", ("\n", "\r\n")),
        ("a\r", "a\n", "\r"),
    ],
)
def test_a_final_newline_decoder_keeps_nothing_back(
    module: str, text: str, translated: str, newlines: str | tuple[str, ...]
) -> None:
    kind = importlib.import_module(module).IncrementalNewlineDecoder
    seeing, translating = kind(None, False), kind(None, True)
    assert seeing.decode(text, final=True) == text
    assert seeing.newlines == newlines
    assert translating.decode(text, final=True) == translated
