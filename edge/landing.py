"""What becomes of predictions that were computed on demand: they are kept here, and offered to everybody."""

from __future__ import annotations

from edge.absent import AbsentKeys
from edge.edition import Editions
from edge.held import Held
from edge.memory import Memory
from edge.write_back import WriteBack
from precompute.errors import PermanentError
from precompute.keys import entry_prefix
from precompute.predictor import Batch, Predictor


class Landing:
    """Where the batches of one edge arrive."""

    def __init__(self, memory: Memory[Held], editions: Editions, absent: AbsentKeys, write_back: WriteBack) -> None:
        self._memory = memory
        self._editions = editions
        self._absent = absent
        self._write_back = write_back

    def take(self, predictor: Predictor, batch: Batch) -> list[Held | PermanentError]:
        """Keeps a batch, and says what those who wait for each key are given.

        What cannot be computed any more is forgotten, and why it cannot is remembered if that is because of a row.
        """
        servable = predictor.servable
        edition, head = self._editions.of(servable), batch.header
        prefix, memory = entry_prefix(servable.model.name, servable.version), self._memory
        outcomes: list[Held | PermanentError] = []
        for key, body in zip(batch.keys, batch.bodies, strict=True):
            name = prefix + key.text
            before = memory.peek(name)
            if isinstance(body, bytes):
                held = edition.hold(*edition.as_before(before, key), head, body)
                memory.put(name, held)
                outcomes.append(held)
            else:
                memory.remove(name)
                outcomes.append(body)
            if before is None or not isinstance(body, bytes):
                # What memory has a prediction of is not known to be absent.
                self._absent.learn(name, servable.model, key, body, batch.as_of)
        self._write_back.offer(servable, batch)
        return outcomes
