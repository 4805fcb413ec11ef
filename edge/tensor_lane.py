"""Rows that a request brings along as tensors: those that arrive together go through the model together.

Only requests whose rows have the same shape can; a model may leave sizes open. What a batch costs is judged by its
elements, since with open sizes a single row may be large, and the first batch goes to a thread: nobody knows what a
stranger's rows cost.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from edge.batch_lane import MAX_BATCH, Lane, Run
from edge.flights import Flight
from precompute.errors import PermanentError
from precompute.signature import Array
from precompute.tensor_runs import run_together

#: The declared outputs of some rows, by name.
Outputs = Mapping[str, Array]


@dataclass(frozen=True)
class GivenRows:
    """One request's rows; `feeds` has `[N, ...]` for each input, `name` is the same for the same rows only."""

    name: str
    feeds: Mapping[str, Array]
    rows: int

    @cached_property
    def row_shapes(self) -> tuple[tuple[int, ...], ...]:
        """What must agree to go through the model together."""
        return tuple([array.shape[1:] for array in self.feeds.values()])

    @cached_property
    def elements(self) -> int:
        """Of all inputs."""
        return sum(array.size for array in self.feeds.values())


_Flight = Flight[GivenRows, Outputs]


class TensorLane(Lane[GivenRows, Outputs]):
    """One request is one flight."""

    unknown_s: ClassVar[float] = math.inf

    def take(self) -> list[_Flight]:
        """Those at the front that fit each other; a request is never cut, so that one of many rows goes alone."""
        first = self.waiting[0]
        rows = first.rows
        count = 1
        for flight in self.waiting[1:]:
            rows += flight.rows
            if rows > MAX_BATCH or flight.what.row_shapes != first.what.row_shapes:
                break
            count += 1
        taken, self.waiting = self.waiting[:count], self.waiting[count:]
        return taken

    def begin(self, flights: list[_Flight]) -> Run[Outputs]:
        """Nothing needs to be read."""
        feeds, predictor = [flight.what.feeds for flight in flights], self.predictor
        servable = predictor.ready()

        def compute(_: object) -> list[Outputs | PermanentError]:
            return predictor.watched(
                servable, lambda: list(run_together(servable.session, servable.rules, feeds)), _brought_something
            )

        return Run(None, compute, _as_they_are)

    def size(self, flights: list[_Flight]) -> int:
        """Elements."""
        return sum(flight.what.elements for flight in flights)


def _as_they_are(outcomes: Any) -> list[Outputs | PermanentError]:
    found: list[Outputs | PermanentError] = outcomes
    return found


def _brought_something(outcomes: list[Outputs | PermanentError]) -> bool:
    return not all(isinstance(outcome, PermanentError) for outcome in outcomes)
