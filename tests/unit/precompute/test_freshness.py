"""The one rule, against a model of everything that can happen in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from precompute.freshness import ChangeTable, Freshness, Verdict

VIEWS = ("flight", "weather")
ENTITIES = [f"e{i}" for i in range(6)]
#: Few slots, so that entities collide.
SLOTS = 4


def _fresh(epoch: int = 1, slots: int = 1 << 10) -> Freshness:
    freshness = Freshness(VIEWS, slots)
    freshness.begin(epoch)
    return freshness


@dataclass(frozen=True)
class Written:
    """An entry, and the clock of the primary when its rows were read."""

    entities: tuple[str, ...]
    epoch: int
    as_of: tuple[int, ...]
    rows_read_at: int


class Interleavings(RuleBasedStateMachine):
    """A primary with trimmed logs, a follower that lags, writers that compute slowly, and failovers.

    The rule must never call a prediction fresh if one of its dependencies changed after its rows were read, in
    anything the follower has taken in.
    """

    @initialize()
    def begin(self) -> None:
        self.clock = 0
        self.epoch = 1
        #: Every change that this history holds, by view; the logs hold those after `trimmed`.
        self.history: dict[str, list[tuple[int, str]]] = {view: [] for view in VIEWS}
        self.trimmed = dict.fromkeys(VIEWS, 0)
        self.read = dict.fromkeys(VIEWS, 0)
        self.freshness = _fresh(slots=SLOTS)
        self.computing: list[Written] = []
        self.written: list[Written] = []

    def _change(self, view: str, entity: str) -> None:
        self.clock += 1
        self.history[view].append((self.clock, entity))

    def _last(self, view: str) -> int:
        return self.history[view][-1][0] if self.history[view] else 0

    def _take_in(self, view: str, records: int | None = None) -> None:
        fresh = [r for r in self.history[view] if r[0] > max(self.read[view], self.trimmed[view])]
        for change, entity in fresh[:records]:
            self.freshness.tables[view].note(entity.encode(), change)
            self.read[view] = change

    def _restart(self, view: str) -> None:
        kept = [r for r in self.history[view] if r[0] > self.trimmed[view]]
        self.freshness.tables[view].restart(floor=kept[0][0] if kept else self._last(view), position=0)
        self.read[view] = 0
        self._take_in(view)

    @rule(view=st.sampled_from(VIEWS), entity=st.sampled_from(ENTITIES))
    def change(self, view: str, entity: str) -> None:
        """A row changes on the primary."""
        self._change(view, entity)

    @rule(
        entities=st.tuples(st.sampled_from(ENTITIES), st.sampled_from(ENTITIES)),
        slips_in=st.lists(st.tuples(st.sampled_from(VIEWS), st.sampled_from(ENTITIES)), max_size=2),
    )
    def read_rows(self, entities: tuple[str, str], slips_in: list[tuple[str, str]]) -> None:
        """A writer reads the logs' ends, changes slip in, then it reads the rows and begins to compute."""
        as_of = tuple(map(self._last, VIEWS))
        for view, entity in slips_in:
            self._change(view, entity)
        self.computing.append(Written(entities, self.epoch, as_of, self.clock))

    @rule(position=st.integers(0, 3))
    def write_entry(self, position: int) -> None:
        """A writer is done, perhaps long after others who began later."""
        if position < len(self.computing):
            self.written.append(self.computing.pop(position))

    @rule(view=st.sampled_from(VIEWS), records=st.integers(1, 3))
    def follow(self, view: str, records: int) -> None:
        """The follower reads on in one log, or begins again if it has missed records."""
        if self.trimmed[view] > self.read[view]:
            self._restart(view)
        else:
            self._take_in(view, records)

    @rule(view=st.sampled_from(VIEWS), age=st.integers(0, 5))
    def trim(self, view: str, age: int) -> None:
        """The log forgets its beginning, whether or not the follower has read it."""
        self.trimmed[view] = max(self.trimmed[view], self._last(view) - age)

    @rule(view=st.sampled_from(VIEWS))
    def restart(self, view: str) -> None:
        """A follower begins again with what the log still holds."""
        self._restart(view)

    @rule(lost=st.integers(0, 5))
    def fail_over(self, lost: int) -> None:
        """A replica becomes primary without the last changes, and gives out their ids once more."""
        self.clock = max(0, self.clock - lost)
        self.epoch += 1
        self.freshness.begin(self.epoch)
        for view in VIEWS:
            self.history[view] = [r for r in self.history[view] if r[0] <= self.clock]
            self.trimmed[view] = min(self.trimmed[view], self._last(view))
            self._restart(view)

    @invariant()
    def never_falsely_fresh(self) -> None:
        """FRESH holds for everything that the follower has taken in."""
        for entry in self.written:
            watch = self.freshness.watch(VIEWS, entry.entities)
            if self.freshness.verdict(watch, entry.epoch, entry.as_of) is Verdict.FRESH:
                assert entry.epoch == self.epoch
                for view, entity in zip(VIEWS, entry.entities, strict=True):
                    taken_in = [c for c, e in self.history[view] if e == entity and c <= self.read[view]]
                    assert max(taken_in, default=0) <= entry.rows_read_at


