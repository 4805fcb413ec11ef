"""Which variant answers: the best declared quality whose measured latency fits the time there is. No I/O.

1. A variant whose answer lies ready (memory, replica, or stale within its policy) beats every live one that is no
   better: computing would take longer, for less.
2. Of what is left, the best quality whose p95 fits the budget.
3. If nothing fits, the fastest, and the answer says so.

A variant that was never computed here is not tried on somebody who has a budget; it is measured in the background
(`edge/probes.py`). Only where nothing at all is known the first candidate answers: the declared default.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edge.stats import Tier

#: Tiers whose answers are there already.
READY = frozenset({Tier.MEMORY, Tier.REPLICA, Tier.STALE})


@dataclass(frozen=True, slots=True)
class Candidate:
    """A variant, the tier that it would be answered from, and how long that takes here and now.

    Attributes:
        p95_ms: of the whole answer; None if it was not measured.
    """

    variant: str
    quality: float
    tier: Tier
    p95_ms: float | None = None

    @property
    def expected_ms(self) -> float:
        """What to reckon with: nothing is known of a live run that never was, and reading what is ready is short."""
        if self.p95_ms is None:
            return 0.0 if self.tier in READY else math.inf
        return self.p95_ms


@dataclass(frozen=True, slots=True)
class Choice:
    """What was decided.

    Attributes:
        fits: whether the answer is expected within the budget.
    """

    candidate: Candidate
    budget_ms: float
    fits: bool


def choose(candidates: Sequence[Candidate], budget_ms: float) -> Choice:
    """Decides; of equals, the one that comes first in `candidates`, of which there is at least one."""
    ready = max((c.quality for c in candidates if c.tier in READY), default=-math.inf)
    left = [c for c in candidates if c.tier in READY or c.quality > ready]
    fitting = [c for c in left if c.expected_ms <= budget_ms]
    if fitting:
        return Choice(max(fitting, key=lambda c: (c.quality, -c.expected_ms)), budget_ms, fits=True)
    known = [c for c in left if c.expected_ms < math.inf]
    fastest = min(known, key=lambda c: (c.expected_ms, -c.quality)) if known else left[0]
    return Choice(fastest, budget_ms, fits=False)
