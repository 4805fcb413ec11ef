"""`nearcast jobs add|pause|remove|history`: jobs that schedulers run by themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from deploy.cli import declared_job_options as options
from deploy.cli.invocation import invocation
from deploy.cli.job_answers import (
    Document,
    declared_document,
    declared_documents,
    hand_document,
    run_document,
    run_table,
)
from deploy.cli.job_desk import Desk, open_desk
from deploy.cli.show import Json, facts, show

Name = Annotated[str, typer.Argument(metavar="NAME", help="A declared job, as `nearcast jobs list` shows it.")]


def register(group: typer.Typer) -> None:
    """Adds the commands."""
    group.command("add", epilog='Example: nearcast jobs add warm late --hot 10000 --cron "*/15 * * * *"')(add)
    group.command("pause", epilog="Example: nearcast jobs pause warm")(pause)
    group.command("remove", epilog="Example: nearcast jobs remove warm")(remove)
    group.command("history", epilog="Example: nearcast jobs history warm")(history)


def add(
    ctx: typer.Context,
    name: options.NewName,
    model: options.Model,
    everything: options.All = False,
    keys: options.Keys = None,
    hot: options.Hot = None,
    dependents: options.Dependents = None,
    variant: options.Variants = None,
    cron: options.Cron = None,
    every: options.Every = None,
    on: options.On = None,
    view: options.View = None,
    min_interval: options.MinInterval = None,
    window: options.Window = None,
    timezone: options.Timezone = None,
    jitter: options.Jitter = None,
    priority: options.TaskPriority = None,
    time_limit: options.TimeLimit = None,
    overlap: options.OnOverlap = None,
    missed: options.OnMissed = None,
    replace: options.Replace = False,
    as_json: Json = False,
) -> None:
    """Declare a job that the schedulers run from now on.

    The same can be written into the project file as `[jobs.NAME]`. The leading scheduler takes it up within a second.
    """
    said: dict[str, Any] = {
        "model": model,
        "variants": variant or None,
        "all": everything or None,
        "hot": hot,
        "keys": None if keys is None else str(keys),
        "dependents": None if dependents is None else split_dependents(dependents),
        "cron": cron,
        "every_s": every,
        "on": on,
        "view": view,
        "min_interval_s": min_interval,
        "window": window,
        "timezone": timezone,
        "jitter_s": jitter,
        "priority": priority,
        "time_limit_s": time_limit,
        "overlap": overlap,
        "missed": missed,
    }
    listed = [] if keys is None else _keys_of(keys)
    with open_desk(invocation(ctx)) as desk:
        table = {key: value for key, value in said.items() if value is not None}
        declared = desk.declared.add(name, table, listed, replace=replace)
        document = declared_document(desk, declared)
    show(document, lambda: facts(document.items()), as_json=as_json)


def split_dependents(text: str) -> dict[str, str]:
    """Reads `VIEW:ENTITY`."""
    view, colon, entity = text.partition(":")
    if not colon or not view or not entity:
        raise typer.BadParameter("--dependents is written as VIEW:ENTITY, such as weather:EWR")
    return {"view": view, "entity": entity}


def _keys_of(path: Path) -> list[str]:
    from precompute.job_record import Failure
    from workers.errors import JobRefused
    from workers.keys_file import read_keys_file

    found: list[str] = []
    for page in read_keys_file(path):
        for item in page:
            if isinstance(item, Failure):
                raise JobRefused(f"{path}: {item.key} {item.reason}")
            found.append(item)
    return found


def pause(ctx: typer.Context, name: Name, as_json: Json = False) -> None:
    """Let no run of a declared job begin until `nearcast jobs resume NAME`; one at work goes on.

    This works for jobs of the project file, too. What is due meanwhile is not made up for.
    """
    with open_desk(invocation(ctx)) as desk:
        desk.declared.pause(name)
        document = declared_document(desk, desk.declared.get(name))
    show(document, lambda: facts(document.items()), as_json=as_json)


def remove(ctx: typer.Context, name: Name, as_json: Json = False) -> None:
    """Forget a job that was added by command, and its history; a run at work goes on."""
    with open_desk(invocation(ctx)) as desk:
        desk.declared.remove(name)
        left = [document["name"] for document in declared_documents(desk)]
    document = {"removed": name, "left": left}
    show(document, lambda: facts([("removed", name), ("left", ", ".join(map(str, left)))]), as_json=as_json)


def history(
    ctx: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="A declared job; else all jobs.")] = None,
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="How many runs to show.")] = 20,
    as_json: Json = False,
) -> None:
    """Show the latest runs, newest first: start, end, keys, keys per second, failures, and why one did not happen.

    The last hundred ended runs of each declared job are kept; jobs that people run by hand, for some days.
    """
    with open_desk(invocation(ctx)) as desk:
        names = [desk.declared.get(name).schedule.name] if name else list(desk.declared.all().jobs)
        documents = _runs(desk, names) + [
            hand_document(progress)
            for progress in desk.jobs.all()
            if progress.job.fence is None and name in (None, progress.job.schedule)
        ]
    latest = sorted(documents, key=lambda d: str(d["ended_at"] or d["started_at"] or d["due_at"]), reverse=True)[:count]
    show({"runs": latest}, lambda: run_table(latest), as_json=as_json)


def _runs(desk: Desk, names: list[str]) -> list[Document]:
    runs = [run for known in desk.ledgers.read(names) if known.ledger for run in known.ledger.open]
    runs += [run for name in names for run in desk.ledgers.past(name)]
    return [run_document(desk, run) for run in runs]
