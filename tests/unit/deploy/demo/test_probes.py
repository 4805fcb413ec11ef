"""Tests of which changes are followed."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from deploy.demo import run
from deploy.demo.events import Departure, FeatureEvent
from deploy.demo.probes import choose
from precompute import manifest
from precompute.models import Model

FLIGHTS = [
    Departure(f"UA{i}:{airport}:N{i}", f"UA{i}", airport, "IAH", 0, None, None)
    for i, airport in enumerate(["EWR", "JFK", "EWR"])
]


@pytest.fixture(scope="module")
def model() -> Model:
    """The demo's model."""
    return manifest.load(Path(run.HERE) / "nearcast.toml").model("late")


def event(view: str, entity: str) -> FeatureEvent:
    """A change."""
    return FeatureEvent(0, view, entity, {})


def test_a_followed_change_has_a_flight_behind_it_that_people_ask_about(model: Model) -> None:
    """Any of the model's views may be the one that changes."""
    followed = choose(model, [event("weather", "LGA"), event("congestion", "JFK")], FLIGHTS, Random(1))

    assert followed is not None
    assert (followed.view, followed.entity, followed.key.text) == ("congestion", "JFK", "UA1:JFK:N1")
    assert model.dependencies[followed.dependency].view == "congestion"


def test_each_flight_behind_a_change_may_be_the_one(model: Model) -> None:
    """The most popular ones would be measured at their best."""
    random = Random(1)

    chosen = {f.key.text for _ in range(50) if (f := choose(model, [event("weather", "EWR")], FLIGHTS, random))}

    assert chosen == {"UA0:EWR:N0", "UA2:EWR:N2"}


def test_a_change_that_nobody_asks_about_is_not_followed(model: Model) -> None:
    """There is nothing to see."""
    assert choose(model, [event("live", "UA9"), event("plane", "N7")], FLIGHTS, Random(1)) is None
    assert choose(model, [], FLIGHTS, Random(1)) is None
