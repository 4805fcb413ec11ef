"""Experiments in the project file, and elsewhere."""

from __future__ import annotations

import pytest

from precompute.errors import ManifestError
from precompute.experiments import Arm, Audience, Experiment, Place
from precompute.manifest import Project, parse, parse_experiment

BASE = """
[project]
name = "shop"

[views.item.fields]
price = "float32"

[models.rank]
key = ["item", "user"]
views = { item = "{item}" }
inputs = { x = ["item.price", "context.hour"] }
context = { hour = { type = "int64", default = 12, min = 0, max = 23 }, device = { type = "string", default = "tv" } }
variants = { default = {}, fast = {} }

[models.other]
key = ["item"]
inputs = { x = ["item.price"] }
"""
ARMS = "arms = { control = { variant = 'default' }, fast = { variant = 'fast' } }"


def project(experiments: str) -> Project:
    """The shop with these experiments."""
    return parse(BASE + experiments)


def problems(experiments: str) -> list[str]:
    """Every mistake, as people see it."""
    with pytest.raises(ManifestError) as caught:
        project(experiments)
    return [str(problem).removeprefix("nearcast.toml: ") for problem in caught.value.problems]


def test_an_experiment_says_who_gets_what_and_when() -> None:
    """Everything that can be said."""
    found = project(
        """
[experiments.faster]
model = "rank"
layer = "home"
slice = [0.25, 0.75]
unit = "header.X-User"
salt = "again"
start = 2026-03-01T09:00:00+01:00
end = "2026-03-15T00:00:00Z"
override = "query.arm"
sample = 0.5
[experiments.faster.arms]
control = { variant = "default", share = 0.9 }
fast = { variant = "fast", share = 0.05 }
old = { version = 3, share = 0.05 }
[experiments.faster.audience]
key = { item = ["a b", "c"] }
header = { X-Country = ["de", "at"] }
context = { hour = [3, "04"], device = "phone" }
"""
    ).experiments["faster"]

    assert found == Experiment(
        name="faster",
        model="rank",
        layer="home",
        arms=(Arm("control", "default", None, 0.9), Arm("fast", "fast", None, 0.05), Arm("old", None, 3, 0.05)),
        unit=Place("header", "x-user"),
        slice=(0.25, 0.75),
        audience=Audience(
            {"item": frozenset({"a~20b", "c"})},
            {"x-country": frozenset({"de", "at"})},
            {"hour": frozenset({3, 4}), "device": frozenset({"phone"})},
        ),
        salt="again",
        start_ms=1_772_352_000_000,
        end_ms=1_773_532_800_000,
        override=Place("query", "arm"),
        sample=0.5,
    )


def test_most_of_it_may_be_left_out() -> None:
    """Everybody takes part by key from now on; experiments of one model share a layer."""
    found = project(f"[experiments]\na = {{ model = 'rank', {ARMS} }}\n").experiments["a"]

    assert (found.layer, found.slice, found.unit, found.salt) == ("rank", (0.0, 1.0), Place("key"), "a")
    assert found.audience.is_everybody
    assert found.runs(0)
    assert found.shares == {"control": 0.5, "fast": 0.5}


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        (f"model = 'gone'\n{ARMS}", "[experiments.a] model: no model 'gone'; there are: rank, other"),
        ("model = 'rank'", "[experiments.a] arms: is required"),
        ("model = 'rank'\narms = { one = { variant = 'fast' } }", "[experiments.a] arms: must be 2 to 16, not 1"),
        (
            "model = 'rank'\narms = { one = { variant = 'slow' }, two = { variant = 'fast' } }",
            "[experiments.a.arms.one] variant: no variant 'slow'; model 'rank' has: default, fast",
        ),
        (
            "model = 'rank'\narms = { one = { variant = 'fast', version = 1 }, two = { version = 2 } }",
            "[experiments.a.arms] one: must name a variant or a version, and not both",
        ),
        (
            "model = 'rank'\narms = { one = { version = 1, share = 0 }, two = { version = 2, share = 0 } }",
            "[experiments] a: no arm has a share above 0",
        ),
        (f"model = 'rank'\nunit = 'key.usr'\n{ARMS}", "unit: no part 'usr'; the key of model 'rank' has: item, user"),
        (f"model = 'rank'\nunit = 'query.user'\n{ARMS}", "unit: must be key, key.PART or header.NAME"),
        (f"model = 'rank'\nunit = 'cookie'\n{ARMS}", "'cookie' must be key, key.PART, header.NAME or query.NAME"),
        (f"model = 'rank'\noverride = 'key.item'\n{ARMS}", "override: must be header.NAME or query.NAME"),
        (f"model = 'rank'\noverride = 'query.hour'\n{ARMS}", "override: 'hour' means something else to model 'rank'"),
        (f"model = 'rank'\noverride = 'query.variant'\n{ARMS}", "'variant' means something else to model 'rank'"),
        (f"model = 'rank'\nslice = [0.5, 0.5]\n{ARMS}", "slice: [0.5, 0.5] holds nobody"),
        (f"model = 'rank'\nstart = 2026-03-01T09:00:00\n{ARMS}", "start: must be a date and time with its zone"),
        (f"model = 'rank'\nend = 'soon'\n{ARMS}", "end: 'soon' is no date and time"),
        (f"model = 'rank'\nend = 9999-12-31T23:00:00-05:00\n{ARMS}", "end: 9999-12-31T23:00:00-05:00 is out of range"),
        (
            f"model = 'rank'\nstart = 2026-03-02T00:00:00Z\nend = 2026-03-01T00:00:00Z\n{ARMS}",
            "[experiments] a: end must be later than start",
        ),
        (f"model = 'rank'\naudience = {{ key = {{ shop = 'x' }} }}\n{ARMS}", "[experiments.a.audience.key] shop: no"),
        (f"model = 'rank'\naudience = {{ context = {{ hour = 24 }} }}\n{ARMS}", "context hour=24 is outside [0, 23]"),
        (f"model = 'rank'\naudience = {{ context = {{ day = 1 }} }}\n{ARMS}", "no such context; it has: hour, device"),
        (f"model = 'rank'\naudience = {{ header = {{ 'a b' = 1 }} }}\n{ARMS}", "a b: is no name of a header"),
        (f"model = 'rank'\naudience = {{ header = {{ a = [] }} }}\n{ARMS}", "must be a value, or a list of 1 to 1000"),
        (f"model = 'rank'\nshares = 1\n{ARMS}", "[experiments.a] shares: unknown key"),
    ],
)
def test_a_mistake_is_named_with_its_table_and_key(said: str, complaint: str) -> None:
    """Whatever is wrong, in the words of who wrote it."""
    found = problems(f"[experiments.a]\n{said}\n")

    assert len(found) == 1
    assert complaint in found[0]


