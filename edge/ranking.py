"""Many candidates on their way to a ranking: which keys they are, what became of them, and which are best."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from edge.ask import Answer
from edge.scores import NoScore, Score
from precompute.errors import NearcastError, TransientError
from precompute.key_columns import Columns, Composed
from precompute.models import Key
from precompute.views import Scalar

Order = Literal["descending", "ascending"]


class Ranked(msgspec.Struct, frozen=True):
    """A candidate that has a place."""

    position: int
    score: float
    answer: Answer


class Ranking:
    """The candidates of one request, each called by its position in it.

    Attributes:
        keys: what is to be predicted; of candidates with the same key, the first one's.
        size: candidates, all of them.
        duplicates: candidates that have been asked for before.
        failed: why a candidate has no place.
    """

    def __init__(self, columns: Columns, composed: Sequence[Composed]) -> None:
        self._columns = columns
        self.size = len(composed)
        self.duplicates = 0
        self.failed: dict[int, NearcastError] = {}
        self.keys: dict[int, Key] = {}
        seen: set[str] = set()
        for position, key in enumerate(composed):
            if not isinstance(key, Key):
                self.failed[position] = key
            elif key.text in seen:
                self.duplicates += 1
            else:
                seen.add(key.text)
                self.keys[position] = key

    def candidate(self, position: int) -> dict[str, Scalar]:
        """A candidate as the request wrote it."""
        return {name: column[position] for name, column in self._columns.items()}

    def best(self, answers: Mapping[int, Answer], score: Score, k: int, order: Order) -> list[Ranked]:
        """The first `k`, O(n log k); those of equal score in the order in which they were asked for.

        Raises:
            InvalidRequest: the output cannot be ranked by.
            NearcastError: no candidate has a place, for this reason.
        """
        ranked: list[Ranked] = []
        for position, answer in answers.items():
            try:
                ranked.append(Ranked(position, score.of(answer.body), answer))
            except NoScore as error:
                self.failed[position] = error
        if not ranked:
            raise self._main_reason()
        choose = heapq.nlargest if order == "descending" else heapq.nsmallest
        return choose(k, ranked, key=lambda one: one.score)

    def _main_reason(self) -> NearcastError:
        """Of several, one that may pass: whoever is told so asks again."""
        reasons = [self.failed[position] for position in sorted(self.failed)]
        return next((reason for reason in reasons if isinstance(reason, TransientError)), reasons[0])
