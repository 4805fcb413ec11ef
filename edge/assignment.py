"""Which experiment and which arm a request belongs to. Pure: a function of the declarations and the request alone.

A unit's place in a layer and its arm come from hashes of the unit, salted with the names of the layer and of the
experiment, so that nothing is stored, a restart changes nothing, and one says nothing about the other (R. Kohavi et
al., "Controlled Experiments on the Web: Survey and Practical Guide", 2009, section 4.1: hash and partition. It warns
that weak hashes carry over between experiments; for XXH3 the tests look for that).

Arms are chosen by weighted rendezvous: each draws a waiting time that is exponential at the rate of its share, from
a hash of its own, and the shortest wins (C. Schindelhauer and G. Schomaker, "Weighted Distributed Hash Tables", SPAA
2005, the logarithmic method). An arm whose share grows takes units from the others and gives none away; for any two
sets of shares at a distance of d at most 2d/(1+d) of the units move, and no rule without memory does better for all of
them (M. Bavarian et al., "Optimality of Correlated Sampling Strategies", 2016).

A request looks at its model's slices only: one hash and a bisection find the experiment among any number of them.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from math import log as _log

import msgspec
from xxhash import xxh3_64_intdigest

from edge.arm_overrides import Headers, Overrides, header_text
from precompute.experiments import Arm, Experiment
from precompute.key_text import unescape_part
from precompute.models import Key, Model

#: Longer values of a header name no unit; nobody is to fill streams with them.
MAX_UNIT_BYTES = 512
_SPAN = 2.0**64
_LOG_SPAN = math.log(_SPAN)


class Assigned(msgspec.Struct, frozen=True, gc=False):
    """What was decided for one request.

    Attributes:
        plan: `Experiment.fingerprint`.
        is_override: whether the request asked for this arm.
    """

    experiment: Experiment
    arm: Arm
    unit: str
    plan: str
    is_override: bool = False


class Share(msgspec.Struct, frozen=True):
    """One arm, ready to draw; `mean_wait` is the reciprocal of its share."""

    arm: Arm
    prefix: bytes
    mean_wait: float


def share_out(experiment: Experiment) -> tuple[Share, ...]:
    """The arms of an experiment, ready for `choose`; one with no share gets nobody."""
    salt = experiment.salt.encode()
    return tuple(
        Share(arm, b"arm\0%b\0%b\0" % (salt, arm.name.encode()), 1.0 / arm.share)
        for arm in experiment.arms
        if arm.share > 0
    )


def choose(shares: Sequence[Share], unit: bytes) -> Arm:
    """The arm of a unit."""
    best, least = shares[0], math.inf
    for share in shares:
        # Minus the logarithm of a number between 0 and 1.
        wait = (_LOG_SPAN - _log(xxh3_64_intdigest(share.prefix + unit) + 0.5)) * share.mean_wait
        if wait < least:
            best, least = share, wait
    return best.arm


def place_in(layer: str, unit: bytes) -> float:
    """Where in a layer a unit stands, from 0 to 1."""
    return xxh3_64_intdigest(b"layer\0%b\0%b" % (layer.encode(), unit)) / _SPAN


def is_sampled(experiment: Experiment, unit: str) -> bool:
    """Whether the answers of a unit are recorded: all of them or none, so that what is known of one is complete."""
    if experiment.sample >= 1.0:
        return True
    return xxh3_64_intdigest(b"sample\0%b\0%b" % (experiment.salt.encode(), unit.encode())) / _SPAN < experiment.sample


class _Slot(msgspec.Struct, frozen=True):
    """One running experiment of a model, in the order of their slices.

    Attributes:
        key: by index of the key part; and what a request must have there.
        context: by index of the feature.
    """

    high: float
    experiment: Experiment
    plan: str
    shares: tuple[Share, ...]
    is_open: bool
    key: tuple[tuple[int, frozenset[str]], ...]
    header: tuple[tuple[bytes, frozenset[str]], ...]
    context: tuple[tuple[int, frozenset[object]], ...]

    def admits(self, key: Key, headers: Headers) -> bool:
        """Whether the request is one of its audience."""
        for part, texts in self.key:
            if key.parts[part] not in texts:
                return False
        for name, texts in self.header:
            if _header(headers, name) not in texts:
                return False
        return not self.context or all(key.context[at] in values for at, values in self.context)


class ModelExperiments:
    """The running experiments of one model.

    Attributes:
        vary: headers that an answer may depend on, in lower case.
    """

    def __init__(self, model: Model, running: Iterable[Experiment]) -> None:
        """Takes in experiments of one layer and unit, with slices of their own; raises ValueError for none."""
        slots = sorted(((e.slice[0], _slot(model, e)) for e in running), key=lambda pair: pair[0])
        if not slots:
            raise ValueError("no experiments")
        self._lows = [low for low, _ in slots]
        self._slots = [slot for _, slot in slots]
        self._layer = b"layer\0%b\0" % self._slots[0].experiment.layer.encode()
        unit = self._slots[0].experiment.unit
        self._part = model.key.index(unit.name) if unit.kind == "key" and unit.name else None
        self._header = unit.name.encode() if unit.kind == "header" else None
        self._plans = {slot.experiment.name: slot.plan for slot in self._slots}
        self._overrides = Overrides([slot.experiment for slot in self._slots])
        headers = {name.decode() for slot in self._slots for name, _ in slot.header}
        headers |= {name.decode() for name in self._overrides.headers}
        self.vary = tuple(sorted(headers | ({unit.name} if unit.kind == "header" else set())))

    @property
    def experiments(self) -> list[Experiment]:
        """All of them."""
        return [slot.experiment for slot in self._slots]

    def assign(self, key: Key, headers: Headers, query: Mapping[str, str]) -> Assigned | None:
        """What a request gets; None if it takes part in none.

        Args:
            headers: names in lower case.
            query: parameters that override an arm, as far as the request has them.

        Raises:
            InvalidRequest: it names an arm that there is not.
        """
        unit = self._unit(key, headers) if self._part is None else key.parts[self._part]
        if self._part is not None and "~" in unit:
            unit = unescape_part(unit)
        if self._overrides.headers or query:
            named = self._overrides.named(headers, query)
            if named is not None:
                experiment, arm = named
                plan = self._plans[experiment.name]
                return Assigned(experiment, arm, unit or key.text.partition("?")[0], plan, is_override=True)
        if not unit:
            return None
        raw = unit.encode()
        at = bisect_right(self._lows, place := xxh3_64_intdigest(self._layer + raw) / _SPAN) - 1
        if at < 0:
            return None
        slot = self._slots[at]
        if place >= slot.high or not (slot.is_open or slot.admits(key, headers)):
            return None
        return Assigned(slot.experiment, choose(slot.shares, raw), unit, slot.plan)

    def _unit(self, key: Key, headers: Headers) -> str:
        if self._header is not None:
            return _header(headers, self._header)
        return key.text.partition("?")[0]


def _header(headers: Headers, name: bytes) -> str:
    """The first value of a header; empty if there is none, or it is too long."""
    for given, value in headers:
        if given == name:
            return header_text(value) if len(value) <= MAX_UNIT_BYTES else ""
    return ""


def _slot(model: Model, experiment: Experiment) -> _Slot:
    audience, fields = experiment.audience, [field.name for field in model.context]
    return _Slot(
        experiment.slice[1],
        experiment,
        experiment.fingerprint(),
        share_out(experiment),
        audience.is_everybody,
        tuple((model.key.index(part), values) for part, values in audience.key.items()),
        tuple((name.encode(), values) for name, values in audience.header.items()),
        tuple((fields.index(name), frozenset(values)) for name, values in audience.context.items()),
    )
