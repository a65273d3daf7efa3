"""The door of the servers of the three adapters, on loopback."""

import contextlib
import os
import resource
import select
import socket
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from adapting import HOST
from asynchronous import Kit
from certificates import NAME, client_context, server_context
from door import Door, Receiver, Serving
from loopback import Raw, read_all
from maildrops import Store
from smtp_pop_adapters import blocking
from smtp_pop_adapters._admission import Terms
from smtp_pop_adapters._options import Service, smtp_service
from smtp_pop_adapters._sockets import (
    given_or_new,
    listen,
    turn_all_away,
    turn_away,
)
from smtp_pop_core import Flow, Networks, Refusal, Write

LINE: Final = "PROXY TCP4 192.0.2.{} 198.51.100.7 56324 25"
BUSY: Final = {
    "smtp": "421 Too many sessions, try again later",
    "pop3": "-ERR [SYS/TEMP] Too many sessions, try again later",
}
GREETING: Final = {"smtp": "220 mx.example ESMTP", "pop3": "+OK mx.example POP3"}
SECURE: Final[dict[str, Any]] = {"tls": server_context(), "implicit_tls": True}
both: Final = pytest.mark.parametrize("protocol", ["smtp", "pop3"])


def drip(client: Raw, octets: bytes) -> None:
    """Say something octet by octet."""
    client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for octet in octets:
        client.sock.sendall(bytes([octet]))


def dismissed_after_one_more(door: Door, clients: list[Raw]) -> bool:
    """Let one more come; return whether all of these have been said something since."""
    door.knock()
    socks = [each.sock for each in clients]
    return len(select.select(socks, (), (), 0)[0]) == len(socks)


# How many


@both
def test_who_comes_to_a_full_server_is_told(serving: Serving, protocol: str) -> None:
    def meet(door: Door) -> None:
        first = door.knock()
        assert first.hear() == GREETING[protocol]
        assert door.server.sessions == 1
        for _ in range(3):
            other = door.knock()
            assert other.hear() == BUSY[protocol]
            assert other.rest() == b""
        assert door.server.refused[Refusal.BUSY] == 3
        assert first.say("NOOP").startswith(("250 ", "-ERR "))  # as before
        first.say("QUIT")
        first.close()
        door.enter()

    serving(protocol, meet, sessions=1)


@both
def test_inside_tls_a_full_server_says_nothing(serving: Serving, protocol: str) -> None:
    def meet(door: Door) -> None:
        door.knock()
        door.until(lambda: bool(door.server.sessions))
        assert door.knock().rest() == b""

    serving(protocol, meet, sessions=1, **SECURE)


def test_a_client_that_speaks_first_hears_why_it_is_not_served() -> None:
    near, far = socket.socketpair()
    with far:
        far.sendall(b"EHLO too.early\r\n")
        turn_away(near, b"421 no\r\n")
        assert read_all(far) == b"421 no\r\n"


def test_who_is_gone_is_turned_away_as_well() -> None:
    near, far = socket.socketpair()
    far.close()
    turn_away(near, b"421 no\r\n")
    assert near.fileno() == -1


# From one address


@both
def test_who_comes_too_often_from_one_address_is_told(
    serving: Serving, protocol: str
) -> None:
    def meet(door: Door) -> None:
        assert door.knock().hear() == GREETING[protocol]
        assert door.knock().hear().endswith("Too many connections from your address")
        assert door.server.refused[Refusal.ADDRESS] == 1

    serving(protocol, meet, sessions_per_address=1, exempt=())


@both
def test_the_host_itself_may_come_as_often_as_it_likes(
    serving: Serving, protocol: str
) -> None:
    def meet(door: Door) -> None:
        for _ in range(3):
            assert door.knock().hear() == GREETING[protocol]

    serving(protocol, meet, sessions_per_address=1)


@both
def test_behind_a_proxy_the_clients_are_bounded_and_not_the_proxy(
    serving: Serving, protocol: str
) -> None:
    def meet(door: Door) -> None:
        assert door.knock().say(LINE.format(1)) == GREETING[protocol]
        refused = door.knock().say(LINE.format(1))
        assert refused.endswith("Too many connections from your address")
        assert door.knock().say(LINE.format(2)) == GREETING[protocol]
        assert door.knock().say("PROXY UNKNOWN") == GREETING[protocol]

    options = {"proxy_protocol": ["127.0.0.0/8"], "exempt": ()}
    serving(protocol, meet, sessions_per_address=1, **options)


