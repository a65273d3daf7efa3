"""Serving logins: USER with PASS, APOP, and what a no costs."""

from typing import Any, Final

import pytest

from driving import Expect, Peer, Say
from pop3_serving import (
    CAPA,
    DENIED,
    KINDS,
    LOGIN,
    NAMED,
    OPENED,
    QUIT,
    Plain,
    Served,
    Talk,
    answering,
    awaiting,
    connection,
    logins,
    told,
)
from smtp_pop_core import Limits, Stopping, pop3, sasl
from smtp_pop_core.pop3 import Ending, State

NOT_NOW: Final = b"-ERR Not now\r\n"
IN_USE: Final = b"-ERR [IN-USE] The maildrop is in use\r\n"
RFC_1939: Final = "<1896.697170952@dbc.mtview.ca.us>"
APOP: Final = b"APOP mrose c4c9334bac560ecc979e58001b3e22fb\r\n"


class Asked(Plain):
    """Notes what it is asked, and knows a few users with the password "tanstaaf"."""

    def authenticate(self, question: sasl.Question) -> object:
        told.append(question)
        match question:
            case sasl.FindPassword(user="mrose"):
                return "tanstaaf"
            case sasl.FindPassword(user="jörg"):
                return "pässword"
            case sasl.VerifyPassword(user="mrose", password="tanstaaf"):
                return "mrose"
        return None


def questions() -> list[object]:
    return [each for each in told if isinstance(each, sasl.Question)]


# USER and PASS.  RFC 1939 section 7.


@pytest.mark.parametrize("name", ["mrose", "nobody", "x" * 40, "a@b.example", '"<>'])
def test_user_does_not_tell_whether_a_name_exists(name: str) -> None:
    talk = Talk(Asked)
    assert talk.hear(f"USER {name}\r\n".encode()) == NAMED
    assert questions() == []
    assert talk.slept == []


@pytest.mark.parametrize(
    "line", ["USER", "USER ", "USER a b", "USER  a", "USER a ", "PASS"]
)
def test_a_name_is_one_word(line: str) -> None:
    talk = Talk(Asked)
    assert talk.hear(f"{line}\r\n".encode()).startswith(b"-ERR ")
    assert talk.hear(b"PASS tanstaaf\r\n") == NOT_NOW


@pytest.mark.parametrize(
    "password", ["tanstaaf", "a b  c", " leading", "trailing ", "  ", "*", "="]
)
def test_a_password_is_all_that_stands_behind_the_space(password: str) -> None:
    """RFC 1939 section 7: spaces may belong to it."""
    talk = Talk(Asked)
    talk.hear(b"USER mrose\r\n")
    talk.hear(f"PASS {password}\r\n".encode())
    assert questions() == [sasl.VerifyPassword("mrose", password)]


def test_a_password_that_cannot_be_prepared_is_wrong() -> None:
    talk = Talk(Asked)
    assert talk.log_in("mrose", "tans\taaf") == DENIED
    assert questions() == []
    assert talk.slept == [3]


def test_a_password_with_spaces_lets_in() -> None:
    assert Talk(Plain).log_in("ann", "a b  c") == OPENED
    assert told == ["ann"]
    assert Talk(Plain).log_in("ann", "a b c") == DENIED


@pytest.mark.parametrize(
    "between",
    [
        *(b"", b"CAPA\r\n", b"NOOP\r\n", b"WHAT\r\n", b"USER a b\r\n", b"PASS\r\n"),
        *(b"LANG\r\n", b"UTF8\r\n", b"RETR 1\r\n", b"\r\n", b"AUTH\r\n", b"PASS x\r\n"),
        *(b"AUTH FROB\r\n", b"x" * 300 + b"\r\n", b"PASS \0\r\n"),
    ],
)
def test_pass_comes_right_after_user(between: bytes) -> None:
    """RFC 1939 section 7: only after a USER that succeeded."""
    offered = (
        *pop3.usual(),
        *(pop3.capabilities.Lang(), pop3.capabilities.Sasl(("PLAIN",))),
    )
    talk = Talk(Asked, conn=connection(capabilities=offered))
    talk.hear(b"USER mrose\r\n" * bool(between) + between + b"NOOP\r\n")
    before = len(questions())
    assert talk.hear(b"PASS tanstaaf\r\n") == NOT_NOW
    assert len(questions()) == before
    assert talk.conn.state is State.AUTHORIZATION
    assert talk.log_in("mrose", "tanstaaf") == OPENED


