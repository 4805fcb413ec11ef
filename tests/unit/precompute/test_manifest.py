"""The project file, checked as a whole: every mistake at once, each with file, table and key."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from precompute.errors import ConfigError, ManifestError, UnknownModel, UnknownView
from precompute.manifest import Project, load, parse
from precompute.models import Feature, InputSpec, KeySource
from precompute.views import Field, Missing

FLIGHTS = """
[project]
name = "flights"

[views.weather]
entity = "airport"
max_age_s = 7200
max_skew_s = 5
sla_s = 2
objective = 0.999
[views.weather.fields]
temp  = { type = "float32", missing = "nan" }
wind  = { type = "float32", default = 0 }
speed = "float32"

[views.flight.fields]
distance = "float32"
origin = "string"
tail = "string"
pixels = "uint8[28,28]"

[views.route.fields]
delay = "int64"

[models.late]
key = ["flight", "origin", "plane"]
all_keys = { view = "flight", parts = { flight = "$entity", origin = "origin", plane = "tail" } }
examples = ["UA1:EWR:N1?share=0.5"]
[models.late.views]
flight = "{flight}"
weather = "{origin}"
route = "{origin}-{plane}"
[models.late.context]
hour = { type = "int64", default = 12, min = 0, max = 23 }
share = "float32"
[models.late.inputs]
x = ["flight.distance", "weather.temp", "context.hour"]
img = "flight.pixels"
[models.late.outputs]
late = { from = "probabilities", pick = 1 }
[models.late.variants]
fast = { quality = 0.712 }
default = { quality = 0.731 }
[models.late.policy]
ttl_s = 600
default = { late = 0.2 }

[models.gust]
key = ["weather"]
[models.gust.inputs]
x = ["weather.wind"]
"""


def _problems(text: str) -> dict[str, str]:
    """Message by `table key`, of all problems of a project file."""
    with pytest.raises(ManifestError) as caught:
        parse(text, "flights.toml")
    found = caught.value.problems
    assert all(problem.file == "flights.toml" for problem in found)
    assert str(caught.value).splitlines() == [str(problem) for problem in found]
    places = [f"{problem.table} {problem.key}" for problem in found]
    assert len(set(places)) == len(places), f"one mistake is reported twice: {places}"
    return {place: problem.message for place, problem in zip(places, found, strict=True)}


def _changed(*changes: tuple[str, str]) -> str:
    text = FLIGHTS
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


@pytest.fixture(scope="module")
def project() -> Project:
    """The project as declared."""
    return parse(FLIGHTS)


def test_a_view_is_what_was_declared(project: Project) -> None:
    """Types in short and long form, policies, and the view's own limits of age and clock skew."""
    weather = project.view("weather")

    assert (weather.entity, weather.max_age_s, weather.max_skew_s) == ("airport", 7200, 5)
    assert (weather.sla_s, weather.objective) == (2, 0.999)
    assert weather.fields == (
        Field("temp", "float32", (), Missing.NAN),
        Field("wind", "float32", (), Missing.DEFAULT, 0.0),
        Field("speed", "float32"),
    )
    assert (project.view("flight").entity, project.view("flight").max_skew_s) == ("flight", 300)


def test_a_model_is_what_was_declared(project: Project) -> None:
    """Dependencies, inputs, context, variants, outputs and policy."""
    late = project.model("late")

    assert [d.view for d in late.dependencies] == ["flight", "weather", "route"]
    assert late.entities(late.parse_key("UA1:EWR:N1?share=1")) == ("UA1", "EWR", "EWR-N1")
    stacked = (Feature("flight", "distance"), Feature("weather", "temp"), Feature(None, "hour"))
    assert late.inputs == (
        InputSpec("x", stacked, stacked=True),
        InputSpec("img", (Feature("flight", "pixels"),), stacked=False),
    )
    assert list(late.variants) == ["fast", "default"]
    assert late.default_variant == "default"
    assert (late.outputs[0].name, late.outputs[0].source, late.outputs[0].pick) == ("late", "probabilities", 1)
    assert (late.policy.ttl_s, late.policy.default) == (600, {"late": 0.2})
    assert late.all_keys == KeySource("flight", ("$entity", "origin", "tail"))


def test_views_named_like_parts_need_no_table(project: Project) -> None:
    """A part that is named like a view means an entity of it, and a lone one lists all keys."""
    gust = project.model("gust")

    assert [(d.view, d.template) for d in gust.dependencies] == [("weather", "{weather}")]
    assert gust.all_keys == KeySource("weather", ("$entity",))
    assert list(gust.variants) == [gust.default_variant] == ["default"]


def test_unknown_names_list_what_exists(project: Project) -> None:
    """A wrong model or view name shows the right ones."""
    with pytest.raises(UnknownModel, match="no model 'soon'; this project has: gust, late"):
        project.model("soon")
    with pytest.raises(UnknownView, match="no view 'rain'; this project has: flight, route, weather"):
        project.view("rain")


