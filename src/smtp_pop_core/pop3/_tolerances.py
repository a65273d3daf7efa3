"""What is borne beyond the standard, each by name, with those who need it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerances:
    """What a Connection accepts although the standard does not.

    Some things need no name, because nothing can be mistaken for another: a "+OK" or
    "-ERR" without text, a "+" without the space for an empty challenge, text behind the
    numbers of STAT and LIST, and a server that knows neither CAPA nor UIDL nor TOP.

    Attributes:
        lf_line_ends: A client takes a bare LF of the server for a line end.  Deviation:
            RFC 1939 section 3.  For home-made servers; also inside messages, where an
            LF, a dot and an LF then end the message.  Such a server cannot send a bare
            LF in any other meaning.
        any_unique_id: A client accepts unique ids of any length and any characters but
            spaces and controls.  Deviation: RFC 1939 section 7 has 70 octets of
            printable ASCII.  For servers that make them from message ids or paths.
        utf8_login: A server reads UTF-8 in USER, PASS and APOP before UTF8 was said.
            Deviation: RFC 6856 section 2.2; poplib sends so.  Off here, on in the
            servers of the adapters.
    """

    lf_line_ends: bool = False
    any_unique_id: bool = False
    utf8_login: bool = False
