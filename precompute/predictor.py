"""The one way a prediction is computed, by workers and edges alike: keys -> rows -> tensors -> model -> entries.

No I/O: `plan` says what to ask Redis, `complete` takes the replies. Whoever sits in between may be blocking or
asynchronous, but must send the commands of a plan on one connection, in order: the logs' last ids come before the
rows, so that a change slipping in between makes the prediction look older than it is, never newer; the layouts come
after them, so that no row is met before its layout. The replication id comes first and last: rows of another history
than the ids' say nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from precompute import outputs
from precompute.entry import Entry, header, identity_prefix, tail
from precompute.errors import PermanentError, StoreUnavailable
from precompute.keys import ORDERS, row_prefix
from precompute.layouts import Layouts, layout_commands
from precompute.manifest import Project
from precompute.models import Key, Model
from precompute.outputs import OutputRule
from precompute.runtime import Session
from precompute.signature import Array
from precompute.store import checked
from precompute.tensors import Assembler
from precompute.updates import HISTORY, AsOf, Command, Reply, as_of_commands, parse_as_of, parse_epoch
from precompute.view_rows import Rows

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")
#: Rows of one MGET; more would hold up other readers of the server for over a millisecond.
READ_ROWS = 512


@dataclass(frozen=True, slots=True)
class Servable:
    """A version of a variant, loaded and ready."""

    model: Model
    variant: str
    version: int
    session: Session
    rules: tuple[OutputRule, ...]
    #: Of the model file.
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What must be read to compute some keys; entities and their use by the keys as in `Rows`."""

    keys: Sequence[Key]
    entities: list[list[str]]
    indexes: list[NDArray[np.intp] | None]
    commands: list[Command]


@dataclass(frozen=True, slots=True)
class Batch:
    """Predictions computed together: they share an as-of.

    Attributes:
        keys: `[N]` as planned.
        bodies: `[N]` the ready JSON, or why there is none.
        header: the bytes that stand before each body in the store.
    """

    keys: Sequence[Key]
    bodies: list[bytes | PermanentError]
    as_of: AsOf
    computed_ms: int
    header: bytes

    def entry(self, position: int) -> Entry:
        """One prediction as a reader of the store would see it.

        Raises:
            PermanentError: it could not be computed.
        """
        body = self.bodies[position]
        if isinstance(body, PermanentError):
            raise body
        return Entry(self.as_of.epoch, self.as_of.ids, self.computed_ms, body)


