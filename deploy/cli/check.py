"""`nearcast check`: is the project file right?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deploy.cli.invocation import invocation
from deploy.cli.show import Json, show, table, tell
from precompute.errors import ManifestError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from precompute.manifest import Project


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(epilog="Example: nearcast check nearcast.toml")(check)


def check(
    ctx: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="The file to check; else the project file.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check the project file as a whole and name file, table and key of every mistake."""
    from precompute.manifest import load

    path = file or invocation(ctx).settings.project
    try:
        project = load(path)
    except ManifestError as error:
        if not as_json:
            raise
        problems = [{"file": p.file, "table": p.table, "key": p.key, "message": p.message} for p in error.problems]
        show({"ok": False, "file": str(path), "problems": problems}, str, as_json=True)
        raise typer.Exit(2) from None
    show({"ok": True, "file": str(path), **describe(project)}, lambda: _tables(project), as_json=as_json)
    if not as_json:
        tell(f"{path}: no mistakes")


def describe(project: Project) -> dict[str, object]:
    """The project as plain data."""
    views = [
        {
            "name": view.name,
            "entity": view.entity,
            "max_age_s": view.max_age_s,
            "fields": {field.name: str(field) for field in view.fields},
        }
        for view in project.views.values()
    ]
    models = [
        {
            "name": model.name,
            "key": model.shape(),
            "context": {field.name: field.kind for field in model.context},
            "depends_on": {d.view: d.template for d in model.dependencies},
            "variants": {v.name: v.quality for v in model.variants.values()},
            "default_variant": model.default_variant,
            "ttl_s": model.policy.ttl_s,
        }
        for model in project.models.values()
    ]
    experiments = [
        {"name": of.name, "model": of.model, "layer": of.layer, "slice": list(of.slice), "arms": of.shares}
        for of in project.experiments.values()
    ]
    return {"project": project.name, "views": views, "models": models, "experiments": experiments}


def _tables(project: Project) -> RenderableType:
    from rich.console import Group

    views = [
        (v.name, v.entity, len(v.fields), f"{v.max_age_s:g} s" if v.max_age_s else None, _fields(v.fields))
        for v in project.views.values()
    ]
    models = [
        (
            m.name,
            m.shape(),
            ", ".join(f"{d.view}={d.template}" for d in m.dependencies),
            ", ".join(f.name for f in m.context) or None,
            ", ".join(m.variants),
            f"{m.policy.ttl_s:g} s",
        )
        for m in project.models.values()
    ]
    parts = [table(("view", "entity", "fields", "fresh for", "types"), views, title=f"Views of {project.name}")]
    if models:
        columns = ("model", "key", "depends on", "context", "variants", "ttl")
        parts.append(table(columns, models, title="Models"))
    if project.experiments:
        rows = [
            (of.name, of.model, of.layer, f"{of.slice[0]:g} to {of.slice[1]:g}", str(of.unit), ", ".join(of.shares))
            for of in project.experiments.values()
        ]
        parts.append(table(("experiment", "model", "layer", "slice", "unit", "arms"), rows, title="Experiments"))
    return Group(*parts)


def _fields(fields: tuple[object, ...]) -> str:
    kinds: dict[str, int] = {}
    for field in fields:
        kinds[str(field)] = kinds.get(str(field), 0) + 1
    return ", ".join(f"{count} {kind}" if count > 1 else kind for kind, count in kinds.items())