def test_all_mistakes_are_reported_at_once() -> None:
    """Mistakes inside tables and between tables come together, each once, each with its place."""
    text = _changed(
        ("max_age_s = 7200", "max_age_s = -1"),
        ('speed = "float32"', 'speed = "float"'),
        ("ttl_s = 600", 'ttl_s = "long"\nttl = 3'),
        ('route = "{origin}-{plane}"', 'route = "{origin}-{dest}"'),
        ("[models.gust]", "[models.calm]\nkey = ['flight']\ninputs = { x = 'flight.speed' }\n[models.gust]"),
    )

    problems = _problems(text)

    assert set(problems) == {
        "views.weather max_age_s",
        "views.weather.fields speed",
        "models.late.policy ttl_s",
        "models.late.policy ttl",
        "models.calm.inputs x",
    }
    assert problems["models.late.policy ttl"] == "unknown key"
    assert "has no field 'speed'; it has: distance, origin" in problems["models.calm.inputs x"]


def test_a_broken_view_raises_no_complaints_about_its_users() -> None:
    """What refers to a table that is wrong in itself is not reported as a mistake of its own."""
    problems = _problems(_changed(('speed = "float32"', 'speed = "float"')))

    assert list(problems) == ["views.weather.fields speed"]


MISTAKES = [
    ('name = "flights"', 'name = "Flights!"', "project name", "lower-case letters"),
    ('name = "flights"', "", "project name", "is required"),
    ("[project]", "[projects]", " projects", "unknown key"),
    ("temp  = {", "Temp  = {", "views.weather.fields Temp", "lower-case letters"),
    ('type = "float32", missing = "nan"', 'type = "int32", missing = "nan"', "views.weather.fields temp", "float type"),
    ('missing = "nan"', 'missing = "zero"', "views.weather.fields.temp missing", "'error' or 'nan'"),
    ('missing = "nan"', 'missing = "nan", default = 1', "views.weather.fields temp", "choose one"),
    ("default = 0 }", 'default = "0" }', "views.weather.fields wind", "default = '0' is not a float32"),
    ("default = 0 }", "default = [0] }", "views.weather.fields.wind default", "must be a number, a string"),
    ("default = 0 }", "default = nan }", "views.weather.fields wind", "is not a float32"),
    ("default = 0 }", "default = 1e39 }", "views.weather.fields wind", "is not a float32"),
    ('delay = "int64"', "delay = { type = 'int64', default = 0.5 }", "views.route.fields delay", "is not a int64"),
    ('delay = "int64"', "delay = 64", "views.route.fields delay", "must be a table"),
    ('delay = "int64"', "", "views.route fields", "must not be empty"),
    ("[views.route.fields]", "[views.context.fields]", "views context", "taken by request-time features"),
    ('key = ["weather"]', 'key = ["weather", "weather"]', "models.gust key", "names a part twice"),
    ('key = ["weather"]', "key = []", "models.gust key", "must not be empty"),
    ('key = ["weather"]', "key = 'weather'", "models.gust key", "must be a list"),
    ('key = ["weather"]', 'key = ["town"]', "models.gust key", "no part is named like a view"),
    ('weather = "{origin}"', 'wether = "{origin}"', "models.late.views wether", "there are: weather, flight, route"),
    ('route = "{origin}-{plane}"', 'route = "{a}"', "models.late.views route", "uses 'a', which is no part"),
    ('route = "{origin}-{plane}"', 'route = "x"', "models.late.views route", "names no part of the key"),
    ('"context.hour"]', '"context.day"]', "models.late.inputs x", "declare it in [models.late.context]"),
    ('"context.hour"]', '"rain.mm"]', "models.late.inputs x", "no view 'rain'"),
    ('"context.hour"]', '"hour"]', "models.late.inputs x", "must be written as view.field"),
    ('"context.hour"]', '"flight.origin"]', "models.late.inputs x", "mixes strings and numbers"),
    ('["weather.wind"]', '["route.delay"]', "models.gust.inputs x", "does not say which route a key means"),
    ('["weather.wind"]', "[]", "models.gust.inputs x", "one feature"),
    ('["weather.wind"]', "[1]", "models.gust.inputs x", "one feature"),
    ('["weather.wind"]', "1", "models.gust.inputs x", "one feature"),
    ("default = 12, min", "default = 24, min", "models.late.context hour", "24 is outside [0, 23]"),
    ("default = 12, min", 'default = "12", min', "models.late.context hour", "is not a int64"),
    ("min = 0, max = 23", "min = 23, max = 0", "models.late.context hour", "min = 23 is greater than max = 0"),
    ('share = "float32"', 'share = "float32[2]"', "models.late.context share", "is a scalar"),
    ('share = "float32"', 'share = { type = "string", min = 1 }', "models.late.context share", "need a number"),
    ('share = "float32"', 'share = { type = "bool", choices = ["a"] }', "models.late.context share", "need a string"),
    (
        'share = "float32"',
        'share = { type = "int64", choices = [1, "2"] }',
        "models.late.context share",
        "is not a int64",
    ),
    (
        'share = "float32"',
        'share = { type = "int64", choices = [1, 9], max = 8 }',
        "models.late.context share",
        "outside [, 8]",
    ),
    (
        'share = "float32"',
        'share = { type = "int64", choices = [1, 2], default = 3 }',
        "models.late.context share",
        "3 is not one of: 1, 2",
    ),
    ('["UA1:EWR:N1?share=0.5"]', '["UA1:EWR"]', "models.late examples", "expected <flight>:<origin>:<plane>"),
    ('["UA1:EWR:N1?share=0.5"]', '["UA1:EWR:N1"]', "models.late examples", "'share' (float32) is required"),
    ('["UA1:EWR:N1?share=0.5"]', '["a:b", "c"]', "models.late examples", "expected <flight>:<origin>:<plane>"),
    ('share = "float32"', 'budget_ms = "float32"', "models.late.context budget_ms", "taken by requests"),
    ('share = "float32"', 'variant = "string"', "models.late.context variant", "taken by requests"),
    (", pick = 1", ", pick = 1, transform = 'log'", "models.late.outputs.late transform", "'softmax'"),
    ('from = "probabilities", ', "", "models.late.outputs.late from", "is required"),
    ("quality = 0.712", "quality = -1", "models.late.variants.fast quality", "greater than or equal to 0"),
    ("[models.late.variants]", "later = 'x'\n[models.late.variants]", "models.late.outputs later", "must be a table"),
    ('from = "probabilities"', "from = 1", "models.late.outputs.late from", "must be a string"),
    ("ttl_s = 600", "ttl_s = 0", "models.late.policy ttl_s", "greater than 0"),
    ("ttl_s = 600", "ttl_s = inf", "models.late.policy ttl_s", "finite"),
    ("ttl_s = 600", "ttl_jitter = 0.6", "models.late.policy ttl_jitter", "less than or equal to 0.5"),
    ("default = { late = 0.2 }", "default = { soon = 1 }", "models.late.policy default", "no output of the model"),
    (', plane = "tail" } }', " } }", "models.late.all_keys parts", "must say where each part comes from"),
    (
        'plane = "tail" } }',
        'plane = "distance" } }',
        "models.late.all_keys plane",
        "nor a string field of view 'flight'",
    ),
    ('{ view = "flight", parts', '{ view = "crew", parts', "models.late.all_keys view", "no view 'crew'"),
]


