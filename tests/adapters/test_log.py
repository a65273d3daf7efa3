"""What the servers of the three adapters write into the log of sessions."""

import logging
import re
import socket
from collections.abc import Iterator
from typing import Any, Final

import pytest

from adapting import Adapter
from smtp_pop_adapters._log import log_note, new_session, report_mistake
from smtp_pop_core import Note, pop3, smtp

LOGGER: Final = "smtp_pop_adapters.sessions"


@pytest.fixture(autouse=True)
def noted(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.INFO, LOGGER):
        yield caplog


class Failing(smtp.Application):
    """Tells under what name it runs, in a mistake."""

    def mail(self, command: smtp.Mail) -> None:
        raise ValueError(self.peer.session)


class Post(pop3.Application):
    """Fails likewise, and has no maildrop for anybody."""

    def command(self, command: pop3.Command) -> None:
        raise ValueError(self.peer.session)


def visit(address: tuple[str, int], *lines: bytes) -> int:
    """Say this after the greeting, and hear all that follows; return our port."""
    with socket.create_connection(address, 30) as sock:
        assert sock.recv(65536).endswith(b"\r\n")
        sock.sendall(b"".join(lines))
        while sock.recv(65536):
            pass
        port: int = sock.getsockname()[1]
        return port


def lines_of(noted: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in noted.records if each.name == LOGGER]


def check(
    noted: pytest.LogCaptureFixture, port: int, commands: str, mistake: Exception
) -> None:
    """See that one session was logged, and that its mistake bears its name."""
    name = str(mistake)
    assert re.fullmatch("[0-9a-f]{16}", name)
    assert mistake.__notes__ == [f"session {name}"]
    connected, ended = lines_of(noted)
    assert connected == f"connected address=127.0.0.1 port={port} session={name}"
    assert ended.startswith(f"ended reason=quit commands={commands} ")
    assert ended.endswith(f" session={name}")


SMTP_LINES: Final = (b"HELO me.example\r\n", b"MAIL FROM:<>\r\n", b"QUIT\r\n")
POP3_LINES: Final = (b"LANG\r\n", b"QUIT\r\n")
SERVICES: Final[dict[str, Any]] = {
    "smtp": (Failing, {}, SMTP_LINES, "HELO:1,MAIL:1,QUIT:1"),
    "pop3": (
        Post,
        {"capabilities": [pop3.capabilities.Lang()]},
        POP3_LINES,
        "LANG:1,QUIT:1",
    ),
}


@pytest.mark.parametrize("protocol", SERVICES)
async def test_a_server_logs_its_sessions(
    adapter: Adapter, noted: pytest.LogCaptureFixture, protocol: str
) -> None:
    application, options, lines, commands = SERVICES[protocol]
    mistakes: list[Exception] = []
    options = {**options, "report": mistakes.append}
    async with adapter.serve(protocol, application, **options) as server:
        port = await adapter.thread(lambda: visit(server.addresses[0], *lines))
    check(noted, port, commands, *mistakes)


def test_a_record_has_the_fields_for_those_who_write_json(
    noted: pytest.LogCaptureFixture,
) -> None:
    log_note(Note("ended", {"reason": "quit", "commands": {"EHLO": 1}}), "0123")
    [record] = noted.records
    assert (record.levelno, record.name) == (logging.INFO, LOGGER)
    assert record.getMessage() == "ended reason=quit commands=EHLO:1 session=0123"
    assert vars(record)["fields"] == {
        "event": "ended",
        "session": "0123",
        "reason": "quit",
        "commands": {"EHLO": 1},
    }


def test_where_nobody_listens_nothing_is_logged(
    noted: pytest.LogCaptureFixture,
) -> None:
    with noted.at_level(logging.WARNING, LOGGER):
        log_note(Note("connected"), "0123")
    assert noted.records == []


def test_no_two_sessions_have_the_same_name() -> None:
    assert len({new_session() for _ in range(1_000)}) == 1_000


def test_a_mistake_outside_of_a_session_bears_no_name() -> None:
    mistakes: list[Exception] = []
    mistake = ValueError("a mistake")
    report_mistake(mistakes.append, mistake, "")
    assert mistakes == [mistake]
    assert not hasattr(mistake, "__notes__")
