"""How likely a hot key is to be asked for again, learnt from what became of keys like it. Pure.

A hot key's score is an average of the past. Of a key seen once it says "once in fourteen minutes", and most such keys
never come again; of a key that was in fashion it goes on promising what is over. So scores are not believed but
checked: each time the counts of the edges are merged, every key either was asked for since the last time or was not.
Keys are pooled into cells by two things that their scores know,

- the requests behind the score, in powers of two, and
- how many requests the score has promised since the last one came, in powers of two,

and a cell's *yield* is how many of the keys in it came back, over how many the scores had promised. A key's rate is its
score times the yield of its cell. It counts merges with a request in them rather than requests: of a burst, only the
first one can be a miss.

What is learnt fades with the same half-life as the scores. Before anything is learnt, a key with `n` requests behind
it is given `n / (n + 1)`, as if one of them had been chance; that weighs as much as two promised requests.

Source: pooling items by their count to learn what a count is worth is what Good and Turing did; Good, "The population
frequencies of species and the estimation of population parameters", 1953.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

_LOWEST, _HIGHEST = -5, 12
_IDLE_LOWEST, _IDLE_HIGHEST = -3, 4
_IDLE_CELLS = _IDLE_HIGHEST - _IDLE_LOWEST + 1
_CELLS = (_HIGHEST - _LOWEST + 1) * _IDLE_CELLS
_PRIOR_PROMISED = 2.0


class RequestRates:
    """Requests per second to expect of one model's hot keys; memory is bounded by how many keys are kept hot."""

    def __init__(self, half_life_s: float) -> None:
        self._half_life_s = half_life_s
        self._per_request = math.log(2) / half_life_s
        self._scores: dict[str, float] = {}
        self._seen_ms: dict[str, int] = {}
        self._cells: dict[str, int] = {}
        self._merged_ms = -1
        self._promised = [0.0] * _CELLS
        self._came = [0.0] * _CELLS

    def observe(self, scores: Mapping[str, float], merged_ms: int) -> None:
        """Takes in the scores of a merge; the same merge again changes nothing.

        Args:
            scores: requests per second by key, as `hotkeys` keeps them.
            merged_ms: when they were merged.
        """
        if merged_ms == self._merged_ms:
            return
        came = self._learn(scores, merged_ms)
        self._seen_ms = {key: merged_ms if key in came else self._seen_ms[key] for key in scores}
        self._scores, self._merged_ms = dict(scores), merged_ms
        self._cells = {key: self._cell(score, merged_ms - self._seen_ms[key]) for key, score in scores.items()}

    def per_s(self, key: str) -> float:
        """Requests per second to expect of a key, 0 if it is not hot."""
        score = self._scores.get(key)
        return 0.0 if score is None else score * self._yield(self._cells[key])

    def _learn(self, scores: Mapping[str, float], merged_ms: int) -> set[str]:
        """Counts what became of each key; those that were asked for."""
        if not 0 <= self._merged_ms < merged_ms:
            # The first look, or another history.
            return set(scores)
        elapsed_s = (merged_ms - self._merged_ms) / 1000
        fade = math.exp2(-min(elapsed_s / self._half_life_s, 1000.0))
        self._promised = [value * fade for value in self._promised]
        self._came = [value * fade for value in self._came]
        came = {key for key in scores if key not in self._scores}
        half = self._per_request * 0.5
        for key, before in self._scores.items():
            cell = self._cells[key]
            self._promised[cell] -= math.expm1(-before * elapsed_s)
            # A key that is hot no more was hardly asked for.
            if scores.get(key, 0.0) > before * fade + half * fade:
                came.add(key)
                self._came[cell] += 1.0
        return came

    def _cell(self, score: float, idle_ms: int) -> int:
        count = math.frexp(score / self._per_request)[1]
        missed = idle_ms / 1000 * score
        idle = math.frexp(missed)[1] if missed > 0 else _IDLE_LOWEST
        row = min(max(count, _LOWEST), _HIGHEST) - _LOWEST
        return row * _IDLE_CELLS + min(max(idle, _IDLE_LOWEST), _IDLE_HIGHEST) - _IDLE_LOWEST

    def _yield(self, cell: int) -> float:
        requests = math.ldexp(0.75, cell // _IDLE_CELLS + _LOWEST)
        prior = requests / (requests + 1.0)
        return (self._came[cell] + prior * _PRIOR_PROMISED) / (self._promised[cell] + _PRIOR_PROMISED)
