"""How an edge begins and ends: warm before it is ready, one clear error if it cannot begin, and a clean end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from precompute.keys import active_key, blob_key, hot_key
from precompute.settings import Settings
from tests.edge_process import edge_process, tier
from tests.edge_project import EdgeProject
from tests.waiting import wait_until

pytestmark = pytest.mark.integration


def run_edge(settings: Settings) -> subprocess.CompletedProcess[str]:
    """`nearcast edge`, which must end by itself."""
    given = settings.model_dump(exclude_unset=True)
    environment = {f"NEARCAST_{field.upper()}": str(value) for field, value in given.items()}
    return subprocess.run(
        [sys.executable, "-m", "deploy.cli", "edge"],
        cwd=Path(__file__).parents[2],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def complaint(ended: subprocess.CompletedProcess[str]) -> str:
    """The one line of a refusal to start."""
    assert ended.returncode in (1, 2)
    lines = [line for line in ended.stderr.splitlines() if line.startswith("nearcast: ")]
    assert "Traceback" not in ended.stderr
    assert len(lines) == 1, ended.stderr
    return lines[0]


class TestRefusals:
    def test_a_port_that_is_taken(self, project: EdgeProject) -> None:
        """Names the address and the way out."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]

            line = complaint(run_edge(project.settings.model_copy(update={"port": port})))

        assert f"cannot listen on 127.0.0.1:{port}" in line
        assert "--port" in line

    def test_a_redis_that_is_not_there(self, project: EdgeProject, free_port: int) -> None:
        """Names the server."""
        url = f"redis://127.0.0.1:{free_port}/0"

        line = complaint(run_edge(project.settings.model_copy(update={"replica_url": url, "port": 0})))

        assert f"127.0.0.1:{free_port}" in line
        assert "unavailable" in line

    def test_a_project_file_that_is_not_there(self, project: EdgeProject, tmp_path: Path) -> None:
        """Names the file."""
        line = complaint(run_edge(project.settings.model_copy(update={"project": tmp_path / "no.toml", "port": 0})))

        assert "no.toml" in line


def test_it_is_ready_only_once_it_is_warm(project: EdgeProject) -> None:
    """The hottest keys are answered from memory from the first request on."""
    with edge_process(project.settings) as edge:
        edge.get("/v1/predict/late/F1:EWR")
        wait_until(lambda: project.store.call("EXISTS", "p:late:1:F1:EWR?hour=12"))
    project.store.call("ZADD", hot_key("late"), 5, "F1:EWR?hour=12", 4, "gone:EWR?hour=12", 3, "of another shape")
    project.replicate()

    with edge_process(project.settings) as edge:
        first, said = edge.get("/v1/predict/late/F1:EWR"), edge.role.said

    assert "ready: 4 model version(s), 1 entries in memory" in said
    assert tier(first) == "memory"


def test_a_stale_entry_is_not_warmed(project: EdgeProject) -> None:
    """What changed while no edge ran is judged by the log, read from its start."""
    with edge_process(project.settings) as edge:
        edge.get("/v1/predict/late/F1:EWR")
        wait_until(lambda: project.store.call("EXISTS", "p:late:1:F1:EWR?hour=12"))
    project.store.call("ZADD", hot_key("late"), 5, "F1:EWR?hour=12")
    project.put_weather({"EWR": 30.0}, event_ms=2)

    with edge_process(project.settings) as edge:
        first, said = edge.get("/v1/predict/late/F1:EWR"), edge.role.said

    assert "0 entries in memory" in said
    assert tier(first) == "live"


def test_until_then_it_says_so_and_a_stop_is_obeyed(project: EdgeProject, free_port: int) -> None:
    """An edge that cannot catch up with the logs is alive, not ready, answers 503, and ends when told to.

    The replica holds no value of the log's type: reading it fails each time, as on a server that is loading.
    """
    project.store.run([("DEL", "u:{weather}"), ("SET", "u:{weather}", "no log")])
    project.replicate()
    url = f"http://127.0.0.1:{free_port}"
    given = project.settings.model_copy(update={"port": free_port}).model_dump(exclude_unset=True)
    environment = {f"NEARCAST_{field.upper()}": str(value) for field, value in given.items()}
    code = "from edge.server import run; from precompute.settings import from_environment; run(from_environment())"
    with subprocess.Popen([sys.executable, "-c", code], env={**os.environ, **environment}) as process:
        try:
            wait_until(lambda: _status(f"{url}/livez") == 200, 30.0)

            ready = httpx.get(f"{url}/readyz")

            assert (ready.status_code, ready.json()["ready"]) == (503, False)
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(project: EdgeProject, number: signal.Signals) -> None:
    """Exit status 0, counts handed over, nothing but ordinary lines in its log."""
    with edge_process(project.settings) as edge:
        edge.get("/v1/predict/late/F1:EWR")
        edge.role.process.send_signal(number)

        status, said = edge.role.process.wait(20), edge.role.said

    assert status == 0
    assert "Traceback" not in said
    assert project.store.call("LLEN", "hot:{late}:windows") == 1


class TestModels:
    def test_a_truncated_file_is_one_error_and_leaves_the_others_alone(self, project: EdgeProject) -> None:
        """The edge starts and says what is wrong; that model alone answers with what is declared for such times."""
        version = project.registry.version("guess", 1)
        content = project.store.call("GET", blob_key(version.sha256))
        project.store.call("SET", blob_key(version.sha256), content[: len(content) // 2])
        project.replicate()

        with edge_process(project.settings) as edge:
            broken, fine = edge.get("/v1/predict/guess/EWR"), edge.get("/v1/predict/late/F1:EWR")
            failures, said = edge.get("/readyz").json()["failures"], edge.role.said

        assert (tier(broken), tier(fine)) == ("default", "live")
        assert [(f["model"], f["version"]) for f in failures] == [("guess", 1)]
        assert "SHA-256" in failures[0]["reason"]
        assert "Traceback" not in said

    def test_a_new_version_is_served_without_a_restart(self, project: EdgeProject) -> None:
        """And a version that cannot be loaded leaves the one before in place."""
        with edge_process(project.settings) as edge:
            before = edge.get("/v1/predict/late/F1:EWR")
            project.registry.activate("late", 1)
            other = project.registry.publish(
                "late",
                "default",
                project.store.call("GET", blob_key(project.registry.version("late", 2).sha256)),
                now_ms=2,
            )
            after = wait_until(lambda: _of_version(edge.get("/v1/predict/late/F1:EWR"), other.version))

            project.store.call("HSET", active_key("late"), "default", 99)
            project.store.call("XADD", "model:log", "*", "model", "late")
            wait_until(lambda: edge.get("/readyz").json()["failures"])
            kept = edge.get("/v1/predict/late/F1:EWR")

        assert before.json()["version"] == 1
        assert before.json()["outputs"] != after.json()["outputs"]
        assert (kept.json()["version"], tier(kept)) == (other.version, "memory")


def _status(url: str) -> int:
    try:
        return httpx.get(url).status_code
    except httpx.TransportError:
        return 0


def _of_version(response: httpx.Response, version: int) -> httpx.Response | None:
    return response if response.json()["version"] == version else None