Interleavings.TestCase.settings = settings(max_examples=100, stateful_step_count=40)
TestInterleavings = Interleavings.TestCase


@given(st.lists(st.tuples(st.sampled_from(VIEWS), st.sampled_from(ENTITIES), st.booleans()), max_size=30))
def test_without_collisions_the_rule_is_exact(events: list[tuple[str, str, bool]]) -> None:
    """An entry is changed exactly if one of its dependencies changed after it was computed, and else fresh."""
    freshness, changed_at, entries = _fresh(), dict[tuple[str, str], int](), list[tuple[str, int]]()
    for clock, (view, entity, compute) in enumerate(events, start=1):
        if compute:
            entries.append((entity, clock))
        else:
            freshness.tables[view].note(entity.encode(), clock)
            changed_at[view, entity] = clock

    for entity, clock in entries:
        verdict = freshness.verdict(freshness.watch(VIEWS, [entity, entity]), 1, (clock, clock))
        later = any(changed_at.get((view, entity), 0) > clock for view in VIEWS)
        assert verdict is (Verdict.CHANGED if later else Verdict.FRESH)


@given(
    st.lists(st.tuples(st.sampled_from(ENTITIES), st.integers(1, 50))), st.sampled_from(ENTITIES), st.integers(0, 50)
)
def test_collisions_only_make_an_entry_look_older(changes: list[tuple[str, int]], entity: str, known: int) -> None:
    """With few slots a changed entity is still changed; an unchanged one may look changed, never the other way."""
    verdicts = []
    for slots in (1, SLOTS, 1 << 16):
        freshness = _fresh(slots=slots)
        for changed, change in changes:
            freshness.tables["flight"].note(changed.encode(), change)
        watch = freshness.watch(VIEWS[:1], [entity])
        verdicts.append(freshness.verdict(watch, 1, (known,)))

    really_changed = any(changed == entity and change > known for changed, change in changes)

    assert verdicts[-1] is (Verdict.CHANGED if really_changed else Verdict.FRESH)
    assert not (really_changed and Verdict.FRESH in verdicts)


def test_an_entry_is_fresh_until_a_dependency_changes() -> None:
    """A change at the as-of itself was known; the next one was not."""
    freshness = _fresh()
    watch = freshness.watch(VIEWS, ["UA1", "EWR"])

    freshness.tables["weather"].note(b"EWR", 10)
    assert freshness.verdict(watch, 1, (0, 10)) is Verdict.FRESH

    freshness.tables["weather"].note(b"EWR", 11)
    assert freshness.verdict(watch, 1, (0, 10)) is Verdict.CHANGED
    assert freshness.changed_at(watch, (0, 10)) == 11


def test_a_change_of_another_entity_or_view_does_not_matter() -> None:
    """Only the dependencies' own entities in their own views are looked at."""
    freshness = _fresh()
    watch = freshness.watch(VIEWS, ["UA1", "EWR"])

    freshness.tables["weather"].note(b"UA1", 99)
    freshness.tables["flight"].note(b"EWR", 99)
    freshness.tables["flight"].note(b"UA2", 99)

    assert freshness.verdict(watch, 1, (5, 5)) is Verdict.FRESH
    assert freshness.changed_at(watch, (5, 5)) == 0


def test_an_old_record_read_late_does_not_hide_a_newer_one() -> None:
    """A slot remembers the latest change, in whatever order records are noted."""
    table = ChangeTable(SLOTS)

    table.note(b"JFK", 20)
    table.note(b"JFK", 10)

    assert table.last_change(table.slot("JFK")) == 20
    assert table.position == 20


def test_below_the_floor_nothing_is_known() -> None:
    """An entry older than what the follower has read is unknown, at the floor it is known."""
    freshness = _fresh()
    freshness.tables["weather"].restart(floor=100, position=120)
    watch = freshness.watch(VIEWS, ["UA1", "EWR"])

    assert freshness.verdict(watch, 1, (0, 99)) is Verdict.UNKNOWN
    assert freshness.verdict(watch, 1, (0, 100)) is Verdict.FRESH


