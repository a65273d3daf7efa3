"""What became of a message, as it is told to the caller."""

import pytest

from smtp_pop_core import Rejected, smtp
from smtp_pop_core.smtp import MailResult, Outcome, RecipientResult, Reply

RCPT = smtp.Rcpt("b@example.com")


def refused(
    name: str,
    code: int,
    status: str | None = None,
    command: smtp.Command | None = RCPT,
) -> RecipientResult:
    enhanced = smtp.EnhancedCode.parse(status) if status else None
    reply = Reply(code, ("no",), enhanced, command)
    return RecipientResult(name, Outcome.REFUSED, reply)


ACCEPTED = RecipientResult("a", Outcome.ACCEPTED, Reply(250))
IN_DOUBT = RecipientResult("d", Outcome.IN_DOUBT, None)
MIXED = MailResult(
    Outcome.PARTLY_ACCEPTED,
    (refused("x", 550), ACCEPTED, refused("y", 450), IN_DOUBT, refused("z", 552)),
    Reply(250),
)


def test_the_addresses_are_told_apart_in_their_order() -> None:
    assert MIXED.accepted == ["a"]
    assert MIXED.refused == ["x", "y", "z"]
    assert MIXED.in_doubt == ["d"]
    assert MIXED.retry == ["y", "z"]
    assert MIXED.failed == ["x"]


def test_a_result_says_when_the_first_is_to_be_tried_again() -> None:
    ordinary = smtp.Retry(1800, smtp.Reason.OTHER, other_host=False)
    too_many = smtp.Retry(0, smtp.Reason.RECIPIENTS, other_host=False)
    advices = [each.advice for each in MIXED.recipients]
    assert advices == [None, None, ordinary, None, too_many]
    assert MIXED.advice == too_many


def test_a_server_that_takes_nobody_is_not_asked_again_at_once() -> None:
    ordinary, too_many = refused("y", 450), refused("z", 552)
    expected = smtp.Retry(1800, smtp.Reason.RECIPIENTS, other_host=False)
    assert MailResult(Outcome.REFUSED, (too_many,), None).advice == expected
    greylisted = RecipientResult("g", Outcome.REFUSED, Reply(450, ("greylisted",)))
    result = MailResult(Outcome.REFUSED, (ordinary, greylisted, too_many), None)
    assert result.advice == greylisted.advice


def test_without_hope_there_is_no_advice() -> None:
    for each in (ACCEPTED, IN_DOUBT, refused("x", 550)):
        result = MailResult(each.outcome, (each,), each.reply)
        assert result.advice is each.advice is None


@pytest.mark.parametrize(
    ("result", "temporary"),
    [
        (ACCEPTED, False),
        (IN_DOUBT, False),
        (refused("x", 450), True),
        (refused("x", 421, command=None), True),
        (refused("x", 550), False),
        (refused("x", 552), True),
        (refused("x", 552, "5.5.3"), True),
        (refused("x", 552, "5.2.2"), False),
        (refused("x", 552, "5.3.4"), False),
        (refused("x", 552, command=smtp.EndOfMessage()), False),
        (refused("x", 552, command=smtp.Mail("a@example.com")), False),
        (refused("x", 552, command=None), False),
        (RecipientResult("x", Outcome.ACCEPTED, Reply(450)), False),
    ],
)
def test_too_many_recipients_are_tried_again(
    result: RecipientResult, temporary: bool
) -> None:
    """552 to RCPT stands for 452.  RFC 5321 section 4.5.3.1.10."""
    assert result.temporary is temporary


def test_a_result_has_no_truth_value() -> None:
    with pytest.raises(TypeError, match="ask for its outcome"):
        bool(MIXED)


def test_check_lets_pass_what_all_have_got() -> None:
    MailResult(Outcome.ACCEPTED, (ACCEPTED, ACCEPTED), Reply(250)).check()


@pytest.mark.parametrize("code", [450, 550])
def test_check_raises_what_was_refused_first(code: int) -> None:
    result = MailResult(
        Outcome.PARTLY_ACCEPTED,
        (ACCEPTED, refused("x", code), refused("y", 599)),
        Reply(250),
    )
    with pytest.raises(smtp.Rejected, match=f"Rcpt: {code} no") as caught:
        result.check()
    assert isinstance(caught.value, Rejected)
    assert caught.value.command == RCPT
    assert caught.value.reply.code == code
    assert caught.value.temporary is (code == 450)


def test_check_raises_though_nothing_was_asked() -> None:
    result = refused("x", 421, command=None)
    with pytest.raises(smtp.Rejected, match="421 no"):
        MailResult(Outcome.REFUSED, (result,), result.reply).check()


@pytest.mark.parametrize("recipients", [(IN_DOUBT,), (ACCEPTED, IN_DOUBT)])
def test_check_raises_what_is_in_doubt(recipients: tuple[RecipientResult, ...]) -> None:
    with pytest.raises(smtp.InDoubt, match="before the last reply"):
        MailResult(Outcome.IN_DOUBT, recipients, None).check()


def test_a_refusal_outweighs_doubt() -> None:
    result = MailResult(Outcome.IN_DOUBT, (IN_DOUBT, refused("x", 550)), None)
    with pytest.raises(smtp.Rejected):
        result.check()
