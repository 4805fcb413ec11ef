"""The document behind the dashboard: everything that it shows, at one moment and over a range of time before it.

Times are ms since 1970. None stands for what nobody knows; in a series it is a gap.
"""

from __future__ import annotations

import msgspec

from edge.dashboard.experiment_state import Experiments
from edge.dashboard.model_state import Breaker, ModelState
from precompute.series import Series


class Node(msgspec.Struct, kw_only=True):
    """An edge node: how it is now.

    Attributes:
        processes: those that have written lately.
        alive: whether any has.
    """

    node: str
    processes: int
    alive: bool
    last_seen_ms: int
    requests_per_s: float | None
    hit_ratio: float | None
    lag_s: float | None


class Totals(msgspec.Struct, kw_only=True):
    """Over the range: `requests` is the sum of the tiers, errors and shed."""

    requests: int
    tiers: dict[str, int]
    errors: int
    shed: int
    hit_ratio: float | None
    fresh_hit_ratio: float | None
    off_path_rows_per_request: float | None
    p50_ms: float | None
    p99_ms: float | None
    p999_ms: float | None


class ViewState(msgspec.Struct, kw_only=True):
    """A view against its freshness SLA.

    Attributes:
        sla_s: how soon a change shall have ended, at every edge, what it made stale; None if nothing is declared.
        within: the share of changes in the range for which that was so.
        burn: how fast the error budget is spent: at 1 it lasts exactly as long as the range.
    """

    view: str
    sla_s: float | None
    objective: float
    within: float | None
    burn: float | None
    updates_per_s: float
    last_change_ms: int | None


class HotKey(msgspec.Struct, kw_only=True):
    """A key that is asked for often; `trend` is its share of the requests lately by its usual share."""

    model: str
    key: str
    rate_per_s: float
    trend: float | None


class RunState(msgspec.Struct, kw_only=True):
    """A run of a declared job."""

    state: str
    started_ms: int | None
    ended_ms: int | None
    done: int
    total: int
    rows_per_s: float
    failed: int


class OpenRun(RunState, kw_only=True):
    """A run that is at work."""

    id: str
    name: str


class JobState(msgspec.Struct, kw_only=True):
    """A declared job."""

    name: str
    next_ms: int | None
    paused: bool
    last: RunState | None


class WorkerState(msgspec.Struct, kw_only=True):
    """A process that computes ahead of time; it is alive if it has said so lately."""

    name: str
    alive: bool
    last_progress_ms: int | None
    rows_per_s: float


class QueueState(msgspec.Struct, kw_only=True):
    """What waits for a worker."""

    name: str
    depth: int
    oldest_s: float | None


class Leader(msgspec.Struct, kw_only=True):
    """The scheduler that leads."""

    name: str
    since_ms: int


class Audit(msgspec.Struct, kw_only=True):
    """What the latest audit has found."""

    at_ms: int
    checked: int
    falsely_fresh: int


class Invalidation(msgspec.Struct, kw_only=True):
    """Something that was made stale by hand."""

    at_ms: int
    what: str
    who: str
    why: str


class Document(msgspec.Struct, kw_only=True):
    """All of it."""

    now_ms: int
    range_s: int
    step_s: int
    times_ms: list[int]
    nodes: list[Node]
    series: Series
    totals: Totals
    views: list[ViewState]
    hot: list[HotKey]
    models: list[ModelState]
    models_left_out: int
    experiments: Experiments
    jobs: list[JobState]
    runs: list[OpenRun]
    workers: list[WorkerState]
    queues: list[QueueState]
    leader: Leader | None
    breakers: list[Breaker]
    audit: Audit | None
    invalidations: list[Invalidation]

    def encode(self) -> bytes:
        """As JSON."""
        return msgspec.json.encode(self)
