from __future__ import annotations

import io
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.local.child import Child, StackFailed
from deploy.local.embedded_redis import embedded_redis, redis_children
from deploy.local.readiness import answers_http
from deploy.local.redis_probe import ask, info
from deploy.local.restart_policy import RestartSettings
from deploy.local.supervisor import Supervisor
from tests.processes import is_gone
from tests.waiting import wait_until

pytestmark = pytest.mark.integration

#: No test waits half a second for a restart.
QUICK = RestartSettings(first_delay_s=0.01, max_delay_s=0.02)

WAIT_FOREVER = "import signal; signal.pause()"
SAY_GOODBYE = """
import signal, sys
def goodbye(*_):
    print("goodbye")
    sys.exit()
signal.signal(signal.SIGTERM, goodbye)
print("hello")
signal.pause()
"""
COUNT_REQUESTS = """
import signal
signal.signal(signal.SIGTERM, lambda *_: print("asked to end"))
print("hello")
while True:
    signal.pause()
"""
KEEP_A_STUBBORN_CHILD = """
import signal, subprocess, sys
stubborn = "from signal import *; signal(SIGTERM, SIG_IGN); print('here', flush=True); pause()"
child = subprocess.Popen([sys.executable, "-c", stubborn], stdout=subprocess.PIPE)
child.stdout.readline()
print("child", child.pid)
signal.pause()
"""


def python(name: str, code: str, **settings: object) -> Child:
    """A child that runs a few lines of Python."""
    return Child(name=name, argv=(sys.executable, "-u", "-c", code), **settings)  # type: ignore[arg-type]


@contextmanager
def running(*children: Child) -> Iterator[tuple[Supervisor, io.StringIO]]:
    """A supervised stack and its log."""
    log = io.StringIO()
    with Supervisor(children, stream=log, restarts=QUICK) as supervisor:
        yield supervisor, log


def pid_in(log: io.StringIO) -> int:
    """The process id that a child has told."""
    line = wait_until(lambda: next((line for line in log.getvalue().splitlines() if "| child " in line), ""))
    return int(line.rpartition(" ")[2])


def test_output_and_errors_of_a_child_carry_its_name() -> None:
    """Both streams of a child end up in the one log, each line with the name in front."""
    code = "import sys; print('to out'); print('to err', file=sys.stderr); " + WAIT_FOREVER
    with running(python("edge", code)) as (_, log):
        wait_until(lambda: "to err" in log.getvalue())

    assert "edge     | to out\n" in log.getvalue()
    assert "edge     | to err\n" in log.getvalue()


def test_a_child_that_is_killed_is_started_again() -> None:
    """The log says what happened, and another process takes over."""
    with running(python("edge", WAIT_FOREVER)) as (supervisor, log):
        first = supervisor.pids()["edge"]
        os.kill(first, signal.SIGKILL)

        wait_until(lambda: "starting it again" in log.getvalue())
        second = wait_until(lambda: supervisor.pids().get("edge"))

    assert second != first
    assert "nearcast | edge was ended (Killed); starting it again in 0.01 s\n" in log.getvalue()


def test_a_child_is_started_once_the_one_before_is_ready(free_port: int, tmp_path: Path) -> None:
    """Readiness over HTTP: the second child finds the first one serving."""
    url = f"http://127.0.0.1:{free_port}/"
    server = Child(
        name="server",
        argv=(sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(free_port)),
        cwd=tmp_path,
        ready=answers_http(url),
    )
    client = python("client", f"import urllib.request as r; print(r.urlopen('{url}').status); {WAIT_FOREVER}")
    with running(server, client) as (_, log):
        wait_until(lambda: "client   | 200\n" in log.getvalue())


def test_children_are_stopped_in_reverse_order_and_may_say_goodbye() -> None:
    """Each child ends before the one that it builds on is asked to."""
    first, second = python("first", SAY_GOODBYE), python("second", SAY_GOODBYE)
    with running(first, second) as (_, log):
        wait_until(lambda: log.getvalue().count("hello") == 2)

    goodbyes = [line.split()[0] for line in log.getvalue().splitlines() if "goodbye" in line]
    assert goodbyes == ["second", "first"]


def test_what_a_child_has_started_ends_with_it() -> None:
    """A grandchild that ignores SIGTERM does not outlive the stack."""
    with running(python("worker", KEEP_A_STUBBORN_CHILD)) as (_, log):
        grandchild = pid_in(log)

    wait_until(lambda: is_gone(grandchild))


def test_what_a_dead_child_leaves_behind_ends_before_the_next_one_starts() -> None:
    """A restarted worker does not meet the pool of the one before."""
    with running(python("worker", KEEP_A_STUBBORN_CHILD)) as (supervisor, log):
        grandchild = pid_in(log)
        os.kill(supervisor.pids()["worker"], signal.SIGKILL)

        wait_until(lambda: log.getvalue().count("| child ") == 2)

        assert is_gone(grandchild)


