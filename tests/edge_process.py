"""A real edge process, and a real client on one connection to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
from prometheus_client.parser import text_string_to_metric_families

from precompute.settings import Settings
from tests.roles import Role, role
from tests.waiting import wait_until


@dataclass(frozen=True, slots=True)
class Edge:
    """An edge that takes requests.

    Attributes:
        client: keeps connections alive; its base is the edge's address.
    """

    role: Role
    client: httpx.Client

    def get(self, path: str, **headers: str) -> httpx.Response:
        """One GET."""
        return self.client.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def post(self, model: str, keys: Sequence[object], **more: object) -> httpx.Response:
        """One POST for many keys."""
        return self.client.post(f"/v1/predict/{model}", json={"keys": list(keys), **more})

    def outputs(self, model: str, key: str) -> dict[str, object]:
        """The outputs of one prediction, which must succeed."""
        response = self.get(f"/v1/predict/{model}/{key}")
        assert response.status_code == 200, response.text
        found: dict[str, object] = response.json()["outputs"]
        return found

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples with these labels; 0 if there are none."""
        families = text_string_to_metric_families(self.get("/metrics").text)
        samples = [sample for family in families for sample in family.samples if sample.name == name]
        return sum(s.value for s in samples if labels.items() <= s.labels.items())

    def wait_for_metric(self, name: str, least: float, **labels: str) -> None:
        """Waits until a metric has grown to `least`."""
        wait_until(lambda: self.metric(name, **labels) >= least, message=f"{name} stays below {least}")


@contextmanager
def edge_process(settings: Settings, *, port: int = 0) -> Iterator[Edge]:
    """Runs an edge until the end of the block, from the moment it says where it listens."""
    with role("edge", settings.model_copy(update={"port": port})) as running, _client(running) as client:
        yield Edge(running, client)


def _client(running: Role) -> httpx.Client:
    return httpx.Client(base_url=address(running), timeout=30.0)


def address(running: Role) -> str:
    """Where an edge says that it listens."""
    return running.said.split("listening on ", 1)[1].split()[0]


def tier(response: httpx.Response) -> str:
    """The tier that `Cache-Status` says gave the answer."""
    status = response.headers["cache-status"]
    for mark, name in (("detail=stale", "stale"), ("detail=default", "default"), ("memory; hit", "memory")):
        if mark in status:
            return name
    return "replica" if "replica; hit" in status else "live"
