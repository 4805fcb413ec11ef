"""An experiment beside the model that it is about, and beside others: the mistakes between tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set

from precompute.context import RESERVED
from precompute.errors import InvalidContext, InvalidKey
from precompute.experiment_table import TOKEN, AudienceTable, ExperimentTable
from precompute.experiments import Audience, Experiment, Layers
from precompute.key_text import canonical_part
from precompute.models import Model
from precompute.views import Scalar

#: Takes table, key and message of a mistake.
Wrong = Callable[[str, str, str], None]


def link_experiments(
    tables: Mapping[str, ExperimentTable], models: Mapping[str, Model], broken: Set[str], wrong: Wrong
) -> dict[str, Experiment]:
    """Experiments beside the models that they are about, and beside each other; of no use when there are mistakes."""
    layers, found = Layers(), dict[str, Experiment]()
    for name, table in tables.items():
        experiment = found[name] = link_experiment(name, table, models, broken, wrong)
        objection = layers.objection(experiment)
        if objection is not None:
            wrong(f"experiments.{name}", *objection)
        else:
            layers.add(experiment)
    return found


def link_experiment(
    name: str, table: ExperimentTable, models: Mapping[str, Model], broken: Set[str], wrong: Wrong
) -> Experiment:
    """One experiment beside its model; of no use when there are mistakes.

    Args:
        broken: models that are wrong in themselves, about which nothing more is said.
    """
    at, model = f"experiments.{name}", models.get(table.model)
    if model is None:
        if table.model not in broken:
            wrong(at, "model", f"no model {table.model!r}; there are: {', '.join(models) or 'none'}")
        return table.build(name, Audience())
    for arm, of in table.arms.items():
        if of.variant is not None and of.variant not in model.variants:
            what = f"no variant {of.variant!r}; model {model.name!r} has: {', '.join(model.variants)}"
            wrong(f"{at}.arms.{arm}", "variant", what)
    experiment = table.build(name, _audience(at, table.audience, model, wrong))
    if experiment.unit.kind == "key" and experiment.unit.name:
        _is_part(at, "unit", experiment.unit.name, model, wrong)
    override = experiment.override
    if override and override.kind == "query" and override.name in {*RESERVED, *(c.name for c in model.context)}:
        wrong(at, "override", f"{override.name!r} means something else to model {model.name!r}; choose another name")
    return experiment


def _is_part(at: str, key: str, part: str, model: Model, wrong: Wrong) -> bool:
    if part not in model.key:
        wrong(at, key, f"no part {part!r}; the key of model {model.name!r} has: {', '.join(model.key)}")
    return part in model.key


def _audience(at: str, table: AudienceTable, model: Model, wrong: Wrong) -> Audience:
    at = f"{at}.audience"
    parts: dict[str, frozenset[str]] = {}
    for part, values in table.key.items():
        try:
            if _is_part(f"{at}.key", part, part, model, wrong):
                parts[part] = frozenset(canonical_part(str(value)) for value in values)
        except InvalidKey as error:
            wrong(f"{at}.key", part, str(error))
    headers: dict[str, frozenset[str]] = {}
    for name, values in table.header.items():
        if not name or not TOKEN.issuperset(name.lower()):
            wrong(f"{at}.header", name, "is no name of a header")
        headers[name.lower()] = frozenset(map(str, values))
    return Audience(parts, headers, _context(f"{at}.context", table, model, wrong))


def _context(at: str, table: AudienceTable, model: Model, wrong: Wrong) -> dict[str, frozenset[Scalar]]:
    fields = {field.name: field for field in model.context}
    found: dict[str, frozenset[Scalar]] = {}
    for name, values in table.context.items():
        if name not in fields:
            what = f"model {model.name!r} has no such context; it has: {', '.join(fields) or 'none'}"
            wrong(at, name, what)
            continue
        try:
            found[name] = frozenset(fields[name].parse(value) for value in values)
        except InvalidContext as error:
            wrong(at, name, str(error))
    return found
