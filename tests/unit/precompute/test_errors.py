"""The error tree is what its drawing says, and messages are one line for people."""

from __future__ import annotations

import inspect

import pytest

from precompute import errors

CLASSES = {name: kind for name, kind in vars(errors).items() if inspect.isclass(kind) and issubclass(kind, Exception)}


def test_the_drawing_shows_every_error() -> None:
    """A reader finds each class in the tree at the top of the file, under its parent."""
    drawn, path = {}, [""]
    for line in (errors.__doc__ or "").splitlines():
        mark, _, rest = line.partition("─ ")
        if rest and mark.strip("│├└ ") == "":
            depth = (len(mark) - 1) // 3 + 1
            path[depth:] = [rest.split()[0]]
            drawn[rest.split()[0]] = path[depth - 1] or "NearcastError"

    assert drawn == {name: kind.__base__.__name__ for name, kind in CLASSES.items() if name != "NearcastError"}


@pytest.mark.parametrize("kind", CLASSES.values(), ids=CLASSES)
def test_every_error_is_one_of_ours(kind: type[Exception]) -> None:
    """One `except` at an entry point catches whatever we report on purpose."""
    assert issubclass(kind, errors.NearcastError)


def test_errors_say_what_there_is_instead() -> None:
    """Unknown names list the known ones, missing features name view and entity."""
    assert str(errors.UnknownModel("x", ["a", "b"])) == "no model 'x'; this project has: a, b"
    assert str(errors.UnknownView("x", [])) == "no view 'x'; this project has: none"
    assert str(errors.FeatureMissing("weather", "JFK")) == "no row for weather 'JFK'"
    assert str(errors.FeatureMissing("weather", "JFK", "temp")) == "no value for weather.temp of 'JFK'"
    assert "user.n is 300" in str(errors.FeatureUnfit("user.n", 300, "uint8"))
    assert errors.Overloaded("full", retry_after_s=3).retry_after_s == 3


def test_a_problem_says_where_it_is() -> None:
    """File, table and key, as far as there are any."""
    assert str(errors.Problem("a.toml", "views.x", "y", "is wrong")) == "a.toml: [views.x] y: is wrong"
    assert str(errors.Problem("a.toml", "", "x", "is wrong")) == "a.toml: top level x: is wrong"
    assert str(errors.ManifestError([errors.Problem("a", "b", "", "c"), errors.Problem("a", "", "", "d")])) == (
        "a: [b]: c\na: top level: d"
    )
