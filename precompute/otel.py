"""Spans by OpenTelemetry; the only module that needs it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from importlib.metadata import version

from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.trace import SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from precompute.tracing import Kind, Span

_KINDS = {
    "internal": SpanKind.INTERNAL,
    "server": SpanKind.SERVER,
    "producer": SpanKind.PRODUCER,
    "consumer": SpanKind.CONSUMER,
}


class OtelTracing:
    """A provider of our own: whoever embeds us may have another one."""

    def __init__(self, processor: SpanProcessor, role: str) -> None:
        """`OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` have the last word."""
        ours = Resource({SERVICE_NAME: f"nearcast-{role}", "service.version": version("nearcast")})
        resource = ours.merge(OTELResourceDetector().detect())
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("nearcast", version("nearcast"))
        self._propagator = TraceContextTextMapPropagator()

    def span(
        self, name: str, kind: Kind = "internal", parent: Mapping[str, str] | None = None, **attributes: str | int
    ) -> AbstractContextManager[Span]:
        """As `Tracing.span`."""
        context = None if parent is None else self._propagator.extract(dict(parent))
        named = {key.replace("_", "."): value for key, value in attributes.items()}
        return self._tracer.start_as_current_span(name, context=context, kind=_KINDS[kind], attributes=named)

    def headers(self) -> dict[str, str]:
        """As `Tracing.headers`."""
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier)
        return carrier

    def close(self) -> None:
        """As `Tracing.close`."""
        self._provider.shutdown()
