"""Prometheus' families as all our processes show them: a unit is said where a name ends in one."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

_UNITS = ("seconds", "bytes")


def unit_of(name: str) -> str:
    """The base unit that a metric's name ends in; empty if there is none."""
    return next((unit for unit in _UNITS if name.endswith(f"_{unit}")), "")


def counter(name: str, text: str, value: float) -> Metric:
    """What only grows; `_total` is added to the name."""
    return CounterMetricFamily(f"nearcast_{name}", text, value=value, unit=unit_of(name))


def gauge(name: str, text: str, value: float) -> Metric:
    """What is there now."""
    return GaugeMetricFamily(f"nearcast_{name}", text, value=value, unit=unit_of(name))


def counters(name: str, text: str, *labels: str) -> CounterMetricFamily:
    """Counters that differ by labels, to be filled."""
    return CounterMetricFamily(f"nearcast_{name}", text, labels=labels, unit=unit_of(name))


def gauges(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    """Gauges that differ by labels, to be filled."""
    return GaugeMetricFamily(f"nearcast_{name}", text, labels=labels, unit=unit_of(name))


def histograms(name: str, text: str, *labels: str) -> HistogramMetricFamily:
    """Histograms that differ by labels, to be filled."""
    return HistogramMetricFamily(f"nearcast_{name}", text, labels=labels, unit=unit_of(name))


class BuildInfo(Collector):
    """Which version of nearcast runs here, and as what."""

    def __init__(self, role: str) -> None:
        self._role = role

    def collect(self) -> Iterator[Metric]:
        """One number that is always 1."""
        family = gauges("build_info", "Always 1; the labels say more.", "version", "role")
        family.add_metric((version("nearcast"), self._role), 1)
        yield family