def test_the_last_name_counts() -> None:
    talk = Talk(Asked)
    assert talk.hear(b"USER other\r\nUSER mrose\r\n") == NAMED * 2
    assert talk.hear(b"PASS tanstaaf\r\n") == OPENED


def test_an_unknown_user_and_a_wrong_password_look_the_same() -> None:
    for name in ("joe", "nobody"):
        talk = Talk(Plain)
        assert talk.log_in(name, "wrong") == DENIED
        assert talk.slept == [3]
        assert talk.driver.asked == ["Plain", "authenticate"]
        assert talk.writes[1:] == [NAMED, DENIED]


@pytest.mark.parametrize("kind", KINDS)
def test_after_a_no_a_client_may_try_again(kind: pop3.ApplicationFactory) -> None:
    talk = Talk(kind)
    assert talk.log_in(password="wrong") == DENIED
    assert talk.hear(b"PASS secret\r\n") == NOT_NOW
    assert talk.hear(b"STAT\r\n") == NOT_NOW
    assert talk.log_in() == OPENED
    assert talk.hear(b"STAT\r\n") == b"+OK 2 54\r\n"


def test_without_tls_the_server_may_want_no_password() -> None:
    """RFC 8314 section 4.1: the right one is refused as every other."""
    user = pop3.capabilities.User(needs_tls=True)
    offered = [user if each.tag == "USER" else each for each in pop3.usual()]
    talk = Talk(Asked, conn=connection(capabilities=offered))
    assert talk.hear(b"CAPA\r\n") == CAPA.replace(b"USER\r\n", b"", 1)
    assert talk.hear(b"USER mrose\r\n") == b"-ERR TLS has to begin first\r\n"
    assert talk.hear(b"PASS tanstaaf\r\n") == NOT_NOW
    assert questions() == []
    inside = Talk(Asked, conn=connection(capabilities=offered, tls=True))
    assert inside.log_in("mrose", "tanstaaf") == OPENED


# APOP.  RFC 1939 section 7.


def apop_conn(timestamp: str = RFC_1939) -> pop3.Connection:
    return connection(domain="dbc.mtview.ca.us", timestamp=timestamp)


def test_apop_is_as_in_rfc_1939() -> None:
    talk = Talk(Asked, conn=apop_conn())
    assert talk.greeting == f"+OK dbc.mtview.ca.us POP3 {RFC_1939}\r\n".encode()
    assert talk.hear(APOP) == OPENED
    assert told == [sasl.FindPassword("mrose"), "mrose"]


def test_apop_does_not_need_the_name_of_user() -> None:
    talk = Talk(Asked, conn=apop_conn())
    assert talk.hear(b"USER nobody\r\n" + APOP) == NAMED + OPENED
    assert told[-1] == "mrose"


@pytest.mark.parametrize(
    ("line", "timestamp"),
    [
        ("APOP mrose c4c9334bac560ecc979e58001b3e22fc", RFC_1939),
        ("APOP mrose d4c9334bac560ecc979e58001b3e22fb", RFC_1939),
        ("APOP nobody c4c9334bac560ecc979e58001b3e22fb", RFC_1939),
        ("APOP nobody 00000000000000000000000000000000", RFC_1939),
        ("APOP mrose c4c9334bac560ecc979e58001b3e22fb", "<1.2@dbc.mtview.ca.us>"),
    ],
)
def test_apop_says_no_to_all_others_alike(line: str, timestamp: str) -> None:
    talk = Talk(Asked, conn=apop_conn(timestamp))
    assert talk.hear(f"{line}\r\n".encode()) == DENIED
    assert talk.slept == [3]
    assert talk.driver.asked == ["Asked", "authenticate"]
    assert talk.log_in("mrose", "tanstaaf") == OPENED


