"""Declared jobs in the project file, and elsewhere."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from precompute.cron import Cron
from precompute.errors import ManifestError
from precompute.manifest import Project, parse, parse_job
from precompute.schedules import ByCron, Every, OnPublish, OnViewUpdate, Schedule, Window
from tests.flights import MANIFEST

BASE = MANIFEST.replace("TTL_S", "60")


def project(jobs: str) -> Project:
    """The flights with these jobs."""
    return parse(BASE + jobs)


def problems(jobs: str) -> list[str]:
    """Every mistake, as people see it."""
    with pytest.raises(ManifestError) as caught:
        project(jobs)
    return [str(problem).removeprefix("nearcast.toml: ") for problem in caught.value.problems]


def test_a_job_says_what_when_and_how() -> None:
    """Everything that can be said."""
    found = project(
        """
[jobs.nightly]
model = "late"
variants = ["default", "fast"]
hot = 5000
cron = "*/30 22-23,0-5 * * *"
timezone = "Europe/Berlin"
window = "22:30-05:00"
jitter_s = 60
priority = "low"
time_limit_s = 600
overlap = "replace"
missed = "skip"
"""
    ).jobs["nightly"]

    assert found == Schedule(
        name="nightly",
        model="late",
        variants=("default", "fast"),
        keys={"hot": 5000},
        when=ByCron(Cron.parse("*/30 22-23,0-5 * * *")),
        window=Window.parse("22:30-05:00"),
        timezone=ZoneInfo("Europe/Berlin"),
        jitter_ms=60_000,
        priority="low",
        time_limit_ms=600_000,
        overlap="replace",
        missed="skip",
    )


def test_most_of_it_may_be_left_out() -> None:
    """The default variant, no window, no limit."""
    jobs = project(
        """
