"""What an experiment has come to so far: its exposures put together by arm, and what can be said about each. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from precompute.experiment_report import (
    MISMATCH_P,
    Interval,
    mean,
    mean_difference,
    proportion,
    proportion_difference,
    quantile,
    ratio,
    sample_ratio_p,
)
from precompute.experiments import Experiment
from precompute.exposures import Answers, Exposure

#: Tiers whose answers were there already, and fresh.
HITS = frozenset({"memory", "replica"})


@dataclass(slots=True)
class Unit:
    """What one unit was answered."""

    answers: int = 0
    hits: int = 0
    took_us: int = 0


@dataclass(slots=True)
class ArmTally:
    """The records of one arm; those that testers asked for are none of them."""

    units: dict[str, Unit] = field(default_factory=dict)
    took_us: list[int] = field(default_factory=list)
    versions: Counter[int] = field(default_factory=Counter)

    def take(self, exposure: Exposure) -> None:
        """One more record."""
        unit = self.units.setdefault(exposure.unit, Unit())
        unit.answers += 1
        unit.hits += exposure.tier in HITS
        unit.took_us += exposure.took_us
        self.took_us.append(exposure.took_us)
        self.versions[exposure.version] += 1


@dataclass(slots=True)
class Tally:
    """The records of an experiment.

    Attributes:
        earlier: records from before units were assigned as they are now, which say nothing about now.
        overrides: records of testers.
    """

    arms: dict[str, ArmTally]
    kept: int = 0
    earlier: int = 0
    overrides: int = 0


def tally(experiment: Experiment, exposures: Iterable[Exposure]) -> Tally:
    """Puts records together."""
    plan, found = experiment.fingerprint(), Tally({arm.name: ArmTally() for arm in experiment.arms})
    for exposure in exposures:
        found.kept += 1
        if exposure.override:
            found.overrides += 1
        elif exposure.plan != plan or exposure.arm not in found.arms:
            found.earlier += 1
        else:
            found.arms[exposure.arm].take(exposure)
    return found


@dataclass(frozen=True, slots=True)
class ArmReport:
    """What is known about one arm.

    Attributes:
        share: of the units, as declared.
        units: share of all units that it got.
        answers: all there were, sampled or not, by tier.
        overrides: answers that testers asked for.
        hits: share of its answers that were there already, and fresh.
        mean_ms, p50_ms, p95_ms: from the request to the answer.
    """

    name: str
    share: float
    unit_count: int
    units: Interval
    answers: Mapping[str, int]
    overrides: int
    records: int
    versions: tuple[int, ...]
    hits: Interval
    mean_ms: Interval
    p50_ms: Interval
    p95_ms: Interval


@dataclass(frozen=True, slots=True)
class Report:
    """What is known about an experiment.

    Attributes:
        sample_ratio_p: how likely it is that chance alone brings such numbers of units; None for too few.
        records_gone: records that have made room for later ones.
    """

    arms: tuple[ArmReport, ...]
    sample_ratio_p: float | None
    records: int
    records_gone: int
    records_earlier: int

    @property
    def is_mismatch(self) -> bool:
        """Whether units are missing from some arms, so that nothing else in here is to be believed."""
        return self.sample_ratio_p is not None and self.sample_ratio_p < MISMATCH_P


def report(experiment: Experiment, found: Tally, answers: Answers) -> Report:
    """What can be said."""
    units = {name: len(arm.units) for name, arm in found.arms.items()}
    shares, total = experiment.shares, sum(units.values())
    arms = tuple(_arm(name, shares[name], of, total, answers) for name, of in found.arms.items())
    gone = max(0, answers.records - found.kept)
    return Report(arms, sample_ratio_p(units, shares), found.kept, gone, found.earlier)


def _arm(name: str, share: float, of: ArmTally, total: int, answers: Answers) -> ArmReport:
    units = of.units.values()
    counts = [unit.answers for unit in units]
    ordered = np.sort(np.asarray(of.took_us, np.float64)) / 1000
    return ArmReport(
        name,
        share,
        len(of.units),
        proportion(len(of.units), total),
        {tier: count for (arm, tier), count in answers.by_arm.items() if arm == name},
        answers.overrides.get(name, 0),
        len(of.took_us),
        tuple(sorted(of.versions)),
        ratio([unit.hits for unit in units], counts),
        ratio([unit.took_us / 1000 for unit in units], counts),
        quantile(ordered, 0.5),
        quantile(ordered, 0.95),
    )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one arm's units, and how that differs from the first arm's."""

    name: str
    units: int
    value: Interval
    difference: Interval | None


def outcomes(found: Tally, values: Mapping[str, float]) -> tuple[bool, list[Outcome]]:
    """The results of each arm, and whether they are of the kind yes or no.

    Args:
        values: what came of each unit, 0 for those that are not in here. Where all are 0 or 1, shares are compared,
            else means. Those of units that took no part are left out.
    """
    by_arm = {name: [values.get(unit, 0.0) for unit in arm.units] for name, arm in found.arms.items()}
    binary = all(value in (0.0, 1.0) for of in by_arm.values() for value in of)
    names = list(by_arm)
    return binary, [
        Outcome(name, len(of), *(_binary if binary else _numeric)(of, None if name == names[0] else by_arm[names[0]]))
        for name, of in by_arm.items()
    ]


def _binary(of: list[float], base: list[float] | None) -> tuple[Interval, Interval | None]:
    yes = int(sum(of))
    if base is None:
        return proportion(yes, len(of)), None
    return proportion(yes, len(of)), proportion_difference(yes, len(of), int(sum(base)), len(base))


def _numeric(of: list[float], base: list[float] | None) -> tuple[Interval, Interval | None]:
    return mean(of), None if base is None else mean_difference(of, base)
