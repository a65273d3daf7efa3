"""What a server tells the operator of a session."""

import pytest

from driving import Close, Expect, Say, Shake, Silence, Step
from pop3_serving import (
    CONTENTS,
    DENIED,
    FAILED,
    GOODBYE,
    GREETING,
    LOGIN,
    MARKED,
    NAMED,
    NO_SUCH_MESSAGE,
    ON_THE_WIRE,
    OPENED,
    QUIT,
    Memory,
    Plain,
    Served,
    answering,
    connection,
    logins,
    opening,
)
from smtp_pop_core import Negotiated, Note, pop3, sasl

CONNECTED = Note("connected", {"address": "192.0.2.1", "port": 1100})
IN = [
    Note("logged_in", {"mechanism": "USER", "identity": "joe"}),
    Note("maildrop_opened", {"identity": "joe", "messages": 2, "octets": 54}),
]
LOGGED_IN = {"USER": 1, "PASS": 1}


def ended(reason: str, commands: dict[str, int], **fields: object) -> Note:
    """Say how a session ended; what is not named was not there."""
    none = {"refused": {}, "bad_commands": 0, "messages": 0, "octets": 0}
    return Note("ended", {"reason": reason, "commands": commands, **none, **fields})


def committed(retrieved: int, deleted: int, left: int = 0) -> Note:
    fields = {"retrieved": retrieved, "deleted": deleted, "left": left}
    return Note("committed", fields)


def test_a_session_has_a_beginning_and_an_end() -> None:
    served = Served(Plain, GREETING, *QUIT)
    assert served.driver.notes == [CONNECTED, ended("quit", {"QUIT": 1})]


@pytest.mark.parametrize(
    ("then", "reason"), [([Close()], "lost"), ([Silence()], "timeout")]
)
def test_a_session_that_ends_without_quit_commits_nothing(
    then: list[Step], reason: str
) -> None:
    served = Served(Plain, *LOGIN, *then)
    assert served.driver.notes == [CONNECTED, *IN, ended(reason, LOGGED_IN)]


def test_what_was_retrieved_and_deleted_is_noted() -> None:
    served = Served(
        Plain,
        *LOGIN,
        *[Say(b"RETR 1\r\n"), Expect(b"+OK 23 octets\r\n" + ON_THE_WIRE[0])],
        *[Say(b"RETR 3\r\n"), Expect(NO_SUCH_MESSAGE)],
        *[Say(b"DELE 1\r\n"), Expect(MARKED)],
        *[Say(b"XYZ\r\n"), Expect(b"-ERR Command not recognized\r\n"), *QUIT],
    )
    commands = {**LOGGED_IN, "RETR": 2, "DELE": 1, "QUIT": 1}
    counts = {"refused": {"RETR": 1}, "bad_commands": 1, "messages": 1, "octets": 23}
    assert served.driver.notes[3:] == [
        committed(1, 1),
        ended("quit", commands, **counts),
    ]


def test_a_message_of_which_only_the_head_was_asked_is_not_retrieved() -> None:
    served = Served(
        Plain,
        *LOGIN,
        *[Say(b"TOP 1 0\r\n"), Expect(b"+OK 23 octets\r\nSubject: one\r\n\r\n.\r\n")],
        *QUIT,
    )
    *_, commit, end = served.driver.notes
    assert commit == committed(0, 0)
    assert (end.fields["messages"], end.fields["octets"]) == (0, 16)


@pytest.mark.parametrize("outcome", [{1}, ValueError("the disk is full")])
def test_what_could_not_be_deleted_is_noted(outcome: object) -> None:
    class Keeping(Memory):
        def commit(self, deleted: object) -> set[int]:
            if isinstance(outcome, Exception):
                raise outcome
            return {1}

    served = Served(
        opening(Keeping(*CONTENTS)),
        *[*LOGIN, Say(b"DELE 1\r\n"), Expect(MARKED), Say(b"QUIT\r\n")],
        Expect(b"-ERR [SYS/TEMP] 1 messages were not removed\r\n"),
    )
    assert served.driver.notes[3] == committed(0, 0, 1)