def test_a_child_that_keeps_dying_stops_the_stack_with_its_last_lines() -> None:
    """After five deaths the stack gives up: status 1, and the log ends with what the child had to say."""
    log = io.StringIO()
    stack = [python("base", WAIT_FOREVER), python("edge", "import sys; print('no luck'); sys.exit(3)")]

    status = Supervisor(stack, stream=log, restarts=QUICK).run()

    assert status == 1
    assert log.getvalue().count("starting it again") == 4
    last = log.getvalue().splitlines()[-2:]
    assert re.fullmatch(r"nearcast \| edge ended with status 3 and died 5 times within \d s. Its last lines:", last[0])
    assert last[1] == "edge     | no luck"


def test_a_stack_that_fails_while_it_is_watched_says_so() -> None:
    """In the background the failure is kept for whoever looks."""
    once = "import sys; sys.exit(4)"
    with running(python("edge", once)) as (supervisor, _):
        failure = wait_until(lambda: supervisor.failure)

    assert failure is not None
    assert failure.name == "edge"


def test_the_final_status_is_not_tried_again() -> None:
    """A child that refuses its configuration ends the stack at once."""
    refuse = python("edge", "import sys; print('bad port'); sys.exit(2)", final_statuses=(2,), ready=lambda: False)
    log = io.StringIO()

    status = Supervisor([refuse], stream=log, restarts=QUICK).run()

    assert status == 1
    assert "starting it again" not in log.getvalue()
    assert log.getvalue().endswith("nearcast | edge ended with status 2. Its last lines:\nedge     | bad port\n")


def test_a_child_that_is_not_ready_in_time_stops_the_stack() -> None:
    """Waiting for a child has an end."""
    never = python("edge", WAIT_FOREVER, ready=lambda: False, ready_within_s=0.01)

    with pytest.raises(StackFailed, match=r"edge was not ready within 0\.01 s"), running(never):
        pass


def test_a_program_that_does_not_exist_stops_the_stack() -> None:
    """The error names the child and the program."""
    missing = Child(name="edge", argv=("/no/such/program",))

    with pytest.raises(StackFailed, match=r"edge cannot be started .*/no/such/program"), running(missing):
        pass


def test_a_supervised_redis_pair_comes_back_with_its_data(tmp_path: Path) -> None:
    """A killed primary is restarted on its port, has its data, and the replica follows again."""
    with embedded_redis(tmp_path, persist=True) as plan, running(*redis_children(plan)) as (supervisor, _):
        primary, replica = plan.primary.port, plan.replica.port
        ask(primary, "SET a 1")
        before = supervisor.pids()["primary"]
        os.kill(before, signal.SIGKILL)

        wait_until(lambda: info(primary).get("process_id") not in (None, str(before)))
        wait_until(lambda: info(replica).get("master_link_status") == "up")

        assert ask(primary, "GET a") == ask(replica, "GET a") == "$1\r\n1"


def test_a_stop_that_is_asked_for_during_the_start_is_heard() -> None:
    """Nobody has to wait until a child is ready to be allowed to stop."""
    supervisor = Supervisor([python("edge", WAIT_FOREVER, ready=lambda: False)], stream=io.StringIO())
    threading.Timer(0.0, supervisor.request_stop).start()

    supervisor.start()

    supervisor.stop()


def test_children_that_start_together_do_not_wait_for_each_other() -> None:
    """The first gets ready once the second runs; and everybody is asked to end before anybody is waited for."""
    second = python("second", SAY_GOODBYE)
    log = io.StringIO()
    first = python("first", SAY_GOODBYE, ready=lambda: "second   | hello" in log.getvalue())
    with Supervisor([first, second], stream=log, restarts=QUICK, together=True) as supervisor:
        wait_until(lambda: log.getvalue().count("hello") == 2)
        pids = supervisor.pids()

    goodbyes = {line.split()[0] for line in log.getvalue().splitlines() if "goodbye" in line}
    assert goodbyes == set(pids) == {"first", "second"}


def test_something_can_be_done_before_anybody_is_asked_to_end() -> None:
    """What children share with us is let go of first."""
    log = io.StringIO()
    with Supervisor([python("edge", SAY_GOODBYE)], stream=log, at_stop=lambda: print("now", file=log)):
        wait_until(lambda: "hello" in log.getvalue())

    assert log.getvalue().index("now") < log.getvalue().index("goodbye")


def test_a_child_is_asked_to_end_once() -> None:
    """Some take a second time for impatience."""
    log = io.StringIO()
    with Supervisor([python("edge", COUNT_REQUESTS, stop_grace_s=0.3)], stream=log, together=True):
        wait_until(lambda: "hello" in log.getvalue())

    assert log.getvalue().count("asked to end") == 1


def test_a_nice_child_makes_way() -> None:
    """It runs at a lower priority than we do, from its first moment that matters."""
    children = [python("nice", WAIT_FOREVER, nice=5), python("plain", WAIT_FOREVER)]
    with Supervisor(children, stream=io.StringIO()) as supervisor:
        nice, plain = (os.getpriority(os.PRIO_PROCESS, supervisor.pids()[name]) for name in ("nice", "plain"))

    assert nice == min(19, plain + 5)
