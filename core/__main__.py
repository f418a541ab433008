"""The command line: python -m core generate --prompt "a red apple" --out apple.png"""

from __future__ import annotations

import argparse
import errno
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from core.commands import app, effects, export, generate, lessons, reference, sweep
from core.commands.console import BAD_INPUT, CANCELLED, FAILED, UsageError, say
from core.diffusion.models.load import ModelError
from core.diffusion.settings import SettingsError
from core.output.texts.infotext import VERSION
from core.runs.store.store import StoreError

PROGRAM = "python -m core"

NO_NAMES = (errno.ENAMETOOLONG, errno.EINVAL, errno.ELOOP, errno.ENOTDIR)
"""What the system says of a name that no file can have."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line and exit code 2; argparse would print the whole usage above it."""
        raise UsageError(f"{message} (see {self.prog} --help)")


def main(arguments: Sequence[str] | None = None, *, program: str = PROGRAM) -> int:
    """Run one command and return its exit code: 0, 1 failed, 2 bad input, 130 cancelled."""
    try:
        options = _parser(program).parse_args(arguments)
        return options.run(options)
    except SettingsError as error:
        for problem in error.problems:
            say(f"error: {problem}")
        return BAD_INPUT
    except (UsageError, ModelError) as error:
        for line in str(error).splitlines():
            say(f"error: {line}")
        return BAD_INPUT
    except BrokenPipeError:  # `| head` has read enough; Python would complain once more at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        say(f"error: {str(error.filename or '')[:120]}: {error.strerror or error}")
        return BAD_INPUT if error.errno in NO_NAMES else FAILED
    except StoreError as error:
        say(f"error: {error}")
        return FAILED
    except KeyboardInterrupt:
        return CANCELLED


def _parser(program: str) -> _Parser:
    parser = _Parser(prog=program, description="Diffusion Lightbox without a browser.")
    parser.add_argument("--version", action="version", version=VERSION)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in (app, generate, sweep, export, effects, lessons, reference):
        command.add_to(commands)
    return parser


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
