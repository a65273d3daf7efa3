"""What operators read: the notes and mistakes of sessions, through `logging`."""

import logging
import secrets
from collections.abc import Callable
from typing import Final

from smtp_pop_core import Note

_log: Final = logging.getLogger("smtp_pop_adapters")
_sessions: Final = logging.getLogger("smtp_pop_adapters.sessions")


def new_session() -> str:
    """Name a session: 16 hexadecimal digits, which no other has, here or elsewhere."""
    return secrets.token_hex(8)


def log_note(note: Note, session: str) -> None:
    """Log what has happened, at the level INFO of "smtp_pop_adapters.sessions".

    The message is the event and its fields as "name=value".  The record has them as
    `fields` too, a dict with "event" and "session" beside them, for those who write
    JSON.

    Args:
        note: What has happened.
        session: In which session, "" for none.
    """
    if not _sessions.isEnabledFor(logging.INFO):
        return
    fields = {"event": note.event, "session": session, **note.fields}
    _sessions.info("%s session=%s", note, session or "-", extra={"fields": fields})


def report_mistake(
    report: Callable[[Exception], None], error: Exception, session: str
) -> None:
    """Report a mistake, with a note on it in which session it was.

    A report that fails is logged, and so is the mistake: it ends no session, and no
    server.
    """
    if session:
        error.add_note(f"session {session}")
    try:
        report(error)
    except Exception as failed:
        log_mistake(error)
        log_mistake(failed)


def log_mistake(error: Exception) -> None:
    """Tell the operator through `logging`."""
    _log.error("%r", error, exc_info=error)
