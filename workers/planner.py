"""Which hot keys are worth recomputing when something behind them changes. Pure.

A change makes a prediction stale. If nobody recomputes it, the next request for it is a miss, one only: the live answer
is written back, and whoever comes later finds it. So pushing a recomputation saves at most one miss per change, and
only if a request comes before the next change:

    chance = requests/s / (requests/s + changes/s)

A key that is not pushed loses `changes/s * chance` fresh hits per second, and one that is pushed costs `changes/s`
rows; its chance is what a row of it earns. `value` takes, by falling chance,

1. the *core*: the hottest keys, together half of all requests for hot keys, where the next request is nearly sure to
   come first. The row would be computed anyway, with somebody waiting for it;
2. then more, until what is left out would cost no more than a small share of the fresh hits;
3. but never a key with less than a worthwhile chance, which follows from the measured cost of a row;
4. and never more than half of the rows that refreshing everything hot would take. The better half of them earns much
   more than half of what there is to gain.

So where changes are rare next to requests hardly anything is done, for there is hardly anything to gain; where they are
so frequent, or requests so thin, that rows would be computed for nobody, nothing is done.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

#: A row of a small model, all told; taken for granted until somebody has measured.
TYPICAL_ROW_S = 10e-6


@dataclass(frozen=True, slots=True)
class Candidate:
    """A hot key, and what is known about it."""

    key: str
    requests_per_s: float
    changes_per_s: float

    @property
    def chance(self) -> float:
        """That a request comes before the next change."""
        both = self.requests_per_s + self.changes_per_s
        return self.requests_per_s / both if both > 0 else 0.0

    @property
    def lost_per_s(self) -> float:
        """Fresh hits per second that not pushing costs."""
        return self.changes_per_s * self.chance


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What `value` means in figures."""

    #: Share of the fresh hits that may be lost by saving rows.
    tolerated_loss: float = 0.03
    #: Where the next request is nearly sure to come before the next change.
    sure: float = 0.9
    core_share: float = 0.5
    #: Below this a saved miss costs more than ten rows.
    least_chance: float = 0.1
    #: Of the rows of refreshing everything hot. Less than half, because rates are estimates.
    most_rows: float = 0.45
    #: What a miss costs besides the row it computes, in seconds of work: a request through all tiers, and the wait.
    miss_s: float = 0.001

    def worthwhile(self, row_s: float) -> float:
        """The chance from which a row of this cost earns more than it takes."""
        return max(self.least_chance, row_s / (self.miss_s + row_s))


@dataclass(frozen=True, slots=True)
class Choice:
    """What to push on a change.

    Attributes:
        pushed: by falling chance.
        rows_per_s: what they will cost.
        lost_per_s: fresh hits that the others will cost.
        least: the chance from which keys of this model are worthwhile at all.
    """

    pushed: Sequence[Candidate]
    rows_per_s: float
    lost_per_s: float
    least: float


def worth(candidate: Candidate, rule: Rule, row_s: float) -> float:
    """What pushing a key earns for the work it takes: saved seconds for each second, comparable between models."""
    return candidate.chance * (rule.miss_s / (row_s or TYPICAL_ROW_S) + 1.0)


def choose(candidates: Iterable[Candidate], rule: Rule, row_s: float = 0.0) -> Choice:
    """The keys of one model worth pushing, by value.

    Args:
        candidates: everything hot.
        row_s: measured seconds of work for one row.
    """
    least = rule.worthwhile(row_s)
    ranked = sorted(candidates, key=lambda c: (-c.chance, -c.requests_per_s))
    core, others = _split(ranked, rule)
    requests, rows_left = sum(c.requests_per_s for c in ranked), rule.most_rows * sum(c.changes_per_s for c in ranked)
    losing = sum(c.lost_per_s for c in ranked)
    pushed: list[Candidate] = []
    for candidate in (*core, *others):
        done = len(pushed) >= len(core) and losing <= rule.tolerated_loss * requests
        if done or candidate.chance < least or candidate.changes_per_s > rows_left:
            break
        pushed.append(candidate)
        losing -= candidate.lost_per_s
        rows_left -= candidate.changes_per_s
    return Choice(pushed, sum(c.changes_per_s for c in pushed), losing, least)


def _split(ranked: Sequence[Candidate], rule: Rule) -> tuple[list[Candidate], list[Candidate]]:
    """The core and the others, both in the order given."""
    left = rule.core_share * sum(c.requests_per_s for c in ranked)
    core = set()
    for candidate in sorted(ranked, key=lambda c: -c.requests_per_s):
        if left <= 0:
            break
        left -= candidate.requests_per_s
        if candidate.chance >= rule.sure:
            core.add(candidate.key)
    return [c for c in ranked if c.key in core], [c for c in ranked if c.key not in core]


def affordable(offers: Iterable[tuple[float, float]], rows_per_s: float) -> float:
    """The least worth that the budget reaches down to.

    Args:
        offers: worth and rows per second of each key.
        rows_per_s: what all of them together may take.
    """
    least = math.inf
    for worth_of, rows in sorted(offers, reverse=True):
        if rows > rows_per_s:
            return least
        rows_per_s -= rows
        least = worth_of
    return 0.0
