"""The project file: one TOML that declares views, models, variants and policies, checked as a whole.

Pydantic finds the mistakes inside a table, `linking` those between tables; all are reported together, each
with file, table and key, because a person who mends one mistake a run gives up at the third.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from precompute import declarations
from precompute.errors import ConfigError, ManifestError, Problem, UnknownModel, UnknownView
from precompute.experiment_linking import link_experiment, link_experiments
from precompute.experiment_table import ExperimentTable
from precompute.experiments import Experiment
from precompute.job_table import JobTable, link_job
from precompute.linking import ModelLinker
from precompute.models import Model
from precompute.schedules import Schedule
from precompute.user_tiers import UserTiers, link_tiers
from precompute.views import View


@dataclass(frozen=True, slots=True)
class Project:
    """Everything a project declares."""

    name: str
    views: Mapping[str, View]
    models: Mapping[str, Model]
    jobs: Mapping[str, Schedule] = field(default_factory=dict)
    tiers: UserTiers = field(default_factory=UserTiers)
    experiments: Mapping[str, Experiment] = field(default_factory=dict)

    def model(self, name: str) -> Model:
        """The model of that name.

        Raises:
            UnknownModel: there is none; its text lists what exists.
        """
        try:
            return self.models[name]
        except KeyError:
            raise UnknownModel(name, sorted(self.models)) from None

    def view(self, name: str) -> View:
        """The view of that name.

        Raises:
            UnknownView: there is none; its text lists what exists.
        """
        try:
            return self.views[name]
        except KeyError:
            raise UnknownView(name, sorted(self.views)) from None


def load(path: Path) -> Project:
    """Reads and checks a project file.

    Raises:
        ConfigError: the file cannot be read or is not TOML.
        ManifestError: every mistake in it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8"
        raise ConfigError(f"{path}: {reason}; name the project file with --project") from None
    return parse(text, str(path))


def parse(text: str, file: str = "nearcast.toml") -> Project:
    """Checks the text of a project file; raises as `load` does."""
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: not valid TOML: {error}") from None
    try:
        manifest = declarations.Manifest.model_validate(tree)
    except ValidationError as error:
        raise ManifestError(_all_problems(file, tree, error)) from None
    project, problems = _link(file, manifest)
    if problems:
        raise ManifestError(problems)
    return project


_JOBS = TypeAdapter(dict[Annotated[str, Field(pattern=declarations.NAME)], JobTable])


def parse_job(project: Project, name: str, table: Mapping[str, Any], where: str) -> Schedule:
    """Checks a job that stands outside of the project file as if it stood in it.

    Args:
        where: named in front of each mistake, like a file.

    Raises:
        ManifestError: every mistake in it.
    """
    try:
        checked = _JOBS.validate_python({name: table})[name]
    except ValidationError as error:
        raise ManifestError([_problem(where, ("jobs", *found["loc"]), found) for found in error.errors()]) from None
    problems: list[Problem] = []

    def wrong(table: str, key: str, message: str) -> None:
        problems.append(Problem(where, table, key, message))

    schedule = link_job(name, checked, project.views, project.models, frozenset(), wrong)
    if problems:
        raise ManifestError(problems)
    return schedule


_EXPERIMENTS = TypeAdapter(dict[Annotated[str, Field(pattern=declarations.NAME)], ExperimentTable])


def parse_experiment(project: Project, name: str, table: Mapping[str, Any], where: str) -> Experiment:
    """Checks an experiment that stands outside of the project file as if it stood in it, but not beside others.

    Args:
        where: named in front of each mistake, like a file.

    Raises:
        ManifestError: every mistake in it.
    """
    try:
        checked = _EXPERIMENTS.validate_python({name: table})[name]
    except ValidationError as error:
        found = [_problem(where, ("experiments", *one["loc"]), one) for one in error.errors()]
        raise ManifestError(found) from None
    problems: list[Problem] = []

    def wrong(table: str, key: str, message: str) -> None:
        problems.append(Problem(where, table, key, message))

    experiment = link_experiment(name, checked, project.models, frozenset(), wrong)
    if problems:
        raise ManifestError(problems)
    return experiment


def _link(file: str, manifest: declarations.Manifest, broken: Set[str] = frozenset()) -> tuple[Project, list[Problem]]:
    problems: list[Problem] = []

    def wrong(table: str, key: str, message: str) -> None:
        problems.append(Problem(file, table, key, message))

    views = {name: table.build(name) for name, table in manifest.views.items()}
    if "context" in views:
        wrong("views", "context", "the name is taken by request-time features; choose another")
    models = {name: ModelLinker(name, table, views, broken, wrong).link() for name, table in manifest.models.items()}
    jobs = {name: link_job(name, table, views, models, broken, wrong) for name, table in manifest.jobs.items()}
    tiers = link_tiers(manifest.tiers, manifest.tier_source, views, broken, wrong)
    experiments = link_experiments(manifest.experiments, models, broken, wrong)
    return Project(manifest.project.name, views, models, jobs, tiers, experiments), problems


def _all_problems(file: str, tree: dict[str, Any], error: ValidationError) -> list[Problem]:
    """The mistakes inside tables, and those between the tables that are right in themselves."""
    problems = [_problem(file, found["loc"], found) for found in error.errors()]
    broken = {found["loc"][:2] for found in error.errors()}
    for path in broken:
        _remove(tree, path)
    tree["project"] = {"name": "unnamed"}
    try:
        manifest = declarations.Manifest.model_validate(tree)
    except ValidationError:
        # Too little is left to look any further.
        return problems
    return problems + _link(file, manifest, {str(path[-1]) for path in broken if path[0] in {"views", "models"}})[1]


def _remove(tree: dict[str, Any], path: tuple[int | str, ...]) -> None:
    for step in path[:-1]:
        tree = tree[str(step)]
    tree.pop(str(path[-1]), None)


_WORDS = {
    "extra_forbidden": "unknown key",
    "missing": "is required",
    "model_type": "must be a table",
    "dict_type": "must be a table",
    "tuple_type": "must be a list",
    "string_type": "must be a string",
    "too_short": "must not be empty",
    "string_pattern_mismatch": "a name has lower-case letters, digits, _ and -, at most 64, a letter first",
}


def _problem(file: str, location: tuple[int | str, ...], found: ErrorDetails) -> Problem:
    # Pydantic adds a step of its own for the keys of a table; a reader of TOML knows only the tables.
    path = [str(step) for step in location if step != "[key]"]
    text = _WORDS.get(found["type"]) or found["msg"].removeprefix("Value error, ")
    return Problem(file, ".".join(path[:-1]), path[-1] if path else "", text[:1].lower() + text[1:])