@pytest.mark.parametrize(
    "line",
    [
        *(
            "APOP",
            "APOP mrose",
            "APOP mrose ",
            "APOP  c4c9334bac560ecc979e58001b3e22fb",
        ),
        "APOP mrose C4C9334BAC560ECC979E58001B3E22FB",
        "APOP mrose c4c9334bac560ecc979e58001b3e22f",
        "APOP mrose c4c9334bac560ecc979e58001b3e22fbb",
        "APOP mrose  c4c9334bac560ecc979e58001b3e22fb",
        "APOP mrose c4c9334bac560ecc979e58001b3e22fb x",
        "APOP m rose c4c9334bac560ecc979e58001b3e22fb",
    ],
)
def test_a_malformed_apop_is_not_looked_at(line: str) -> None:
    talk = Talk(Asked, conn=apop_conn())
    assert talk.hear(f"{line}\r\n".encode()).startswith(b"-ERR ")
    assert talk.slept == []
    assert questions() == []


def test_apop_may_be_beyond_ascii() -> None:
    """RFC 6856 section 2.2: name and secret are prepared with SASLprep."""
    talk = Talk(Asked, conn=apop_conn("<1.2@example.com>"))
    digest = "d397deed6eb9d2100896ab7491b05cae"
    assert talk.hear(b"UTF8\r\n") == b"+OK UTF-8 it is\r\n"
    assert (
        talk.hear(f"APOP jo\N{COMBINING DIAERESIS}rg {digest}\r\n".encode()) == OPENED
    )
    assert told == [sasl.FindPassword("jörg"), "jörg"]


# What a no costs.

WRONG: Final = b"USER joe\r\nPASS wrong\r\n"


def test_a_no_is_delayed_and_what_came_before_it_is_not() -> None:
    talk = Talk(Plain, logins=logins(delay=7))
    assert talk.hear(b"CAPA\r\n" + WRONG).endswith(NAMED + DENIED)
    assert talk.slept == [7]
    assert talk.writes[-1] == DENIED


def test_a_yes_is_not_delayed() -> None:
    talk = Talk(Plain, logins=logins(delay=7))
    assert talk.log_in() == OPENED
    assert talk.slept == []


def test_no_delay_is_no_sleep() -> None:
    talk = Talk(Plain, logins=logins(delay=0))
    assert talk.hear(WRONG) == NAMED + DENIED
    assert talk.slept == []


def test_a_delay_takes_no_time_of_the_client() -> None:
    """The time for the next command begins when the no was said."""
    served = Served(
        Plain,
        *[LOGIN[0], Say(WRONG), Expect(NAMED + DENIED)],
        *[Say(WRONG), Expect(NAMED + DENIED)],
        *QUIT,
        logins=logins(delay=5_000),
    )
    assert served.ending is Ending.QUIT
    assert served.peer.now == 10_000


@pytest.mark.parametrize("most", [1, 2, 5])
def test_too_many_failed_logins_end_the_session(most: int) -> None:
    limits = Limits(failed_logins=most)
    talk = Talk(Plain, conn=connection(limits=limits))
    heard = talk.hear(WRONG * most + b"USER joe\r\nPASS secret\r\n")
    assert heard == (NAMED + DENIED) * most
    assert talk.ending is Ending.REFUSED
    assert talk.slept == [3] * most
    assert told == [Ending.REFUSED]


