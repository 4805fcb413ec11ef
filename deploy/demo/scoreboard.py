"""What was answered, how fast, and how good it was against what really happened.

Beside it runs a twin: a plain cache with a TTL of one simulated hour. On a miss it would have computed the answer of
that moment, which is the fresh one just served; until its TTL has passed it repeats it, whatever has changed.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Mapping

import numpy as np

from deploy.demo import scores
from deploy.demo.events import Departure

TWIN_TTL_MIN = 60
TIERS = ("memory", "replica", "live", "stale", "default")
#: Latencies that the live view looks back on; the figures at the end are over everything.
_RECENT = 2000


class Scoreboard:
    """Counts answers as they come in; bounded by the length of a day."""

    def __init__(self) -> None:
        self.tiers: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.recent_s: deque[float] = deque(maxlen=_RECENT)
        self._took_s: list[float] = []
        self._late: list[bool] = []
        self._served: list[float] = []
        self._twin: list[float] = []
        self._cached: dict[str, tuple[float, float]] = {}

    @property
    def requests(self) -> int:
        """Answered or failed."""
        return self.tiers.total() + self.errors.total()

    def answered(self, flight: Departure, minute: float, tier: str, probability: float, took_s: float) -> None:
        """One answer came in."""
        self.tiers[tier] += 1
        self.recent_s.append(took_s)
        self._took_s.append(took_s)
        cached, until_min = self._cached.get(flight.key, (probability, -1.0))
        if minute >= until_min:
            cached = probability
            self._cached[flight.key] = probability, minute + TWIN_TTL_MIN
        if flight.late is not None:
            self._late.append(flight.late)
            self._served.append(probability)
            self._twin.append(cached)

    def failed(self, reason: str) -> None:
        """One request got no answer."""
        self.errors[reason] += 1

    def hit_ratio(self) -> float:
        """Share of the answers that needed no model run while somebody waited."""
        answers = self.tiers.total()
        return (self.tiers["memory"] + self.tiers["replica"]) / answers if answers else 0.0

    def fresh_hit_ratio(self) -> float:
        """Share of the requests that were answered with something fresh that lay ready."""
        return (self.tiers["memory"] + self.tiers["replica"]) / self.requests if self.requests else 0.0

    def rows_per_request(self, counted: Mapping[str, int]) -> float:
        """What lying ready has cost: model rows computed off the path of requests, for each of them."""
        rows = counted.get("precomputed", 0) + counted.get("refreshed", 0)
        return rows / self.requests if self.requests else 0.0

    def quantile_ms(self, q: float, *, recent: bool = False) -> float:
        """Latency as the client saw it; `q` in 0..1."""
        return quantile_ms(self.recent_s if recent else self._took_s, q)

    def quality(self) -> Mapping[str, float]:
        """AUC and log-loss of what was served, and of what the twin would have served."""
        late = np.array(self._late, np.bool_)
        if not late.any() or late.all():
            return dict.fromkeys(("auc", "auc_ttl_cache", "log_loss", "log_loss_ttl_cache"), float("nan"))
        served, twin = np.array(self._served), np.array(self._twin)
        return {
            "auc": scores.auc(late, served),
            "auc_ttl_cache": scores.auc(late, twin),
            "log_loss": scores.log_loss(late, served),
            "log_loss_ttl_cache": scores.log_loss(late, twin),
        }


def quantile_ms(durations_s: Collection[float], q: float) -> float:
    """A quantile of durations in ms; NaN of none."""
    return float(np.quantile(np.fromiter(durations_s, float), q)) * 1000 if durations_s else float("nan")
