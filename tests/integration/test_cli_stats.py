"""`nearcast stats` and `nearcast dashboard` against a real fleet of one."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.cli.run import run
from tests.edge_process import Edge, edge_process
from tests.edge_project import EdgeProject
from tests.waiting import wait_until

pytestmark = pytest.mark.integration

Captured = pytest.CaptureFixture[str]
Command = Callable[..., tuple[int, str, str]]
_FLUSHED_WITHIN_S = 20.0


@pytest.fixture
def edge(project: EdgeProject) -> Iterator[Edge]:
    """An edge of whose five requests the dashboard knows."""
    with edge_process(project.settings) as edge:
        for _ in range(5):
            edge.get("/v1/predict/late/F1:EWR")
        wait_until(lambda: document(edge)["totals"]["requests"] == 5, _FLUSHED_WITHIN_S)
        yield edge


@pytest.fixture
def nearcast(project: EdgeProject, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> Command:
    """Runs a command beside the project; returns status, output and messages."""
    monkeypatch.chdir(project.settings.project.parent)
    monkeypatch.setenv("NEARCAST_PRIMARY_URL", project.settings.primary_url)

    def command(*arguments: str) -> tuple[int, str, str]:
        status = run(arguments)
        return status, *capsys.readouterr()

    return command


def document(edge: Edge) -> dict[str, Any]:
    """What the dashboard of an edge is told."""
    found: dict[str, Any] = edge.get("/dashboard/data?range_s=300").json()
    return found


def test_stats_are_the_dashboards_numbers(edge: Edge, nearcast: Command) -> None:
    """For programs the same document, for people the same names."""
    status, said, _ = nearcast("stats", "--json")
    shown = nearcast("stats")[1]

    found, told = json.loads(said), document(edge)
    assert (status, found["totals"], set(found)) == (0, told["totals"], set(told))
    assert found["nodes"][0]["node"] == told["nodes"][0]["node"]
    assert "5 in 300 s: memory 4, live 1" in shown
    for name in ("hit_ratio", "fresh_hit_ratio", "off_path_rows_per_request", "requests_per_s", "update_to_stale_ms"):
        assert name in shown


def test_stats_of_nobody_are_no_error(nearcast: Command) -> None:
    """A fleet that has not begun yet."""
    status, said, _ = nearcast("stats", "--node", "nobody:1", "--json")

    assert status == 0
    assert json.loads(said)["totals"]["requests"] == 0


def test_the_dashboard_stands_alone(edge: Edge, project: EdgeProject, tmp_path: Path) -> None:
    """The same page and the same numbers, from a process that is no edge; it ends cleanly, with a page open."""
    environment = {
        "NEARCAST_PROJECT": str(project.settings.project),
        "NEARCAST_PRIMARY_URL": project.settings.primary_url,
    }
    log = tmp_path / "dashboard.log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [sys.executable, "-m", "deploy.cli", "dashboard", "--port", "0"],
            cwd=Path(__file__).parents[2],
            env={**os.environ, **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            listens = wait_until(lambda: re.search(r"listening on (\S+)/dashboard", log.read_text()), 30.0)
            assert listens is not None
            with httpx.Client(base_url=listens[1]) as client:
                pages = [client.get(path).text for path in ("/dashboard", "/dashboard/data?range_s=300")]
                home = client.get("/")
                with client.stream("GET", "/dashboard/live") as stream:
                    next(stream.iter_lines())
                    process.terminate()
                    status = process.wait(10.0)
        finally:
            process.kill()

    assert pages[0] == edge.get("/dashboard").text
    assert json.loads(pages[1])["totals"] == document(edge)["totals"]
    assert (home.status_code, home.headers["location"]) == (307, "/dashboard")
    assert status == 0
    assert "Traceback" not in log.read_text()
