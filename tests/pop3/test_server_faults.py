"""Serving with an application that makes mistakes: -ERR, a report, and no more."""

from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from driving import Expect, Say, Step
from pop3_serving import (
    CONTENTS,
    FAILED,
    GREETING,
    LOGIN,
    NAMED,
    OPENED,
    QUIT,
    Memory,
    Plain,
    Served,
    Talk,
    answering,
    awaiting,
    connection,
    logins,
    opening,
    told,
)
from smtp_pop_core import (
    LocalProtocolError,
    Logins,
    MessageAborted,
    Negotiated,
    pop3,
    sasl,
)
from smtp_pop_core.pop3 import ERR, MORE, OK, Ending, Response, State
from smtp_pop_core.sasl import Stored

Maker = Callable[[str, object], pop3.ApplicationFactory]

MAKERS: Final = [answering, awaiting]
OFFERED: Final = (*pop3.usual(), pop3.capabilities.Lang())
ASKING: Final[dict[str, list[Step]]] = {
    "connect": [Expect(FAILED)],
    "authenticate": [
        GREETING,
        Say(b"USER joe\r\nPASS secret\r\n"),
        Expect(NAMED + FAILED),
        *QUIT,
    ],
    "open": [
        GREETING,
        Say(b"USER joe\r\nPASS secret\r\n"),
        Expect(NAMED + FAILED),
        *QUIT,
    ],
    "command": [*LOGIN, Say(b"LANG de\r\n"), Expect(FAILED), *QUIT],
}
"""What leads to the call of each method that fails, and goes on from there."""

LONG: Final = "x" * 510
WRONG: Final[list[tuple[str, object]]] = [
    ("connect", "+OK"),
    ("connect", 1),
    ("connect", True),
    ("connect", b"+OK"),
    ("connect", Response),
    ("connect", Response(OK, LONG)),
    ("connect", Response(ERR, LONG)),
    ("connect", Response(OK, "é")),
    ("connect", Response(MORE, data=pop3.Challenge(b""))),
    ("connect", Response(OK, data=pop3.Totals(1, 2))),
    ("authenticate", 1),
    ("authenticate", True),
    ("authenticate", b"joe"),
    ("authenticate", ["joe"]),
    ("authenticate", ""),
    ("open", None),
    ("open", "joe"),
    ("open", []),
    ("open", object),
    ("command", "+OK"),
    ("command", 1),
    ("command", b"+OK"),
    ("command", Response(OK, "no languages")),
    ("command", Response(OK, LONG, data=pop3.Languages(()))),
    ("command", Response(MORE, data=pop3.Challenge(b""))),
]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(("method", "wrong"), WRONG)
def test_a_wrong_answer_is_reported(method: str, wrong: object, make: Maker) -> None:
    conn = connection(capabilities=OFFERED)
    served = Served(make(method, wrong), *ASKING[method], conn=conn)
    assert len(served.driver.reports) == 1
    assert served.conn.state is State.CLOSED


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(
    "error",
    [
        *(ValueError("secret"), TimeoutError("secret"), OSError(), KeyError()),
        *(LocalProtocolError("secret"), sasl.Denied(), sasl.ExchangeError("secret")),
        *(StopAsyncIteration("secret"), EOFError()),
    ],
)
@pytest.mark.parametrize("method", ASKING)
def test_an_exception_is_reported_and_its_text_is_not_told(
    method: str, error: Exception, make: Maker
) -> None:
    conn = connection(capabilities=OFFERED)
    served = Served(make(method, error), *ASKING[method], conn=conn)
    assert served.driver.reports == [error]
    assert b"secret" not in b"".join(served.peer.writes)


@pytest.mark.parametrize("make", MAKERS)
def test_an_exception_at_the_end_is_reported(make: Maker) -> None:
    error = ValueError("secret")
    served = Served(make("close", error), *LOGIN, *QUIT)
    assert served.driver.reports == [error]
    assert served.ending is Ending.QUIT


@pytest.mark.parametrize("make", MAKERS)
def test_a_message_that_was_aborted_elsewhere_is_nobodys_mistake(make: Maker) -> None:
    """For one that fetches from another server while it is asked."""
    conn = connection(capabilities=OFFERED)
    aborted = MessageAborted("the other server is gone")
    served = Served(make("command", aborted), *ASKING["command"], conn=conn)
    assert served.driver.reports == []


