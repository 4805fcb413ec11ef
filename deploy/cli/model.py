"""`nearcast model`: versions of models."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deploy.cli.invocation import Invocation, invocation
from deploy.cli.shadow import shadow
from deploy.cli.show import Json, facts, show, table
from precompute.errors import VersionMissing

if TYPE_CHECKING:
    from rich.console import RenderableType

    from precompute.registry import Registry, Version
    from precompute.store import Store

group = typer.Typer(
    no_args_is_help=True, help="Publish, activate and look at model versions.", rich_markup_mode="markdown"
)

group.command(epilog="Example: nearcast model shadow late 8 --sample 5000")(shadow)

ModelName = Annotated[str, typer.Argument(metavar="MODEL", help="A model of the project.")]


@contextmanager
def _registry(call: Invocation) -> Iterator[Registry]:
    # The project first: a mistake in it must not wait for Redis.
    _ = call.project
    with call.primary() as store:
        yield _open(store, call)


def _open(store: Store, call: Invocation) -> Registry:
    from precompute.registry import Registry

    return Registry(store, call.project)


@group.command(epilog="Example: nearcast model publish late late.onnx --variant fast --note 'three months of data'")
def publish(
    ctx: typer.Context,
    model: ModelName,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An ONNX file.")],
    variant: Annotated[str | None, typer.Option(help="Which variant it is; else the model's default.")] = None,
    note: Annotated[str, typer.Option(help="A remark for people.")] = "",
    activate: Annotated[bool, typer.Option("--activate/--no-activate", help="Serve it right away.")] = True,
    warm: Annotated[
        bool, typer.Option("--warm", help="Serve it once the predictions asked for most have been computed with it.")
    ] = False,
    share: Annotated[
        float, typer.Option(min=0, max=1, help="With --warm: the share of the hot keys' requests to be ready.")
    ] = 0.95,
    hot: Annotated[int, typer.Option(min=1, help="With --warm: how many hot keys.", metavar="N")] = 10_000,
    timeout: Annotated[
        float, typer.Option(min=0, help="With --warm: give up after so many seconds, and serve what served before.")
    ] = 600.0,
    as_json: Json = False,
) -> None:
    """Check a model file against the project, store it as the next version, and serve it.

    With --warm, workers compute the hot keys first, so that hits do not dip; if they do not get that far in time,
    the version is published and does not serve, and the exit status is 1.
    """
    from deploy.cli.model_files import read_model

    call = invocation(ctx)
    if warm and not activate:
        raise typer.BadParameter("--warm is a way to activate; leave out --no-activate")
    chosen = variant or call.project.model(model).default_variant
    content = read_model(file)
    with call.primary() as store:
        registry = _open(store, call)
        found = registry.publish(
            model, chosen, content, now_ms=time.time_ns() // 1_000_000, note=note, activate=activate and not warm
        )
        more = _warmed(call, store, model, found, (share, hot, timeout), as_json=as_json) if warm else {}
        serving = registry.active(model).get(chosen) == found.version
    _show_version(model, found, serving=serving, as_json=as_json, more=more)


def _warmed(
    call: Invocation, store: Store, model: str, version: Version, goal: tuple[float, int, float], *, as_json: bool
) -> Mapping[str, object]:
    from deploy.cli.rollout import describe, refusal, roll_out
    from workers.rollout import Goal

    wanted = Goal(*goal)
    outcome = roll_out(call, store, model, version, wanted)
    if not outcome.flipped:
        if as_json:
            _show_version(model, version, serving=False, as_json=True, more=describe(outcome, wanted))
        raise refusal(model, version, outcome, wanted)
    return describe(outcome, wanted)


@group.command(epilog="Example: nearcast model activate late 7")
def activate(
    ctx: typer.Context,
    model: ModelName,
    version: Annotated[int, typer.Argument(metavar="VERSION", help="A published version.")],
    as_json: Json = False,
) -> None:
    """Serve a version that has been published."""
    with _registry(invocation(ctx)) as registry:
        found = registry.activate(model, version)
    _show_version(model, found, serving=True, as_json=as_json)


@group.command(epilog="Example: nearcast model rollback late")
def rollback(ctx: typer.Context, model: ModelName, as_json: Json = False) -> None:
    """Undo the latest activation of a model."""
    with _registry(invocation(ctx)) as registry:
        found = registry.rollback(model)
    _show_version(model, found, serving=True, as_json=as_json)


@group.command("list", epilog="Example: nearcast model list")
def list_(ctx: typer.Context, as_json: Json = False) -> None:
    """List all models with their versions."""
    call = invocation(ctx)
    with _registry(call) as registry:
        found = {name: (registry.versions(name), registry.active(name)) for name in call.project.models}
    models = [
        {
            "model": name,
            "active": active,
            "versions": [_document(name, v, serving=active.get(v.variant) == v.version) for v in versions],
        }
        for name, (versions, active) in found.items()
    ]
    show({"models": models}, lambda: _listing(found), as_json=as_json)


def _listing(found: dict[str, tuple[list[Version], dict[str, int]]]) -> RenderableType:
    rows: list[tuple[object, ...]] = []
    for name, (versions, active) in found.items():
        for v in versions:
            serving = "serving" if active.get(v.variant) == v.version else ""
            rows.append((name, v.version, v.variant, serving, _when(v), v.size, v.sha256[:12], v.note))
        if not versions:
            rows.append((name, None, "", "nothing published", "", None, "", ""))
    return table(("model", "version", "variant", "state", "published", "bytes", "sha256", "note"), rows)


@group.command("show", epilog="Example: nearcast model show late 7")
def show_(
    ctx: typer.Context,
    model: ModelName,
    version: Annotated[
        int | None, typer.Argument(metavar="VERSION", help="Else what the default variant serves.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show one version, with the signature of its file."""
    call = invocation(ctx)
    declared = call.project.model(model)
    with _registry(call) as registry:
        active = registry.active(model)
        number = version if version is not None else active.get(declared.default_variant)
        if number is None:
            raise VersionMissing(f"model {model!r}: nothing published for variant {declared.default_variant!r} yet")
        record = registry.version(model, number)
        signature = registry.load(model, number).session.signature
    document = _document(model, record, serving=active.get(record.variant) == number)
    more = {"key": declared.shape(), "depends_on": {d.view: d.template for d in declared.dependencies}}
    shown = {"inputs": [str(spec) for spec in signature.inputs], "outputs": [str(spec) for spec in signature.outputs]}
    reads = {"key": declared.shape(), "depends_on": ", ".join(f"{d.view}={d.template}" for d in declared.dependencies)}
    lines = {**document, **reads, **{name: "\n".join(specs) for name, specs in shown.items()}}
    show({**document, **more, "signature": signature.to_json()}, lambda: facts(lines.items()), as_json=as_json)


def _show_version(
    model: str, version: Version, *, serving: bool, as_json: bool, more: Mapping[str, object] | None = None
) -> None:
    document = _document(model, version, serving=serving)
    if more:
        document["rollout"] = more
    if more and not as_json:
        document |= {name: ", ".join(value) if isinstance(value, list) else value for name, value in more.items()}
        del document["rollout"]
    show(document, lambda: facts(document.items()), as_json=as_json)


def _document(model: str, version: Version, *, serving: bool) -> dict[str, object]:
    document = {"model": model, **asdict(version), "published_at": _when(version), "serving": serving}
    del document["published_ms"]
    return document


def _when(version: Version) -> str:
    from precompute.updates import timestamp

    return timestamp(version.published_ms)