@pytest.mark.parametrize(("old", "new", "place", "message"), MISTAKES)
def test_a_mistake_names_table_and_key(old: str, new: str, place: str, message: str) -> None:
    """Each mistake is found at its place, in words that say what to change."""
    problems = _problems(_changed((old, new)))

    assert message in problems[place]


def test_a_default_variant_must_exist() -> None:
    """The name of the variant that answers by default is one of the variants."""
    text = _changed(('key = ["weather"]', 'key = ["weather"]\ndefault_variant = "best"'))

    assert _problems(text) == {"models.gust default_variant": "no variant 'best'; there are: default"}


def test_a_model_may_route_what_names_no_variant() -> None:
    """Its default variant stays what is computed in advance."""
    routed = parse(_changed(("[models.late.views]", 'routing = "auto"\n[models.late.views]'))).model("late")

    assert routed.is_routed
    assert routed.default_variant == "default"
    assert not parse(FLIGHTS).model("late").is_routed


def test_no_variant_may_be_called_auto() -> None:
    """A request that names it wants the best of them."""
    problems = _problems(_changed(("fast = { quality = 0.712 }", "auto = { quality = 0.712 }")))

    assert problems == {"models.late.variants auto": "requests mean something else by it; choose another name"}


def test_no_message_speaks_of_our_tools() -> None:
    """Messages are for people who know TOML, not the library that checks it."""
    for old, new, _, _ in MISTAKES:
        for message in _problems(_changed((old, new))).values():
            assert not re.search("pydantic|value error|validation|instance of|dictionary|Table", message)


@pytest.mark.parametrize("text", ["[project", "a = 1\na = 2", "\x00"])
def test_text_that_is_no_toml_is_one_line(text: str) -> None:
    """Broken TOML is reported with the file's name, in one line."""
    with pytest.raises(ConfigError, match=r"flights.toml: not valid TOML") as caught:
        parse(text, "flights.toml")

    assert "\n" not in str(caught.value)


def test_a_file_is_read_and_named(tmp_path: Path) -> None:
    """A project file that can be read gives the project; mistakes in it name the file."""
    good, bad = tmp_path / "good.toml", tmp_path / "bad.toml"
    good.write_text(FLIGHTS)
    bad.write_text("[project]")

    assert load(good).name == "flights"
    with pytest.raises(ManifestError, match=r"bad.toml: .project. name: is required"):
        load(bad)


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    """Missing, a directory, or not UTF-8: one line with the path."""
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")

    for path, reason in [(tmp_path / "none.toml", "No such file"), (tmp_path, "directory"), (binary, "is not UTF-8")]:
        with pytest.raises(ConfigError, match=reason) as caught:
            load(path)
        assert str(path) in str(caught.value)
