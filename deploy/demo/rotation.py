"""View `plane`: what the register says of a plane, and how late it last left New York.

A plane that left late in the morning is often late again when it comes back to leave in the afternoon.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from deploy.demo.tables import UNKNOWN_PLANE, Flights, Floats, Planes, Texts

REGISTERED = ("age", "seats", "engines")
FIELDS = (*REGISTERED, "last_delay")

#: Longer than any round trip that matters, shorter than the night: a delay does not outlive its day.
REMEMBERED_MIN = 720
#: Delays beyond these say nothing more about being 15 minutes late on arrival.
DELAY_RANGE_MIN = (-30.0, 180.0)
# Sorts planes first and departures second in one number; more minutes than a year has.
_PLANE_STRIDE = 10_000_000


class Rotation:
    """Rows of planes at any moment."""

    def __init__(self, planes: Planes, flights: Flights) -> None:
        names = np.union1d(planes.tailnum.astype(str), flights.tailnum.astype(str))
        self._index = {name: place for place, name in enumerate(names)}
        self._registered = np.full((len(names), len(REGISTERED)), np.nan, dtype=np.float32)
        self._registered[self._places(planes.tailnum)] = np.column_stack([getattr(planes, n) for n in REGISTERED])
        left = flights.take(np.isfinite(flights.departed_min()) & (flights.tailnum != UNKNOWN_PLANE))
        moments = self._places(left.tailnum) * _PLANE_STRIDE + left.departed_min().astype(np.int64)
        order = np.argsort(moments, kind="stable")
        # A departure long before all others, so that there always is a last one.
        self._moments = np.append(-_PLANE_STRIDE, moments[order])
        self._delays = np.append(np.float32(np.nan), np.clip(left.dep_delay[order], *DELAY_RANGE_MIN))

    def rows(self, tailnums: Texts, at_min: NDArray[Any]) -> Floats:
        """What was known of each plane at its moment: shape [N, fields]."""
        places = self._places(tailnums)
        now = places * _PLANE_STRIDE + at_min.astype(np.int64)
        last = np.searchsorted(self._moments, now, side="right") - 1
        recent = now - self._moments[last] < REMEMBERED_MIN
        last_delay = np.where(recent, self._delays[last], np.float32(np.nan))
        return np.column_stack([self._registered[places], last_delay])

    def _places(self, tailnums: Texts) -> NDArray[np.int64]:
        return np.array([self._index[name] for name in tailnums], dtype=np.int64)