def test_a_session_that_could_not_be_opened_may_be_tried_again() -> None:
    class Failing(Plain):
        failed = False

        def open(self, identity: str) -> pop3.Maildrop:
            if not self.failed:
                self.failed = True
                raise OSError("secret")
            return super().open(identity)

    talk = Talk(Failing)
    assert talk.log_in() == FAILED
    assert talk.hear(b"STAT\r\n") == b"-ERR Not now\r\n"
    assert talk.log_in() == OPENED
    assert talk.slept == []


# The application.


def failing(_: pop3.Peer) -> pop3.Application:
    raise ValueError("secret")


def factory_of(answer: Any) -> pop3.ApplicationFactory:
    def factory(_: pop3.Peer) -> pop3.Application:
        result: pop3.Application = answer
        return result

    return factory


@pytest.mark.parametrize(
    "factory", [failing, factory_of(None), factory_of(Plain), factory_of(Response)]
)
def test_without_an_application_the_server_is_not_available(
    factory: pop3.ApplicationFactory,
) -> None:
    served = Served(factory, Expect(FAILED))
    assert served.ending is Ending.REFUSED
    assert len(served.driver.reports) == 1
    assert served.conn.state is State.CLOSED


def test_an_application_may_be_made_in_async_code() -> None:
    async def factory(peer: pop3.Peer) -> pop3.Application:
        return Plain(peer)

    made: Any = factory
    assert Served(made, *LOGIN, *QUIT).ending is Ending.QUIT


# Maildrops that are wrong.


class Closing:
    """Notes that it was closed, and is a maildrop in other respects as it was made."""

    def __init__(self, messages: object) -> None:
        self.messages = messages

    def close(self) -> None:
        told.append("closed")


