"""Serving: a flow that its driver leaves, or into which a cancellation is thrown."""

from collections.abc import Iterator
from itertools import count

import pytest

from driving import Close, Driver, Peer, Say
from pop3_serving import (
    KINDS,
    Asynchronous,
    Plain,
    connection,
    logins,
    told,
)
from smtp_pop_core import Ask, Flow, Request, pop3
from smtp_pop_core.pop3 import Ending, State
from smtp_pop_core.sasl import Stored

SAID = b"AUTH PLAIN\r\n*\r\nUSER joe\r\nPASS secret\r\nRETR 1\r\nDELE 1\r\nQUIT\r\n"


class Cancelled(BaseException):
    """What asyncio and trio throw into a task that is to end."""


def begun(
    kind: pop3.ApplicationFactory,
) -> Iterator[tuple[Flow[Ending], Driver, pop3.Connection]]:
    """Give a flow that has come to its first request, one at its second, and so on.

    A request that is shielded is carried out, whatever happens to the flow.
    """
    for steps in count():
        told.clear()
        driver = Driver(Peer(Say(SAID), Close()))
        conn = connection()
        flow = pop3.serve(conn, kind, logins=logins(Stored.PASSWORD))
        try:
            request = next(flow)
            for _ in range(steps):
                request = flow.send(driver.carry_out(request, ""))
        except StopIteration:
            return
        if isinstance(request, Ask) and request.shield:
            driver.carry_out(request, "")
        yield flow, driver, conn


def cancel(flow: Flow[Ending], driver: Driver) -> None:
    """Cancel a flow, and carry out what it has to do before it ends."""
    request: Request = flow.throw(Cancelled())
    while True:
        assert isinstance(request, Ask)
        assert request.shield
        request = flow.send(driver.carry_out(request, ""))


def test_a_flow_that_is_closed_gives_the_maildrop_back() -> None:
    """At every request, and without another one."""
    sessions = 0
    for flow, driver, _ in begun(Plain):
        asked = list(driver.asked)
        flow.close()
        assert driver.asked == asked
        assert told.count("closed") == told.count("joe")
        sessions += 1
    assert sessions > 20


@pytest.mark.parametrize("kind", KINDS)
def test_a_flow_that_is_cancelled_gives_the_maildrop_back(
    kind: pop3.ApplicationFactory,
) -> None:
    """At every request."""
    sessions = 0
    for flow, driver, conn in begun(kind):
        with pytest.raises(Cancelled):
            cancel(flow, driver)
        assert told.count("closed") == told.count("joe")
        assert ([1] in told) is ("commit" in driver.asked)
        assert conn.state is State.CLOSED or "joe" not in told
        sessions += 1
    assert sessions > 20


def test_a_maildrop_in_async_code_is_left_to_its_driver() -> None:
    """Where a flow is closed nothing can be awaited."""
    for flow, driver, _ in begun(Asynchronous):
        asked = list(driver.asked)
        flow.close()
        assert driver.asked == asked
