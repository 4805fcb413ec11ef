"""However the owner of a stack ends, nothing that it started goes on running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.processes import is_gone
from tests.waiting import wait_until

pytestmark = pytest.mark.faults

ROOT = Path(__file__).parents[2]

A_PAIR = """
import signal
from deploy.local.redis_pair import RedisPair
with RedisPair.start(None, persist=False) as pair:
    print("ready", flush=True)
    signal.pause()
"""

#: A worker with a pool that would not hear a polite request, and a child that says goodbye slowly or never.
A_STACK = """
import sys
from deploy.local.child import Child
from deploy.local.embedded_redis import embedded_redis, redis_children
from deploy.local.supervisor import Supervisor

stubborn = "from signal import *; signal(SIGTERM, SIG_IGN); print('here', flush=True); pause()"
pool = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {stubborn!r}])"
worker = Child(name="worker", argv=(sys.executable, "-c", pool))
deaf = Child(name="deaf", argv=(sys.executable, "-c", stubborn), stop_grace_s=GRACE_S)
with embedded_redis(None, persist=False) as plan:
    sys.exit(Supervisor([*redis_children(plan), worker, deaf], stream=sys.stdout).run())
"""


@contextmanager
def owner(code: str) -> Iterator[subprocess.Popen[str]]:
    """A process that owns a stack, from the moment everything in it runs."""
    # What a killed owner cannot remove any more is removed with this folder.
    with (
        tempfile.TemporaryDirectory() as litter,
        subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": litter},
            stdout=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        try:
            start = {"worker   | here", "deaf     | here", "everything is ready"}
            read_until({"ready"} if code == A_PAIR else start, process)
            yield process
        except BaseException:
            # A test that fails must not leave behind what it has shown to be left behind.
            for pid in everything_under(process):
                os.kill(pid, signal.SIGKILL)
            raise
        finally:
            process.kill()


def read_until(wanted: set[str], process: subprocess.Popen[str]) -> None:
    """Reads the owner's output until all the wanted words have come by."""
    assert process.stdout is not None
    missing = set(wanted)
    while missing:
        line = process.stdout.readline()
        assert line, f"the owner ended without {missing}"
        missing = {words for words in missing if words not in line}


def child_of(what: str, process: subprocess.Popen[str]) -> psutil.Process:
    """The child of the owner with these words in its command."""
    children = psutil.Process(process.pid).children()
    return next(child for child in children if what in " ".join(child.cmdline()))


def everything_under(process: subprocess.Popen[str]) -> list[int]:
    """All processes that the owner has started, and those that they have."""
    if process.poll() is not None:
        return []
    return [child.pid for child in psutil.Process(process.pid).children(recursive=True)]


@pytest.mark.parametrize("code", [A_PAIR, A_STACK.replace("GRACE_S", "10.0")], ids=["pair", "stack"])
def test_a_killed_owner_leaves_nothing_running(code: str) -> None:
    """`kill -9` gives the owner no chance to tidy up, and still all it started ends."""
    with owner(code) as process:
        pids = everything_under(process)
        process.kill()

        wait_until(lambda: all(map(is_gone, pids)), timeout_s=20)

    assert len(pids) >= 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_stops_everything_with_status_0(number: signal.Signals) -> None:
    """Ctrl-C, a service manager and a closed terminal all end the stack in order."""
    with owner(A_STACK.replace("GRACE_S", "0.1")) as process:
        pids = everything_under(process)
        process.send_signal(number)

        output, _ = process.communicate(timeout=30)

    assert process.returncode == 0, output
    assert all(map(is_gone, pids))


def test_a_second_ctrl_c_does_not_wait_for_anybody() -> None:
    """A child that takes an hour to say goodbye is killed at the second request."""
    with owner(A_STACK.replace("GRACE_S", "3600.0")) as process:
        pids = everything_under(process)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)

        output, _ = process.communicate(timeout=30)

    assert process.returncode == 0, output
    assert all(map(is_gone, pids))


def test_a_guardian_that_was_killed_is_replaced() -> None:
    """Losing the process that tidies up costs the safety net only until the next child starts or ends."""
    with owner(A_STACK.replace("GRACE_S", "10.0")) as process:
        guardian, worker = child_of("guardian.py", process), child_of("subprocess.run", process)
        guardian.kill()
        worker.kill()
        read_until({"starting it again", "worker   | here"}, process)

        pids = everything_under(process)
        process.kill()

        wait_until(lambda: all(map(is_gone, pids)), timeout_s=20)
