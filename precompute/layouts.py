"""Rows outlive the declaration they were packed with.

When a view gains, loses or retypes a field, rows packed before are translated as they are read: a field that exists
in both with the same type keeps its value, every other one is missing and falls under its policy. Each layout is
announced in Redis by whoever writes with it first, before the first row: who asks for layouts *after* reading rows
knows them all.
"""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from precompute.errors import ConfigError, StoreUnavailable
from precompute.keys import layout_key
from precompute.manifest import Project
from precompute.rows import STAMP, Layout, layout_id
from precompute.store import Store, checked
from precompute.updates import Command, Reply
from precompute.views import Field, Missing, View, parse_type


class Layouts:
    """The current layout of each view, and the earlier ones as far as they have been met."""

    def __init__(self, project: Project) -> None:
        self._current = {view.name: Layout(view) for view in project.views.values()}
        self._earlier: dict[tuple[str, int], Layout] = {}
        self._announced: set[str] = set()

    def current(self, view: str) -> Layout:
        """How rows of a view are packed now."""
        return self._current[view]

    def announce(self, store: Store, layout: Layout) -> None:
        """Makes sure that readers with another declaration can read our rows.

        Raises:
            ConfigError: our rows could not be told from those of an earlier declaration.
            StoreUnavailable: as in `Store.call`.
        """
        view = layout.view.name
        if view in self._announced:
            return
        ours, name = _announcement(layout), layout_key(view)
        made, found = store.run([("HSETNX", name, layout.id, ours), ("HGET", name, layout.id)])
        checked(made)
        if checked(found) != ours:
            raise ConfigError(
                f"the fields of view {view!r} share their layout id {layout.id} with earlier ones, "
                f"{found.decode()}; declare two of them in another order"
            )
        self._announced.add(view)

    def translate(self, store: Store, view: str, rows: Sequence[bytes | None]) -> list[bytes | None]:
        """The rows as if they had been packed with the current layout."""
        if not self._all_current(view, rows):
            self.learn_all(store, [view])
        return self.known(view, rows)

    def known(self, view: str, rows: Sequence[bytes | None], announced: Reply = None) -> list[bytes | None]:
        """Like `translate`, with the layouts learnt so far and those of a reply to `layout_commands`."""
        if self._all_current(view, rows):
            return list(rows)
        if announced is not None:
            self._take(view, announced)
        return [None if row is None else self.translated(view, row) for row in rows]

    def _all_current(self, view: str, rows: Sequence[bytes | None]) -> bool:
        fits = self._current[view].fits
        return all([row is None or fits(row) for row in rows])  # noqa: C419  (a generator takes twice as long)

    def translated(self, view: str, row: bytes) -> bytes:
        """One row in the current layout; a row of an unknown layout counts as one with nothing in it."""
        layout = self._current[view]
        if layout.fits(row):
            return row
        old = self._earlier.get((view, layout_id(row)))
        if old is None or not old.fits(row):
            return row[: STAMP.size].ljust(STAMP.size, b"\0") + layout.absent[STAMP.size :]
        return layout.adopt(row, old)

    def learn_all(self, store: Store, views: Sequence[str]) -> None:
        """Takes in every layout that rows of these views have been packed with."""
        for view, announced in zip(views, store.run(layout_commands(views)), strict=True):
            self._take(view, announced)

    def _take(self, view: str, announced: Reply) -> None:
        flat = checked(announced)
        for number, text in zip(flat[::2], flat[1::2], strict=True):
            self.learn(view, int(number), text)

    def learn(self, view: str, number: int, text: bytes) -> None:
        """Takes in a layout as it was announced.

        Raises:
            StoreUnavailable: the text is not what the number promises.
        """
        if (view, number) in self._earlier:
            return
        fields = tuple(Field(name, *parse_type(kind), Missing.DEFAULT) for name, kind in orjson.loads(text))
        layout = Layout(View(view, view, fields))
        if layout.id != number:
            raise StoreUnavailable(f"layout {number} of view {view!r} is damaged")
        self._earlier[view, number] = layout


def layout_commands(views: Sequence[str]) -> list[Command]:
    """Asks for the layouts of each view; to be sent after the reads of rows, on the same connection."""
    return [("HGETALL", layout_key(view)) for view in views]


def _announcement(layout: Layout) -> bytes:
    return orjson.dumps([[field.name, str(field)] for field in layout.view.fields])