class Lazy(Closing):
    """Finds out about its messages when they are wanted."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    @property
    def messages(self) -> object:  # type: ignore[override]
        raise self.error


def breaking() -> Iterator[pop3.Message]:
    yield pop3.Message(1, "a")
    raise OSError("secret")


GOOD: Final = pop3.Message(1, "a")
HUGE: Final = pop3.Message(10**20 - 1, "b")


@pytest.mark.parametrize(
    "messages",
    [
        *(None, 1, "ab", b"ab", [None], [GOOD, None], [GOOD, (1, "b")], [1, 2]),
        *({"a": GOOD}, [GOOD, HUGE], breaking()),
    ],
)
def test_a_maildrop_with_malformed_messages_is_closed_again(messages: object) -> None:
    """RFC 1939 section 4: the lock is freed before -ERR."""
    talk = Talk(opening(Closing(messages)))
    assert talk.log_in() == FAILED
    assert told == ["closed"]
    assert len(talk.driver.reports) == 1
    assert talk.conn.state is State.AUTHORIZATION
    assert talk.hear(b"STAT\r\nQUIT\r\n").startswith(b"-ERR Not now\r\n+OK")
    assert told == ["closed", Ending.QUIT]


def test_a_maildrop_that_is_in_use_may_find_out_late() -> None:
    talk = Talk(opening(Lazy(pop3.MaildropInUse())))
    assert talk.log_in() == b"-ERR [IN-USE] The maildrop is in use\r\n"
    assert talk.driver.reports == []
    assert told == ["closed"]
    talk = Talk(opening(Lazy(OSError("secret"))))
    assert talk.log_in() == FAILED
    assert told == ["closed"]


def test_as_much_as_can_be_written_may_be_in_a_maildrop() -> None:
    talk = Talk(opening(Closing([HUGE])))
    assert talk.log_in() == b"+OK 1 messages, 99999999999999999999 octets\r\n"
    assert talk.hear(b"STAT\r\n") == b"+OK 1 99999999999999999999\r\n"


def test_a_maildrop_without_methods_does_what_it_can() -> None:
    talk = Talk(opening(Closing([GOOD])))
    talk.log_in()
    assert talk.hear(b"RETR 1\r\nTOP 1 0\r\n") == FAILED * 2
    heard = talk.hear(b"DELE 1\r\nQUIT\r\n")
    assert heard.endswith(b"-ERR [SYS/TEMP] 1 messages were not removed\r\n")
    assert [type(each) for each in talk.driver.reports] == [AttributeError] * 3
    assert told == ["closed", Ending.QUIT]


def test_a_maildrop_may_be_written_without_a_base() -> None:
    class Own:
        """Has the members of a Maildrop."""

        messages = (pop3.Message(3, "a"),)

        def read(self, number: int) -> list[bytes]:
            return [b"x"]

        async def commit(self, deleted: frozenset[int]) -> list[int]:
            return []

        def close(self) -> None:
            told.append("closed")

    talk = Talk(opening(Own()))
    talk.log_in()
    assert talk.hear(b"RETR 1\r\n") == b"+OK 3 octets\r\nx\r\n.\r\n"
    assert talk.hear(b"QUIT\r\n") == b"+OK Goodbye\r\n"
    assert told == ["closed", Ending.QUIT]
    assert talk.driver.reports == []


def test_a_maildrop_that_cannot_be_closed_is_reported_once() -> None:
    class Stuck(Memory):
        def close(self) -> None:
            raise OSError("secret")

    talk = Talk(opening(Stuck(*CONTENTS)))
    talk.log_in()
    assert talk.hear(b"QUIT\r\n") == b"+OK Goodbye\r\n"
    assert [str(each) for each in talk.driver.reports] == ["secret"]


# What AUTH needs.


CERTIFIED: Final = Negotiated("TLSv1.3", "x", certificate=b"joe's")


def no_randomness() -> str:
    raise OSError("secret")


def without_nonce() -> Logins:
    return Logins(
        stored=[Stored.PASSWORD, Stored.CLEAR],
        fake_salt_key=b"k",
        allow_insecure=True,
    )


@pytest.mark.parametrize(
    "given",
    [
        without_nonce(),
        logins(nonce="a,b"),
        logins(nonce=""),
        logins(nonce="a b"),
        Logins(
            stored=[Stored.PASSWORD, Stored.CLEAR],
            fake_salt_key=b"k",
            allow_insecure=True,
            nonce=no_randomness,
        ),
        Logins(
            stored=[Stored.PASSWORD, Stored.CLEAR],
            fake_salt_key=b"k",
            allow_insecure=True,
            nonce=lambda: 1,  # type: ignore[arg-type, return-value]
        ),
    ],
)
def test_without_a_nonce_nobody_can_log_in_with_auth(given: Logins) -> None:
    talk = Talk(Plain, logins=given)
    assert talk.hear(b"AUTH PLAIN AGpvZQBzZWNyZXQ=\r\nAUTH CRAM-MD5\r\n") == FAILED * 2
    assert len(talk.driver.reports) == 2
    assert talk.slept == []
    assert talk.log_in() == OPENED


def test_a_nonce_that_is_no_msg_id_is_none_for_cram_md5() -> None:
    talk = Talk(Plain, logins=logins(nonce="a:b"))
    assert talk.hear(b"AUTH CRAM-MD5\r\n") == FAILED
    assert len(talk.driver.reports) == 1


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        (b"AUTH PLAIN AGpvZQBzZWNyZXQ=\r\n", 1),
        (b"AUTH PLAIN AGpvZQBzZWNyZXQ=\r\n", OSError("secret")),
        (b"AUTH SCRAM-SHA-256 biwsbj1qb2Uscj1j\r\n", "secret"),
        (b"AUTH SCRAM-SHA-256 biwsbj1qb2Uscj1j\r\n", sasl.ScramKeys),
        (b"AUTH SCRAM-SHA-256 biwsbj1qb2Uscj1j\r\n", OSError("secret")),
        (b"AUTH EXTERNAL =\r\n", b"joe"),
    ],
)
def test_a_wrong_answer_to_a_mechanism_is_reported(
    said: bytes, wrong: object, make: Maker
) -> None:
    talk = Talk(
        make("authenticate", wrong),
        conn=connection(tls=True),
        logins=logins(*Stored),
        negotiated=CERTIFIED,
    )
    assert talk.hear(said) == FAILED
    assert len(talk.driver.reports) == 1
    assert talk.conn.state is State.AUTHORIZATION
    assert talk.slept == []


def test_keys_for_another_hash_are_a_mistake() -> None:
    keys = sasl.ScramKeys.derive("secret", "SHA-1", b"salt", sasl.LEAST_ITERATIONS)
    talk = Talk(answering("authenticate", keys), logins=logins())
    assert talk.hear(b"AUTH SCRAM-SHA-256 biwsbj1qb2Uscj1j\r\n") == FAILED
    assert [type(each) for each in talk.driver.reports] == [TypeError]


@pytest.mark.parametrize("error", [ValueError("secret"), KeyError(), TimeoutError()])
def test_a_mechanism_that_fails_is_reported(error: Exception) -> None:
    def broken(context: sasl.ServerContext, initial: bytes | None) -> sasl.Server:
        yield sasl.Challenge(b"")
        raise error

    mechanism = sasl.Mechanism(name="X-BROKEN", server=broken)
    talk = Talk(Plain, logins=logins(mechanisms=[mechanism]))
    assert talk.hear(b"AUTH X-BROKEN\r\n\r\n") == b"+ \r\n" + FAILED
    assert talk.driver.reports == [error]
    assert talk.log_in() == OPENED
