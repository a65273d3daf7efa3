"""Logins at a server that go wrong: by the client, by the application, by the line."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from driving import (
    NEGOTIATED,
    Close,
    Driver,
    Expect,
    Peer,
    Say,
    Shake,
    Silence,
    Step,
    Stop,
    Wait,
)
from serving import QUIT, answering, awaiting, told
from smtp_logins import (
    ALL,
    BOUND,
    CODES,
    DENIED,
    NO,
    PASSWORD,
    PLAIN,
    TOKEN,
    USER,
    YES,
    Knowing,
    b64,
    challenge,
    hello,
    keys,
    line,
    logins,
    response,
    secrets_of,
    serve_login,
)
from smtp_pop_core import SERVER, Limits, Logins, Stopping, sasl, smtp
from smtp_pop_core.smtp import Connection, Ending

DATA: Final = Path(__file__).parents[1] / "data"
BASE64: Final = tomllib.loads((DATA / "base64.toml").read_text("utf-8"))
NOOP: Final[list[Step]] = [Say(b"NOOP\r\n"), Expect(b"250 2.0.0 OK\r\n")]
GIVEN_UP: Final = Expect(b"501 5.7.0 The exchange was given up\r\n")
MALFORMED: Final = Expect(b"501 5.5.2 Cannot decode base64\r\n")
CANNOT_TELL: Final = Expect(b"454 4.7.0 Cannot tell for now\r\n")
ENOUGH: Final = Expect(b"421 4.7.0 Too many failed logins\r\n")
WRONG: Final = line("PLAIN", "\0tim\0wrong")


# Cancelled, malformed, too long.


SCRAM_FIRST: Final = line("SCRAM-SHA-256", "n,,n=tim,r=clientnonce")
SCRAM_CHALLENGE: Final = challenge("r=clientnonceservernonce,s=c2FsdHNhbHRzYWx0,i=4096")
UP_TO_RESPONSE: Final[list[list[Step]]] = [
    [Say(b"AUTH PLAIN\r\n"), Expect(b"334 \r\n")],
    [Say(b"AUTH LOGIN\r\n"), Expect(b"334 VXNlcm5hbWU6\r\n")],
    [Say(b"AUTH LOGIN dGlt\r\n"), Expect(b"334 UGFzc3dvcmQ6\r\n")],
    [Say(b"AUTH CRAM-MD5\r\n"), challenge("<servernonce@mx.example>")],
    [Say(b"AUTH SCRAM-SHA-256\r\n"), Expect(b"334 \r\n")],
    [SCRAM_FIRST, SCRAM_CHALLENGE],
    [
        line("XOAUTH2", "user=tim\x01auth=Bearer wrong\x01\x01"),
        challenge('{"status":"401","schemes":"bearer","scope":""}'),
    ],
]


@pytest.mark.parametrize("steps", UP_TO_RESPONSE)
def test_an_exchange_may_be_cancelled_at_each_step(steps: list[Step]) -> None:
    """RFC 4954 section 4."""
    served = serve_login(*steps, Say(b"*\r\n"), GIVEN_UP, *NOOP, Say(PLAIN), YES, *QUIT)
    assert served.driver.reports == []
    assert served.conn.authenticated


@pytest.mark.parametrize("steps", UP_TO_RESPONSE)
@pytest.mark.parametrize("said", [b"AHUA cA==", b"AHUA\rcA==", b"**", b"=", b"* "])
def test_a_response_that_is_not_base64_ends_the_exchange(
    steps: list[Step], said: bytes
) -> None:
    """SEC-AUTH-B64-a, b."""
    serve_login(*steps, Say(said + b"\r\n"), MALFORMED, *NOOP, Say(PLAIN), YES, *QUIT)


@pytest.mark.parametrize(
    "case", BASE64["case"], ids=lambda case: case.get("reason", case.get("input"))
)
def test_base64_is_read_as_the_catalogue_says(case: dict[str, Any]) -> None:
    text = case["input"].encode("latin-1")
    read = challenge("Password:") if case.get("valid") else MALFORMED
    answer = GIVEN_UP if text == b"*" else read
    serve_login(
        *[Say(b"AUTH LOGIN\r\n"), Expect(b"334 VXNlcm5hbWU6\r\n")],
        *[Say(text + b"\r\n"), answer, Close()],
    )


@pytest.mark.parametrize(
    "said",
    [
        line("PLAIN", "a\0b"),
        line("PLAIN", "\0\0p"),
        line("PLAIN", "\0u\0"),
        line("PLAIN", "\0u\0p\0"),
        line("PLAIN", bytes.fromhex("00c0af0070")),
        line("SCRAM-SHA-256", "n,,m=x,n=tim,r=abc"),
        line("SCRAM-SHA-256", "n,,n=a=b,r=abc"),
        line("SCRAM-SHA-256", "p=tls-exporter,,n=tim,r=abc"),
        line("OAUTHBEARER", "n,a=tim,\x01auth=Bearer x\x01"),
        line("XOAUTH2", "user=tim"),
        line("ANONYMOUS", "x" * 256),
    ],
)
def test_a_message_that_is_malformed_ends_the_exchange(said: Say) -> None:
    serve_login(said, GIVEN_UP, *NOOP, *QUIT)
    assert told == []


@pytest.mark.parametrize(
    "said",
    [
        line("PLAIN", "\0\u00ad\0p"),  # nothing is left of the name
        line("PLAIN", "\0tim\0\u00ad"),
        line("PLAIN", "\u00ad\0tim\0" + PASSWORD),  # nor of whom to act as
        line("PLAIN", "\0tim\0\u0007"),
    ],
)
def test_what_cannot_be_prepared_lets_nobody_in(said: Say) -> None:
    """RFC 4954 section 4, RFC 4616 section 2."""
    serve_login(said, NO, *QUIT)
    assert told == []


@pytest.mark.parametrize("octets", [12_286, 600])
def test_a_long_response_is_read(octets: int) -> None:
    """RFC 4954 section 4, whatever other lines may be."""
    said = b"A" * (octets // 4 * 4)
    for steps in (
        [Say(b"AUTH PLAIN\r\n"), Expect(b"334 \r\n"), Say(said + b"\r\n")],
        [Say(b"AUTH PLAIN " + said[:-12] + b"\r\n")],
    ):
        serve_login(*steps, GIVEN_UP, *QUIT)


@pytest.mark.parametrize("octets", [12_287, 20_000, 1_000_000])
@pytest.mark.parametrize("size", [4_096, 1_000_000])
def test_a_longer_one_is_read_to_its_end_and_answered_once(
    octets: int, size: int
) -> None:
    """SEC-AUTH-BIG-c, SMTP-4954-4-r."""
    wire = b"A" * octets + b"\r\n"
    served = serve_login(
        *[Say(b"AUTH PLAIN\r\n"), Expect(b"334 \r\n")],
        *[Say(wire[at : at + size]) for at in range(0, len(wire), size)],
        Expect(b"500 5.5.6 Authentication line too long\r\n"),
        *[*NOOP, Say(PLAIN), YES, *QUIT],
    )
    assert served.conn.trailing_data == b""


def test_bad_lines_in_exchanges_are_counted_like_others() -> None:
    again: list[Step] = [Say(b"AUTH LOGIN\r\n"), Expect(b"334 VXNlcm5hbWU6\r\n")]
    served = serve_login(
        *[*again, Say(b"?\r\n"), MALFORMED, *again, Say(b"?\r\n")],
        Expect(b"421 4.7.0 Too many bad commands\r\n"),
        limits=Limits(bad_commands=1),
    )
    assert served.ending is Ending.REFUSED


def test_a_command_is_no_command_in_an_exchange() -> None:
    """What looks like base64 is taken for it."""
    begin: list[Step] = [Say(b"AUTH PLAIN\r\n"), Expect(b"334 \r\n")]
    served = serve_login(
        *[*begin, Say(b"QUIT\r\n"), GIVEN_UP],
        *[*begin, Say(b"NOOP x\r\n"), MALFORMED, *QUIT],
    )
    assert served.ending is Ending.QUIT


# Tries, and what each of them costs.


def test_a_no_takes_its_time_and_after_too_many_the_session_ends() -> None:
    served = serve_login(
        *[WRONG, NO, WRONG, NO, WRONG, ENOUGH],
        logins=logins(delay=2),
        limits=Limits(failed_logins=3),
    )
    assert served.peer.now == 6
    assert served.ending is Ending.REFUSED
    assert told == [sasl.VerifyPassword(USER, "wrong")] * 3


def test_five_tries_of_three_seconds_are_what_is_allowed_if_nothing_else_is_said() -> (
    None
):
    usual = Logins(
        stored=set(sasl.Stored), fake_salt_key=b"key", nonce=lambda: "servernonce"
    )
    served = serve_login(*[WRONG, NO] * 4, WRONG, ENOUGH, logins=usual)
    assert served.peer.now == 15


TRIES: Final[list[list[Step]]] = [
    [WRONG, NO],
    [Say(b"AUTH PLAIN\r\n"), Expect(b"334 \r\n"), Say(b"*\r\n"), GIVEN_UP],
    [Say(b"AUTH PLAIN\r\n"), Expect(b"334 \r\n"), Say(b"?\r\n"), MALFORMED],
    [Say(b"AUTH CRAM-MD5 Zm9v\r\n"), GIVEN_UP],
    [line("PLAIN", "x"), GIVEN_UP],
    [*UP_TO_RESPONSE[-1], Say(b"\r\n"), NO],
]
NO_TRIES: Final[list[list[Step]]] = [
    [Say(PLAIN), YES],
    [Say(b"AUTH FROB\r\n"), Expect(b"504 5.5.4 Mechanism not supported\r\n")],
    [Say(b"AUTH PLAIN ?\r\n"), MALFORMED],
    [Say(b"AUTH\r\n"), Expect(b"501 5.5.4 Syntax error in arguments\r\n")],
]


@pytest.mark.parametrize(
    ("steps", "seconds"),
    [*((each, 2) for each in TRIES), *((each, 0) for each in NO_TRIES)],
)
def test_whatever_tells_something_about_a_password_is_a_try(
    steps: list[Step], seconds: int
) -> None:
    served = serve_login(*steps, *QUIT, logins=logins(delay=2))
    assert served.peer.now == seconds


@pytest.mark.parametrize("steps", TRIES)
def test_the_last_try_is_answered_with_421_whatever_it_was(steps: list[Step]) -> None:
    served = serve_login(*steps[:-1], ENOUGH, limits=Limits(failed_logins=1))
    assert served.ending is Ending.REFUSED


def test_tries_are_counted_over_the_start_of_tls() -> None:
    named = b"250 AUTH SCRAM-SHA-512 SCRAM-SHA-256 SCRAM-SHA-1 CRAM-MD5 ANONYMOUS\r\n"
    before = b"250-mx.example\r\n250-STARTTLS\r\n" + named
    served = smtp_session(
        *[Expect(b"220 mx.example ESMTP\r\n"), Say(b"EHLO me\r\n"), Expect(before)],
        Say(b"AUTH CRAM-MD5 =\r\n"),
        Expect(b"501 The exchange was given up\r\n"),
        *[Say(b"STARTTLS\r\n"), Expect(b"220 Ready to start TLS\r\n"), Shake()],
        *[Say(b"EHLO me\r\n"), Expect(b"250-mx.example\r\n250 AUTH " + ALL + b"\r\n")],
        *[WRONG, Expect(b"421 Too many failed logins\r\n")],
    )
    assert served is Ending.REFUSED


def smtp_session(*steps: Step) -> Ending:
    conn = Connection(
        SERVER,
        domain="mx.example",
        extensions=[smtp.extensions.StartTls()],
        limits=Limits(failed_logins=2),
    )
    peer = Peer(*steps)
    ending = Driver(peer).run(smtp.serve(conn, Knowing, logins=logins()))
    peer.finish()
    return ending


def test_a_challenge_is_written_before_a_no_is_waited_for() -> None:
    served = serve_login(
        Say(b"AUTH LOGIN\r\ndGlt\r\n" + b64("wrong") + b"\r\n"),
        Expect(b"334 VXNlcm5hbWU6\r\n334 UGFzc3dvcmQ6\r\n"),
        *[NO, *QUIT],
        logins=logins(delay=2),
    )
    assert served.peer.writes[-2] == DENIED


class Hurried(Peer):
    """A peer whose server is told to stop while it sleeps."""

    def sleep(self, seconds: float) -> None:
        raise Stopping


def test_a_server_that_stops_does_not_sleep_over_it() -> None:
    peer = Hurried(
        *[Shake(), *hello(ALL), WRONG],
        Expect(DENIED + b"421 4.3.2 Shutting down\r\n"),
    )
    conn = Connection(SERVER, domain="mx.example", extensions=CODES, tls=True)
    flow = smtp.serve(conn, Knowing, logins=logins(delay=2))
    assert Driver(peer).run(flow) is Ending.STOPPING
    peer.finish()


# An application that makes mistakes.


XOAUTH2: Final = line("XOAUTH2", f"user=tim\x01auth=Bearer {TOKEN}\x01\x01")
CRAM_RESPONSE: Final = response("tim " + "0123456789abcdef" * 2)
ASKING: Final[dict[str, list[Step]]] = {
    "VerifyPassword": [Say(PLAIN)],
    "FindPassword": [*UP_TO_RESPONSE[3], CRAM_RESPONSE],
    "FindScramKeys": [SCRAM_FIRST],
    "VerifyToken": [XOAUTH2],
    "VerifyExternal": [Say(b"AUTH EXTERNAL =\r\n")],
    "VerifyAnonymous": [Say(b"AUTH ANONYMOUS =\r\n")],
}
MAKERS = [answering, awaiting]


def ask(application: smtp.ApplicationFactory, *steps: Step, **options: Any) -> Any:
    """Serve somebody who asks the application, and waits for no answer in vain."""
    served = serve_login(
        *[*steps, CANNOT_TELL, *NOOP, *QUIT],
        application=application,
        negotiated=BOUND,
        mechanisms=b"EXTERNAL SCRAM-SHA-512-PLUS SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS "
        + ALL,
        **{"logins": logins(delay=2)} | options,
    )
    assert served.peer.now == 0  # it is nobody's try
    assert not served.conn.authenticated
    return served.driver.reports


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("wrong", [1, True, b"tim", ("tim",), object()])
@pytest.mark.parametrize("question", ASKING)
def test_a_wrong_answer_is_454_and_reported(
    question: str,
    wrong: object,
    make: Callable[[str, object], smtp.ApplicationFactory],
) -> None:
    [report] = ask(make("authenticate", wrong), *ASKING[question])
    assert isinstance(report, TypeError)
    assert f"{question} was answered with {type(wrong).__name__}" in str(report)


@pytest.mark.parametrize(
    ("question", "wrong"),
    [
        ("VerifyPassword", ""),
        ("VerifyExternal", ""),
        ("FindScramKeys", "tim"),
        ("FindScramKeys", keys("SHA-1")),
    ],
)
def test_an_answer_that_fits_another_question_is_wrong(
    question: str, wrong: object
) -> None:
    [report] = ask(answering("authenticate", wrong), *ASKING[question])
    assert isinstance(report, TypeError)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(
    "error", [ValueError("secret"), TimeoutError("secret"), OSError(), KeyError()]
)
@pytest.mark.parametrize("question", ASKING)
def test_an_exception_is_454_and_reported(
    question: str,
    error: Exception,
    make: Callable[[str, object], smtp.ApplicationFactory],
) -> None:
    assert ask(make("authenticate", error), *ASKING[question]) == [error]


def test_a_class_may_leave_a_question_to_its_base() -> None:
    class Polite(smtp.Application):
        def authenticate(self, question: sasl.Question) -> object:
            return super().authenticate(question)

    class AsyncPolite(smtp.AsyncApplication):
        async def authenticate(self, question: sasl.Question) -> object:
            return await super().authenticate(question)

    kinds: list[smtp.ApplicationFactory] = [Polite, AsyncPolite]
    for kind in kinds:
        serve_login(Say(PLAIN), NO, *QUIT, application=kind)


def test_a_user_who_may_not_act_as_another_is_denied() -> None:
    class Strict(Knowing):
        def authenticate(self, question: sasl.Question) -> object:
            if getattr(question, "authzid", ""):
                return None
            return super().authenticate(question)

    as_boss = line("PLAIN", f"boss\0{USER}\0{PASSWORD}")
    serve_login(as_boss, NO, Say(PLAIN), YES, *QUIT, application=Strict)


def no_nonce() -> str:
    raise OSError("no randomness")


@pytest.mark.parametrize(
    ("nonce", "error"),
    [
        (no_nonce, OSError),
        (lambda: "with, comma", ValueError),
        (lambda: "", ValueError),
        (lambda: 1, TypeError),
        (lambda: "not(an)atom", ValueError),
    ],
)
def test_a_source_of_nonces_that_fails_is_454_and_reported(
    nonce: Callable[[], Any], error: type[Exception]
) -> None:
    steps = [Say(b"AUTH CRAM-MD5\r\n")]
    [report] = ask(Knowing, *steps, logins=logins(nonce=nonce))
    assert isinstance(report, error)


def own(*steps: Any) -> Logins:
    """Offer a mechanism that does this: challenges, and an exception in the end."""
    *challenges, last = steps

    def server(_: sasl.ServerContext, __: bytes | None) -> sasl.Server:
        for each in challenges:
            yield sasl.Challenge(each)
        raise last

    return logins(mechanisms=[sasl.Mechanism(name="X-OWN", server=server)])


@pytest.mark.parametrize("error", [KeyError("x"), OSError(), ValueError()])
@pytest.mark.parametrize("steps", [[], [b"go on"]])
def test_a_mechanism_that_breaks_is_454_and_reported(
    steps: list[bytes], error: Exception
) -> None:
    said = [each for text in steps for each in (challenge(text), Say(b"\r\n"))]
    served = serve_login(
        *[Say(b"AUTH X-OWN\r\n"), *said, CANNOT_TELL, *NOOP, *QUIT],
        mechanisms=b"X-OWN",
        logins=own(*steps, error),
    )
    assert served.driver.reports == [error]


def test_a_challenge_that_no_line_can_hold_ends_the_exchange() -> None:
    served = serve_login(
        Say(b"AUTH X-OWN\r\n"),
        Expect(b"451 4.3.0 Local error in processing\r\n"),
        *[*NOOP, *QUIT],
        mechanisms=b"X-OWN",
        logins=own(b"x" * 10_000, sasl.Denied()),
    )
    assert len(served.driver.reports) == 1


# Sessions that end in the middle.


@pytest.mark.parametrize("steps", UP_TO_RESPONSE)
@pytest.mark.parametrize(
    ("then", "ending"),
    [
        ([Close()], Ending.LOST),
        ([Say(b"QQ"), Close()], Ending.LOST),
        ([Silence(), Expect(b"421 4.4.2 Timeout, closing\r\n")], Ending.TIMEOUT),
        ([Stop(), Expect(b"421 4.3.2 Shutting down\r\n")], Ending.STOPPING),
    ],
)
def test_a_session_may_end_in_an_exchange(
    steps: list[Step], then: list[Step], ending: Ending
) -> None:
    served = serve_login(*steps, *then)
    assert served.ending is ending
    assert not served.conn.authenticated


def test_single_octets_do_not_push_the_deadline_of_a_response_back() -> None:
    slowly = [step for _ in range(9) for step in (Wait(40), Say(b"A"))]
    peer = Peer(*[Shake(), *hello(ALL), *UP_TO_RESPONSE[0], *slowly])
    conn = Connection(SERVER, domain="mx.example", extensions=CODES, tls=True)
    flow = smtp.serve(conn, Knowing, logins=logins())
    assert Driver(peer).run(flow) is Ending.TIMEOUT
    assert peer.now == 300


# Secrets are in no text.


SHOWING: Final[list[list[Step]]] = [
    [Say(PLAIN), YES, Say(PLAIN), Expect(b"503 5.5.1 Bad sequence of commands\r\n")],
    [Say(PLAIN.replace(b"PLAIN", b"FROB")), Expect(b"504 5.5.4 Mechanism not")],
    [Say(PLAIN[:-2] + b"!\r\n"), MALFORMED],
    [*UP_TO_RESPONSE[0], Say(PLAIN[11:]), YES],
    [*UP_TO_RESPONSE[2], Say(b64(PASSWORD) + b"=\r\n"), MALFORMED],
    [*UP_TO_RESPONSE[2], Say(b64(PASSWORD) + b"\r\n"), YES],
    [*UP_TO_RESPONSE[2], Say(PASSWORD.encode() + b"!\r\n"), MALFORMED],
    [XOAUTH2, YES],
    # a client that does not heed a refusal
    [
        *[Say(b"AUTH FROB\r\n"), Expect(b"504 5.5.4 Mechanism not supported\r\n")],
        *[
            Say(b64(PASSWORD) + b"\r\n"),
            Expect(b"500 5.5.1 Command not recognized\r\n"),
        ],
    ],
]


@pytest.mark.parametrize("steps", SHOWING)
def test_no_secret_is_in_a_request_a_report_or_a_transcript(steps: list[Step]) -> None:
    shown: list[str] = []

    class Noting(Driver):
        def carry_out(self, request: Any, label: str) -> object:
            shown.append(repr(request))
            return super().carry_out(request, label)

    conn = Connection(
        SERVER, domain="mx.example", extensions=CODES, tls=True, trace=shown.append
    )
    checked = logins(fake_salt_key=b"sEcReT", nonce=lambda: "sEcReT")
    driver = Noting(Peer(Shake(NEGOTIATED), *hello(ALL), *steps, Close()))
    driver.run(smtp.serve(conn, Knowing, logins=checked))
    shown += [repr(checked), repr(conn.unanswered), repr(conn.last_reply), repr(told)]
    assert secrets_of("\n".join(shown)) == []
    assert any("(secret)" in each for each in shown)
    assert driver.reports == []
