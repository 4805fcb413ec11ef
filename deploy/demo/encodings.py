"""Carrier, destination and flight number as numbers: their shares of late arrivals in the training months.

Rare values are drawn towards the overall share, as if each had been seen `PRIOR_FLIGHTS` more times with it.
A training flight takes its shares from the other folds of weeks, so that no model learns to read a flight's
own outcome, or its day's, out of them. (Leaving out the flight alone is worse than nothing: the shares of a
group then differ by exactly the outcomes.) Later flights take theirs from all training weeks.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from deploy.demo.tables import DAY_MIN, Flights, Floats, Texts

LATE_MIN = 15
PRIOR_FLIGHTS = 50.0
FOLDS = 5


def late(flights: Flights) -> NDArray[np.bool_]:
    """Whether each flight arrived more than 15 minutes late; False where that is unknown."""
    return flights.arr_delay > LATE_MIN


def encode(flights: Flights, learn_from: NDArray[np.bool_]) -> Flights:
    """Fill the late shares of all flights from the outcomes of those in `learn_from`."""
    number = np.array([name.split(".")[0] for name in flights.flight], dtype=np.object_)
    return replace(
        flights,
        carrier_late=_late_share(flights.origin + flights.carrier, flights, learn_from),
        dest_late=_late_share(flights.dest, flights, learn_from),
        number_late=_late_share(number, flights, learn_from),
    )


def _late_share(values: Texts, flights: Flights, learn_from: NDArray[np.bool_]) -> Floats:
    _, codes = np.unique(values.astype(str), return_inverse=True)
    known = learn_from & ~np.isnan(flights.arr_delay)
    fold = flights.sched_min // (7 * DAY_MIN) % FOLDS
    shares = _shares(codes, late(flights), known)
    for held_out in range(FOLDS):
        own = learn_from & (fold == held_out)
        shares[own] = _shares(codes, late(flights), known & (fold != held_out))[own]
    return shares


def _shares(codes: NDArray[np.intp], outcome: NDArray[np.bool_], known: NDArray[np.bool_]) -> Floats:
    flights = np.bincount(codes[known], minlength=codes.max() + 1)
    lates = np.bincount(codes[known & outcome], minlength=codes.max() + 1)
    overall = outcome[known].mean()
    shares: Floats = ((lates + overall * PRIOR_FLIGHTS) / (flights + PRIOR_FLIGHTS)).astype(np.float32)
    return shares[codes]
