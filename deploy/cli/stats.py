"""`nearcast stats`: the dashboard's numbers in a terminal, by the same names."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Annotated

import typer

from deploy.cli.invocation import Invocation, invocation
from deploy.cli.show import Json, facts, show, table, tell

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from edge.dashboard.document import Document
    from edge.dashboard.experiment_state import ExperimentState
    from edge.dashboard.model_state import ModelState

_EVERY_S = 5.0
#: Rows of a table; a terminal has no more lines.
_MOST = 10
_LONGEST = 60

Range = Annotated[int, typer.Option("--range", min=60, max=86_400, help="Seconds to look back.", metavar="S")]
Node = Annotated[str | None, typer.Option(help="One edge node, as the list of nodes has it; else the fleet.")]


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(epilog="Example: nearcast stats --range 3600 --watch")(stats)


def stats(
    ctx: typer.Context,
    range_s: Range = 300,
    node: Node = None,
    watch: Annotated[bool, typer.Option("--watch", help="Again whenever there is news, until Ctrl-C.")] = False,
    as_json: Json = False,
) -> None:
    """Show how the fleet does: requests by tier, fresh hits and their cost, latencies, freshness, jobs, workers.

    The numbers and their names are those of the dashboard; `--json` prints its document.
    """
    call = invocation(ctx)
    _ = call.project  # Its mistakes are told first.
    if not watch:
        _show(_gather(call, range_s, node), as_json=as_json)
        return
    try:
        _watch(call, range_s, node, as_json=as_json)
    except KeyboardInterrupt:
        return


def _gather(call: Invocation, range_s: int, node: str | None) -> Document:
    from edge.dashboard.server import gathered

    return asyncio.run(gathered(call.settings, call.project, range_s, node))


def _show(document: Document, *, as_json: bool) -> None:
    import msgspec

    show(msgspec.to_builtins(document), lambda: _screen(document), as_json=as_json)


def _watch(call: Invocation, range_s: int, node: str | None, *, as_json: bool) -> None:
    import sys
    from contextlib import nullcontext

    from rich.live import Live

    from precompute.errors import StoreUnavailable

    screen = None if as_json or not sys.stdout.isatty() else Live(screen=True, auto_refresh=False)
    with screen or nullcontext():
        while True:
            try:
                document = _gather(call, range_s, node)
            except StoreUnavailable as error:
                tell(f"waiting for Redis: {error}")
            else:
                if screen is None:
                    _show(document, as_json=as_json)
                else:
                    screen.update(_screen(document), refresh=True)
            time.sleep(_EVERY_S)


def _screen(document: Document) -> RenderableType:
    from rich.console import Group

    return Group(_totals(document), *_tables(document))


def _totals(document: Document) -> RenderableType:
    it = document.totals
    tiers = ", ".join(f"{tier} {count:,}" for tier, count in it.tiers.items() if count)
    age, delay = _last(document.series.age_s.p50), _last(document.series.update_to_stale_ms.p99)
    return facts(
        [
            ("requests", f"{it.requests:,} in {document.range_s:,} s{f': {tiers}' if tiers else ''}"),
            ("errors, shed", f"{it.errors:,}, {it.shed:,}"),
            ("hit_ratio", _percent(it.hit_ratio)),
            ("fresh_hit_ratio", _percent(it.fresh_hit_ratio)),
            ("off_path_rows_per_request", it.off_path_rows_per_request),
            ("p50, p99, p999", ", ".join(map(_or_dash, (it.p50_ms, it.p99_ms, it.p999_ms))) + " ms"),
            ("age_s", f"p50 {_or_dash(age)}"),
            ("update_to_stale_ms", f"p99 {_or_dash(delay)}"),
            ("leader", document.leader.name if document.leader else None),
        ]
    )


_OF_MODELS = (
    "model",
    "variant",
    "version",
    "share",
    "p50_ms",
    "p99_ms",
    "expected_ms",
    "chosen",
    "over_budget",
    "loaded_in",
)


def _tables(document: Document) -> Iterator[RenderableType]:
    now_ms = document.now_ms
    yield table(
        ("node", "processes", "alive", "requests_per_s", "hit_ratio", "lag_s"),
        [(n.node, n.processes, n.alive, n.requests_per_s, _percent(n.hit_ratio), n.lag_s) for n in document.nodes],
        title="Nodes",
    )
    yield table(
        ("view", "sla_s", "within", "burn", "updates_per_s"),
        [(v.view, v.sla_s, _percent(v.within), v.burn, v.updates_per_s) for v in document.views],
        title="Views",
    )
    yield table(
        _OF_MODELS,
        [_model(m) for m in document.models[:_MOST]],
        title="Models",
    )
    yield table(
        ("breaker", "version", "state", "since_s_ago", "node", "why"),
        [
            (f"{b.model} {b.variant}", b.version, b.state, _ago_s(b.since_ms, now_ms), b.node, b.why[:_LONGEST])
            for b in document.breakers[:_MOST]
        ],
        title="Breakers that are not closed",
    )
    yield table(
        ("experiment", "arm", "share", "seen", "answers", "hits", "mean_ms", "sample_ratio_p"),
        [row for experiment in document.experiments.running[:_MOST] for row in _experiment(experiment)],
        title="Experiments",
    )
    yield table(
        ("model", "key", "rate_per_s", "trend"),
        [(h.model, h.key, h.rate_per_s, h.trend) for h in document.hot[:_MOST]],
        title="Hot keys",
    )
    yield table(
        ("worker", "alive", "progress_s_ago", "rows_per_s"),
        [(w.name, w.alive, _ago_s(w.last_progress_ms, now_ms), w.rows_per_s) for w in document.workers],
        title="Workers",
    )
    yield table(
        ("queue", "depth", "oldest_s"), [(q.name, q.depth, q.oldest_s) for q in document.queues], title="Queues"
    )
    yield table(
        ("job", "paused", "next_in_s", "last"),
        [
            (j.name, j.paused, None if j.next_ms is None else (j.next_ms - now_ms) / 1000, j.last and j.last.state)
            for j in document.jobs
        ],
        title="Jobs",
    )


def _model(it: ModelState) -> tuple[object, ...]:
    times = it.p50_ms, it.p99_ms, it.expected_ms
    return it.model, it.variant, it.version, _percent(it.share), *times, it.chosen, it.over_budget, it.loaded_in


def _experiment(it: ExperimentState) -> Iterator[tuple[object, ...]]:
    for arm in it.arms:
        hits, mean_ms = arm.hits and _percent(arm.hits.estimate), arm.mean_ms and arm.mean_ms.estimate
        seen = arm.seen and _percent(arm.seen.estimate)
        yield it.name, arm.arm, _percent(arm.share), seen, arm.answers, hits, mean_ms, it.sample_ratio_p


def _last(values: list[float | None]) -> float | None:
    return next((value for value in reversed(values) if value is not None), None)


def _ago_s(at_ms: int | None, now_ms: int) -> float | None:
    return None if at_ms is None else max(0, now_ms - at_ms) / 1000


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{share:.2%}"


def _or_dash(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
