"""`nearcast jobs`: computing many predictions ahead of time.

Two words: a *declared job* has a name and is run by the schedulers, as the project file or `jobs add` says; a *job* is
one piece of work with an ID, whoever started it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deploy.cli import declared_jobs
from deploy.cli.declared_job_options import Dependents
from deploy.cli.declared_jobs import split_dependents
from deploy.cli.invocation import Invocation, invocation
from deploy.cli.job_answers import (
    declared_document,
    declared_documents,
    declared_table,
    failure_table,
    job_document,
    job_table,
    show_job,
)
from deploy.cli.job_desk import Desk, open_desk
from deploy.cli.progress import progress_bar
from deploy.cli.show import Json, facts, show, tell

if TYPE_CHECKING:
    from rich.console import RenderableType

    from precompute.declared_jobs import Declared
    from precompute.job_record import Progress
    from workers.key_sources import Source

group = typer.Typer(
    no_args_is_help=True, help="Run precompute jobs, now or by schedule, and look at them.", rich_markup_mode="markdown"
)

JobId = Annotated[str, typer.Argument(metavar="ID", help="The job, as `nearcast jobs list` shows it.")]
NameOrId = Annotated[
    str, typer.Argument(metavar="NAME|ID", help="A declared job, else the ID of a job; `nearcast jobs list` has both.")
]


@group.command("run", epilog="Example: nearcast jobs run late --all --variant fast")
def run(
    ctx: typer.Context,
    what: Annotated[
        str,
        typer.Argument(metavar="NAME|MODEL", help="A declared job; or a model, with an option that says which keys."),
    ],
    everything: Annotated[
        bool, typer.Option("--all", help="Every key the model's all_keys view has a row for.")
    ] = False,
    keys: Annotated[Path | None, typer.Option(help="A text file with one key a line.", metavar="FILE")] = None,
    hot: Annotated[int | None, typer.Option(min=1, help="The N keys asked for most.", metavar="N")] = None,
    dependents: Dependents = None,
    variant: Annotated[str | None, typer.Option(help="Else the model's default.")] = None,
    version: Annotated[int | None, typer.Option(help="Else what the variant serves.")] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Start it and do not wait for its end.")] = False,
    as_json: Json = False,
) -> None:
    """Have the predictions of many keys computed by the workers now, and show how far they are.

    With an option that says which keys, the argument is a model; without one, it is a declared job, which is run once
    beside its schedule, paused or not: its overlap and time limit are for runs by the schedulers.

    Ctrl-C ends the watching, not the job. The exit status is 1 if not one prediction could be computed.
    """
    call = invocation(ctx)
    if _says_keys(everything, keys, hot, dependents):
        source = _source(call, what, everything=everything, keys=keys, hot=hot, dependents=dependents)
        with open_desk(call) as desk:
            with _listing(what) as advance:
                job = desk.jobs.start(what, source, variant=variant, version=version, on_listed=advance)
            _answer(desk, job.id, detach=detach, as_json=as_json)
        return
    with open_desk(call) as desk:
        declared = desk.find(what)
        if declared is None:
            raise typer.BadParameter(
                f"{what!r} is no declared job; of a model, say which keys: "
                "--all, --keys FILE, --hot N or --dependents VIEW:ENTITY"
            )
        if variant or version:
            raise typer.BadParameter("--variant and --version go with a model; a declared job has its own")
        _run_declared(desk, declared, detach=detach, as_json=as_json)


def _says_keys(*options: object) -> bool:
    said = sum(option is not None and option is not False for option in options)
    if said > 1:
        raise typer.BadParameter("say which keys once: --all, --keys FILE, --hot N or --dependents VIEW:ENTITY")
    return said == 1


def _source(
    call: Invocation, model: str, *, everything: bool, keys: Path | None, hot: int | None, dependents: str | None
) -> Source:
    from workers.errors import JobRefused
    from workers.key_sources import AllKeys, DependentKeys, HotKeys, KeysFile

    if everything:
        return AllKeys()
    if keys is not None:
        return KeysFile(keys)
    if hot is not None:
        return HotKeys(hot)
    from precompute.key_text import canonical_part

    row = split_dependents(dependents or "")
    reads = [dependency.view for dependency in call.project.model(model).dependencies]
    if row["view"] not in reads:
        raise JobRefused(f"model {model!r} does not read view {row['view']!r}; it reads: {', '.join(reads)}")
    return DependentKeys(row["view"], canonical_part(row["entity"]))


def _run_declared(desk: Desk, declared: Declared, *, detach: bool, as_json: bool) -> None:
    from workers.jobs import Ticket
    from workers.schedule_runner import source_for

    schedule = declared.schedule
    ticket = Ticket(schedule=schedule.name, priority=schedule.priority)
    source = source_for(declared, desk.directory)
    with _listing(schedule.name) as advance:
        jobs = [
            desk.jobs.start(schedule.model, source, variant=chosen, on_listed=advance, ticket=ticket)
            for chosen in schedule.variants
        ]
    last = [desk.jobs.progress(job.id) if detach else _watch(desk, job.id) for job in jobs]
    documents = [job_document(progress) for progress in last]
    show({"declared_job": schedule.name, "jobs": documents}, lambda: job_table(documents), as_json=as_json)
    if not detach and any(progress.failed and not progress.written for progress in last):
        raise typer.Exit(1)


@contextmanager
def _listing(what: str) -> Iterator[Callable[[int], None]]:
    """A progress bar for the keys of a job."""
    with progress_bar(f"listing keys of {what}", "keys") as advance:
        yield lambda count: advance(None, count)


def _answer(desk: Desk, job_id: str, *, detach: bool, as_json: bool) -> None:
    if detach:
        show_job(desk.jobs.progress(job_id), [], as_json=as_json)
        return
    progress = _watch(desk, job_id)
    show_job(progress, desk.jobs.failures(job_id) if progress.failed else [], as_json=as_json)
    if progress.failed and not progress.written:
        raise typer.Exit(1)


def _watch(desk: Desk, job_id: str) -> Progress:
    try:
        with progress_bar(f"job {job_id}", "keys") as advance:
            for progress in desk.jobs.watch(job_id):
                advance(progress.done / progress.total if progress.total else None, progress.done)
    except KeyboardInterrupt:
        tell(f"the workers go on with job {job_id}; nearcast jobs resume {job_id} watches it again")
        raise
    return progress


@group.command("list", epilog="Example: nearcast jobs list")
def list_(ctx: typer.Context, as_json: Json = False) -> None:
    """List the declared jobs, and the jobs of the last days, newest first."""
    with open_desk(invocation(ctx)) as desk:
        declared = declared_documents(desk)
        jobs = [job_document(progress) for progress in desk.jobs.all()]
    show({"declared": declared, "jobs": jobs}, lambda: _listing_of(declared, jobs), as_json=as_json)


def _listing_of(declared: list[dict[str, object]], jobs: list[dict[str, object]]) -> RenderableType:
    from rich.console import Group

    return Group(*([declared_table(declared)] if declared else []), job_table(jobs))


@group.command("show", epilog="Example: nearcast jobs show late-1f3a5b7c")
def show_(ctx: typer.Context, what: NameOrId, as_json: Json = False) -> None:
    """Show a declared job and when it runs next, or how far one job has come."""
    with open_desk(invocation(ctx)) as desk:
        declared = desk.find(what)
        if declared is not None:
            document = declared_document(desk, declared)
            show(document, lambda: facts(document.items()), as_json=as_json)
            return
        progress = desk.jobs.progress(what)
        failures = desk.jobs.failures(what) if progress.failed else []
    show_job(progress, failures, as_json=as_json)


@group.command("resume", epilog="Example: nearcast jobs resume late-1f3a5b7c")
def resume(ctx: typer.Context, what: NameOrId, as_json: Json = False) -> None:
    """Let a paused declared job run again, or bring an interrupted job to its end.

    NAME: runs begin again when they are due; what was due while it was paused is not made up for.

    ID: queue again what was lost with a killed worker, and watch the job. If whoever listed its keys was stopped before
    the end, the keys are listed anew, for a job with a new ID.
    """
    with open_desk(invocation(ctx)) as desk:
        declared = desk.find(what)
        if declared is not None:
            desk.declared.resume(what)
            document = declared_document(desk, desk.declared.get(what))
            show(document, lambda: facts(document.items()), as_json=as_json)
            return
        job_id = desk.jobs.resume(what).job.id
        if job_id != what:
            tell(f"the keys of job {what} were not listed to the end; job {job_id} takes its place")
        _answer(desk, job_id, detach=False, as_json=as_json)


@group.command("failures", epilog="Example: nearcast jobs failures late-1f3a5b7c --json")
def failures(ctx: typer.Context, job: JobId, as_json: Json = False) -> None:
    """List keys that could not be computed, with the reason."""
    with open_desk(invocation(ctx)) as desk:
        found = desk.jobs.failures(job)
        failed = desk.jobs.progress(job).failed
    document = {"job": job, "failed": failed, "failures": [asdict(failure) for failure in found]}
    show(document, lambda: failure_table(found), as_json=as_json)
    if failed > len(found):
        tell(f"the first {len(found):,} of {failed:,} failures are kept")


declared_jobs.register(group)
