"""`/metrics` of a process that answers no other requests: a thread of its own, on a port of its own."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.registry import Collector

from precompute.errors import ConfigError
from precompute.metrics import BuildInfo
from precompute.settings import Settings

log = logging.getLogger(__name__)


def new_registry(role: str, *collectors: Collector) -> CollectorRegistry:
    """What a process of that role shows."""
    registry = CollectorRegistry()
    for collector in (BuildInfo(role), *collectors):
        registry.register(collector)
    return registry


@contextlib.contextmanager
def exported(settings: Settings, registry: CollectorRegistry) -> Iterator[None]:
    """Shows a registry as long as the block lasts, if the settings name a port; 0 is any free one.

    Raises:
        ConfigError: somebody has the port.
    """
    if settings.metrics_port is None:
        yield
        return
    host, port = settings.metrics_host, settings.metrics_port
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        raise ConfigError(
            f"cannot show metrics on {host}:{port}: {error.strerror}; choose another with --metrics-port"
        ) from None
    log.info("metrics at http://%s:%d/metrics", f"[{host}]" if ":" in host else host, server.server_port)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
