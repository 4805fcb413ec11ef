"""The moments at which a flight is predicted, for training and for the figures of the model card.

One model answers at all of them: it learns from every flight as it looked hours ahead, at its schedule, while
it waited and once it had left.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deploy.demo.features import Features
from deploy.demo.tables import Flights, Floats


@dataclass(frozen=True)
class Moment:
    """Some flights, each at a minute of its own."""

    name: str
    rows: NDArray[np.intp]
    at_min: NDArray[Any]


def moments(flights: Flights, rows: NDArray[np.intp]) -> list[Moment]:
    """The five moments of flights `rows`; the fourth only of those still waiting then."""
    sched_min = flights.sched_min[rows].astype(np.int64)
    departed_min = flights.departed_min()[rows]
    waiting = departed_min > sched_min + 30
    return [
        Moment("3 h before", rows, sched_min - 180),
        Moment("1 h before", rows, sched_min - 60),
        Moment("at schedule", rows, sched_min),
        Moment("30 min overdue", rows[waiting], sched_min[waiting] + 30),
        Moment("departed", rows, departed_min.astype(np.int64)),
    ]


def scored(flights: Flights, first_min: int, stop_min: int) -> NDArray[np.intp]:
    """Flights scheduled in [first, stop) whose arrival is known: only they teach and judge."""
    inside = (flights.sched_min >= first_min) & (flights.sched_min < stop_min)
    return np.flatnonzero(inside & ~np.isnan(flights.arr_delay))


def stacked(features: Features, outcome: NDArray[np.bool_], parts: list[Moment]) -> tuple[Floats, NDArray[np.bool_]]:
    """Feature rows and outcomes of all moments, one below the other."""
    matrix = np.vstack([features.matrix(part.rows, part.at_min) for part in parts])
    return matrix, np.concatenate([outcome[part.rows] for part in parts])
