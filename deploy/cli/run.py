"""From arguments to an exit status: the one place that decides what a failure looks like.

    0    done
    1    an error that nearcast reports on purpose: one line on standard error
    2    the command line, the configuration or the project file is wrong: one line, or one for each mistake
    130  Ctrl-C

Only a mistake of ours shows a traceback; with NEARCAST_DEBUG=1, every error does.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

import typer
from typer.main import get_command

from deploy.cli.app import app
from precompute.errors import ConfigError, ManifestError, NearcastError

FAILED = 1
WRONG_USAGE = 2
INTERRUPTED = 130

#: What typer raises for a wrong command line; some releases bring their own copy of click, so it is found by descent.
_ClickError: Any = typer.BadParameter.__mro__[2]


def run(arguments: Sequence[str]) -> int:
    """Runs one command and returns its exit status."""
    try:
        status = get_command(app).main(args=list(arguments), prog_name="nearcast", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        return _reader_left()
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except _ClickError as error:
        return _usage(error)
    except (NearcastError, OSError) as error:
        if os.environ.get("NEARCAST_DEBUG"):
            raise
        return _report(error)
    return status if isinstance(status, int) else 0


def _reader_left() -> int:
    # The interpreter flushes standard output once more on its way out, and would complain then.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return FAILED


def _usage(error: Any) -> int:
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "nearcast"
    text = error.format_message().rstrip(".").removeprefix("Invalid value: ")
    _say(f"{text}; see {command} --help")
    return WRONG_USAGE


def _report(error: NearcastError | OSError) -> int:
    if isinstance(error, ManifestError):
        for problem in error.problems:
            _say(str(problem))
    else:
        _say(one_line(error))
    return WRONG_USAGE if isinstance(error, ConfigError) else FAILED


def one_line(error: NearcastError | OSError) -> str:
    """The error's text on one line."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    first, *others = [line.strip() for line in str(error).splitlines()] or [type(error).__name__]
    return f"{first} {'; '.join(others)}".rstrip()


def _say(text: str) -> None:
    print(f"nearcast: {text}", file=sys.stderr)
