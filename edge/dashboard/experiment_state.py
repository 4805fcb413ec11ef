"""What the dashboard's document says of experiments.

Times are ms since 1970. None stands for what nobody knows.
"""

from __future__ import annotations

import msgspec


class Estimate(msgspec.Struct, kw_only=True):
    """What is estimated, and where the truth lies with 95 % confidence; None where there is too little to say."""

    estimate: float
    low: float | None
    high: float | None


class ArmState(msgspec.Struct, kw_only=True):
    """An arm of an experiment that runs.

    Attributes:
        serves: which variant or version.
        share: of the units, as declared.
        answers: all there were, but for the overrides, which somebody has asked for by name.
        units: that it got, of those in the records that were looked at.
        seen: its share of these.
        hits: share of its answers that were there already, and fresh.
        mean_ms: from the request to the answer.
    """

    arm: str
    serves: str
    share: float
    answers: int
    overrides: int
    units: int | None
    seen: Estimate | None
    hits: Estimate | None
    mean_ms: Estimate | None


class ExperimentState(msgspec.Struct, kw_only=True):
    """An experiment that runs.

    Attributes:
        sample: share of the units whose answers are recorded.
        records: the latest that were looked at; None if nobody has looked yet.
        sample_ratio_p: how likely it is that chance alone brings such numbers of units; None for too few.
        is_mismatch: so unlikely that something must be wrong.
    """

    name: str
    model: str
    layer: str
    unit: str
    slice: tuple[float, float]
    start_ms: int | None
    end_ms: int | None
    sample: float
    records: int | None
    sample_ratio_p: float | None
    is_mismatch: bool
    arms: list[ArmState]


class EndedExperiment(msgspec.Struct, kw_only=True):
    """An experiment that is over; answers are by arm."""

    name: str
    model: str
    ended_ms: int
    was_stopped: bool
    answers: dict[str, int]


class Experiments(msgspec.Struct, kw_only=True):
    """Of the whole fleet; not all of them may be listed, but all are counted.

    Attributes:
        broken: why some do not run, by name.
    """

    running_count: int
    ended_count: int
    running: list[ExperimentState]
    ended: list[EndedExperiment]
    broken: dict[str, str]
