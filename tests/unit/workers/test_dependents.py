"""From a changed entity to the hot keys behind it."""

from __future__ import annotations

from tests.unit.workers.models import PROJECT
from workers.dependents import Dependents, HotKey


def index(**hot: list[tuple[str, float]]) -> Dependents:
    """The index over these hot keys, by model."""
    dependents = Dependents()
    dependents.rebuild(hot, PROJECT.models)
    return dependents


def test_a_change_finds_the_keys_of_all_models() -> None:
    """One airport's weather is behind many flights, and behind other models."""
    dependents = index(late=[("UA1:EWR", 2.0), ("UA2:EWR", 1.0), ("UA3:JFK", 1.0)], other=[("EWR", 0.5)])

    found = list(dependents.of([("weather", "EWR")]))

    assert found == [HotKey("late", "UA1:EWR", 2.0), HotKey("late", "UA2:EWR", 1.0), HotKey("other", "EWR", 0.5)]


def test_an_entity_of_another_view_is_another_entity() -> None:
    """Names may coincide."""
    dependents = index(late=[("EWR:EWR", 2.0)], other=[("EWR", 0.5)])

    assert [key.model for key in dependents.of([("flight", "EWR")])] == ["late"]


def test_keys_that_do_not_pay_are_left_out() -> None:
    """So are models that are never refreshed."""
    dependents = index(late=[("UA1:EWR", 0.001)], never=[("UA1", 100.0)])

    assert dependents.keys == 0
    assert list(dependents.of([("flight", "UA1"), ("weather", "EWR")])) == []


def test_a_rebuild_follows_the_hot_set() -> None:
    """Keys that are hot no more are found no more; rates are the new ones."""
    dependents = index(late=[("UA1:EWR", 2.0), ("UA2:EWR", 1.0)])

    dependents.rebuild({"late": [("UA2:EWR", 9.0)]}, PROJECT.models)

    assert list(dependents.of([("weather", "EWR")])) == [HotKey("late", "UA2:EWR", 9.0)]


def test_a_name_that_is_no_key_is_passed_over() -> None:
    """Whatever an edge has counted, the refresher goes on."""
    dependents = index(late=[("nonsense", 5.0), ("UA1:EWR", 2.0)])

    assert [key.text for key in dependents.of([("flight", "UA1"), ("flight", "nonsense")])] == ["UA1:EWR"]
