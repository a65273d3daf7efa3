"""What is borne beyond the standard, each by name, with those who need it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerances:
    """What a Connection accepts although the standard does not.

    Attributes:
        space_after_colon: A server reads "MAIL FROM: <a@b>" and "RCPT TO: <a@b>".
            Deviation: RFC 5321 section 3.3 forbids the space; old scripts and printers
            send it.  Off here, on in the servers of the adapters.
        bare_line_ends: A server accepts a bare CR or LF inside content, as an octet
            like any other; it still ends no line.  Deviation: RFC 5321 section
            2.3.8.  For archives and test tools; whoever sends such content on must not
            use DATA.
        bare_line_ends_in_chunks: A server accepts a bare CR or LF in content sent with
            BDAT, which is counted and not ended by a line.  RFC 3030 section 2 has them
            as octets like any other; a server that sends such content on with DATA
            turns it off, and refuses them.
        undeclared_8bit: A server accepts content with octets above 127 though MAIL did
            not say BODY=8BITMIME.  Deviation: RFC 6152 section 3; smtplib sends so.
    """

    space_after_colon: bool = False
    bare_line_ends: bool = False
    bare_line_ends_in_chunks: bool = True
    undeclared_8bit: bool = True