def two(first: str, second: str) -> str:
    """Two experiments."""
    return f"[experiments.a]\n{ARMS}\n{first}\n[experiments.b]\n{ARMS}\n{second}\n"


@pytest.mark.parametrize(
    ("first", "second", "complaint"),
    [
        (
            "model = 'rank'\nslice = [0, 0.5]",
            "model = 'rank'\nslice = [0.4, 1]",
            "[experiments.b] slice: [0.4, 1] of layer 'rank' is partly taken: experiment 'a' has [0, 0.5]; free",
        ),
        ("model = 'rank'", "model = 'rank'\nlayer = 'x'", "[experiments.b] layer: must be 'rank', that of experiment"),
        (
            "model = 'rank'\nslice = [0, 0.5]",
            "model = 'rank'\nslice = [0.5, 1]\nunit = 'key.user'",
            "[experiments.b] unit: must be 'key', that of experiment 'a'",
        ),
    ],
)
def test_experiments_that_would_share_units_are_refused(first: str, second: str, complaint: str) -> None:
    """With what there is beside them."""
    (found,) = problems(two(first, second))

    assert found.startswith(complaint)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("model = 'rank'\nslice = [0, 0.5]", "model = 'rank'\nslice = [0.5, 1]"),
        ("model = 'rank'\nend = 2026-03-01T00:00:00Z", "model = 'rank'\nlayer = 'x'\nstart = 2026-03-01T00:00:00Z"),
        ("model = 'rank'", "model = 'other'\narms = { x = { version = 1 }, y = { version = 2 } }"),
    ],
)
def test_experiments_that_cannot_meet_stand_side_by_side(first: str, second: str) -> None:
    """In slices of their own, one after the other, or in different layers."""
    second = second if "arms" in second else f"{second}\n{ARMS}"

    assert len(project(f"[experiments.a]\n{ARMS}\n{first}\n[experiments.b]\n{second}\n").experiments) == 2


def test_nothing_is_said_about_the_experiment_of_a_broken_model() -> None:
    """Its own mistake is enough."""
    found = problems(f"[models.bad]\nkey = []\n[experiments.a]\nmodel = 'bad'\n{ARMS}\n")

    assert all("experiments" not in problem for problem in found)


def test_one_outside_of_the_project_file_is_checked_like_one_inside() -> None:
    """With another name for where it stands."""
    shop = project("")
    table = {"model": "rank", "arms": {"a": {"variant": "fast"}, "b": {"variant": "slow"}}}

    with pytest.raises(ManifestError, match=r"experiment add: \[experiments.x.arms.b\] variant: no variant 'slow'"):
        parse_experiment(shop, "x", table, "experiment add")
    table["arms"] = {"a": {"variant": "fast"}, "b": {"variant": "default"}}
    assert parse_experiment(shop, "x", table, "experiment add").layer == "rank"
