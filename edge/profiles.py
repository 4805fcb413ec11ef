"""How long answers take of late, by model, variant and tier: what routing decides by.

Two generations of a histogram: the current one and the one before. Every `GENERATION_S` the current one becomes the
one before, if anything was measured in it. So a quantile speaks of the last three to six seconds, what is older than
that is forgotten at once when something new comes, and what has not been measured since is still known.

A decayed histogram would need a hundred half-lives' worth of new measurements to forget a busy slow minute: a variant
that was slow at 1,000 requests a second and is then only probed once a second would be called slow for half a minute.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from edge.stats import Tier
from precompute.durations import Durations, Histogram

GENERATION_S = 3.0
#: A quantile is found anew so often; finding it takes 20 µs, a request with three variants asks for three.
_ANEW_S = 0.1
#: Profiles kept; beyond that the ones longest unused are forgotten.
MOST = 10_000
#: What is written for the next process: live ones, those measured last.
_WRITTEN = 2_000
#: What was written by another version of this file is not read.
_FORMAT = 1
MAX_BYTES = 1 << 20

#: Model, variant and tier.
Name = tuple[str, str, Tier]


class _Written(msgspec.Struct, array_like=True):
    version: int
    profiles: list[tuple[str, str, Durations]]


@dataclass(frozen=True, slots=True)
class Latency:
    """What is known of late, in milliseconds."""

    count: int
    average_ms: float
    p95_ms: float
    p99_ms: float


class Profile:
    """One variant from one tier.

    Attributes:
        measured_s: when it was measured last, by the clock of whoever measures.
    """

    __slots__ = ("_before", "_began_s", "_computed_s", "_now", "_p95_s", "measured_s")

    def __init__(self, began_s: float, before: Durations | None = None) -> None:
        self._now, self._before, self._began_s = Histogram(), before or Durations(), began_s
        self._p95_s, self._computed_s = 0.0, -1.0
        self.measured_s = began_s

    def observe(self, seconds: float, now_s: float) -> None:
        """One more answer took so long."""
        age_s = now_s - self._began_s
        if age_s >= GENERATION_S:
            # After a pause nothing that was measured before says anything about now.
            self._before = self._now.taken() if age_s < 2 * GENERATION_S else Durations()
            self._now, self._began_s = Histogram(), now_s
        self._now.observe(seconds)
        self.measured_s = now_s

    def p95_s(self, now_s: float) -> float:
        """The 95th percentile, at most a tenth of a second old."""
        if not 0 <= now_s - self._computed_s < _ANEW_S:
            (self._p95_s,), self._computed_s = self.recent().quantiles_s(0.95) or [0.0], now_s
        return self._p95_s

    def recent(self) -> Durations:
        """Everything that counts."""
        return self._before.merge(self._now.taken())


class Profiles:
    """All profiles of one process; `now_s` is a monotonic clock, the same for all calls."""

    def __init__(self) -> None:
        self._profiles: dict[Name, Profile] = {}

    def observe(self, model: str, variant: str, tier: Tier, seconds: float, now_s: float) -> None:
        """An answer took so long."""
        name = (model, variant, tier)
        profile = self._profiles.get(name)
        if profile is None:
            if len(self._profiles) >= MOST:
                del self._profiles[min(self._profiles, key=lambda known: self._profiles[known].measured_s)]
            profile = self._profiles[name] = Profile(now_s)
        profile.observe(seconds, now_s)

    def p95_ms(self, model: str, variant: str, tier: Tier, now_s: float) -> float | None:
        """The 95th percentile of late; None if it was never measured."""
        profile = self._profiles.get((model, variant, tier))
        return None if profile is None else profile.p95_s(now_s) * 1000

    def measured_s(self, model: str, variant: str, tier: Tier) -> float | None:
        """When it was measured last."""
        profile = self._profiles.get((model, variant, tier))
        return None if profile is None else profile.measured_s

    def latency(self, model: str, variant: str, tier: Tier) -> Latency | None:
        """What is known, for people."""
        profile = self._profiles.get((model, variant, tier))
        recent = profile.recent() if profile else Durations()
        found = recent.quantiles_s(0.95, 0.99)
        if found is None:
            return None
        average_ms = recent.total_ns / recent.count / 1e6
        return Latency(recent.count, average_ms, found[0] * 1000, found[1] * 1000)

    def encode(self) -> bytes:
        """What another process may begin with; at most `MAX_BYTES`."""
        live = [(p.measured_s, m, v, p.recent()) for (m, v, tier), p in self._profiles.items() if tier is Tier.LIVE]
        live.sort(key=lambda known: -known[0])
        kept = [(model, variant, recent) for _, model, variant, recent in live[:_WRITTEN]]
        while len(data := msgspec.msgpack.encode(_Written(_FORMAT, kept))) > MAX_BYTES:
            kept = kept[: len(kept) // 2]
        return data

    def restore(self, data: bytes, now_s: float) -> int:
        """Takes in what another process has written, where nothing was measured yet; returns how many profiles."""
        restored = 0
        for model, variant, recent in _decoded(data):
            if (model, variant, Tier.LIVE) not in self._profiles and recent.counts:
                self._profiles[model, variant, Tier.LIVE] = Profile(now_s, recent)
                restored += 1
        return restored

    def __len__(self) -> int:
        return len(self._profiles)


def _decoded(data: bytes) -> list[tuple[str, str, Durations]]:
    try:
        written = msgspec.msgpack.decode(data, type=_Written)
    except msgspec.MsgspecError:
        return []
    known = len(Histogram().counts)
    fits = all(_is_sane(recent.counts, known) for _, _, recent in written.profiles)
    return written.profiles if written.version == _FORMAT and fits else []


def _is_sane(counts: Mapping[int, int], known: int) -> bool:
    return all(0 <= bucket < known and count > 0 for bucket, count in counts.items())
