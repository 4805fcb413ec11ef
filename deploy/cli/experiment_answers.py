"""How experiments and their reports are shown."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy.cli.show import table
from precompute.errors import InvalidRequest
from precompute.updates import timestamp

if TYPE_CHECKING:
    from rich.console import RenderableType

    from precompute.declared_experiments import Declared
    from precompute.experiment_report import Interval
    from precompute.experiment_results import ArmReport, Outcome, Report
    from precompute.experiments import Experiment

Document = dict[str, Any]

_COLUMNS = ("name", "declared_in", "model", "layer", "slice", "unit", "arms", "start", "end", "state")
_ARM_COLUMNS = ("arm", "share", "units", "of_units", "answers", "hits", "mean_ms", "p50_ms", "p95_ms")


def declared_document(declared: Declared) -> Document:
    """One experiment as plain data."""
    it, shares = declared.experiment, declared.experiment.shares
    audience = {
        f"{kind}.{name}": sorted(values, key=str)
        for kind, part in (("key", it.audience.key), ("header", it.audience.header), ("context", it.audience.context))
        for name, values in part.items()
    }
    return {
        "name": it.name,
        "state": _state(it, time.time_ns() // 1_000_000),
        "declared_in": "project file" if declared.origin == "manifest" else "command",
        "model": it.model,
        "layer": it.layer,
        "slice": list(it.slice),
        "unit": str(it.unit),
        "arms": {
            arm.name: {"variant": arm.variant, "version": arm.version, "share": shares[arm.name]} for arm in it.arms
        },
        "audience": audience,
        "start": timestamp(it.start_ms) if it.start_ms else None,
        "end": None if it.end_ms is None else timestamp(it.end_ms),
        "stopped_at": None if declared.stopped_ms is None else timestamp(declared.stopped_ms),
        "salt": it.salt,
        "override": None if it.override is None else str(it.override),
        "sample": it.sample,
    }


def _state(experiment: Experiment, now_ms: int) -> str:
    if experiment.is_over(now_ms):
        return "over"
    return "running" if experiment.runs(now_ms) else "waiting"


def as_facts(document: Document) -> Iterable[tuple[str, object]]:
    """One experiment, for people."""
    return [(name, _arms(value) if name == "arms" else _flat(value)) for name, value in document.items()]


def _arms(arms: dict[str, Document]) -> str:
    return ", ".join(f"{name}: {of['variant'] or of['version']} {of['share']:.4g}" for name, of in arms.items())


def _flat(value: object) -> object:
    if isinstance(value, dict):
        return "; ".join(f"{name} in {', '.join(map(str, values))}" for name, values in value.items()) or None
    return " to ".join(f"{one:g}" for one in value) if isinstance(value, list) else value


def listing(documents: Sequence[Document]) -> RenderableType:
    """Experiments, one a line."""
    return table(_COLUMNS, [[dict(as_facts(document))[name] for name in _COLUMNS] for document in documents])


def report_document(declared: Declared, report: Report, came: tuple[bool, list[Outcome]] | None) -> Document:
    """A report as plain data; what nobody knows is null."""
    document: Document = {
        "experiment": declared_document(declared),
        "confidence": 0.95,
        "sample_ratio": {"p": report.sample_ratio_p, "mismatch": report.is_mismatch},
        "records": {"kept": report.records, "gone": report.records_gone, "of_earlier_shares": report.records_earlier},
        "arms": [_arm(arm) for arm in report.arms],
    }
    if came is not None:
        binary, outcomes = came
        document["outcomes"] = {
            "kind": "share" if binary else "mean",
            "arms": [_outcome(outcome) for outcome in outcomes],
        }
    return document


def _arm(arm: ArmReport) -> Document:
    return {
        "arm": arm.name,
        "share": arm.share,
        "units": arm.unit_count,
        "of_units": _interval(arm.units),
        "answers": dict(arm.answers),
        "overrides": arm.overrides,
        "records": arm.records,
        "versions": list(arm.versions),
        "hits": _interval(arm.hits),
        "mean_ms": _interval(arm.mean_ms),
        "p50_ms": _interval(arm.p50_ms),
        "p95_ms": _interval(arm.p95_ms),
    }


def _outcome(outcome: Outcome) -> Document:
    difference = None if outcome.difference is None else _interval(outcome.difference)
    return {
        "arm": outcome.name,
        "units": outcome.units,
        "value": _interval(outcome.value),
        "difference_to_first": difference,
    }


def _interval(of: Interval) -> Document | None:
    if math.isnan(of.estimate):
        return None
    low, high = (None if math.isnan(bound) else bound for bound in (of.low, of.high))
    return {"estimate": of.estimate, "low": low, "high": high}


def report_tables(document: Document) -> RenderableType:
    """A report, for people."""
    from rich.console import Group

    rows = [[_cell(name, arm) for name in _ARM_COLUMNS] for arm in document["arms"]]
    ratio = document["sample_ratio"]
    verdict = "too few units to say" if ratio["p"] is None else f"p = {ratio['p']:.3g}"
    parts = [table(_ARM_COLUMNS, rows, title=f"{document['experiment']['name']}: sample ratio {verdict}")]
    if "outcomes" in document:
        columns = ("arm", "units", document["outcomes"]["kind"], "difference_to_first")
        cells = [
            [of["arm"], of["units"], _shown(of["value"]), _shown(of["difference_to_first"])]
            for of in document["outcomes"]["arms"]
        ]
        parts.append(table(columns, cells, title="Outcomes"))
    return Group(*parts)


def _cell(name: str, arm: Document) -> object:
    value = arm[name]
    if name == "answers":
        return sum(value.values())
    return _shown(value) if isinstance(value, dict) else value


def _shown(interval: Document | None) -> str | None:
    if interval is None:
        return None
    low, high = ("?" if bound is None else f"{bound:.4g}" for bound in (interval["low"], interval["high"]))
    return f"{interval['estimate']:.4g} [{low}, {high}]"


def remarks(report: Report) -> list[str]:
    """What else a reader must know."""
    found = []
    if report.is_mismatch:
        found.append(
            f"sample ratio mismatch: chance brings such numbers of units once in {1 / report.sample_ratio_p:,.0f} times"
            if report.sample_ratio_p
            else "sample ratio mismatch: chance never brings such numbers of units"
        )
        found.append("units are missing from some arms; find out why before believing anything else in here")
    if report.records_gone:
        found.append(f"the oldest {report.records_gone:,} record(s) have made room; units and latency are of the rest")
    if report.records_earlier:
        found.append(f"{report.records_earlier:,} record(s) are from before shares were changed, and left out")
    return found


def read_outcomes(path: Path) -> dict[str, float]:
    """What came of each unit, from a CSV file with the columns unit and value.

    Raises:
        InvalidRequest: the file is not one; names the line.
        OSError: it cannot be read.
    """
    found: dict[str, float] = {}
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        if not {"unit", "value"} <= set(rows.fieldnames or ()):
            raise InvalidRequest(f"{path}: the first line must name the columns unit and value")
        for row in rows:
            try:
                value = float(row["value"])
            except (TypeError, ValueError):
                value = math.nan
            if not math.isfinite(value) or not row["unit"]:
                raise InvalidRequest(f"{path}: line {rows.line_num} has no unit, or a value that is no number")
            found[row["unit"]] = found.get(row["unit"], 0.0) + value
    return found
