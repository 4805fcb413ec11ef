"""`nearcast up` and the commands around it, as a person at two terminals meets them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from deploy.local.ports import LOOPBACK
from tests.small_project import write_project
from tests.waiting import wait_until

pytestmark = pytest.mark.integration

PARTS = {"worker", "scheduler", "refresher", "edge"}
START_WITHIN_S = 60.0


class Terminal:
    """A directory with the small project, and commands typed in it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.log = directory / "log"
        outside = {name: value for name, value in os.environ.items() if not name.startswith("NEARCAST_")}
        self._environment = {**outside, "PYTHONPATH": str(Path.cwd())}

    def nearcast(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs a command to its end."""
        return subprocess.run(
            self._argv(arguments),
            cwd=self.directory,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def answer(self, *arguments: str) -> Any:
        """The document of a command that went well."""
        done = self.nearcast(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def up(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Starts the stack; its log goes to `log`."""
        with self.log.open("wb") as log:
            return subprocess.Popen(
                self._argv(("up", *arguments)),
                cwd=self.directory,
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def url(self) -> str:
        """Where the edge answers, once the log says so."""
        return next((line.split("ready: ")[1].split()[0] for line in self.lines() if "| ready: http" in line), "")

    def lines(self) -> list[str]:
        """The log so far."""
        return self.log.read_text().splitlines()

    @staticmethod
    def _argv(arguments: tuple[str, ...]) -> list[str]:
        return [sys.executable, "-m", "deploy.cli", *arguments]


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    """A fresh directory."""
    write_project(tmp_path)
    return Terminal(tmp_path)


@pytest.fixture
def stack(terminal: Terminal) -> Iterator[psutil.Process]:
    """The running stack, its models published."""
    process = terminal.up("--port", "0", "--publish")
    try:
        wait_until(lambda: terminal.url() or process.poll() is not None, START_WITHIN_S, "the stack is not ready")
        assert process.poll() is None, terminal.log.read_text()
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(60)


def part(stack: psutil.Process, name: str) -> psutil.Process | None:
    """The process of one part of the stack."""
    for child in stack.children():
        # It may end, or be over and not yet reaped, while we look.
        with contextlib.suppress(psutil.NoSuchProcess):
            if child.cmdline()[-1:] == [name]:
                return child
    return None


def test_from_an_empty_directory_to_predictions(stack: psutil.Process, terminal: Terminal) -> None:
    """Rows in, predictions out: live, from memory, and computed ahead; a changed feature changes the answer."""
    terminal.answer("features", "put", "thing", "a", "v=1;2")

    live = wait_until(lambda: terminal.nearcast("get", "score", "a", "--json").stdout)
    cached = terminal.answer("get", "score", "a")
    job = terminal.answer("jobs", "run", "score", "--all")
    terminal.answer("features", "put", "thing", "a", "v=3;4")
    value = cached["answer"]["outputs"]["y"]
    changed = wait_until(
        lambda: terminal.answer("get", "score", "a")["answer"]["outputs"]["y"] != value, message="the old value stays"
    )

    assert json.loads(live)["tier"] == "live"
    assert cached["tier"] == "memory"
    assert (job["state"], job["written"], job["failed"]) == ("finished", 1, 0)
    assert changed
    assert terminal.nearcast("get", "score", "nobody").stderr.startswith("nearcast: 422 ")


def test_a_job_names_the_keys_it_could_not_compute(stack: psutil.Process, terminal: Terminal) -> None:
    """And goes on with all others; every command about jobs agrees."""
    terminal.answer("features", "put", "thing", "a", "v=1;2")
    (terminal.directory / "keys").write_text("a\n# a remark\nnobody\na:b\n")

    job = terminal.answer("jobs", "run", "score", "--keys", "keys")
    detached = terminal.answer("jobs", "run", "score", "--all", "--detach")

    shown = [terminal.answer("jobs", command, job["job"]) for command in ("show", "resume")]
    failures = terminal.answer("jobs", "failures", job["job"])["failures"]
    listed = [found["job"] for found in terminal.answer("jobs", "list")["jobs"]]
    assert (job["total"], job["written"], job["failed"]) == (3, 1, 2)
    assert [found["state"] for found in shown] == ["finished", "finished"]
    reasons = {failure["key"]: failure["reason"] for failure in failures}
    assert reasons.keys() == {"nobody", "a:b"}
    assert reasons["nobody"] == "no row for thing 'nobody'"
    assert reasons["a:b"].endswith("2 part(s) instead of 1; expected <thing>")
    assert listed == [detached["job"], job["job"]]
    assert "no job 'none'" in terminal.nearcast("jobs", "show", "none").stderr


def test_a_part_that_dies_is_started_again(stack: psutil.Process, terminal: Terminal) -> None:
    """The others go on, and the log says what happened, with a name on each line."""
    before = part(stack, "worker")
    assert before is not None

    before.kill()

    after = wait_until(lambda: (found := part(stack, "worker")) and found.pid != before.pid, 20)
    assert after
    assert any(line.startswith("nearcast") and "worker was ended" in line for line in terminal.lines())
    wait_until(lambda: {line.partition(" |")[0].strip() for line in terminal.lines() if " |" in line} >= PARTS, 20)


def test_ctrl_c_leaves_nothing_running(stack: psutil.Process, terminal: Terminal) -> None:
    """Status 0, no process, no open port, and other commands no longer find a stack."""
    family = [stack, *stack.children(recursive=True)]
    port = int(terminal.url().rpartition(":")[2])

    stack.send_signal(signal.SIGINT)

    _, alive = psutil.wait_procs(family, 30)
    assert alive == []
    assert not (terminal.directory / ".nearcast" / "stack.json").exists()
    with socket.socket() as probe:
        assert probe.connect_ex((LOOPBACK, port)) != 0


def test_what_was_stored_is_there_the_next_time(terminal: Terminal) -> None:
    """The data directory lies beside the project file."""
    for command in ("features put thing a v=1;2", "get score a"):
        process = terminal.up("--port", "0", "--publish")
        try:
            wait_until(terminal.url, START_WITHIN_S, "the stack is not ready")
            answer = terminal.answer(*command.split())
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)

    assert (answer["answer"]["key"], answer["answer"]["version"]) == ("a", 1)


def test_a_taken_port_is_one_clear_line(terminal: Terminal) -> None:
    """Nothing is started."""
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]

        done = terminal.nearcast("up", "--port", str(port))

    assert done.returncode == 2
    assert done.stderr == f"nearcast: port {port} on 127.0.0.1 is taken; choose another with --port (0: any free)\n"


def test_a_model_that_does_not_fit_stops_the_start_in_one_clear_line(terminal: Terminal) -> None:
    """And nothing stays behind."""
    (terminal.directory / "models" / "score.onnx").write_bytes(b"no model")

    done = terminal.nearcast("up", "--port", "0", "--publish")

    assert done.returncode == 1
    assert done.stderr.startswith("nearcast: cannot load the model (8 bytes)")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("name", sorted(PARTS))
def test_a_part_without_its_redis_ends_in_one_clear_line(terminal: Terminal, name: str) -> None:
    """Status 1: whoever supervises it may try again."""
    done = terminal.nearcast(name, "--primary", "redis://127.0.0.1:1/0")

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("nearcast: Redis at redis://127.0.0.1:1/")
    assert "Traceback" not in done.stderr