FAILING: Final = {
    "smtp": ["EHLO me.example", "AUTH PLAIN AHRpbQB3cm9uZw=="],
    "pop3": ["AUTH PLAIN AHRpbQB3cm9uZw=="],
}


@both
def test_an_address_whose_logins_fail_is_not_let_in_any_more(
    serving: Serving, protocol: str
) -> None:
    def meet(door: Door) -> None:
        for _ in range(2):
            client = door.knock()
            assert client.hear() == GREETING[protocol]
            for each in FAILING[protocol]:
                client.say(each)
        refused = door.knock().hear()
        assert refused.endswith("Too many failed logins from your address")

    serving(protocol, meet, failed_logins_per_address=2, exempt=())


# Who makes room


@both
def test_peers_that_drip_do_not_keep_others_out(
    serving: Serving, protocol: str
) -> None:
    heard = {"smtp": b"421 4.4.2 Timeout, closing\r\n", "pop3": b""}

    def meet(door: Door) -> None:
        dripping = [door.enter() for _ in range(3)]
        for each in dripping:
            drip(each, b"NOO")
        assert door.enter().say("NOOP")
        door.until(partial(dismissed_after_one_more, door, dripping))
        assert door.server.dismissed >= 3
        for each in dripping:
            assert each.rest() == heard[protocol]

    serving(protocol, meet, sessions=3, patience=0)


@pytest.mark.parametrize("tls", [False, True])
def test_who_begins_no_session_does_not_keep_others_out(
    serving: Serving, tls: bool
) -> None:
    """Neither in a handshake nor in a PROXY header."""

    def meet(door: Door) -> None:
        silent = [door.knock() for _ in range(2)]
        door.until(partial(dismissed_after_one_more, door, silent))
        for each in silent:
            assert each.rest() == b""

    behind = {"proxy_protocol": ["127.0.0.0/8"]}
    serving("smtp", meet, sessions=2, patience=0, **(SECURE if tls else behind))


def test_who_makes_room_hears_so_inside_tls(serving: Serving) -> None:
    def meet(door: Door) -> None:
        sock = door.knock().sock.dup()
        tls = client_context().wrap_socket(sock, server_hostname=NAME)
        with contextlib.closing(Raw(tls)) as client:
            assert client.hear() == GREETING["smtp"]

            def one_more() -> bool:
                door.knock()
                return bool(door.server.dismissed)

            door.until(one_more)
            assert client.rest() == b"421 4.4.2 Timeout, closing\r\n"

    serving("smtp", meet, sessions=1, patience=0, **SECURE)


def test_who_sends_a_message_is_not_asked_to_go(serving: Serving) -> None:
    def meet(door: Door) -> None:
        client = door.enter()
        for line in ("HELO me", "MAIL FROM:<>", "RCPT TO:<postmaster>", "DATA"):
            client.say(line)
        drip(client, b"hello")
        for _ in range(3):
            assert door.knock().hear() == BUSY["smtp"]
        assert client.say("\r\n.").startswith("250 ")
        assert door.server.dismissed == 0

    serving("smtp", meet, sessions=1, patience=0)


def test_who_is_asked_to_go_has_nothing_removed(serving: Serving) -> None:
    store = Store(b"one\r\n")

    def meet(door: Door) -> None:
        client = door.enter()
        assert client.say("AUTH PLAIN AGFsaWNlAHNlY3JldA==").startswith("+OK")
        assert client.say("DELE 1").startswith("+OK")
        door.enter()
        assert client.rest() == b""

    serving("pop3", meet, application=store, sessions=1, patience=0)
    assert store.removed == []
    assert store.closed == 1


# Who cannot be accepted


def test_a_server_without_descriptors_says_so_once_and_waits_for_some(
    serving: Serving,
) -> None:
    mistakes: list[Exception] = []

    def meet(door: Door) -> None:
        other, waiting = door.enter(), socket.socket()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        free = os.open(os.devnull, os.O_RDONLY)
        os.close(free)
        with contextlib.closing(Raw(waiting)) as client:
            resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
            try:
                waiting.connect(door.server.addresses[0])
                door.until(lambda: bool(mistakes))
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            other.say("QUIT")
            other.close()
            assert client.hear() == GREETING["smtp"]

    serving("smtp", meet, report=mistakes.append)
    assert [type(each) for each in mistakes] == [OSError]
    assert "open files" in str(mistakes[0])


# The end


