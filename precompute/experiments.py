"""Experiments: which requests of a model are answered by which of its variants or versions, to find out what is better.

An answer is made by one variant, so at any time the experiments of a model belong to one *layer*, and each takes a
slice of it of its own: no unit is ever in two of them. A layer may hold experiments of several models, which then share
their units out among themselves, too. Different layers know nothing of each other (D. Tang et al., "Overlapping
Experiment Infrastructure: More, Better, Faster Experimentation", KDD 2010).
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, takewhile
from operator import itemgetter
from typing import Literal, TypeAlias

import msgspec
import xxhash

from precompute.views import Scalar

#: Where a value of a request stands: a part of its key (or the whole one), a header, a query parameter.
PlaceKind: TypeAlias = Literal["key", "header", "query"]
#: The part of a layer that an experiment takes: from, and up to, in shares of all units.
Slice: TypeAlias = tuple[float, float]

WHOLE: Slice = (0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value of a request stands; `name` is empty for the whole key but its context, and in lower case for a
    header."""

    kind: PlaceKind
    name: str = ""

    def __str__(self) -> str:
        return f"{self.kind}.{self.name}" if self.name else self.kind


@dataclass(frozen=True, slots=True)
class Arm:
    """What some of the units get: a variant in whichever version is active, or one version.

    Attributes:
        share: compared with those of the other arms.
    """

    name: str
    variant: str | None
    version: int | None
    share: float

    def __str__(self) -> str:
        return f"version {self.version}" if self.variant is None else f"variant {self.variant}"


@dataclass(frozen=True, slots=True)
class Audience:
    """Who takes part: a request that has one of the values in each of these places.

    Attributes:
        key: by part of the key, in canonical spelling.
        header: by header in lower case.
        context: by request-time feature.
    """

    key: Mapping[str, frozenset[str]] = field(default_factory=dict)
    header: Mapping[str, frozenset[str]] = field(default_factory=dict)
    context: Mapping[str, frozenset[Scalar]] = field(default_factory=dict)

    @property
    def is_everybody(self) -> bool:
        """Whether it asks for nothing."""
        return not (self.key or self.header or self.context)


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """One experiment.

    Attributes:
        unit: what is assigned: whoever shows the same value here always gets the same arm.
        salt: another one deals the arms anew.
        start_ms, end_ms: in ms since 1970; from the first and before the second it runs.
        override: a header or query parameter that names an arm, for testing.
        sample: share of the units whose answers are recorded.
    """

    name: str
    model: str
    layer: str
    arms: tuple[Arm, ...]
    unit: Place = Place("key")
    slice: Slice = WHOLE
    audience: Audience = Audience()
    salt: str = ""
    start_ms: int = 0
    end_ms: int | None = None
    override: Place | None = None
    sample: float = 1.0

    def runs(self, now_ms: int) -> bool:
        """Whether it does at that time."""
        return self.start_ms <= now_ms and not self.is_over(now_ms)

    def is_over(self, now_ms: int) -> bool:
        """Whether it will never run again."""
        return self.end_ms is not None and self.end_ms <= now_ms

    def meets(self, other: Experiment) -> bool:
        """Whether both run at any one time."""
        return not (self.is_over(other.start_ms) or other.is_over(self.start_ms))

    @property
    def shares(self) -> dict[str, float]:
        """The share of the units that each arm is to get; adds up to 1."""
        total = sum(arm.share for arm in self.arms)
        return {arm.name: arm.share / total for arm in self.arms}

    def fingerprint(self) -> str:
        """Says in short who gets what: exposures under two of them are not to be counted together."""
        audience = [sorted((n, sorted(map(repr, v))) for n, v in part.items()) for part in _parts(self.audience)]
        arms = [(arm.name, arm.variant, arm.version, arm.share) for arm in self.arms]
        said = (self.layer, self.slice, str(self.unit), self.salt, arms, audience, self.sample)
        return xxhash.xxh3_64_hexdigest(msgspec.json.encode(said))[:8]


def _parts(audience: Audience) -> tuple[Mapping[str, frozenset[Scalar]], ...]:
    return audience.key, audience.header, audience.context


class Layers:
    """Experiments that go together; takes in one after the other."""

    def __init__(self) -> None:
        #: By where their slices begin, so that a thousand of them need not all be looked at for each.
        self._by_layer: dict[str, list[tuple[float, Experiment]]] = {}
        self._widest: dict[str, float] = {}
        #: By model, and then by what all of one model must have in common.
        self._by_model: dict[str, dict[tuple[str, Place], list[Experiment]]] = {}

    def objection(self, new: Experiment) -> tuple[str, str] | None:
        """What speaks against another one: which key of its table, and why."""
        for common, others in self._by_model.get(new.model, {}).items():
            other = None if common == (new.layer, new.unit) else next(filter(new.meets, others), None)
            if other is not None:
                return _beside(new, other)
        for other in self._near(new):
            if overlaps(other.slice, new.slice) and other.meets(new):
                free = ", ".join(f"[{a:g}, {b:g}]" for a, b in self.free(new)) or "nothing"
                return "slice", (
                    f"{_spelt(new.slice)} of layer {new.layer!r} is partly taken: "
                    f"experiment {other.name!r} has {_spelt(other.slice)}; free at that time: {free}"
                )
        return None

    def add(self, experiment: Experiment) -> None:
        """Takes in one that nothing speaks against."""
        layer, (low, high) = experiment.layer, experiment.slice
        insort(self._by_layer.setdefault(layer, []), (low, experiment), key=itemgetter(0))
        self._widest[layer] = max(high - low, self._widest.get(layer, 0.0))
        others = self._by_model.setdefault(experiment.model, {})
        others.setdefault((layer, experiment.unit), []).append(experiment)

    def _near(self, new: Experiment) -> Iterator[Experiment]:
        """Those of its layer whose slices begin where they may reach into its own."""
        others, (low, high) = self._by_layer.get(new.layer, []), new.slice
        at = bisect_left(others, low - self._widest.get(new.layer, 0.0), key=itemgetter(0))
        return (other for _, other in takewhile(lambda item: item[0] < high, islice(others, at, None)))

    def free(self, new: Experiment) -> list[Slice]:
        """What nobody takes of a layer while an experiment would run."""
        taken = sorted(other.slice for _, other in self._by_layer.get(new.layer, ()) if other.meets(new))
        gaps, at = list[Slice](), 0.0
        for low, high in [*taken, (1.0, 1.0)]:
            if low > at:
                gaps.append((at, low))
            at = max(at, high)
        return gaps


def overlaps(a: Slice, b: Slice) -> bool:
    """Whether two slices have units in common."""
    return a[0] < b[1] and b[0] < a[1]


def first_fit(gaps: Sequence[Slice], share: float) -> Slice | None:
    """The first place for a slice of this size."""
    # Sums of shares as people write them miss by a rounding error.
    fit = next((low for low, high in gaps if high - low >= share - 1e-9), None)
    return None if fit is None else (fit, min(1.0, round(fit + share, 9)))


def _beside(new: Experiment, other: Experiment) -> tuple[str, str]:
    both = f"experiment {other.name!r} of model {new.model!r}, which runs at the same time,"
    if other.layer != new.layer:
        return "layer", f"must be {other.layer!r}, that of {both} because an answer is made by one variant"
    return "unit", f"must be {str(other.unit)!r}, that of {both} so that nobody is in both"


def _spelt(part: Slice) -> str:
    return f"[{part[0]:g}, {part[1]:g}]"
