"""The `nearcast` command: one file for each group of commands."""

import sys


def main() -> None:
    """Runs the command that the process was started with, and ends the process with its exit status."""
    from deploy.cli.run import run

    sys.exit(run(sys.argv[1:]))
