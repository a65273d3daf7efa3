"""The command line: `smtp-pop`, or `python -m smtp_pop_adapters`."""

import sys


def main() -> None:
    """Run the command line, and leave the program with its exit code."""
    try:
        from ._cli import command
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        print("smtp-pop needs click: install smtp-pop-core[cli]", file=sys.stderr)
        sys.exit(2)
    command(prog_name="smtp-pop")


if __name__ == "__main__":
    main()
