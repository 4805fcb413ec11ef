"""What an edge serves is what the model says, bit for bit, from every tier."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from deploy.local.redis_pair import RedisPair
from precompute.features import Row
from tests import onnx_models
from tests.edge_process import Edge, edge_process
from tests.edge_project import EdgeProject, direct
from tests.waiting import wait_until

pytestmark = pytest.mark.integration

KEYS = 10_000
AT_ONCE = 1000
MANIFEST = """
[project]
name = "exact"
[views.user.fields]
x = "float32[32]"
[models.score]
key = ["user"]
inputs = { x = "user.x" }
"""


def served(edge: Edge, names: Sequence[str], tier: str) -> NDArray[np.float32]:
    """The output for each key, all of them from one tier."""
    found = []
    for start in range(0, len(names), AT_ONCE):
        answers = edge.post("score", list(names[start : start + AT_ONCE])).json()["predictions"]
        assert {(answer["status"], answer.get("tier")) for answer in answers} == {(200, tier)}
        assert [answer["prediction"]["key"] for answer in answers] == names[start : start + AT_ONCE]
        found += [answer["prediction"]["outputs"]["y"] for answer in answers]
    return np.array(found, np.float32)


def test_ten_thousand_keys_are_the_same_from_every_tier(clean_redis: RedisPair, tmp_path: Path) -> None:
    """Live, memory, and the replica of another edge: each float32 is the one of a direct run on the same rows."""
    settings = {"max_write_backs": 2 * KEYS, "budget_ms": 30_000.0, "warm_keys": 0}
    files = {("score", "default"): onnx_models.mlp()}
    project = EdgeProject.declare(tmp_path, clean_redis, MANIFEST, files, **settings)
    rows = np.random.default_rng(3).normal(size=(KEYS, 32)).astype(np.float32)
    names = [f"u{i}" for i in range(KEYS)]
    put = project.features.put("user", [Row(name, {"x": row}, 1) for name, row in zip(names, rows, strict=True)])
    assert put.written == KEYS
    project.replicate()
    expected = direct(files["score", "default"], rows)

    with edge_process(project.settings) as edge:
        live, memory = served(edge, names, "live"), served(edge, names, "memory")
        wait_until(lambda: edge.metric("nearcast_write_backs_total") == KEYS)
    project.replicate()
    with edge_process(project.settings) as another:
        replica = served(another, names, "replica")

    for tier in (live, memory, replica):
        np.testing.assert_array_equal(tier.view(np.uint32), expected.view(np.uint32))
