"""From a changed entity to the keys that are refreshed."""

from __future__ import annotations

from tests.unit.workers.models import PROJECT
from workers.dependents import Dependents, HotEntities
from workers.pending import HotKey

UA1, UA2, UA3 = HotKey("late", "UA1:EWR", 2.0), HotKey("late", "UA2:EWR", 1.0), HotKey("late", "UA3:JFK", 1.0)
EWR = HotKey("other", "EWR", 0.5)


def index(*keys: HotKey) -> Dependents:
    """The index over these keys."""
    entities, dependents = HotEntities(), Dependents()
    for model in PROJECT.models.values():
        entities.look(model, [key.text for key in keys if key.model == model.name])
    dependents.rebuild(keys, entities)
    return dependents


def test_a_change_finds_the_keys_of_all_models() -> None:
    """One airport's weather is behind many flights, and behind other models."""
    assert list(index(UA1, UA2, UA3, EWR).of([("weather", "EWR")])) == [UA1, UA2, EWR]


def test_an_entity_of_another_view_is_another_entity() -> None:
    """Names may coincide."""
    both = HotKey("late", "EWR:EWR", 2.0)

    assert list(index(both, EWR).of([("flight", "EWR")])) == [both]


def test_a_rebuild_follows_the_plan() -> None:
    """Keys that are refreshed no more are found no more; what they are worth is what the plan says now."""
    entities, dependents = HotEntities(), Dependents()
    entities.look(PROJECT.models["late"], [UA1.text, UA2.text])
    dependents.rebuild([UA1, UA2], entities)
    now = HotKey("late", "UA2:EWR", 9.0)

    dependents.rebuild([now], entities)

    assert list(dependents.of([("weather", "EWR")])) == [now]
    assert dependents.keys == 1


def test_a_name_that_is_no_key_is_left_out() -> None:
    """Whatever an edge has counted, the refresher goes on."""
    found = HotEntities().look(PROJECT.models["late"], ["nonsense", "UA1:EWR"])

    assert found == {"UA1:EWR": (("flight", "UA1"), ("weather", "EWR"))}


def test_memory_follows_the_hot_set() -> None:
    """What is looked at replaces what was, model by model."""
    entities = HotEntities()
    entities.look(PROJECT.models["late"], [UA1.text])
    entities.look(PROJECT.models["other"], [EWR.text])

    entities.look(PROJECT.models["late"], [UA2.text])

    assert entities.of("late", UA1.text) == ()
    assert entities.of("other", "EWR") == (("weather", "EWR"),)
