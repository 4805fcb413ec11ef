"""What `infer` has found to answer with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from edge.api.oip.outputs import Wanted
from edge.api.oip.shapes import Parameters
from edge.stats import Tier
from precompute.predictor import Predictor
from precompute.signature import Array


@dataclass(frozen=True, slots=True)
class Found:
    """Outputs by name, `[N, ...]` each, those that are wanted among them; where they are from, and what else to say."""

    predictor: Predictor
    wanted: Sequence[Wanted]
    outputs: Mapping[str, Array]
    tier: Tier
    parameters: Parameters = field(default_factory=dict)
