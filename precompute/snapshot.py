"""What has been counted up to a moment, by one process or by several: a value that adds up.

Merging is associative and commutative, to the last digit: everything that is summed is a whole number. So it does not
matter who asks whom, in which order, or what had been merged before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Self, TypeVar

import msgspec

from precompute.durations import BOUNDS_S, Durations

K = TypeVar("K")
V = TypeVar("V")

#: What is written by another version of this file is not read.
_FORMAT = 3
#: Room for the durations of 50,000 models, variants and tiers; nobody who writes more is read.
MAX_BYTES = 8 << 20

_NONE = Durations()


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything that is exported.

    Each key that was asked for is in `answers` or in `errors`, once.

    Attributes:
        answers: durations by model, variant and tier.
        errors: counts by model and HTTP status.
        of_which: counts by model and what: `not_modified`, which are among the answers, and `shed`, among the errors.
        computed: what was computed on demand, by model and what: `rows`, `batches` and `cpu_ns`.
        routed: counts by model, variant and what: `chosen`, how often routing took it, and of these `over_budget`, when
            nothing fitted.
        views: counts by view and what: `updates`, and of these `updates_within_sla`.
        timings: other durations by name.
        counters: what else only grows, by name.
        open_breakers: versions that are taken out now, by model and variant; they add up.
        sums: what is there now and adds up, such as bytes; by name.
        peaks: what is there now, of which the largest says most, such as lag; by name.
    """

    answers: Mapping[tuple[str, str, str], Durations] = field(default_factory=dict)
    errors: Mapping[tuple[str, int], int] = field(default_factory=dict)
    of_which: Mapping[tuple[str, str], int] = field(default_factory=dict)
    computed: Mapping[tuple[str, str], int] = field(default_factory=dict)
    routed: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    views: Mapping[tuple[str, str], int] = field(default_factory=dict)
    timings: Mapping[str, Durations] = field(default_factory=dict)
    counters: Mapping[str, int] = field(default_factory=dict)
    open_breakers: Mapping[tuple[str, str], int] = field(default_factory=dict)
    sums: Mapping[str, int] = field(default_factory=dict)
    peaks: Mapping[str, float] = field(default_factory=dict)

    def merge(self, other: Snapshot) -> Snapshot:
        """What both have counted."""
        return Snapshot(
            answers=_merged(self.answers, other.answers, Durations.merge),
            errors=_merged(self.errors, other.errors, int.__add__),
            of_which=_merged(self.of_which, other.of_which, int.__add__),
            computed=_merged(self.computed, other.computed, int.__add__),
            routed=_merged(self.routed, other.routed, int.__add__),
            views=_merged(self.views, other.views, int.__add__),
            timings=_merged(self.timings, other.timings, Durations.merge),
            counters=_merged(self.counters, other.counters, int.__add__),
            open_breakers=_merged(self.open_breakers, other.open_breakers, int.__add__),
            sums=_merged(self.sums, other.sums, int.__add__),
            peaks=_merged(self.peaks, other.peaks, max),
        )

    def history(self) -> Snapshot:
        """What stays true when the process is gone."""
        return replace(self, open_breakers={}, sums={}, peaks={})

    def since(self, before: Snapshot) -> Snapshot:
        """What the same process has counted after `before`; what is there now is left out, but for its peaks."""
        return Snapshot(
            answers=_after(self.answers, before.answers),
            errors=_more(self.errors, before.errors),
            of_which=_more(self.of_which, before.of_which),
            computed=_more(self.computed, before.computed),
            routed=_more(self.routed, before.routed),
            views=_more(self.views, before.views),
            timings=_after(self.timings, before.timings),
            counters=_more(self.counters, before.counters),
            peaks=self.peaks,
        )

    def by_tier(self) -> Mapping[tuple[str, str], Durations]:
        """The answers by model and tier, of all variants."""
        found: dict[tuple[str, str], Durations] = {}
        for (model, _, tier), durations in self.answers.items():
            found[model, tier] = found[model, tier].merge(durations) if (model, tier) in found else durations
        return found

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
        return found if found is not None and _fit([*found.answers.values(), *found.timings.values()]) else None


def _merged(a: Mapping[K, V], b: Mapping[K, V], both: Callable[[V, V], V]) -> dict[K, V]:
    return {**a, **{key: both(a[key], value) if key in a else value for key, value in b.items()}}


def _more(now: Mapping[K, int], before: Mapping[K, int]) -> dict[K, int]:
    return {key: more for key, count in now.items() if (more := count - before.get(key, 0))}


def _after(now: Mapping[K, Durations], before: Mapping[K, Durations]) -> dict[K, Durations]:
    later = {key: durations.since(before.get(key, _NONE)) for key, durations in now.items()}
    return {key: durations for key, durations in later.items() if durations.counts}


def _fit(all_durations: Iterable[Durations]) -> bool:
    return all(0 <= bucket <= len(BOUNDS_S) for durations in all_durations for bucket in durations.counts)
