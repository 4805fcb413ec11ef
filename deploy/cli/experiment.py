"""`nearcast experiment`: which of a model's variants or versions does better, told by those who use it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deploy.cli import experiment_answers as answers
from deploy.cli.invocation import Invocation, invocation
from deploy.cli.show import Json, facts, show, tell

if TYPE_CHECKING:
    from precompute.declared_experiments import Declared
    from precompute.store import Store

group = typer.Typer(
    no_args_is_help=True, help="Compare variants and versions on real requests.", rich_markup_mode="markdown"
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="As `nearcast experiment list` shows it.")]
Arms = Annotated[
    list[str],
    typer.Option(
        help="What some of the units get, with its share compared to the others; the first one is the control. "
        "Repeat it for each arm.",
        metavar="NAME=VARIANT|VERSION[:SHARE]",
    ),
]
Unit = Annotated[
    str | None, typer.Option(help="What is assigned: key (the default), key.PART or header.NAME.", metavar="PLACE")
]
Layer = Annotated[
    str | None, typer.Option(help="Experiments of one layer share no units; else the model's.", metavar="LAYER")
]
Share = Annotated[float | None, typer.Option(help="Of all units, wherever the layer has room.", min=0.0, max=1.0)]
Slice = Annotated[str | None, typer.Option("--slice", help="Which units of the layer; else all.", metavar="FROM:TO")]
Audience = Annotated[
    list[str] | None,
    typer.Option(
        help="Who takes part: those with one of these values; may be repeated.",
        metavar="key.PART|header.NAME|context.FIELD=VALUE[,VALUE]",
    ),
]
Start = Annotated[str | None, typer.Option(help="Such as 2026-03-01T09:00:00Z; else now.", metavar="TIME")]
End = Annotated[str | None, typer.Option(help="Else when it is stopped.", metavar="TIME")]
Salt = Annotated[str | None, typer.Option(help="Another one deals the arms anew; else the name.")]
Override = Annotated[
    str | None, typer.Option(help="Where testers name an arm: header.NAME or query.NAME.", metavar="PLACE")
]
Sample = Annotated[float | None, typer.Option(help="Share of the units whose answers are recorded; else 1.", max=1.0)]
Replace = Annotated[bool, typer.Option("--replace", help="Take the place of one added before, to change its shares.")]


@group.command(
    "add", epilog="Example: nearcast experiment add faster late --arm control=default --arm fast=fast --unit key.flight"
)
def add(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it: a-z, 0-9, _ and -.")],
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model of the project.")],
    arm: Arms,
    unit: Unit = None,
    layer: Layer = None,
    share: Share = None,
    slice_: Slice = None,
    audience: Audience = None,
    start: Start = None,
    end: End = None,
    salt: Salt = None,
    override: Override = None,
    sample: Sample = None,
    replace: Replace = False,
    as_json: Json = False,
) -> None:
    """Declare an experiment, which edges take up within a second.

    The same can be written into the project file as `[experiments.NAME]`. An arm is a variant, in whichever version is
    active, or a version by its number. When shares change, as few units move to another arm as can be.
    """
    if share is not None and slice_ is not None:
        raise typer.BadParameter("--share finds a slice and --slice names one; say one of them")
    said: dict[str, Any] = {
        "model": model,
        "arms": _arms(arm),
        "unit": unit,
        "layer": layer,
        "slice": None if slice_ is None else _slice(slice_),
        "audience": _audience(audience or []) or None,
        "start": start,
        "end": end,
        "salt": salt,
        "override": override,
        "sample": sample,
    }
    table = {key: value for key, value in said.items() if value is not None}
    call = invocation(ctx)
    with call.primary() as store:
        from precompute.experiment_store import ExperimentStore

        declared = ExperimentStore(store, call.project).add(name, table, share=share, replace=replace)
        waiting = _waiting(store, call, declared)
    document = answers.declared_document(declared)
    show(document, lambda: facts(answers.as_facts(document)), as_json=as_json)
    if waiting:
        tell(f"it waits for a version of {', '.join(waiting)}, of which none is published yet")


def _arms(texts: list[str]) -> dict[str, dict[str, object]]:
    arms: dict[str, dict[str, object]] = {}
    for text in texts:
        name, equals, rest = text.partition("=")
        what, colon, share = rest.partition(":")
        if not equals or not what or name in arms:
            raise typer.BadParameter(f"--arm {text}: write each arm once, as NAME=VARIANT or NAME=VERSION, with :SHARE")
        arms[name] = {"version": int(what)} if what.isdecimal() else {"variant": what}
        if colon:
            arms[name]["share"] = _number(share, f"--arm {text}")
    return arms


def _slice(text: str) -> list[float]:
    low, colon, high = text.partition(":")
    if not colon:
        raise typer.BadParameter("--slice is written as FROM:TO, such as 0.2:0.4")
    return [_number(low, "--slice"), _number(high, "--slice")]


def _number(text: str, where: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"{where}: {text!r} is not a number") from None


def _audience(texts: list[str]) -> dict[str, dict[str, list[str]]]:
    found: dict[str, dict[str, list[str]]] = {}
    for text in texts:
        place, equals, values = text.partition("=")
        kind, dot, name = place.partition(".")
        if not equals or not dot:
            raise typer.BadParameter(f"--audience {text}: write PLACE=VALUE, such as key.origin=EWR,JFK")
        found.setdefault(kind, {})[name] = values.split(",")
    return found


def _waiting(store: Store, call: Invocation, declared: Declared) -> list[str]:
    from precompute.registry import Registry

    active = Registry(store, call.project).active(declared.experiment.model)
    return [arm.variant for arm in declared.experiment.arms if arm.variant and arm.variant not in active]


@group.command("list", epilog="Example: nearcast experiment list")
def list_(ctx: typer.Context, as_json: Json = False) -> None:
    """List the experiments of the project file and those added by command, and how each stands."""
    from precompute.experiment_store import ExperimentStore

    call = invocation(ctx)
    with call.primary() as store:
        found = ExperimentStore(store, call.project).all()
    documents = [answers.declared_document(declared) for declared in found.experiments.values()]
    show({"experiments": documents, "broken": dict(found.broken)}, lambda: answers.listing(documents), as_json=as_json)
    for name, reason in found.broken.items():
        tell(f"experiment {name} does not run: {reason}")


@group.command("show", epilog="Example: nearcast experiment show faster")
def show_(ctx: typer.Context, name: Name, as_json: Json = False) -> None:
    """Show everything that is declared about an experiment."""
    from precompute.experiment_store import ExperimentStore

    call = invocation(ctx)
    with call.primary() as store:
        document = answers.declared_document(ExperimentStore(store, call.project).get(name))
    show(document, lambda: facts(answers.as_facts(document)), as_json=as_json)


@group.command("stop", epilog="Example: nearcast experiment stop faster")
def stop(ctx: typer.Context, name: Name, as_json: Json = False) -> None:
    """End an experiment now and for good: everybody gets the default again within a second.

    This works for experiments of the project file, too. What was recorded stays.
    """
    from precompute.experiment_store import ExperimentStore

    call = invocation(ctx)
    with call.primary() as store:
        document = answers.declared_document(ExperimentStore(store, call.project).stop(name))
    show(document, lambda: facts(answers.as_facts(document)), as_json=as_json)


@group.command("remove", epilog="Example: nearcast experiment remove faster")
def remove(ctx: typer.Context, name: Name, as_json: Json = False) -> None:
    """Forget an experiment that is over, with everything it has recorded."""
    from precompute.experiment_store import ExperimentStore

    call = invocation(ctx)
    with call.primary() as store:
        ExperimentStore(store, call.project).remove(name)
    show({"removed": name}, lambda: facts([("removed", name)]), as_json=as_json)


@group.command("report", epilog="Example: nearcast experiment report faster --outcomes bought.csv")
def report(
    ctx: typer.Context,
    name: Name,
    outcomes: Annotated[
        Path | None,
        typer.Option(
            help="A CSV file with the columns unit and value; values of one unit are summed up. All 0 or 1: shares are "
            "compared, else means.",
            metavar="FILE",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what an experiment has come to: units, tiers and latency of each arm, with 95 % confidence intervals.

    First of all look at the sample ratio: if units are missing from some arms, nothing else is to be believed. The
    intervals are for one look at a time fixed before, not for looking until one pleases.
    """
    from precompute import experiment_results as results
    from precompute.experiment_store import ExperimentStore
    from precompute.exposures import read_answers, read_exposures

    call = invocation(ctx)
    values = None if outcomes is None else answers.read_outcomes(outcomes)
    with call.primary() as store:
        declared = ExperimentStore(store, call.project).get(name)
        tally = results.tally(declared.experiment, read_exposures(store, name))
        found = results.report(declared.experiment, tally, read_answers(store, name))
    came = None if values is None else results.outcomes(tally, values)
    document = answers.report_document(declared, found, came)
    show(document, lambda: answers.report_tables(document), as_json=as_json)
    if not as_json:
        for remark in answers.remarks(found):
            tell(remark)
