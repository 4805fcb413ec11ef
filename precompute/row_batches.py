"""What readers of feature files hand on: rows, a batch at a time, and what could not be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import prod

from precompute.errors import RowRejected
from precompute.features import Row
from precompute.views import KINDS, View

#: Large enough to spread the fixed costs of a batch, small enough that a progress bar moves.
BATCH_ROWS = 2000
#: A batch of wide rows ends earlier: two are in memory, in several forms each.
BATCH_BYTES = 8 << 20
#: What a text of unknown length is counted as.
_TEXT_BYTES = 64


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that was not stored.

    Attributes:
        number: its line, or in a file without lines its row, from 1.
        reason: a sentence.
        row: what it said.
    """

    number: int
    reason: str
    row: object


@dataclass(slots=True)
class Batch:
    """Rows read together.

    Attributes:
        numbers, originals: number and raw form of each row.
        share: how much of the file has been read, 0 to 1; None where nobody knows.
        explain: a raw form as it is shown to people.
    """

    rows: list[Row] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    originals: list[object] = field(default_factory=list)
    rejected: list[Reject] = field(default_factory=list)
    share: float | None = None
    explain: Callable[[object], object] = lambda original: original

    def reject(self, position: int, reason: str) -> Reject:
        """Why the row at a position was not stored after all."""
        return Reject(self.numbers[position], reason, self.explain(self.originals[position]))


class BatchBuilder:
    """Fills batches for a view, one row after the other."""

    def __init__(
        self, view: View, build: Callable[[object], Row], explain: Callable[[object], object] | None = None
    ) -> None:
        self._limit = rows_per_batch(view)
        self._build = build
        self._explain = explain or (lambda original: original)

    def fill(self, numbered: Iterator[tuple[int, object]], share: Callable[[], float | None]) -> Iterator[Batch]:
        """Batches of what an iterator of numbers and raw rows yields; an exception in place of a row rejects it."""
        batch = Batch(explain=self._explain)
        for number, original in numbered:
            self._add(batch, number, original)
            if len(batch.rows) + len(batch.rejected) >= self._limit:
                batch.share = share()
                yield batch
                batch = Batch(explain=self._explain)
        batch.share = share()
        yield batch

    def _add(self, batch: Batch, number: int, original: object) -> None:
        try:
            row = self._build(original)
        except RowRejected as error:
            batch.rejected.append(Reject(number, str(error), self._explain(original)))
        else:
            batch.rows.append(row)
            batch.numbers.append(number)
            batch.originals.append(original)


def rows_per_batch(view: View) -> int:
    """How many rows of a view are handled together."""
    row_bytes = sum(prod(f.shape) * KINDS[f.kind] or _TEXT_BYTES for f in view.fields)
    return max(1, min(BATCH_ROWS, BATCH_BYTES // row_bytes))
