"""Spans reach a collector, and one trace leads through all who had a part in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.redis_pair import RedisPair
from precompute.otel import OtelTracing
from precompute.tracing import OFF, open_tracing, tracing_to
from tests.edge_process import Edge, edge_process
from tests.edge_project import EdgeProject
from tests.flights import Flights
from tests.otlp import Collector, collector
from tests.roles import role
from tests.waiting import wait_until
from workers.task_queue import open_queue

pytestmark = pytest.mark.integration

ROUTE = "GET /v1/predict/{model}/{key}"
TARGET, OTHER = "/v1/predict/late/F1:EWR?hour=12", "/v1/predict/late/F2:EWR?hour=12"
TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def traces(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A collector that all processes started by a test are told of."""
    with collector() as found:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        yield found


@pytest.fixture
def edge(traces: Collector, clean_redis: RedisPair, tmp_path: Path) -> Iterator[Edge]:
    """One that is traced."""
    project = EdgeProject.publish(tmp_path, clean_redis)
    project.put_weather({"EWR": 3.0})
    project.put_flights(["F1", "F2"], [1.0, 2.0])
    with edge_process(project.settings) as running:
        yield running
    project.store.close()


def test_a_miss_shows_what_it_waited_for(edge: Edge, traces: Collector) -> None:
    """The replica, then inference, in one trace; named by its route, with the tier that answered."""
    assert edge.get(TARGET).status_code == 200
    wait_until(lambda: traces.named(ROUTE))

    (request,) = traces.named(ROUTE)
    assert request.service == "nearcast-edge"
    assert request.attributes["nearcast.tier"] == "live"
    assert request.attributes["http.response.status_code"] == 200
    children = {span.name: span for span in traces.spans if span.parent == request.id}
    assert set(children) == {"replica read", "inference"}
    assert children["inference"].attributes["nearcast.model"] == "late"
    assert {span.trace for span in traces.spans} == {request.trace}


def test_a_hit_is_traced_only_within_a_trace_that_is_recorded(edge: Edge, traces: Collector) -> None:
    """By itself, or in a trace that nobody records, it stays in the lane; else it is a child of who asked."""
    edge.get(TARGET)
    for flags in ("00", "01"):
        hit = edge.get(TARGET, traceparent=f"00-{TRACE}-{CALLER}-{flags}")
        assert "nearcast-memory; hit" in hit.headers["cache-status"]
    edge.get(TARGET)
    edge.get(OTHER)
    wait_until(lambda: len(traces.named(ROUTE)) >= 3)

    hits = [span for span in traces.named(ROUTE) if span.attributes["nearcast.tier"] == "memory"]
    assert [(span.trace, span.parent) for span in hits] == [(TRACE, CALLER)]


def test_nobody_traces_scrapes_and_probes(edge: Edge, traces: Collector) -> None:
    """They come every few seconds and belong to nobody."""
    for path in ("/metrics", "/livez", "/readyz", "/v1/why/late/F1:EWR"):
        edge.get(path)
    wait_until(lambda: traces.spans)

    assert [span.name for span in traces.spans if not span.parent] == ["GET /v1/why"]


def test_a_trace_leads_through_the_queue_into_the_worker(
    traces: Collector, clean_redis: RedisPair, tmp_path: Path
) -> None:
    """The context travels in the headers of the task."""
    flights = Flights.publish(tmp_path, clean_redis.primary_url)
    keys = flights.put(10)
    sender = open_tracing("test", {"OTEL_EXPORTER_OTLP_ENDPOINT": traces.url}) or OFF
    queue = open_queue(flights.settings, sender)

    with role("worker", flights.settings):
        queue.refresh("late", keys)
        wait_until(lambda: traces.named("take nearcast.refresh"))
    sender.close()
    queue.close()
    flights.store.close()

    (sent,), (taken,) = traces.named("send nearcast.refresh"), traces.named("take nearcast.refresh")
    assert (taken.trace, taken.parent) == (sent.trace, sent.id)
    assert (sent.service, taken.service) == ("nearcast-test", "nearcast-worker")
    assert taken.attributes["nearcast.keys"] == 10


def test_without_an_endpoint_nothing_is_traced() -> None:
    """Nor if OpenTelemetry is told to be off."""
    assert open_tracing("edge", {}) is None
    assert open_tracing("edge", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_SDK_DISABLED": "true"}) is None


def test_a_failure_is_noted_in_its_span() -> None:
    """With the exception, which goes on."""
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    memory = InMemorySpanExporter()
    tracing = tracing_to(SimpleSpanProcessor(memory), "test")

    with pytest.raises(ValueError, match="no"), tracing.span("work", nearcast_keys=3):
        raise ValueError("no")

    (span,) = memory.get_finished_spans()
    assert isinstance(tracing, OtelTracing)
    assert (span.name, dict(span.attributes or {})) == ("work", {"nearcast.keys": 3})
    assert not span.status.is_ok
    assert span.events[0].name == "exception"
