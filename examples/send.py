"""Send a message: `python examples/send.py HOST PORT FROM TO... < message.eml`.

It prints what became of it for each recipient, and ends with 1 unless all were
accepted.
"""

import argparse
import sys

from smtp_pop_adapters.blocking import connect_smtp
from smtp_pop_core import Error, smtp


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("host", help="a name, an address, or the path of a Unix socket")
    parser.add_argument("port", type=int)
    parser.add_argument("sender")
    parser.add_argument("recipients", nargs="+")
    parser.add_argument("--lmtp", action="store_true")
    parser.add_argument("--trace", action="store_true", help="show the dialogue")
    given = parser.parse_args()

    def trace(line: str) -> None:
        print(line, file=sys.stderr)

    try:
        with connect_smtp(
            given.host,
            given.port,
            lmtp=given.lmtp,
            trace=trace if given.trace else None,
        ) as client:
            result = client.send_mail(
                given.sender, given.recipients, sys.stdin.buffer.read()
            )
    except (Error, OSError, ValueError) as error:
        print(f"not sent: {error}", file=sys.stderr)
        return 1
    for each in result.recipients:
        print(each.address, each.outcome.value, each.reply or "")
    return 0 if result.outcome is smtp.Outcome.ACCEPTED else 1


if __name__ == "__main__":
    sys.exit(main())
