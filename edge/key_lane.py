"""Keys whose features the replica has: their rows are read together, and go through the model together."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from edge.batch_lane import MAX_BATCH, Lane, Run, T
from edge.flights import Flight
from edge.replica import Replica
from precompute.errors import PermanentError
from precompute.models import Key
from precompute.predictor import Batch, Predictor


class KeyLane(Lane[Key, T]):
    """One flight for each key, by its text."""

    def __init__(
        self,
        predictor: Predictor,
        replica: Replica,
        on_batch: Callable[[Predictor, Batch], Iterable[T | PermanentError]],
        now_ms: Callable[[], int],
    ) -> None:
        super().__init__(predictor)
        self._replica = replica
        self._on_batch = on_batch
        self._now_ms = now_ms

    def expected_s(self, size: int) -> float:
        """As `Lane.expected_s`; before the first batch it is what warming up took."""
        if not self.costs_s:
            self.costs_s = {rows.bit_length(): cost_s for rows, cost_s in self.predictor.warm_costs_s().items()}
        return super().expected_s(size)

    def take(self) -> list[Flight[Key, T]]:
        """The first ones."""
        taken, self.waiting = self.waiting[:MAX_BATCH], self.waiting[MAX_BATCH:]
        return taken

    def begin(self, flights: list[Flight[Key, T]]) -> Run[T]:
        """Asks for their features."""
        predictor = self.predictor
        plan = predictor.plan([flight.what for flight in flights])
        return Run(
            lambda then: self._replica.send(plan.commands, then),
            lambda replies: predictor.complete(plan, replies, self._now_ms()),
            lambda batch: self._on_batch(predictor, batch),
        )

    def size(self, flights: list[Flight[Key, T]]) -> int:
        """Keys."""
        return len(flights)
