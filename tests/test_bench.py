"""The measurements run and compare what they say; how long anything takes is open."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import pytest
from bench import _report, instructions
from bench._contents import dots_only, dotted, encoded, mixed, pieces, stuffed, text
from bench._counted import REFERENCE, works
from bench._engines import PARTS
from bench._goals import ENGINE, GOALS, GROWING, Goal, verdicts
from bench._growth import WORKS
from bench._in_memory import Session
from bench._measure import (
    OURS,
    Contender,
    Effort,
    Group,
    Outcome,
    compare,
    repetitions,
)
from bench._report import details, goals, unmeasured
from bench._smtp_servers import Sink

from smtp_pop_core import SERVER, smtp

Kind: TypeAlias = Callable[[int], bytes]
ONCE = Effort(rounds=1, seconds=0)
OCTETS = 4_000
ENGINES = ("SMTP server:", "SMTP client:", "content ", "POP3 server:", "POP3 client:")
WANTED = [goal for goal in GOALS if goal.group.startswith(ENGINES)]


def measured(part: str) -> Outcome:
    outcome = Outcome()
    for group in PARTS[part](OCTETS, outcome):
        compare(group, ONCE, outcome)
    return outcome


@pytest.mark.parametrize("part", PARTS)
def test_every_engine_does_its_work_once(part: str) -> None:
    outcome = measured(part)
    assert outcome.missing == []
    assert {OURS in them for them in outcome.figures.values()} == {True}
    assert {
        len(figures) for them in outcome.figures.values() for figures in them.values()
    } == {1}


@pytest.mark.parametrize("work", WORKS)
def test_every_work_that_grows_is_done_at_two_sizes(work: str) -> None:
    for size in (1, 3):
        WORKS[work](size)()


def test_the_goals_of_growth_name_works() -> None:
    assert set(GROWING) <= set(WORKS)


def test_the_goals_of_engines_name_what_is_measured() -> None:
    groups = [group for part in PARTS.values() for group in part(OCTETS, Outcome())]
    names = {(group.name, each.name) for group in groups for each in group.contenders}
    assert {(goal.group, goal.contender) for goal in WANTED} <= names
    assert {(goal.group, goal.peer) for goal in WANTED} <= names


@pytest.mark.parametrize("kind", [text, encoded, dotted, dots_only, mixed])
def test_a_content_has_the_size_that_was_asked_for(kind: Kind) -> None:
    assert [len(kind(size)) for size in (1_024, 1_000_003)] == [1_024, 1_000_003]


@pytest.mark.parametrize("kind", [text, encoded, dotted])
def test_a_content_is_whole_lines_with_crlf(kind: Kind) -> None:
    content = kind(10_000)
    assert content.endswith(b"\r\n")
    assert content.count(b"\r\n") == content.count(b"\n") == content.count(b"\r")


def test_stuffed_content_can_be_cut_into_reads() -> None:
    assert b"".join(pieces(stuffed(b".a\r\nb\r\n.\r\n"), 3)) == (
        b"..a\r\nb\r\n..\r\n.\r\n"
    )


def test_contenders_take_turns() -> None:
    turns: list[str] = []

    def contender(name: str) -> Contender:
        return Contender(name, lambda _: lambda: turns.append(name))

    group = Group("work", [contender("a"), contender("b")])
    compare(group, Effort(rounds=2, seconds=0), Outcome())
    assert turns == ["a", "b", "a", "b", "a", "b"]


def test_a_session_that_has_ended_hears_nothing_more() -> None:
    one = Session(smtp.serve(smtp.Connection(SERVER), Sink))
    one.hear([b"QUIT\r\n"])
    assert one.ended
    with pytest.raises(AssertionError, match="ended before"):
        one.hear([b"QUIT\r\n"])


def test_a_turn_has_more_repetitions_of_what_is_quick() -> None:
    counts: list[int] = []
    added: list[int] = []

    def prepare(count: int) -> Callable[[], None]:
        counts.append(count)
        return lambda: added.append(sum(range(100 * count)))

    assert repetitions(Contender("sum", prepare), 0.001) == counts[-1] > 1
    assert counts[0] == 1


@pytest.mark.parametrize(
    ("goal", "ours", "peer", "reached", "met"),
    [
        (Goal("work", 2, "peer"), [1.0, 2.0, 1.0], [3.0, 2.0, 2.0], 2.0, True),
        (Goal("work", 2.5, "peer"), [1.0], [2.0], 2.0, False),
        (Goal("work", 0.5, "peer", at_least=False), [1.0], [2.0], 0.5, True),
        (Goal("work", 0.4, "peer", at_least=False), [1.0], [2.0], 0.5, False),
        (Goal("work", 8, at_least=False, scale=1e3), [7e3], [1.0], 7.0, True),
        (Goal("work", 6, at_least=False, scale=1e3), [7e3], [1.0], 7.0, False),
    ],
)
def test_a_goal_is_met_by_the_median_of_ratios(
    goal: Goal, ours: Sequence[float], peer: Sequence[float], reached: float, met: bool
) -> None:
    figures = {"work": {OURS: list(ours), "peer": list(peer)}}
    (verdict,) = verdicts(figures, [goal])
    assert (verdict.reached.median, verdict.met) == (reached, met)


def test_a_goal_without_its_peer_has_no_verdict() -> None:
    figures = {"work": {OURS: [1.0]}}
    assert list(verdicts(figures, [Goal("work", 2, "peer"), Goal("play", 2)])) == []


def test_the_tables_name_work_figures_and_verdict() -> None:
    group = "POP3 client: RETR 1 MB"
    figures = {group: {OURS: [1e-3], ENGINE: [1e-3], "poplib": [25e-3]}}
    assert list(goals(figures))[-1] == (
        f"| {group} ({ENGINE}) | the speed of poplib | ≥ 12 | 25 | 25 to 25 | yes |"
    )
    assert list(details({"figures": figures, "octets": {group: 1_000_000}}))[-1] == (
        f"| {group} | poplib | 25 ms | 25 to 25 | 40 |"
    )
    assert len(unmeasured(figures)) == len(GOALS) - 1


@pytest.mark.parametrize("path", works())
def test_every_path_that_is_counted_is_done(path: str) -> None:
    run, _ = works()[path]
    run(2)


def test_every_baseline_knows_the_paths() -> None:
    baseline = json.loads(instructions.BASELINE.read_text())
    imports = {"all of smtp_pop_core.smtp", "all of smtp_pop_core.pop3"}
    assert [set(counts) for counts in baseline.values()] == (
        [imports | set(works())] * len(baseline)
    )


def test_instructions_are_compared_in_units_of_the_reference() -> None:
    before = {REFERENCE: 100, "a": 1_000, "b": 1_000, "gone": 1}
    now = {REFERENCE: 200, "a": 2_000, "b": 2_400, "new": 1}
    grown = instructions.growth(now, before)
    assert grown == {"a": 1.0, "b": 1.2}
    assert instructions.complaints(grown) == [
        "b takes 1.20 times the instructions of before"
    ]


@pytest.mark.parametrize(("environment", "code"), [({}, 0), ({"CI": "true"}, 1)])
def test_without_valgrind_only_ci_fails(
    environment: dict[str, str],
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("os.environ", {"PATH": "/nowhere", **environment})
    assert instructions.main([]) == code
    assert capsys.readouterr().out == (
        "instructions are not counted: valgrind is not there\n"
    )


def test_a_page_gets_the_tables_between_its_marks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.md"
    begin = "<!-- growth: made by bench.run --page -->\n"
    end = "<!-- end of growth -->"
    page.write_text(f"before\n{begin}old\n{end}\nafter\n")
    monkeypatch.setattr(_report, "PAGE", page)
    section = {"said": "3 rounds.", "figures": {"growth": {OURS: [1]}}, "octets": {}}
    _report.renew_page({"growth": section, "memory": section})
    assert page.read_text() == (
        f"before\n{begin}3 rounds.\n\n"
        "| work | who | median | from, to | MB/s |\n"
        "| --- | --- | --- | --- | --- |\n"
        f"| growth | ours | 1 | 1 to 1 |  |\n{end}\nafter\n"
    )
