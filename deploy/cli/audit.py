"""`nearcast audit`: does any edge present as fresh what is not?"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deploy.cli.invocation import Invocation, invocation
from deploy.cli.progress import progress_bar
from deploy.cli.show import Json, facts, show, table, tell

if TYPE_CHECKING:
    from rich.console import RenderableType

    from deploy.audit.auditor import Auditor
    from precompute.models import Model
    from precompute.store import Store

_LABELS = {
    "samples": "answers",
    "correct": "correct",
    "in_flight": "change on its way",
    "in_flight_beyond_lag": "  longer than the edge's lag",
    "honestly_stale": "honestly stale",
    "unavailable": "unavailable",
    "unjudged": "not judged",
    "falsely_fresh": "FALSELY FRESH",
    "wrong": "WRONG",
    "not_forgotten": "NOT FORGOTTEN",
}
_SPREADS = {
    "age_s": "age of predictions",
    "in_flight_for_s": "change on its way since",
    "stale_for_s": "stale since",
}


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(epilog="Example: nearcast audit late --samples 5000")(audit)


def audit(
    ctx: typer.Context,
    model: Annotated[str | None, typer.Argument(metavar="MODEL", help="Else every model that serves.")] = None,
    url: Annotated[
        list[str] | None, typer.Option(help="URL of an edge, once for each; else the one that runs here.")
    ] = None,
    samples: Annotated[int, typer.Option(min=1, help="Keys to ask each edge about, in each round.")] = 1000,
    continuously: Annotated[
        bool, typer.Option("--continuously", help="Round after round, a line for each, until Ctrl-C.")
    ] = False,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds from round to round.", metavar="S")] = 10.0,
    as_json: Json = False,
) -> None:
    """Ask edges as a client would, and hold each answer against what the primary's rows give.

    Half the keys are hot, half are picked from all that are known. The exit status is 1 if an answer was falsely
    fresh: presented as fresh although a row behind it had changed before the request, by more than the model's
    max_lag_s; or wrong with no change to explain it; or served although a row behind it had been deleted.
    """
    from contextlib import ExitStack, closing
    from random import Random

    from deploy.audit.auditor import Auditor
    from deploy.audit.edges import EdgeClient

    call = invocation(ctx)
    with ExitStack() as resources:
        edges = [resources.enter_context(closing(EdgeClient(address))) for address in url or [call.edge_url]]
        store = resources.enter_context(call.primary())
        auditor = Auditor(store, call.project, _models(call, store, model), edges, Random())  # noqa: S311
        if continuously:
            _go_on(auditor, store, samples, every, as_json=as_json)
        else:
            _once(auditor, samples, as_json=as_json)
            _note(auditor, store)
    if auditor.report.violations:
        raise typer.Exit(1)


def _models(call: Invocation, store: Store, name: str | None) -> list[Model]:
    from deploy.audit.auditor import NothingToAudit
    from precompute.registry import Registry

    registry = Registry(store, call.project)
    wanted = [call.project.model(name)] if name else list(call.project.models.values())
    serving = [model for model in wanted if model.default_variant in registry.active(model.name)]
    if not serving:
        raise NothingToAudit(f"{name or 'no model'} serves no version; nearcast model publish makes one")
    return serving


def _once(auditor: Auditor, samples: int, *, as_json: bool) -> None:
    drawn = auditor.draw(samples)
    with progress_bar("asking", "keys") as advance:
        for count, (model, key) in enumerate(drawn, 1):
            auditor.audit(model, key)
            advance(count / len(drawn), count)
    document = auditor.report.document()
    show(document, lambda: _table(document), as_json=as_json)
    _tell_examples(document)


def _note(auditor: Auditor, store: Store) -> None:
    """Leaves the figures where metrics are made from them."""
    from precompute import audit_note

    report = auditor.report
    at_ms = time.time_ns() // 1_000_000
    audit_note.write(store, audit_note.AuditNote(at_ms, report.counts.total(), report.violations))


def _go_on(auditor: Auditor, store: Store, samples: int, every_s: float, *, as_json: bool) -> None:
    """Each line has the figures of all rounds so far."""
    from precompute.errors import StoreUnavailable

    away = False
    try:
        while True:
            next_s = time.monotonic() + every_s
            try:
                for model, key in auditor.draw(samples):
                    auditor.audit(model, key)
                _note(auditor, store)
                away = False
            except StoreUnavailable as error:
                if not away:
                    tell(f"waiting for the primary: {error}")
                away = True
            document = auditor.report.document()
            print(json.dumps(document) if as_json else _line(document), flush=True)
            time.sleep(max(0.0, next_s - time.monotonic()))
    except KeyboardInterrupt:
        _tell_examples(auditor.report.document())


def _line(document: Mapping[str, Any]) -> str:
    shown = [f"{_LABELS[name].strip()} {document[name]:,}" for name in _LABELS if document[name] or name == "samples"]
    return f"{time.strftime('%H:%M:%S')}  {', '.join(shown)}; {_consistency(document)}"


def _table(document: Mapping[str, Any]) -> RenderableType:
    from rich.console import Group

    counts = [(label, f"{document[name]:,}") for name, label in _LABELS.items()]
    ages = [(label, *document[name].values()) for name, label in _SPREADS.items() if document[name]]
    return Group(
        facts([*counts, ("consistency", _consistency(document))]),
        table(("seconds", "p50", "p95", "max"), ages),
    )


def _consistency(document: Mapping[str, Any]) -> str:
    if document["consistency"] is None:
        return "no answer was presented as fresh"
    return (
        f"{document['consistency']:.6%} of {document['fresh_answers']:,} fresh answers were; "
        f"at least {document['nines']:.1f} nines (95 % certain)"
    )


def _tell_examples(document: Mapping[str, Any]) -> None:
    for example in document["examples"]:
        tell(f"{example['verdict']}: {json.dumps(example)}")
    sys.stderr.flush()
