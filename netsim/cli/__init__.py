"""The command line: one file a command, each thin. Exit 0 done, 1 the answer is no, 2 the input is wrong."""

from __future__ import annotations

import sys

from netsim.cli.app import app
from netsim.errors import InputError

__all__ = ["main"]


def main() -> None:
    """Run the command line; a user's mistake is one message and exit code 2, never a traceback."""
    try:
        app(prog_name="netsim")
    except InputError as error:
        print(f"netsim: {error}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:
        # the reader (head, less) went away: nothing is wrong
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:
        print(f"netsim: {error.filename or 'a file'}: {error.strerror or error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("netsim: stopped; what was finished is kept (continue with --resume)", file=sys.stderr)
        sys.exit(130)