@pytest.mark.parametrize(
    ("lines", "answer", "event", "fields"),
    [
        (
            b"USER joe\r\nPASS wrong\r\n",
            NAMED + DENIED,
            "login_refused",
            {"mechanism": "USER", "user": "joe", "reason": "denied"},
        ),
        (
            b"APOP joe 00000000000000000000000000000000\r\n",
            DENIED,
            "login_refused",
            {"mechanism": "APOP", "user": "joe", "reason": "denied"},
        ),
        (
            b"AUTH PLAIN AGpvZQBzZWNyZXQ=\r\n",
            OPENED,
            "logged_in",
            {"mechanism": "PLAIN", "identity": "joe"},
        ),
        (
            b"AUTH PLAIN eA==\r\n",
            b"-ERR The exchange was given up\r\n",
            "login_refused",
            {"mechanism": "PLAIN", "user": "", "reason": "malformed"},
        ),
    ],
)
def test_logins_are_noted(
    lines: bytes, answer: bytes, event: str, fields: dict[str, object]
) -> None:
    timestamp = "<1@pop.example>"
    served = Served(
        Plain,
        Expect(f"+OK pop.example POP3 {timestamp}\r\n".encode()),
        *[Say(lines), Expect(answer), Close()],
        conn=connection(timestamp=timestamp),
        logins=logins(mechanisms=[sasl.PLAIN]),
    )
    assert served.driver.notes[1] == Note(event, fields)


def test_a_login_that_could_not_be_checked_is_noted() -> None:
    served = Served(
        answering("authenticate", ValueError("a mistake")),
        *[GREETING, Say(b"USER joe\r\nPASS secret\r\n"), Expect(NAMED + FAILED)],
        Close(),
    )
    fields = {"mechanism": "USER", "user": "joe", "reason": "failed"}
    assert served.driver.notes[1] == Note("login_refused", fields)


def test_a_maildrop_in_use_is_noted() -> None:
    served = Served(
        answering("open", pop3.MaildropInUse()),
        *[GREETING, Say(b"USER joe\r\nPASS secret\r\n")],
        Expect(NAMED + b"-ERR [IN-USE] The maildrop is in use\r\n"),
        Close(),
    )
    in_use = Note("maildrop_in_use", {"identity": "joe"})
    refused = {"refused": {"PASS": 1}}
    assert served.driver.notes == [
        *[CONNECTED, IN[0], in_use],
        ended("lost", LOGGED_IN, **refused),
    ]


def test_what_tls_has_come_to_is_noted() -> None:
    outcome = Negotiated("TLSv1.3", "TLS_AES_128_GCM_SHA256", b"a certificate")
    served = Served(Plain, Shake(outcome), GREETING, Close(), conn=connection(tls=True))
    fields = {"version": "TLSv1.3", "cipher": "TLS_AES_128_GCM_SHA256"}
    assert served.driver.notes[:2] == [CONNECTED, Note("tls_begun", fields)]


def test_a_session_without_an_application_is_noted_as_well() -> None:
    def broken(peer: pop3.Peer) -> pop3.Application:
        raise ValueError("none today")

    served = Served(broken, Expect(FAILED))
    assert served.driver.notes == [CONNECTED, Note("ended", {"reason": "refused"})]


def test_another_protocol_is_noted() -> None:
    served = Served(
        Plain,
        *[GREETING, Say(b"\x16\x03\x01\x02\0")],
        Expect(b"-ERR Another protocol is spoken here\r\n"),
    )
    assert served.driver.notes[1:] == [
        Note("foreign_protocol", {"protocol": "TLS"}),
        ended("refused", {}, bad_commands=1),
    ]


def test_an_application_knows_the_name_of_its_session() -> None:
    names = []

    class Named(Plain):
        def connect(self) -> None:
            names.append(self.peer.session)

    Served(Named, GREETING, Close(), session="0123456789abcdef")
    Served(Named, GREETING, Close())
    assert names == ["0123456789abcdef", ""]


def test_what_a_peer_wrote_is_escaped() -> None:
    name = 'j"o=e\\'
    served = Served(
        Plain,
        *[GREETING, Say(f"USER {name}\r\nPASS x\r\n".encode()), Expect(NAMED + DENIED)],
        *[Say(b"QUIT\r\n"), Expect(GOODBYE)],
    )
    line = r'login_refused mechanism=USER user="j\"o=e\\" reason=denied'
    assert str(served.driver.notes[1]) == line
