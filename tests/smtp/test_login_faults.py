"""Logging in at servers that are not what they seem: whom a client believes."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from driving import (
    Close,
    Driver,
    Expect,
    Peer,
    Say,
    Step,
    cut_short,
    octets_said,
    play,
)
from smtp_logins import (
    BYE,
    CANCELLED,
    OK,
    PASSWORD,
    PENCIL,
    PLAIN,
    SAYS_NO,
    TIM,
    TOKEN,
    USER,
    Login,
    b64,
    challenged,
    responds,
    says_scram,
    scram,
    secrets_of,
)
from smtp_pop_core import (
    ConnectionLost,
    RemoteProtocolError,
    sasl,
    smtp,
)
from smtp_pop_core.smtp import Reply, State

DATA: Final = Path(__file__).parents[1] / "data"
BASE64: Final = tomllib.loads((DATA / "base64.toml").read_text("utf-8"))
EMPTY: Final = Say(b"334 \r\n")
BEARER: Final = sasl.Token(USER, TOKEN)


# Challenges that are wrong are answered with "*".


MALFORMED = [
    *("???", "AB CD", "AB\tCD", "A===", "=AAA", "AAA=BBB", "AB-_", "QQ", "Zh==", "="),
    *("AAAA\xe9", " AAAA", "AAAA ", "*"),
    *(case["input"] for case in BASE64["case"] if case.get("valid") is False),
]


@pytest.mark.parametrize(
    "challenge", [each for each in MALFORMED if not set("\r\n\0") & set(each)]
)
def test_a_challenge_that_is_not_base64_is_cancelled(challenge: str) -> None:
    login = Login(
        TIM,
        "AUTH LOGIN",
        Expect(b"AUTH LOGIN\r\n"),
        Say(f"334 {challenge}\r\n".encode("latin-1")),
        *[*CANCELLED, *BYE],
        mechanism="LOGIN",
    )
    failure = login.fails()
    assert failure.command == smtp.AuthResponse(None)
    assert str(failure.reason) == "a challenge is not base64"


def test_a_challenge_has_one_line() -> None:
    login = Login(
        TIM,
        "AUTH LOGIN",
        *[Expect(b"AUTH LOGIN\r\n"), Say(b"334-VXNl\r\n334 cm5hbWU6\r\n")],
        *[*CANCELLED, *BYE],
        mechanism="LOGIN",
    )
    assert str(login.fails().reason) == "a challenge is not base64"


LOGIN_DONE: Final[list[Step]] = [
    *[Expect(b"AUTH LOGIN\r\n"), challenged("Username:"), responds(USER)],
    *[challenged("Password:"), responds(PASSWORD)],
]
TOO_MANY: list[tuple[str, sasl.Credentials, list[Step]]] = [
    ("PLAIN", TIM, [Expect(PLAIN), EMPTY]),  # SEC-AUTH-FAKE-c
    ("LOGIN", TIM, [*LOGIN_DONE, challenged("Password:")]),  # SEC-AUTH-FAKE-d
    ("EXTERNAL", sasl.External(), [Expect(b"AUTH EXTERNAL =\r\n"), EMPTY]),
    ("SCRAM-SHA-256", PENCIL, [*says_scram("SCRAM-SHA-256"), EMPTY]),
]


@pytest.mark.parametrize(("name", "credentials", "steps"), TOO_MANY)
def test_a_challenge_too_many_is_cancelled(
    name: str, credentials: sasl.Credentials, steps: list[Step]
) -> None:
    nonce = scram("SCRAM-SHA-256")["client_nonce"]
    login = Login(
        credentials,
        f"AUTH {name}",
        *[*steps, *CANCELLED, *BYE],
        mechanism=name,
        nonce=lambda: nonce,
    )
    failure = login.fails()
    assert str(failure.reason) == "a challenge too many"
    assert failure.reply == Reply(
        501, ("as you like",), smtp.EnhancedCode.parse("5.7.0")
    )
    assert not login.conn.authenticated


@pytest.mark.parametrize(
    "answer",
    [EMPTY, Say(b"334 ???\r\n"), Say(b"354 go\r\n"), OK, Say(b"250 ok\r\n")],
)
def test_who_heeds_no_cancelling_is_left(answer: Say) -> None:
    """SEC-AUTH-LOOP-a: challenges without end."""
    login = Login(
        sasl.External(),
        "AUTH EXTERNAL",
        *[Expect(b"AUTH EXTERNAL =\r\n"), EMPTY, Expect(b"*\r\n"), answer, Close()],
    )
    assert str(login.fails().reason) == "a challenge too many"
    assert login.conn.state is State.CLOSED


@pytest.mark.parametrize(
    "said", [b"334 VXNlcm5hbWU6\r\n235 ok\r\n", b"334 VXNlcm5hbWU6\r\n334 \r\n"]
)
def test_a_reply_ahead_of_its_response_ends_the_connection(said: bytes) -> None:
    login = Login(
        TIM, "AUTH LOGIN", Expect(b"AUTH LOGIN\r\n"), Say(said), mechanism="LOGIN"
    )
    with pytest.raises(RemoteProtocolError, match="answers nothing"):
        login.run()
    assert login.conn.state is State.CLOSED


def talkative(_: sasl.Credentials, __: sasl.ClientContext) -> sasl.Client:
    while True:
        yield b"go on"


def failing(_: sasl.Credentials, __: sasl.ClientContext) -> sasl.Client:
    yield None
    raise OSError("no ticket")


def silent(_: sasl.Credentials, __: sasl.ClientContext) -> sasl.Client:
    while True:
        yield None


def own(client: Callable[..., sasl.Client]) -> sasl.Mechanism:
    return sasl.Mechanism(name="X-OWN", client=client)


def test_the_challenges_of_one_exchange_are_counted() -> None:
    go_on = b64("go on")
    login = Login(
        sasl.Credentials(),
        "AUTH X-OWN",
        Expect(b"AUTH X-OWN " + go_on + b"\r\n"),
        *[EMPTY, Expect(go_on + b"\r\n")] * 20,
        *[EMPTY, *CANCELLED, *BYE],
        mechanisms=[own(talkative)],
    )
    assert str(login.fails().reason) == "more than 20 challenges"


@pytest.mark.parametrize(("client", "error"), [(failing, OSError), (silent, TypeError)])
def test_a_mechanism_that_breaks_leaves_nothing_in_step(
    client: Callable[..., sasl.Client], error: type[Exception]
) -> None:
    login = Login(
        sasl.Credentials(),
        "AUTH X-OWN",
        *[Expect(b"AUTH X-OWN\r\n"), EMPTY],
        mechanisms=[own(client)],
    )
    with pytest.raises(error):
        login.run()
    assert login.conn.state is State.CLOSED


# A server that has to prove itself.


SCRAM = "SCRAM-SHA-256"
FIRST = Expect(f"AUTH {SCRAM} ".encode() + b64(scram(SCRAM)["client_first"]) + b"\r\n")
UP_TO_PROOF: Final = says_scram(SCRAM)[:3]
WEAK = "r=rOprNGfwEbeRWgbNEkqOserver,s=c2FsdA==,i="
WRONG: Final[list[tuple[list[Step], str]]] = [
    # SEC-AUTH-SCRAM-a, b
    ([FIRST, challenged(WEAK + "1")], "iterations are out of bounds"),
    ([FIRST, challenged(WEAK + "4095")], "iterations are out of bounds"),
    ([FIRST, challenged(WEAK + "2147483648")], "iterations are out of bounds"),
    ([FIRST, challenged(WEAK + "9999999")], "iterations are out of bounds"),
    ([FIRST, challenged("r=server,s=c2FsdA==,i=4096")], "does not continue ours"),
    ([FIRST, EMPTY], "not the first message"),
    ([*UP_TO_PROOF, challenged("v=" + "A" * 43 + "=")], "does not know the password"),
    ([*UP_TO_PROOF, EMPTY], "not the last message"),
]


def proved(*steps: Step) -> Login:
    nonce = scram(SCRAM)["client_nonce"]
    return Login(PENCIL, f"AUTH {SCRAM}", *steps, nonce=lambda: nonce)


@pytest.mark.parametrize(("steps", "reason"), WRONG)
@pytest.mark.parametrize("answer", [Say(b"501 no\r\n"), SAYS_NO, Say(b"454 later\r\n")])
def test_a_server_that_is_not_the_right_one_is_told_no_more(
    steps: list[Step], reason: str, answer: Say
) -> None:
    login = proved(*steps, Expect(b"*\r\n"), answer, *BYE)
    assert reason in str(login.fails())
    assert not login.conn.authenticated


@pytest.mark.parametrize(("steps", "reason"), WRONG)
@pytest.mark.parametrize("answer", [OK, Say(b"250 ok\r\n"), EMPTY])
def test_it_is_not_believed_either(steps: list[Step], reason: str, answer: Say) -> None:
    login = proved(*steps, Expect(b"*\r\n"), answer, Close())
    assert reason in str(login.fails())
    assert login.conn.state is State.CLOSED
    assert "C: QUIT" not in login.lines


@pytest.mark.parametrize("steps", [says_scram(SCRAM)[:1], UP_TO_PROOF])
@pytest.mark.parametrize("answer", [OK, Say(b"235\r\n"), Say(b"250 2.0.0 ok\r\n")])
def test_a_yes_before_the_proof_is_a_no(steps: list[Step], answer: Say) -> None:
    """SEC-AUTH-FAKE-a, RFC 4422 section 3.6."""
    login = proved(*steps, answer, Close())
    failure = login.fails()
    assert "said yes before the mechanism was done" in str(failure)
    assert failure.reply.code < 300
    assert not failure.temporary
    assert login.conn.state is State.CLOSED
    assert "C: QUIT" not in login.lines


@pytest.mark.parametrize(
    "steps",
    [
        [Expect(b"AUTH LOGIN\r\n")],
        [Expect(b"AUTH LOGIN\r\n"), challenged("Username:"), responds(USER)],
    ],
)
def test_a_yes_in_the_middle_of_a_login_is_a_no(steps: list[Step]) -> None:
    login = Login(TIM, "AUTH LOGIN", *steps, OK, Close(), mechanism="LOGIN")
    assert login.fails().reply.code == 235
    assert login.conn.state is State.CLOSED


@pytest.mark.parametrize("answer", [Say(b"535 no\r\n"), OK])
def test_an_error_of_scram_is_a_no_whatever_follows(answer: Say) -> None:
    """SASL-5802-5.1-q."""
    then = BYE if answer is not OK else [Close()]
    error = challenged("e=other-error")
    login = proved(*UP_TO_PROOF, error, Expect(b"\r\n"), answer, *then)
    assert "the server says other-error" in str(login.fails())
    assert not (login.conn.authenticated and login.conn.state is State.READY)


# A server that goes away or falls silent.


WHOLE: Final = proved(*says_scram(SCRAM), OK).steps


@pytest.mark.parametrize("octets", range(octets_said(WHOLE)))
def test_a_server_may_go_away_at_any_octet_of_a_login(octets: int) -> None:
    login = proved()
    with pytest.raises(ConnectionLost):
        play(
            smtp.open(login.conn, login.security),
            *cut_short(WHOLE, octets, Close()),
        )
    assert login.conn.state is State.CLOSED


@pytest.mark.parametrize("octets", range(0, octets_said(WHOLE), 5))
def test_a_server_may_fall_silent_at_any_octet_of_a_login(octets: int) -> None:
    login, peer = proved(), Peer(*cut_short(WHOLE, octets))
    with pytest.raises(TimeoutError):
        Driver(peer).run(smtp.open(login.conn, login.security))
    assert peer.now == 300
    assert login.conn.state is State.CLOSED


# Secrets are in no text.


XOAUTH2: Final = Expect(
    b"AUTH XOAUTH2 " + b64(f"user=tim\x01auth=Bearer {TOKEN}\x01\x01") + b"\r\n"
)
SHOWING: Final[list[Login]] = [
    Login(TIM, "AUTH PLAIN", Expect(PLAIN), SAYS_NO, *BYE),
    Login(TIM, "AUTH PLAIN", Expect(PLAIN), EMPTY, *CANCELLED, *BYE),
    Login(TIM, "AUTH PLAIN", Expect(PLAIN), challenged("sEcReT"), Close()),
    Login(
        TIM,
        "AUTH PLAIN",
        *[Expect(PLAIN), EMPTY, Expect(b"*\r\n"), challenged("sEcReT"), Close()],
    ),
    Login(TIM, "AUTH LOGIN", *LOGIN_DONE, SAYS_NO, *BYE),
    Login(TIM, "AUTH LOGIN", *LOGIN_DONE, challenged("sEcReT"), Close()),
    Login(TIM, "AUTH LOGIN", *LOGIN_DONE, Say(b"334-c0VjUmVU\r\n"), Close()),
    Login(TIM, "AUTH LOGIN", *LOGIN_DONE[:3], Say(b"334 c0VjUmVU!\r\n"), Close()),
    Login(BEARER, "AUTH XOAUTH2", XOAUTH2, SAYS_NO, *BYE),
    proved(*says_scram(SCRAM)[:3], SAYS_NO, *BYE),
    proved(*says_scram(SCRAM)[:3], OK, Close()),
    proved(*says_scram(SCRAM)[:3], challenged("v=sEcReT"), *CANCELLED, *BYE),
    proved(*says_scram(SCRAM)[:3], challenged("e=x"), Expect(b"\r\n"), SAYS_NO, *BYE),
]


@pytest.mark.parametrize("login", SHOWING)
def test_no_secret_is_in_an_exception_a_repr_or_a_transcript(login: Login) -> None:
    with pytest.raises((smtp.AuthenticationFailed, ConnectionLost)) as caught:
        Driver(Peer(*login.steps)).run(smtp.open(login.conn, login.security))
    error: BaseException | None = caught.value
    shown = [*login.lines, repr(login.security), repr(login.conn.last_reply)]
    while error is not None:
        shown += [str(error), repr(error), repr(vars(error))]
        error = error.__cause__ or error.__context__
    assert secrets_of("\n".join(shown)) == []
    assert any("(secret)" in line for line in login.lines)


def test_the_requests_of_a_login_hide_what_they_carry() -> None:
    login = Login(TIM, "AUTH PLAIN", Expect(PLAIN), OK)
    requests: list[str] = []

    class Noting(Driver):
        def carry_out(self, request: Any, label: str) -> object:
            requests.append(repr(request))
            return super().carry_out(request, label)

    Noting(Peer(*login.steps)).run(smtp.open(login.conn, login.security))
    assert len(requests) > 5
    assert secrets_of("\n".join(requests)) == []