def test_failed_logins_of_every_kind_count_together() -> None:
    conn = connection(timestamp=RFC_1939, limits=Limits(failed_logins=5))
    talk = Talk(Plain, conn=conn, logins=logins())
    assert talk.hear(WRONG) == NAMED + DENIED
    assert talk.hear(APOP) == DENIED
    assert talk.hear(b"AUTH PLAIN AGpvZQB3cm9uZw==\r\n") == DENIED
    cancelled = b"+ \r\n-ERR The exchange was given up\r\n"
    assert talk.hear(b"AUTH PLAIN\r\n*\r\n") == cancelled
    assert talk.ending is None
    malformed = b"+ \r\n-ERR Cannot decode base64\r\n"
    assert talk.hear(b"AUTH PLAIN\r\n!\r\n") == malformed
    assert talk.ending is Ending.REFUSED
    assert talk.slept == [3] * 5


def test_a_login_that_fails_for_another_reason_does_not_count() -> None:
    conn = connection(limits=Limits(failed_logins=1))
    talk = Talk(answering("open", pop3.MaildropInUse()), conn=conn)
    for _ in range(3):
        assert talk.log_in() == IN_USE
    assert talk.hear(b"PASS secret\r\nWHAT\r\n") == (
        NOT_NOW + b"-ERR Command not recognized\r\n"
    )
    assert talk.slept == []
    assert talk.ending is None


class Sleepless(Peer):
    """A peer of a server that is stopped while it sleeps."""

    def sleep(self, seconds: float) -> None:
        raise Stopping


def test_a_server_that_stops_does_not_sleep_to_the_end() -> None:
    """What has come already is answered."""
    peer = Sleepless(LOGIN[0], Say(WRONG + b"CAPA\r\n"), Expect(NAMED + DENIED + CAPA))
    served = Served(Plain, peer=peer)
    assert served.ending is Ending.STOPPING
    assert told == [Ending.STOPPING]


# The maildrop.


@pytest.mark.parametrize("make", [answering, awaiting])
def test_a_maildrop_in_use_is_said_so_and_the_session_goes_on(make: Any) -> None:
    """RFC 2449 section 8.1.2: the credentials were good."""
    served = Served(
        make("open", pop3.MaildropInUse("by 192.0.2.9")),
        LOGIN[0],
        Say(b"USER joe\r\nPASS secret\r\n"),
        Expect(NAMED + IN_USE),
        *QUIT,
    )
    assert served.ending is Ending.QUIT
    assert served.driver.reports == []
    assert told == [Ending.QUIT]


def test_a_maildrop_may_be_free_the_next_time() -> None:
    class Busy(Plain):
        free = False

        def open(self, identity: str) -> pop3.Maildrop:
            if not self.free:
                self.free = True
                raise pop3.MaildropInUse
            return super().open(identity)

    talk = Talk(Busy)
    assert talk.log_in() == IN_USE
    assert talk.log_in() == OPENED


def test_a_login_with_the_wrong_password_opens_nothing() -> None:
    """Nobody learns so whether a maildrop is in use."""
    talk = Talk(answering("open", pop3.MaildropInUse()))
    assert talk.log_in(password="wrong") == DENIED
    assert "open" not in talk.driver.asked


def test_the_identity_is_what_the_application_says() -> None:
    class Renaming(Plain):
        def authenticate(self, question: sasl.Question) -> object:
            return "joe@pop.example"

    talk = Talk(Renaming)
    talk.log_in()
    assert told == ["joe@pop.example"]


def test_no_secret_is_in_a_transcript() -> None:
    lines: list[str] = []
    conn = connection(timestamp=RFC_1939, trace=lines.append)
    talk = Talk(Plain, conn=conn, logins=logins(nonce="1.2"))
    talk.hear(WRONG, b"PASS hunter2\r\n", APOP, b"AUTH PLAIN\r\nAGpvZQB3cm9uZw==\r\n")
    talk.hear(b"AUTH CRAM-MD5\r\n*\r\n", b"AUTH LOGIN d3Jvbmc=\r\n")
    shown = "\n".join(lines)
    assert "C: USER joe" in shown
    assert "C: PASS (secret)" in shown
    for secret in ("wrong", "hunter2", "c4c9334b", "AGpv", "d3Jvbmc", "PDEuMk"):
        assert secret not in shown
