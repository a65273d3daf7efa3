"""What the commands share: addresses on the command line, and text for a line."""

import click

from smtp_pop_core import Networks


class Endpoint(click.ParamType[tuple[str, int]]):
    """HOST:PORT, an IPv6 address in brackets; or the path of a Unix socket."""

    name = "host:port"

    def convert(
        self,
        value: str,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> tuple[str, int]:
        """Read it."""
        if "/" in value:
            return value, 0
        host, colon, port = value.rpartition(":")
        if not colon or not _is_port(port):
            self.fail(f"{value!r} is not HOST:PORT", param, ctx)
        if host.startswith("[") and host.endswith("]"):
            return host[1:-1], int(port)
        if ":" in host:
            self.fail(f"{value!r}: put an IPv6 address in brackets", param, ctx)
        return host, int(port)


def _is_port(text: str) -> bool:
    digits = text.isascii() and text.isdigit() and len(text) <= 5
    return digits and int(text) <= 65_535


class NetworkList(click.ParamType[tuple[str, ...]]):
    """NETWORK[,NETWORK]: what `smtp_pop_core.Networks` takes."""

    name = "network"

    def convert(
        self,
        value: str,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> tuple[str, ...]:
        """Read it."""
        try:
            Networks([value])
        except ValueError as error:
            self.fail(one_line(str(error)), param, ctx)
        return tuple(value.split(","))


def endpoint(host: str, port: int) -> str:
    """Write HOST:PORT, or the path of a Unix socket."""
    if "/" in host:
        return host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def one_line(text: str) -> str:
    r"""Return text for one line of a terminal: controls are escaped, as "\x1b"."""
    return "".join(
        each if each.isprintable() else ascii(each)[1:-1] for each in text.strip()
    )


def reason(error: Exception) -> str:
    """Say in one line what went wrong."""
    if isinstance(error, OSError) and error.strerror:
        return one_line(error.strerror)
    return one_line(str(error)) or type(error).__name__
