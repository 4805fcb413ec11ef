"""Traces, for those who have OpenTelemetry (`pip install 'nearcast[otel]'`) and name where they go; else nothing.

Where to, which share, under which name: OpenTelemetry's own variables say so, first of all
`OTEL_EXPORTER_OTLP_ENDPOINT`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, Protocol

from precompute.errors import ConfigError

Kind = Literal["internal", "server", "producer", "consumer"]

#: Headers that a context travels in (W3C).
CONTEXT = ("traceparent", "tracestate")
#: Any of these says that traces are wanted.
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class Span(Protocol):
    """What is under way; more can be said of it until it ends."""

    def set_attribute(self, key: str, value: str | int | float | bool) -> object:
        """Says something of it."""


class Tracing(Protocol):
    """Makes spans."""

    def span(
        self, name: str, kind: Kind = "internal", parent: Mapping[str, str] | None = None, **attributes: str | int
    ) -> AbstractContextManager[Span]:
        """One span, the current one while the block lasts; an exception is noted in it.

        Args:
            parent: headers that may hold a context (W3C `traceparent`); else the current span is the parent.
            attributes: `_` stands for a dot in their names.
        """

    def headers(self) -> dict[str, str]:
        """The current context, as headers for whoever goes on with it."""

    def close(self) -> None:
        """Sends what has not been sent."""


class _NoSpan:
    def set_attribute(self, key: str, value: str | int | float | bool) -> None:
        pass


class _NoTracing:
    _span: AbstractContextManager[Span] = nullcontext(_NoSpan())

    def span(
        self, name: str, kind: Kind = "internal", parent: Mapping[str, str] | None = None, **attributes: str | int
    ) -> AbstractContextManager[Span]:
        return self._span

    def headers(self) -> dict[str, str]:
        return {}

    def close(self) -> None:
        pass


#: For those who are not traced.
OFF: Tracing = _NoTracing()


def open_tracing(role: str, environ: Mapping[str, str]) -> Tracing | None:
    """Sends traces to where the environment says; None if it does not.

    Raises:
        ConfigError: it does, and OpenTelemetry is not installed.
    """
    if not any(map(environ.get, _ENDPOINTS)) or environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise ConfigError(f"{_ENDPOINTS[0]} asks for traces; they need: pip install 'nearcast[otel]'") from None
    return tracing_to(BatchSpanProcessor(OTLPSpanExporter()), role)


def tracing_to(processor: Any, role: str) -> Tracing:
    """Hands spans to a processor of OpenTelemetry's."""
    from precompute.otel import OtelTracing

    return OtelTracing(processor, role)