def test_another_history_is_unknown() -> None:
    """Ids of another epoch, or before a follower has begun, say nothing."""
    freshness = Freshness(VIEWS, SLOTS)
    watch = freshness.watch(VIEWS, ["UA1", "EWR"])

    assert freshness.verdict(watch, 1, (5, 5)) is Verdict.UNKNOWN
    freshness.begin(2)
    assert freshness.verdict(watch, 1, (5, 5)) is Verdict.UNKNOWN
    assert freshness.verdict(watch, 2, (5, 5)) is Verdict.FRESH


@pytest.mark.parametrize("as_of", [(), (5,), (5, 5, 5)])
def test_an_entry_with_other_dependencies_is_unknown(as_of: Sequence[int]) -> None:
    """An entry of an earlier declaration cannot be judged by today's dependencies."""
    freshness = _fresh()

    assert freshness.verdict(freshness.watch(VIEWS, ["UA1", "EWR"]), 1, as_of) is Verdict.UNKNOWN


def test_a_prediction_without_dependencies_stays_fresh() -> None:
    """Computed from the request alone, nothing can make it stale but its TTL."""
    freshness = _fresh()

    assert freshness.verdict(freshness.watch((), ()), 1, ()) is Verdict.FRESH


def test_a_watch_outlives_a_restart() -> None:
    """What is kept beside an entry goes on looking at the right slots after the table has begun again."""
    freshness = _fresh()
    watch = freshness.watch(VIEWS, ["UA1", "EWR"])
    freshness.tables["weather"].note(b"EWR", 10)

    freshness.tables["weather"].restart(floor=0, position=0)
    assert freshness.verdict(watch, 1, (0, 5)) is Verdict.FRESH

    freshness.tables["weather"].note(b"EWR", 10)
    assert freshness.verdict(watch, 1, (0, 5)) is Verdict.CHANGED


def test_what_was_made_from_a_deleted_row_is_known() -> None:
    """A deletion is a change that also says so; a later change of the row does not take it back."""
    freshness = _fresh()
    watch = freshness.watch(VIEWS, ["UA1", "EWR"])
    table = freshness.tables["weather"]

    table.note(b"EWR", 10)
    assert not freshness.is_deleted(watch, (0, 5))
    table.note(b"EWR", 11, gone=True)
    table.note(b"EWR", 12)

    assert freshness.verdict(watch, 1, (0, 5)) is Verdict.CHANGED
    assert freshness.is_deleted(watch, (0, 5))
    assert not freshness.is_deleted(watch, (0, 11))


def test_a_restart_forgets_deletions_with_everything_else() -> None:
    """Below the floor an entry is unknown; above it, only what was read since counts."""
    freshness = _fresh()
    watch = freshness.watch(VIEWS, ["UA1", "EWR"])
    freshness.tables["weather"].note(b"EWR", 11, gone=True)

    freshness.tables["weather"].restart(floor=20, position=20)

    assert not freshness.is_deleted(watch, (0, 20))


@pytest.mark.parametrize("slots", [0, -1, 3, 1000])
def test_the_number_of_slots_is_a_power_of_two(slots: int) -> None:
    """Anything else would leave slots unused, or none at all."""
    with pytest.raises(ValueError, match="power of two"):
        ChangeTable(slots)


def test_records_noted_together_are_noted_as_if_one_by_one() -> None:
    """Positions, changes and deletions; what names no entity is counted and moves the position only."""
    together, single = ChangeTable(SLOTS), ChangeTable(SLOTS)
    records = [
        (b"10-0", [b"e", b"JFK"]),
        (b"10-1", [b"e", b"EWR", b"d", b""]),
        (b"11-0", [b"e", b"JFK"]),
        (b"12-0", [b"x", b"JFK"]),
        (b"13-0", None),
    ]

    damaged = together.note_all(records)
    single.note(b"JFK", 10 << 20)
    single.note(b"EWR", 10 << 20 | 1, gone=True)
    single.note(b"JFK", 11 << 20)

    slots = range(SLOTS)
    assert (damaged, together.position) == (2, 13 << 20)
    assert [together.last_change(s) for s in slots] == [single.last_change(s) for s in slots]
    assert [together.last_deletion(s) for s in slots] == [single.last_deletion(s) for s in slots]


def test_a_floor_only_rises() -> None:
    """What may have been missed stays missed; what is known stays known."""
    freshness = _fresh()
    table = freshness.tables["weather"]
    table.note(b"EWR", 150)

    table.raise_floor(100)
    table.raise_floor(50)

    watch = freshness.watch(VIEWS, ["UA1", "EWR"])
    assert (table.floor, table.position) == (100, 150)
    assert freshness.verdict(watch, 1, (0, 99)) is Verdict.CHANGED
    assert freshness.verdict(watch, 1, (0, 150)) is Verdict.FRESH
