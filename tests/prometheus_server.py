"""A real Prometheus that scrapes what a test runs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from deploy.local.ports import free_port
from tests.prometheus import tool
from tests.waiting import wait_until

_Result = list[tuple[dict[str, str], float]]


@dataclass(frozen=True, slots=True)
class Prometheus:
    """One that runs."""

    client: httpx.Client

    def query(self, expression: str) -> _Result:
        """What an expression is now: labels and value of each series. An error of it fails the test."""
        answer = self.client.get("/api/v1/query", params={"query": expression})
        assert answer.status_code == 200, f"{expression}: {answer.text}"
        data = answer.json()["data"]
        found = [{"metric": {}, "value": data["result"]}] if data["resultType"] == "scalar" else data["result"]
        return [(one["metric"], float(one["value"][1])) for one in found]

    def alerts(self) -> set[str]:
        """Names of the alerts that fire, or are about to."""
        return {alert["labels"]["alertname"] for alert in self.client.get("/api/v1/alerts").json()["data"]["alerts"]}


@contextmanager
def prometheus(directory: Path, targets: Mapping[str, str], rules: Path) -> Iterator[Prometheus]:
    """Scrapes each target (job -> host and port) every second until the end of the block; from when it is ready."""
    jobs = [{"job_name": job, "static_configs": [{"targets": [where]}]} for job, where in targets.items()]
    timing = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    config = directory / "prometheus.json"
    # JSON is YAML.
    config.write_text(json.dumps({"global": timing, "rule_files": [str(rules)], "scrape_configs": jobs}))
    address = f"127.0.0.1:{free_port()}"
    arguments = [
        f"--config.file={config}",
        f"--storage.tsdb.path={directory / 'prometheus'}",
        f"--web.listen-address={address}",
        "--log.level=warn",
    ]
    with (
        (directory / "prometheus.log").open("wb") as log,
        subprocess.Popen([tool("prometheus"), *arguments], stdout=log, stderr=subprocess.STDOUT) as process,
        httpx.Client(base_url=f"http://{address}", timeout=10.0) as client,
    ):
        try:
            wait_until(lambda: _is_ready(client), 30.0, "Prometheus does not get ready")
            yield Prometheus(client)
        finally:
            process.kill()


def _is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/-/ready").status_code == 200
    except httpx.TransportError:
        return False