[jobs]
a = { model = "late", all = true, every_s = 0.5 }
b = { model = "late", keys = "keys.txt", on = "publish" }
c = { model = "late", dependents = { view = "weather", entity = "New York/3" }, on = "view-update", view = "weather" }
"""
    ).jobs

    assert [job.when for job in jobs.values()] == [Every(500), OnPublish(), OnViewUpdate("weather", 60_000)]
    assert [dict(job.keys) for job in jobs.values()] == [
        {"all": True},
        {"keys": "keys.txt"},
        {"dependents": {"view": "weather", "entity": "New~20York~2F3"}},
    ]
    assert jobs["a"] == Schedule(name="a", model="late", variants=("default",), keys={"all": True}, when=Every(500))


@pytest.mark.parametrize(
    ("job", "complaint"),
    [
        ("every_s = 1", "names no keys: say all = true, hot = N, keys = FILE or dependents = { view, entity }"),
        ("hot = 1\nall = true\nevery_s = 1", "has both all and hot; choose one"),
        ("hot = 1", 'is never due: say cron, every_s, or on = "publish" or "view-update"'),
        ('hot = 1\nevery_s = 1\ncron = "* * * * *"', "has both cron and every_s; choose one"),
        ('hot = 1\ncron = "0 0 30 2 *"', "cron '0 0 30 2 *' never fires: no year has such a day"),
        ('hot = 1\ncron = "0 12 * * *"\nwindow = "22:00-06:00"', "cron 0 12 * * * never fires within window"),
        ('hot = 1\nevery_s = 86400\nwindow = "06:00-08:00"', "every 86400 s never fires within window"),
        ('hot = 1\ncron = "nonsense"', "has 1 field(s) instead of 5"),
        ("hot = 1\nevery_s = 1\njitter_s = 1", "jitter_s = 1 must be below 1, the interval"),
        ('hot = 1\non = "publish"\njitter_s = 1', "jitter_s = 1 goes with cron or every_s"),
        ('hot = 1\non = "view-update"', 'view goes with on = "view-update"'),
        ('hot = 1\non = "publish"\nview = "weather"', 'view goes with on = "view-update"'),
        ("hot = 1\nevery_s = 1\nmin_interval_s = 5", 'min_interval_s goes with on = "view-update"'),
        ('hot = 1\nevery_s = 1\ntimezone = "Mars/Olympus"', "no time zone 'Mars/Olympus'"),
        ('hot = 1\nevery_s = 1\nwindow = "always"', "window 'always' must be written as HH:MM-HH:MM"),
        ('hot = 1\nevery_s = 1\nvariants = ["fast", "fast"]', "variants names one twice"),
    ],
)
def test_a_job_that_makes_no_sense_is_refused_with_the_reason(job: str, complaint: str) -> None:
    """One reason, where the job stands."""
    (found,) = problems(f'[jobs.bad]\nmodel = "late"\n{job}\n')

    assert found.startswith("[jobs] bad: ")
    assert complaint in found


@pytest.mark.parametrize(
    ("job", "complaint"),
    [
        ('model = "none"\nhot = 1\nevery_s = 1', "model: no model 'none'; there are: late, fixed"),
        ('model = "late"\nhot = 0\nevery_s = 1', "hot: input should be greater than or equal to 1"),
        ('model = "late"\nhot = 1\nevery_s = 0.01', "every_s: input should be greater than or equal to 0.1"),
        ('model = "late"\nhot = 1\nevery_s = 1\nvariants = ["slow"]', "variants: no variant 'slow'; model 'late' has"),
        ('model = "late"\nhot = 1\nevery_s = 1\nvariants = []', "variants: must not be empty"),
        (
            'model = "late"\nhot = 1\non = "view-update"\nview = "sea"',
            "view: no view 'sea'; there are: flight, weather",
        ),
        ('model = "fixed"\ndependents = { view = "flight", entity = "x" }\nevery_s = 1', "does not read view 'flight'"),
        ('model = "late"\nhot = 1\nevery_s = 1\noverlap = "both"', "overlap: input should be 'skip', 'queue' or"),
        ('model = "late"\nhot = 1\nevery_s = 1\ncolour = "red"', "colour: unknown key"),
    ],
)
def test_a_mistake_is_found_where_it_stands(job: str, complaint: str) -> None:
    """Table and key."""
    (found,) = problems(f"[jobs.bad]\n{job}\n")

    assert found.startswith("[jobs.bad] ")
    assert complaint in found


def test_an_entity_must_be_one() -> None:
    """An empty one names no row."""
    (found,) = problems('[jobs.bad]\nmodel = "late"\ndependents = { view = "weather", entity = "" }\nevery_s = 1\n')

    assert found == "[jobs.bad.dependents] entity: a part of the key is empty"


def test_all_keys_need_a_model_that_says_where_they_are() -> None:
    """A job that could never name a key is refused."""
    text = BASE.replace('all_keys = { view = "flight", parts = { flight = "$entity", origin = "origin" } }', "")

    with pytest.raises(ManifestError, match="does not say where all its keys are; add all_keys to it"):
        parse(text + '[jobs.bad]\nmodel = "late"\nall = true\nevery_s = 1\n')


def test_every_mistake_is_reported_at_once() -> None:
    """Of several jobs, and of a model beside them; about the jobs of a broken model nothing more is said."""
    text = BASE.replace('key = ["weather"]', "key = 5") + (
        '[jobs]\na = { model = "late", every_s = 1 }\nb = { model = "none", hot = 1, every_s = 1 }\n'
        'c = { model = "fixed", hot = 1, every_s = 1 }\n'
    )

    with pytest.raises(ManifestError) as caught:
        parse(text)

    assert [(p.table, p.key) for p in caught.value.problems] == [
        ("models.fixed", "key"),
        ("jobs", "a"),
        ("jobs.b", "model"),
    ]


def test_a_job_of_elsewhere_is_checked_as_if_it_stood_in_the_file() -> None:
    """Its name included."""
    flights = project("")

    found = parse_job(flights, "warm", {"model": "late", "hot": 5, "every_s": 60, "variants": ["fast"]}, "somewhere")
    with pytest.raises(ManifestError) as caught:
        parse_job(flights, "Warm it", {"model": "late", "hot": 0, "every_s": 60}, "somewhere")

    assert (found.name, found.variants) == ("warm", ("fast",))
    assert "somewhere: [jobs.Warm it] hot: input should be" in str(caught.value)
    assert "somewhere: [jobs] Warm it: a name has lower-case letters" in str(caught.value)
