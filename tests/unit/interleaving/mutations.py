# ruff: noqa: E501
"""Changes to the product's own source, each of which takes one safeguard away."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from edge.edition import Edition
from edge.held import Held
from edge.unchanged import unchanged
from precompute.freshness import ChangeTable, Freshness
from precompute.log_reading import LogReading
from precompute.predictor import Predictor


@dataclass(frozen=True)
class Mutation:
    """`old` must stand in the function's source exactly once; `new` takes its place.

    Attributes:
        first_seed: where to begin looking for what goes wrong then; some of it is rare.
    """

    name: str
    function: FunctionType
    old: str
    new: str
    first_seed: int = 0

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The product with this change, until the end of the block."""
        kept = self.function.__code__
        self.function.__code__ = self._compiled().__code__
        try:
            yield
        finally:
            self.function.__code__ = kept

    def _compiled(self) -> FunctionType:
        module = sys.modules[self.function.__module__]
        whole, own = inspect.getsource(module), inspect.getsource(self.function)
        assert own.count(self.old) == 1, f"no longer one {self.old!r} in {self.function.__qualname__}"
        names: dict[str, Any] = {"__name__": module.__name__}
        mutant = whole.replace(own, own.replace(self.old, self.new))
        exec(compile(mutant, str(module.__file__), "exec"), names)  # noqa: S102
        owner, _, name = self.function.__qualname__.rpartition(".")
        found = inspect.getattr_static(names[owner], name) if owner else names[name]
        return found.fget if isinstance(found, property) else getattr(found, "__func__", found)  # type: ignore[no-any-return]


def _of(member: Any) -> FunctionType:
    """The function behind a method or a property."""
    function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
    assert isinstance(function, FunctionType)
    return function


_VERDICT, _PLAN, _OF_KEY = _of(Freshness.verdict), _of(Predictor.plan), _of(Edition.of_key)
_TAKE, _COMPARE, _BEGIN = _of(LogReading.take), _of(LogReading._compare), _of(LogReading._begin)
_AGAIN = _of(Held.verdict)
_ASK_HISTORY = "if not epoch == self._epoch == parse_epoch(before):"

MUTATIONS = [
    Mutation("changes are not looked at", _VERDICT, "if slots[slot] > known:", "if False:"),
    Mutation("the floor is not looked at", _VERDICT, "if known < floors[slot >> bits]:", "if False:", first_seed=1400),
    Mutation("replication ids are not compared", _VERDICT, "epoch != self._epoch or", "self._epoch is None or"),
    Mutation("changes since the last look are not looked at", _of(unchanged), "slots[slot_1] <= known_1 and slots[slot_2] <= known_2\n\n", "True\n\n"),
    Mutation("floors since the last look are not looked at", _AGAIN, "judged >= known.raised and", "judged >= 0 and"),
    Mutation("orders since the last look are not looked at", _AGAIN, "and judged >= edition.orders.moved", ""),
    Mutation("rows are read before the as-of", _PLAN, "*self._before, *reads", "*reads, *self._before"),
    Mutation("the as-of is another log's", _PLAN, "*self._before", "self._before[0], *self._before[:0:-1]"),
    Mutation("rows of another history are taken", _of(Predictor.as_of), "parse_epoch(replies[-1]) != as_of.epoch", "False", first_seed=3100),
    Mutation("one of the entities is not watched", _OF_KEY, "in self._entity_slots]", "in self._entity_slots[:1] * len(self._entity_slots)]"),
    Mutation("orders for a model are ignored", _OF_KEY, "slots += self._model_slot,", "slots += self._order_slot(''),"),
    Mutation("orders for a key are ignored", _OF_KEY, "ordered_key(self._model_name, key.text)", "''"),
    Mutation("deletions are not told", _of(ChangeTable.note_all), "self._bury(slot, change)", "pass"),
    Mutation("another history is read on", _TAKE, _ASK_HISTORY, "if self._epoch is None:"),
    Mutation("history is asked after reading only", _TAKE, _ASK_HISTORY, "if epoch != self._epoch:", first_seed=600),
    Mutation("tables are believed before they are full", _TAKE, "if self.at_end and self._epoch == epoch:", "if self._epoch == epoch:"),
    Mutation("another history's tables are kept", _BEGIN, "restart(floor=state.floor, position=0)", "raise_floor(state.floor)"),
    Mutation("another history is read from our position", _BEGIN, "dict.fromkeys(self._positions, _START)", "self._positions", first_seed=15900),
    Mutation("gaps go unnoticed", _COMPARE, "if state.has_lost(table.position or max(0, floor - 1)):", "if False:"),
    Mutation("a replica that goes back is believed", _COMPARE, "                return\n", "                table.restart(state.floor, 0)\n                return\n", first_seed=5400),
    Mutation("a restored log never counts again", _COMPARE, "self._recognise(view, state)", "pass"),
    Mutation("nothing is ever known", _BEGIN, "floor=state.floor", "floor=1 << 63"),
]  # fmt: skip
