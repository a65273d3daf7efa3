"""Serving with an application that makes mistakes: 451, a report, and no more."""

from collections.abc import Callable
from typing import Any

import pytest

from driving import Expect
from serving import HELLO, QUIT, STEPS, Served, Taking, answering, awaiting
from smtp_pop_core import MessageAborted, smtp
from smtp_pop_core.smtp import Ending, Reply, State

LONG = "x" * 510
WRONG: list[object] = [
    "250 OK",
    250,
    True,
    Reply(354),
    Reply(250, (LONG,)),
    Reply(250, ("a", LONG)),
    Reply(334, ("x",)),
]


MAKERS = [answering, awaiting]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("method", STEPS)
def test_a_wrong_answer_is_451_and_reported(
    method: str, wrong: object, make: Callable[[str, object], smtp.ApplicationFactory]
) -> None:
    served = Served(make(method, wrong), *STEPS[method], *QUIT)
    assert len(served.driver.reports) == 1
    assert served.ending is Ending.QUIT


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(
    "error", [ValueError("secret"), TimeoutError("secret"), OSError(), KeyError()]
)
@pytest.mark.parametrize("method", STEPS)
def test_an_exception_is_451_and_reported_and_its_text_is_not_told(
    method: str,
    error: Exception,
    make: Callable[[str, object], smtp.ApplicationFactory],
) -> None:
    served = Served(make(method, error), *STEPS[method], *QUIT)
    assert served.driver.reports == [error]
    assert b"secret" not in b"".join(served.peer.writes)
    assert served.ending is Ending.QUIT


@pytest.mark.parametrize("make", MAKERS)
def test_an_exception_at_the_end_is_reported(
    make: Callable[[str, object], smtp.ApplicationFactory],
) -> None:
    error = ValueError("secret")
    served = Served(make("close", error), *HELLO, *QUIT)
    assert served.driver.reports == [error]
    assert served.ending is Ending.QUIT


@pytest.mark.parametrize("make", MAKERS)
def test_an_aborted_message_is_nobodys_mistake(
    make: Callable[[str, object], smtp.ApplicationFactory],
) -> None:
    application = make("message", MessageAborted("enough"))
    served = Served(application, *STEPS["message"], *QUIT)
    assert served.driver.reports == []


def failing_factory(_: smtp.Peer) -> smtp.Application:
    raise ValueError("secret")


def factory_of(answer: Any) -> smtp.ApplicationFactory:
    def factory(_: smtp.Peer) -> smtp.Application:
        result: smtp.Application = answer
        return result

    return factory


@pytest.mark.parametrize(
    "factory",
    [failing_factory, factory_of(None), factory_of(Taking), factory_of(Reply)],
)
def test_without_an_application_the_server_is_not_available(
    factory: smtp.ApplicationFactory,
) -> None:
    served = Served(factory, Expect(b"421 Not available now\r\n"))
    assert served.ending is Ending.REFUSED
    assert len(served.driver.reports) == 1
    assert served.conn.state is State.CLOSED


def test_an_application_may_be_made_in_async_code() -> None:
    async def factory(peer: smtp.Peer) -> smtp.Application:
        return Taking(peer)

    made: Any = factory
    assert Served(made, *HELLO, *QUIT).ending is Ending.QUIT
