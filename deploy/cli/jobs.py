"""`nearcast jobs`: computing many predictions ahead of time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deploy.cli.invocation import Invocation, invocation
from deploy.cli.progress import progress_bar
from deploy.cli.show import Json, facts, show, table, tell

if TYPE_CHECKING:
    from rich.console import RenderableType

    from workers.job_record import Failure, Progress
    from workers.jobs import Jobs
    from workers.key_sources import Source

group = typer.Typer(no_args_is_help=True, help="Run precompute jobs and look at them.", rich_markup_mode="markdown")

JobId = Annotated[str, typer.Argument(metavar="ID", help="The job, as `nearcast jobs list` shows it.")]

#: Failures that are shown unasked.
_SHOWN_FAILURES = 10


@contextmanager
def _jobs(call: Invocation) -> Iterator[Jobs]:
    from workers.jobs import Jobs
    from workers.task_queue import open_queue

    project, settings = call.project, call.settings
    with call.primary() as store:
        queue = open_queue(settings)
        try:
            yield Jobs(store, project, queue, chunk_keys=settings.chunk_keys, keep_s=settings.job_keep_s)
        finally:
            queue.close()


@group.command("run", epilog="Example: nearcast jobs run late --all --variant fast")
def run(
    ctx: typer.Context,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model of the project.")],
    everything: Annotated[
        bool, typer.Option("--all", help="Every key the model's all_keys view has a row for.")
    ] = False,
    keys: Annotated[Path | None, typer.Option(help="A text file with one key a line.", metavar="FILE")] = None,
    hot: Annotated[int | None, typer.Option(min=1, help="The N keys asked for most.", metavar="N")] = None,
    variant: Annotated[str | None, typer.Option(help="Else the model's default.")] = None,
    version: Annotated[int | None, typer.Option(help="Else what the variant serves.")] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Start it and do not wait for its end.")] = False,
    as_json: Json = False,
) -> None:
    """Have the predictions of many keys computed by the workers, and show how far they are.

    Ctrl-C ends the watching, not the job. The exit status is 1 if not one prediction could be computed.
    """
    source = _source(everything=everything, keys=keys, hot=hot)
    with _jobs(invocation(ctx)) as jobs:
        with progress_bar(f"listing keys of {model}", "keys") as advance:
            job = jobs.start(
                model, source, variant=variant, version=version, on_listed=lambda count: advance(None, count)
            )
        if detach:
            _show(jobs.progress(job.id), [], as_json=as_json)
        else:
            _follow(jobs, job.id, as_json=as_json)


def _source(*, everything: bool, keys: Path | None, hot: int | None) -> Source:
    from workers.key_sources import AllKeys, HotKeys, KeysFile

    if [everything, keys is not None, hot is not None].count(True) != 1:
        raise typer.BadParameter("say which keys: --all, --keys FILE or --hot N")
    if keys is not None:
        return KeysFile(keys)
    return HotKeys(hot) if hot is not None else AllKeys()


def _follow(jobs: Jobs, job_id: str, *, as_json: bool) -> None:
    try:
        with progress_bar(f"job {job_id}", "keys") as advance:
            for progress in jobs.watch(job_id):
                advance(progress.done / progress.total if progress.total else None, progress.done)
    except KeyboardInterrupt:
        tell(f"the workers go on with job {job_id}; nearcast jobs resume {job_id} watches it again")
        raise
    _show(progress, jobs.failures(job_id) if progress.failed else [], as_json=as_json)
    if progress.failed and not progress.written:
        raise typer.Exit(1)


@group.command("list", epilog="Example: nearcast jobs list")
def list_(ctx: typer.Context, as_json: Json = False) -> None:
    """List the jobs of the last days, newest first."""
    with _jobs(invocation(ctx)) as jobs:
        found = jobs.all()
    show({"jobs": [_document(progress) for progress in found]}, lambda: _listing(found), as_json=as_json)


@group.command("show", epilog="Example: nearcast jobs show late-1f3a5b7c")
def show_(ctx: typer.Context, job: JobId, as_json: Json = False) -> None:
    """Show how far one job has come."""
    with _jobs(invocation(ctx)) as jobs:
        progress = jobs.progress(job)
        failures = jobs.failures(job) if progress.failed else []
    _show(progress, failures, as_json=as_json)


@group.command("resume", epilog="Example: nearcast jobs resume late-1f3a5b7c")
def resume(ctx: typer.Context, job: JobId, as_json: Json = False) -> None:
    """Queue again what was lost with a killed worker, and watch the job to its end."""
    with _jobs(invocation(ctx)) as jobs:
        jobs.resume(job)
        _follow(jobs, job, as_json=as_json)


@group.command("failures", epilog="Example: nearcast jobs failures late-1f3a5b7c --json")
def failures(ctx: typer.Context, job: JobId, as_json: Json = False) -> None:
    """List keys that could not be computed, with the reason."""
    with _jobs(invocation(ctx)) as jobs:
        found = jobs.failures(job)
        failed = jobs.progress(job).failed
    document = {"job": job, "failed": failed, "failures": [asdict(failure) for failure in found]}
    show(document, lambda: _failures(found), as_json=as_json)
    if failed > len(found):
        tell(f"the first {len(found):,} of {failed:,} failures are kept")


def _show(progress: Progress, found: list[Failure], *, as_json: bool) -> None:
    document = _document(progress)
    show(document, lambda: facts((name, value) for name, value in document.items()), as_json=as_json)
    if found and not as_json:
        show(None, lambda: _failures(found[:_SHOWN_FAILURES]), as_json=False)
        if progress.failed > _SHOWN_FAILURES:
            tell(f"{progress.failed:,} keys failed; nearcast jobs failures {progress.job.id} lists them")


def _document(progress: Progress) -> dict[str, object]:
    from precompute.updates import timestamp

    job = progress.job
    return {
        "job": job.id,
        "state": progress.state,
        "model": job.model,
        "version": job.version,
        "variant": job.variant,
        "keys": job.source,
        "created_at": timestamp(job.created_ms),
        "finished_at": timestamp(progress.finished_ms) if progress.finished_ms else None,
        "total": progress.total,
        "written": progress.written,
        "failed": progress.failed,
        "keys_per_s": round(progress.keys_per_s),
        "eta_s": None if progress.eta_s is None or progress.finished_ms else round(progress.eta_s, 1),
    }


def _listing(found: list[Progress]) -> RenderableType:
    columns = ("job", "state", "keys", "total", "written", "failed", "keys_per_s", "created_at")
    documents = [_document(progress) for progress in found]
    return table(columns, [[document[name] for name in columns] for document in documents])


def _failures(found: list[Failure]) -> RenderableType:
    return table(("key", "reason"), [(failure.key, failure.reason) for failure in found])