class Predictor:
    """Computes predictions of one servable."""

    def __init__(self, project: Project, servable: Servable, layouts: Layouts) -> None:
        self.servable = servable
        self._layouts = layouts
        model = servable.model
        self._views = [d.view for d in model.dependencies]
        self._logs = [*self._views, ORDERS]
        #: What is asked before rows, and what after them.
        self._before, self._after = as_of_commands(self._logs), [*layout_commands(self._views), HISTORY]
        current = {view: layouts.current(view) for view in self._views}
        self._assembler = Assembler(project, model, current, servable.session.signature)
        #: Bytes read for one key, texts not counted.
        self.row_bytes = sum(layout.fixed_size for layout in current.values())
        self._prefix = identity_prefix(model.name, servable.version, servable.variant)

    def warm_costs_s(self) -> Mapping[int, float]:
        """Processor seconds of the model's last warm-up run, by rows; empty if there was none."""
        return self.servable.session.costs_s

    def is_out(self) -> bool:
        """Whether it shall not be asked for now, because it failed; never, here."""
        return False

    def ready(self) -> Servable:
        """What a run of the session itself needs, after `loading`."""
        return self.servable

    def watched(self, servable: Servable, compute: Callable[[], T], worked: Callable[[T], bool]) -> T:
        """What computing with `ready` brings; those who look after models learn whether it worked."""
        return compute()

    def to_load_s(self) -> float:
        """How long loading it would take before anything is computed; 0, because it is loaded."""
        return 0.0

    def loading(self) -> asyncio.Future[None] | None:
        """What to wait for before `plan`; None if it can be called at once, as always here."""
        return None

    def plan(self, keys: Sequence[Key]) -> Plan:
        """What to read for these keys; one pipeline."""
        model = self.servable.model
        entities: list[list[str]] = []
        indexes: list[NDArray[np.intp] | None] = []
        rows: list[str] = []
        for dependency in model.dependencies:
            seen: dict[str, int] = {}
            entity_of = dependency.entity_of
            index = [seen.setdefault(entity_of(key.parts), len(seen)) for key in keys]
            entities.append(list(seen))
            indexes.append(np.array(index, np.intp) if len(seen) < len(keys) else None)
            prefix = row_prefix(dependency.view)
            rows += [prefix + entity for entity in seen]
        reads: list[Command] = [("MGET", *rows[at : at + READ_ROWS]) for at in range(0, len(rows), READ_ROWS)]
        commands = [*self._before, *reads, *self._after]
        return Plan(keys, entities, indexes, commands)

    def complete(self, plan: Plan, replies: Sequence[Reply], now_ms: int) -> Batch:
        """Computes what was planned.

        Args:
            replies: the replies to `plan.commands`, in order.
            now_ms: wall clock, for `computed_at`.

        Raises:
            StoreUnavailable: the server answered with errors, or its history changed in between.
        """
        as_of, known, layouts = self.as_of(replies), 1 + len(self._logs), len(replies) - 1 - len(self._views)
        values = [row for reply in replies[known:layouts] for row in _rows(reply)]
        rows = self._rows_by_view(plan, values, replies[layouts:-1])
        feeds, good, errors = self._assembler.assemble(plan.keys, rows)
        texts = self._render(feeds, len(good)) if len(good) else []
        if errors:
            found = iter(texts)
            texts = [errors[i] if i in errors else next(found) for i in range(len(plan.keys))]
        start, end = self._prefix, tail(as_of, now_ms)
        bodies = [
            b"".join((start, key.text.encode(), b'","outputs":', text, end)) if isinstance(text, bytes) else text
            for key, text in zip(plan.keys, texts, strict=True)
        ]
        return Batch(plan.keys, bodies, as_of, now_ms, header(as_of, now_ms))

    def as_of(self, replies: Sequence[Reply]) -> AsOf:
        """What the server knew when it was asked for rows.

        Raises:
            StoreUnavailable: as in `complete`.
        """
        as_of = parse_as_of(replies[: 1 + len(self._logs)])
        if parse_epoch(replies[-1]) != as_of.epoch:
            raise StoreUnavailable("the primary's history changed while rows were read")
        return as_of

    def _rows_by_view(self, plan: Plan, values: Sequence[bytes | None], layouts: Sequence[Reply]) -> list[Rows]:
        views, at = [], 0
        for view, entities, index, announced in zip(self._views, plan.entities, plan.indexes, layouts, strict=True):
            rows = values[at : at + len(entities)]
            at += len(entities)
            views.append(Rows(entities, self._layouts.known(view, rows, announced), index))
        return views

    def _render(self, feeds: dict[str, Array], rows: int) -> list[bytes | PermanentError]:
        """The outputs of each row as JSON. A row that the model cannot take is found by halving."""
        servable = self.servable
        try:
            return list(outputs.render(servable.rules, servable.session.run(feeds), rows))
        except PermanentError as error:
            if rows == 1:
                return [error]
            half = rows // 2
            low = {name: array[:half] for name, array in feeds.items()}
            high = {name: array[half:] for name, array in feeds.items()}
            return self._render(low, half) + self._render(high, rows - half)


def _rows(reply: Reply) -> list[bytes | None]:
    found = checked(reply)
    if not isinstance(found, list):
        raise StoreUnavailable(f"expected rows, got {found!r:.80}")
    return found
