"""What became of the messages that were collected."""

import pytest

from smtp_pop_core import ConnectionLost, pop3
from smtp_pop_core.pop3 import ERR, OK, Collected, Listed, Response

BYE = Response(OK, "bye")
LEFT = Response(ERR, "some left", "SYS/TEMP")
ONE, TWO = Listed(1, 120, "a"), Listed(2, 200)


def collected(
    *,
    refused: Response | None = None,
    in_doubt: tuple[Listed, ...] = (),
    reply: Response | None = BYE,
) -> Collected:
    return Collected(
        stored=(ONE,),
        known=(),
        refused={} if refused is None else {TWO: refused},
        deleted=(),
        in_doubt=in_doubt,
        reply=reply,
    )


@pytest.mark.parametrize("reply", [BYE, LEFT, None])
def test_what_has_gone_well_passes(reply: Response | None) -> None:
    """Where nothing was to be removed, the response to QUIT does not matter."""
    assert collected(reply=reply).check() is None  # type: ignore[func-returns-value]


@pytest.mark.parametrize(
    ("asked", "command"),
    [(pop3.Retr(2), pop3.Retr(2)), (pop3.Dele(2), pop3.Dele(2)), (None, pop3.Quit())],
)
@pytest.mark.parametrize("in_doubt", [(), (ONE,)])
def test_a_message_that_was_refused_is_told(
    in_doubt: tuple[Listed, ...], asked: pop3.Command | None, command: pop3.Command
) -> None:
    response = Response(ERR, "no", "SYS/TEMP", command=asked)
    result = collected(refused=response, in_doubt=in_doubt, reply=None)
    with pytest.raises(pop3.Rejected) as caught:
        result.check()
    assert caught.value.command == command
    assert caught.value.response is response
    assert caught.value.temporary


def test_messages_that_could_not_be_removed_are_told() -> None:
    with pytest.raises(pop3.Rejected) as caught:
        collected(in_doubt=(ONE,), reply=LEFT).check()
    assert caught.value.command == pop3.Quit()
    assert caught.value.response is LEFT


def test_a_quit_without_an_answer_leaves_doubt() -> None:
    """RFC 1939 section 6: only +OK says that the messages are gone."""
    with pytest.raises(ConnectionLost):
        collected(in_doubt=(ONE,), reply=None).check()


def test_what_was_collected_has_no_truth_value() -> None:
    with pytest.raises(TypeError, match="ask for what you need"):
        bool(collected())


def test_a_message_is_what_the_server_has_listed() -> None:
    assert Listed(2, 200) == Listed(2, 200, None) != Listed(2, 200, "b")
    assert {ONE: "hashable"}[Listed(1, 120, "a")] == "hashable"
