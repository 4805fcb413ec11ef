"""Keys through the Open Inference Protocol take part in routing and experiments as they do by every other door."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from deploy.local.redis_pair import RedisPair
from tests import oip_project
from tests.edge_process import edge_process
from tests.oip_project import direct

pytestmark = pytest.mark.integration

EXPERIMENT = """
[experiments.faster]
model = "late"
arms = { control = { variant = "default", share = 0.5 }, quick = { variant = "fast", share = 0.5 } }
"""
ROWS = {f"F{i}": [float(i), 2.0, 3.0, 4.0] for i in range(40)}


def test_each_key_gets_the_arm_of_its_experiment(
    redis_pair: RedisPair, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same as by `GET`; who names a variant or a version takes no part."""
    monkeypatch.setattr(oip_project, "MANIFEST", oip_project.MANIFEST + EXPERIMENT)
    project = oip_project.publish(tmp_path_factory.mktemp("arms"), redis_pair)
    oip_project.put_flights(project, ROWS)
    with edge_process(project.settings) as edge:
        answers = {key: _asked(edge, key) for key in ROWS}
        got = {key: edge.get(f"/v1/predict/late/{key}").json()["variant"] for key in ROWS}
        named = [_asked(edge, key, variant="fast") for key in ROWS]
    project.store.close()

    arms = {key: answer["parameters"]["arm"] for key, answer in answers.items()}
    assert set(arms.values()) == {"control", "quick"}
    for key, answer in answers.items():
        variant = {"control": "default", "quick": "fast"}[arms[key]]
        assert answer["parameters"]["experiment"] == "faster"
        assert answer["parameters"]["variant"] == got[key] == variant
        assert _value(answer) == direct("late", variant, x=np.array([ROWS[key]], np.float32))["y"][0, 0]
    assert all("arm" not in answer["parameters"] for answer in named)


def test_a_routed_key_is_answered_by_a_variant_that_suits(
    redis_pair: RedisPair, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """And says which; its numbers are that variant's."""
    project = oip_project.publish(tmp_path_factory.mktemp("auto"), redis_pair)
    oip_project.put_flights(project, ROWS)
    with edge_process(project.settings) as edge:
        answers = {key: _asked(edge, key, variant="auto", timeout=5_000_000) for key in ROWS}
    project.store.close()

    for key, answer in answers.items():
        expected = direct("late", answer["parameters"]["variant"], x=np.array([ROWS[key]], np.float32))["y"][0, 0]
        assert _value(answer) == expected


def test_a_model_that_is_unloaded_has_no_arms_and_no_routes(
    redis_pair: RedisPair, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever way its variant would have been chosen."""
    monkeypatch.setattr(oip_project, "MANIFEST", oip_project.MANIFEST + EXPERIMENT)
    project = oip_project.publish(tmp_path_factory.mktemp("gone"), redis_pair)
    monkeypatch.setenv("NEARCAST_ADMIN_TOKEN", oip_project.TOKEN)
    oip_project.put_flights(project, ROWS)
    with edge_process(project.settings) as edge:
        for key in ROWS:
            _asked(edge, key)
        authority = {"authorization": f"Bearer {oip_project.TOKEN}"}
        assert edge.client.post("/v2/repository/models/late/unload", headers=authority).status_code == 200

        refused = [edge.get(f"/v1/predict/late/{key}{query}") for key in ROWS for query in ("", "?variant=auto")]
    project.store.close()

    assert {response.status_code for response in refused} == {503}
    assert all("taken out of this node's service" in response.json()["detail"] for response in refused)


def _asked(edge: Any, key: str, **parameters: object) -> dict[str, Any]:
    response = edge.client.post("/v2/models/late/infer", content=json.dumps({"parameters": {"key": key, **parameters}}))
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def _value(answer: dict[str, Any]) -> np.float32:
    return np.float32(answer["outputs"][0]["data"][0])
