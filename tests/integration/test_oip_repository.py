"""Taking a model out of a node's service: all its processes, its next start, and nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from deploy.local.ports import free_port
from deploy.local.redis_pair import RedisPair
from tests import oip_project
from tests.edge_node import Node, edge_node
from tests.edge_process import edge_process
from tests.edge_project import EdgeProject
from tests.oip_project import TOKEN
from tests.waiting import wait_until

pytestmark = pytest.mark.integration

AUTHORITY = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def project(redis_pair: RedisPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EdgeProject]:
    """The pair is everybody's, so it is emptied first."""
    found = oip_project.publish(tmp_path, redis_pair)
    oip_project.put_flights(found, {"F1": [1.0, 2.0, 3.0, 4.0]})
    monkeypatch.setenv("NEARCAST_ADMIN_TOKEN", TOKEN)
    yield found
    found.store.close()


def statuses(node: Node, path: str, connections: int = 12) -> set[int]:
    """What new connections are answered, whichever process they meet."""
    return {httpx.get(node.url + path).status_code for _ in range(connections)}


def test_all_processes_of_a_node_follow_and_so_does_its_next_start(project: EdgeProject, tmp_path: Path) -> None:
    """One is told; the others, and those that take their place, read it from Redis."""
    port = free_port()
    with edge_node(project.settings, tmp_path / "node", port=port) as node:
        assert statuses(node, "/v2/models/late/ready") == {200}

        unloaded = httpx.post(f"{node.url}/v2/repository/models/late/unload", headers=AUTHORITY)

        assert unloaded.json() == {"name": "late", "state": "UNAVAILABLE", "reason": "unloaded"}
        wait_until(lambda: statuses(node, "/v2/models/late/ready") == {503})
        assert statuses(node, "/v1/predict/late/F1") == {503}
        assert statuses(node, "/v2/models/later/ready") == {200}
    with edge_node(project.settings, tmp_path / "again", port=port) as node:
        assert statuses(node, "/v2/models/late/ready") == {503}

        loaded = httpx.post(f"{node.url}/v2/repository/models/late/load", headers=AUTHORITY, timeout=30)

        assert loaded.json() == {"name": "late", "state": "READY", "version": "1"}
        wait_until(lambda: statuses(node, "/v2/models/late/ready") == {200})
        assert statuses(node, "/v1/predict/late/F1") == {200}


def test_other_nodes_go_on(project: EdgeProject) -> None:
    """What one node does not serve, its neighbour does."""
    with edge_process(project.settings) as one, edge_process(project.settings) as other:
        assert one.client.post("/v2/repository/models/late/unload", headers=AUTHORITY).status_code == 200

        assert one.get("/v1/predict/late/F1").status_code == 503
        assert other.get("/v1/predict/late/F1").status_code == 200


def test_what_was_remembered_of_a_model_is_not_told_either(project: EdgeProject) -> None:
    """A hit in memory would be an answer, too."""
    with edge_process(project.settings) as edge:
        for _ in range(2):
            assert edge.get("/v1/predict/late/F1").status_code == 200

        edge.client.post("/v2/repository/models/late/unload", headers=AUTHORITY)

        refused = edge.get("/v1/predict/late/F1")
        assert refused.status_code == 503
        assert "taken out of this node's service" in refused.json()["detail"]
        assert edge.client.post("/v2/repository/index", json={"ready": True}).json() == [
            state for state in edge.client.post("/v2/repository/index").json() if state["state"] == "READY"
        ]


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("late/load", 200, ""),
        ("nobody/load", 404, "no model 'nobody'"),
        ("nobody/unload", 404, "no model 'nobody'"),
        ("unborn/load", 503, "nothing published"),
    ],
)
def test_only_what_there_is_can_be_moved(project: EdgeProject, path: str, status: int, says: str) -> None:
    """Loading what is loaded changes nothing."""
    with edge_process(project.settings) as edge:
        response = edge.client.post(f"/v2/repository/models/{path}", headers=AUTHORITY)
        parameters = edge.client.post(
            "/v2/repository/models/late/load", headers=AUTHORITY, json={"parameters": {"config": "{}"}}
        )

    assert response.status_code == status
    assert says in response.json().get("error", "")
    assert (parameters.status_code, "comes from the registry" in parameters.json()["error"]) == (400, True)
