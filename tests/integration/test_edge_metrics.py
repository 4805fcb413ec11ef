"""What an edge shows is what Prometheus wants, in name, type and form."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from deploy.local.redis_pair import RedisPair
from tests.edge_process import Edge, edge_process
from tests.edge_project import EdgeProject
from tests.prometheus import lint

pytestmark = pytest.mark.integration

KEY = "/v1/predict/late/F1:EWR"


@pytest.fixture
def edge(clean_redis: RedisPair, tmp_path: Path) -> Iterator[Edge]:
    """One that has answered from memory, has computed, and has refused."""
    project = EdgeProject.publish(tmp_path, clean_redis)
    project.put_weather({"EWR": 3.0})
    project.put_flights(["F1"], [1.0])
    with edge_process(project.settings) as running:
        for target in (KEY, KEY, "/v1/predict/late/nowhere:EWR", "/v1/predict/nope/1"):
            running.get(target)
        yield running
    project.store.close()


def test_promtool_objects_to_nothing_but_what_others_have_named(edge: Edge) -> None:
    """Triton's names end in abbreviated units; dashboards want them as they are."""
    complaints = lint(edge.get("/metrics").text)

    assert [line for line in complaints if not line.startswith("nv_")] == []


def test_a_scraper_that_asks_for_openmetrics_gets_it(edge: Edge) -> None:
    """With units; a browser gets plain text."""
    page = edge.get("/metrics", accept="application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5")

    assert page.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    families = {family.name: family for family in text_string_to_metric_families(page.text)}
    assert families["nearcast_request_duration_seconds"].unit == "seconds"
    assert families["nearcast_build_info"].samples[0].labels["role"] == "edge"


def test_no_label_holds_what_somebody_asked_for(edge: Edge) -> None:
    """Keys, entities and made-up models would be series without end."""
    text = edge.get("/metrics").text

    assert "F1" not in text
    assert "nope" not in text


def test_triton_names_count_what_the_edge_does(edge: Edge) -> None:
    """Cached and computed answers, and runs of the model with the time they took."""
    found = {
        name: edge.metric(f"nv_{name}", model="late", version="all")
        for name in ("inference_count", "inference_exec_count")
    }
    took_us = edge.metric("nv_inference_compute_infer_duration_us", model="late")

    assert found == {"inference_count": 2, "inference_exec_count": 2}
    assert took_us > 0
    assert edge.metric("nv_cache_num_hits_per_model", model="late") == 1
    assert edge.metric("nv_cache_num_misses_per_model", model="late") == 1
