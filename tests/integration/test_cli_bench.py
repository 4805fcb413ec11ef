"""`nearcast bench` against a real edge."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.redis_pair import RedisPair
from tests.edge_process import Edge, address, edge_process
from tests.edge_project import EdgeProject

pytestmark = pytest.mark.integration


@pytest.fixture
def project(clean_redis: RedisPair, tmp_path: Path) -> Iterator[EdgeProject]:
    """A hundred flights."""
    published = EdgeProject.publish(tmp_path, clean_redis, hot_flush_s=0.1)
    published.put_weather({"EWR": 3.0})
    published.put_flights([f"F{n}" for n in range(100)], [float(n) for n in range(100)])
    yield published
    published.store.close()


@pytest.fixture
def edge(project: EdgeProject) -> Iterator[Edge]:
    """Something to measure."""
    with edge_process(project.settings) as running:
        yield running


def bench(project: EdgeProject, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, with the project's servers."""
    servers = ["--project", str(project.settings.project), "--primary", project.settings.primary_url]
    argv = [sys.executable, "-m", "deploy.cli", *servers, "bench", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)


def test_it_measures_a_node(project: EdgeProject, edge: Edge, tmp_path: Path) -> None:
    """Both loops, with the tiers that answered; keys may have context and need no escaping."""
    keys = tmp_path / "keys.txt"
    keys.write_text("".join(f"F{n}:EWR?hour=3\n" for n in range(100)))

    done = bench(project, address(edge.role), "--model", "late", "--keys", str(keys), "--seconds", "0.3", "--json")

    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    closed, opened = document["phases"]
    assert (document["keys"], closed["loop"], opened["loop"]) == (100, "closed", "open")
    assert opened["asked_per_s"] == pytest.approx(0.6 * closed["answered_per_s"])
    assert 0 < closed["p50_ms"] <= closed["p99_ms"] <= closed["p999_ms"]
    assert closed["tiers"]["memory"] > 0.9
    assert closed["failed"] == opened["failed"] == 0


def test_keys_that_fail_are_told(project: EdgeProject, edge: Edge, tmp_path: Path) -> None:
    """In the table and by the exit status."""
    keys = tmp_path / "keys.txt"
    keys.write_text("nobody:EWR\n")

    done = bench(project, address(edge.role), "--keys", str(keys), "--seconds", "0.2", "--rate", "50")

    assert done.returncode == 1
    assert "failed" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["http://127.0.0.1:1"], "nobody has asked for keys of 'late'"),
        (["http://127.0.0.1:1", "--keys", "KEYS"], "nobody answers at 127.0.0.1:1"),
        (["https://127.0.0.1:1", "--keys", "KEYS"], "write http://host:port"),
        (["http://127.0.0.1:1", "--keys", "/nowhere"], "cannot read keys from /nowhere"),
    ],
)
def test_what_cannot_be_measured_is_said_in_a_line(
    project: EdgeProject, tmp_path: Path, arguments: list[str], complaint: str
) -> None:
    """And what to do about it."""
    (tmp_path / "keys.txt").write_text("F1:EWR\n")
    given = [str(tmp_path / "keys.txt") if argument == "KEYS" else argument for argument in arguments]

    done = bench(project, *given)

    assert done.returncode != 0
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr
