"""Logs for programs, of a real process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from deploy.local.redis_pair import RedisPair
from tests.edge_project import EdgeProject
from tests.waiting import wait_until

pytestmark = pytest.mark.integration


def test_a_node_writes_one_document_a_line_and_none_for_each_request(clean_redis: RedisPair, tmp_path: Path) -> None:
    """With two processes each names its own; an answered request, and one that failed as asked, say nothing."""
    project = EdgeProject.publish(tmp_path, clean_redis, port=0)
    project.put_weather({"EWR": 3.0})
    project.put_flights(["F1"], [1.0])
    told = {
        "NEARCAST_PROJECT": str(project.settings.project),
        "NEARCAST_PRIMARY_URL": clean_redis.primary_url,
        "NEARCAST_REPLICA_URL": clean_redis.replica_url,
        "NEARCAST_LOG_FORMAT": "json",
    }
    command = [sys.executable, "-m", "deploy.cli", "edge", "--port", "0", "--processes", "2"]
    log = tmp_path / "log"

    def lines() -> list[dict[str, object]]:
        return [json.loads(line) for line in log.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def address() -> str:
        found = [str(line["message"]) for line in lines() if "listening on" in str(line["message"])]
        return found[0].split()[2] if found else ""

    with (
        log.open("wb") as output,
        subprocess.Popen(command, env={**os.environ, **told}, stdout=output, stderr=subprocess.STDOUT) as process,
    ):
        wait_until(address, 60.0)
        before = len(lines())
        answers = [
            httpx.get(f"{address()}/v1/predict/{what}", headers={"x-request-id": "mine"})
            for what in ("late/F1:EWR?hour=12", "late/F1:EWR?hour=12", "late/nobody:EWR?hour=12", "nope/1")
        ]
        after = len(lines())
        process.terminate()
        process.wait(30.0)
    project.store.close()

    assert [answer.status_code for answer in answers] == [200, 200, 422, 404]
    assert [answer.json()["request_id"] for answer in answers[2:]] == ["mine", "mine"]
    assert [answer.headers["x-request-id"] for answer in answers[2:]] == ["mine", "mine"]
    assert before == after
    assert {line["part"] for line in lines()} == {"nearcast", "edge-1", "edge-2"}
