"""What has been counted up to a moment, by one process or by several: a value that adds up.

Merging is associative and commutative, to the last digit: everything that is summed is a whole number. So it does not
matter who asks whom, in which order, or what had been merged before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Self, TypeVar

import msgspec

from edge.stats import BUCKETS_S

K = TypeVar("K")
V = TypeVar("V")

#: What is written by another version of this file is not read.
_FORMAT = 1
#: Room for the histograms of 50,000 models and tiers; nobody who writes more is read.
MAX_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Durations:
    """Counts by bucket, as `edge.stats.Histogram` has them."""

    counts: tuple[int, ...] = (0,) * (len(BUCKETS_S) + 1)
    total_ns: int = 0

    def merge(self, other: Durations) -> Durations:
        """Those of both."""
        counts = tuple([a + b for a, b in zip(self.counts, other.counts, strict=True)])
        return Durations(counts, self.total_ns + other.total_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything that is exported.

    Attributes:
        answers: durations by model and tier.
        errors: counts by model and HTTP status.
        computed: what was computed on demand, by model: `rows`, `batches` and `cpu_ns`.
        counters: what only grows, by name.
        sums: what is there now and adds up, such as bytes; by name.
        peaks: what is there now, of which the largest says most, such as lag; by name.
    """

    answers: Mapping[tuple[str, str], Durations] = field(default_factory=dict)
    errors: Mapping[tuple[str, int], int] = field(default_factory=dict)
    computed: Mapping[tuple[str, str], int] = field(default_factory=dict)
    counters: Mapping[str, int] = field(default_factory=dict)
    sums: Mapping[str, int] = field(default_factory=dict)
    peaks: Mapping[str, float] = field(default_factory=dict)

    def merge(self, other: Snapshot) -> Snapshot:
        """What both have counted."""
        return Snapshot(
            answers=_merged(self.answers, other.answers, Durations.merge),
            errors=_merged(self.errors, other.errors, int.__add__),
            computed=_merged(self.computed, other.computed, int.__add__),
            counters=_merged(self.counters, other.counters, int.__add__),
            sums=_merged(self.sums, other.sums, int.__add__),
            peaks=_merged(self.peaks, other.peaks, max),
        )

    def history(self) -> Snapshot:
        """What stays true when the process is gone."""
        return replace(self, sums={}, peaks={})

    def encode(self) -> bytes:
        """For `decode`, of this version."""
        return msgspec.msgpack.encode((_FORMAT, self))

    @classmethod
    def decode(cls, data: bytes) -> Self | None:
        """What `encode` made; None if it is something else, or damaged."""
        if len(data) > MAX_BYTES:
            return None
        try:
            version, rest = msgspec.msgpack.decode(data, type=tuple[int, msgspec.Raw])
            found = msgspec.msgpack.decode(rest, type=cls) if version == _FORMAT else None
        except (msgspec.DecodeError, ValueError):
            return None
        fits = found is not None and all(len(it.counts) == len(BUCKETS_S) + 1 for it in found.answers.values())
        return found if fits else None


def _merged(a: Mapping[K, V], b: Mapping[K, V], both: Callable[[V, V], V]) -> dict[K, V]:
    return {**a, **{key: both(a[key], value) if key in a else value for key, value in b.items()}}
