"""Prometheus' own programs, which tests ask whether it understands us."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

#: Labels and value of each sample, by name.
Samples = dict[str, list[tuple[dict[str, str], float]]]


def tool(name: str) -> str:
    """A program of Debian's package `prometheus`."""
    found = shutil.which(name)
    assert found, f"{name} is not installed; on Debian and Ubuntu: apt install prometheus"
    return found


def lint(text: str) -> list[str]:
    """What `promtool check metrics` objects to."""
    checked = subprocess.run(
        [tool("promtool"), "check", "metrics"], input=text, text=True, capture_output=True, check=False, timeout=30.0
    )
    complaints = checked.stderr.splitlines()
    assert checked.returncode == 0 or complaints, checked
    return complaints


def promtool(*arguments: str | Path) -> str:
    """What promtool says about files that it must be happy with."""
    done = subprocess.run([tool("promtool"), *arguments], text=True, capture_output=True, check=False, timeout=60.0)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def samples(url: str) -> Samples:
    """Everything that stands at an address, by name."""
    found: Samples = {}
    for family in text_string_to_metric_families(httpx.get(url, timeout=10.0).text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((dict(sample.labels), sample.value))
    return found


def total(found: Samples, name: str, **labels: str) -> float:
    """The sum of the samples with these labels; 0 if there are none."""
    return sum(number for given, number in found.get(name, ()) if labels.items() <= given.items())


def value(url: str, name: str, **labels: str) -> float:
    """The same, of what stands at an address now."""
    return total(samples(url), name, **labels)
