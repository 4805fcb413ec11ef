"""Computes many keys and stores the predictions.

The next rows are on their way while the model runs, and entries are written while the next batch is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from precompute.errors import PermanentError
from precompute.models import Key
from precompute.predictions import Writer, write_commands
from precompute.predictor import Plan, Predictor
from precompute.store import Link, Store
from precompute.updates import Reply

#: Keys of one read and one run: large enough to spread the fixed costs, small enough to stay in the CPU's cache.
BATCH_KEYS = 1000
#: Rows of one batch in memory, for views with images or long vectors: twice as much is on its way at any time.
BATCH_BYTES = 16 << 20
#: Failures worth naming one by one; the rest is counted.
NAMED_FAILURES = 1000


@dataclass(slots=True)
class SweepResult:
    """What became of the keys.

    Attributes:
        written: entries that Redis has accepted.
        failed: keys without a prediction.
        failures: the first of them, with the reason.
    """

    written: int = 0
    failed: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)

    def fail(self, key: str, reason: str) -> None:
        """One key could not be computed or read."""
        self.failed += 1
        if len(self.failures) < NAMED_FAILURES:
            self.failures.append((key, reason))

    def add(self, other: SweepResult) -> None:
        """The same keys with another version, or other keys."""
        self.written += other.written
        self.failed += other.failed
        self.failures += other.failures[: NAMED_FAILURES - len(self.failures)]


def sweep(store: Store, predictor: Predictor, keys: Sequence[Key], now_ms: Callable[[], int]) -> SweepResult:
    """Computes and stores predictions; rows are read from the same server that entries are written to.

    Raises:
        StoreUnavailable: Redis went away or is full; doing it all again is harmless.
    """
    result = SweepResult()
    with store.lease() as reads, store.lease() as writes:
        writer = Writer(writes)
        for plan, replies in _fetched(reads, predictor, keys):
            _compute(predictor, plan, replies, now_ms(), writer, result)
        writer.settle()
    result.written = writer.written
    return result


def _fetched(link: Link, predictor: Predictor, keys: Sequence[Key]) -> Iterator[tuple[Plan, list[Reply]]]:
    """Each batch with what was read for it; the next one is asked for before."""
    size = max(1, min(BATCH_KEYS, BATCH_BYTES // max(1, predictor.row_bytes)))
    before = None
    for at in range(0, len(keys), size):
        plan = predictor.plan(keys[at : at + size])
        link.send(plan.commands)
        if before:
            yield before, link.receive(len(before.commands))
        before = plan
    if before:
        yield before, link.receive(len(before.commands))


def _compute(
    predictor: Predictor, plan: Plan, replies: list[Reply], now_ms: int, writer: Writer, result: SweepResult
) -> None:
    batch = predictor.complete(plan, replies, now_ms)
    writer.write(write_commands(predictor.servable, batch))
    for key, body in zip(batch.keys, batch.bodies, strict=True):
        if isinstance(body, PermanentError):
            result.fail(key.text, str(body))


def parse_keys(predictor: Predictor, texts: Iterable[str], result: SweepResult) -> list[Key]:
    """Keys from their texts; the ones that have not the model's shape are counted as failed."""
    keys = []
    model = predictor.servable.model
    for text in texts:
        try:
            keys.append(model.parse_key(text))
        except PermanentError as error:
            result.fail(text, str(error))
    return keys