class Holding(Networks):
    """Lets nobody say where a client is, but takes its time to say so."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = threading.Event()
        self.go_on = threading.Event()

    def __contains__(self, address: str) -> bool:
        self.asked.set()
        return not self.go_on.wait(30)


def test_who_waits_to_be_accepted_when_a_thread_server_ends_is_told() -> None:
    def session(*_: object) -> Flow[None]:
        yield Write(b"served")

    holding = Holding()
    refusals = {Refusal.STOPPING: b"421 Shutting down\r\n"}
    service = Service(session, None, None, Terms(10), refusals, (holding,))
    server = blocking.Server([socket.create_server((HOST, 0))], service, report=None)
    clients = [socket.create_connection(server.addresses[0])]
    assert holding.asked.wait(30)
    clients.append(socket.create_connection(server.addresses[0]))
    server.drain()
    holding.go_on.set()
    server.stop()
    assert [read_all(each) for each in clients] == [refusals[Refusal.STOPPING]] * 2
    assert server.refused[Refusal.STOPPING] == 2


async def test_who_waits_to_be_accepted_when_an_async_server_ends_is_told(
    kit: Kit,
) -> None:
    async with kit.serve_smtp(Receiver) as server:
        clients = [socket.create_connection(server.addresses[0]) for _ in range(3)]
        server.drain()
        await server.stop()
        told = [await kit.thread(partial(read_all, each)) for each in clients]
        assert told == [b"421 Shutting down\r\n"] * 3
        assert server.refused[Refusal.STOPPING] == 3


def test_those_who_wait_are_turned_away_but_not_for_ever() -> None:
    with socket.create_server((HOST, 0)) as listener:
        clients = [socket.create_connection(listener.getsockname()) for _ in range(2)]
        assert turn_all_away(listener, b"421 no\r\n") == 2
        assert turn_all_away(listener, b"421 no\r\n") == 0
    assert [read_all(each) for each in clients] == [b"421 no\r\n"] * 2


def test_idle_sessions_are_told_of_the_end(serving: Serving) -> None:
    def meet(door: Door) -> Callable[[], None]:
        client = door.enter()

        def last() -> None:
            assert client.hear() == "421 4.3.2 Shutting down"

        return last

    serving("smtp", meet)


# What it listens on


def test_one_server_has_several_listeners(serving: Serving, tmp_path: Path) -> None:
    def meet(door: Door) -> None:
        assert door.knock(0).hear() == GREETING["smtp"]
        assert door.knock(1).hear() == GREETING["smtp"]
        assert door.server.sessions == 2

    path = str(tmp_path / "socket")
    serving("smtp", meet, sock=[*listen(HOST, 0), *listen(path, 0)])
    assert Path(path).exists()  # whose listener was given, theirs is the file


@both
def test_the_file_of_a_unix_socket_is_removed_in_the_end(
    serving: Serving, protocol: str, tmp_path: Path
) -> None:
    path = tmp_path / "socket"

    def meet(door: Door) -> None:
        assert path.exists()
        assert door.knock().hear() == GREETING[protocol]

    serving(protocol, meet, host=str(path))
    assert not path.exists()


def test_a_file_that_has_taken_the_place_of_ours_stays(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    (listener,), (file,) = given_or_new(None, str(path), 0)
    with listener:
        path.rename(tmp_path / "old")
        path.write_text("theirs")
        file.remove()
    assert path.read_text() == "theirs"


def test_a_file_is_removed_once(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    (listener,), (file,) = given_or_new(None, str(path), 0)
    listener.close()
    file.remove()
    path.write_text("theirs")
    file.remove()
    assert path.exists()


# Its terms


@pytest.mark.parametrize(
    "options",
    [
        {"sessions_per_address": 0},
        {"failed_logins_per_address": 0},
        {"patience": -1},
        {"exempt": ["nowhere"]},
    ],
)
def test_options_that_make_no_sense_are_refused(options: Any) -> None:
    with pytest.raises(ValueError, match=r"must be at least|does not appear"):
        smtp_service(Receiver, options, 1)
    with pytest.raises(ValueError, match="sessions must be at least 1"):
        smtp_service(Receiver, {}, 0)


def test_what_refused_clients_hear_is_not_in_the_trace() -> None:
    lines: list[str] = []
    service = smtp_service(Receiver, {"trace": lines.append, "domain": "mx.example"}, 1)
    assert (
        service.refusal(Refusal.BUSY) == b"421 Too many sessions, try again later\r\n"
    )
    assert lines == []
