"""What the dashboard's document says of models.

Times are ms since 1970. None stands for what nobody knows.
"""

from __future__ import annotations

import msgspec


class Warming(msgspec.Struct, kw_only=True):
    """A version that is being warmed before it serves; `warm` is a share of the hot keys' requests."""

    version: int
    warm: float


class ModelState(msgspec.Struct, kw_only=True):
    """A variant of a model.

    Attributes:
        version: what it serves.
        versions: all that were published for it, newest first.
        share: of the model's answers in the range.
        p50_ms, p95_ms, p99_ms: of its answers that were computed on demand.
        tier_p95_ms: of its answers, by tier.
        expected_ms: the 95th percentile that routing reckons with now where it has to be computed, of the slowest
            process.
        chosen: how often routing took it in the range; `over_budget` of these because nothing fitted.
        loaded_in, told_by: processes that have it loaded, of those that say so.
        memory_bytes: what it takes in all of them.
    """

    model: str
    variant: str
    version: int | None
    versions: list[int]
    quality: float
    share: float | None
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    tier_p95_ms: dict[str, float | None]
    expected_ms: float | None
    chosen: int
    over_budget: int
    loaded_in: int | None
    told_by: int
    memory_bytes: int | None
    rollout: Warming | None


class Breaker(msgspec.Struct, kw_only=True):
    """A circuit breaker that keeps a model version of one process from being run.

    Attributes:
        state: `open`, `trial` while the next run may close it, or `ended` where there will be none.
        since_ms: since when nothing has worked; None if it never has.
        opened: how often it has been opened.
    """

    model: str
    variant: str
    version: int
    node: str
    process: int
    state: str
    since_ms: int | None
    why: str
    opened: int
