"""`nearcast features`: rows into and out of the store."""

from __future__ import annotations

import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deploy.cli.invocation import Invocation, invocation
from deploy.cli.progress import progress_bar
from deploy.cli.show import Json, facts, show, tell
from precompute.errors import FeatureMissing, RowRejected

if TYPE_CHECKING:
    from precompute.features import PutResult
    from precompute.imports import ImportResult, RejectsFile, Rows
    from precompute.views import View

group = typer.Typer(no_args_is_help=True, help="Import, put, get and delete feature rows.", rich_markup_mode="markdown")

ViewName = Annotated[str, typer.Argument(metavar="VIEW", help="A view of the project.")]
Entity = Annotated[str, typer.Argument(metavar="ENTITY", help="Which row.")]


class Format(StrEnum):
    """What a file of rows may be."""

    csv = "csv"
    ndjson = "ndjson"
    parquet = "parquet"


@group.command("import", epilog="Example: nearcast features import weather weather.csv --entity-column station")
def import_(
    ctx: typer.Context,
    view: ViewName,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="CSV with a header, NDJSON or Parquet; the first two also as .gz.")
    ],
    entity_column: Annotated[str, typer.Option(help="The column that names the entity.")] = "entity",
    time_column: Annotated[
        str | None,
        typer.Option(
            help="The column of the event time: ISO 8601 (UTC unless it says otherwise) or epoch seconds or "
            "milliseconds. Else event_time, or now if there is no such column."
        ),
    ] = None,
    format: Annotated[Format | None, typer.Option(help="Else by the file's name.")] = None,
    rejects: Annotated[
        Path | None, typer.Option(help="Where rows go that cannot be stored; else FILE.rejects.ndjson.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Store the rows of a file; bad ones go to a rejects file with their reason and stop no other.

    In CSV an empty cell is a missing value, and a vector is a JSON array or numbers between semicolons. The exit
    status is 1 if not one row could be stored.
    """
    from precompute.columns import Wanted
    from precompute.imports import RejectsFile, read_rows

    call = invocation(ctx)
    wanted = Wanted(call.project.view(view), entity_column, time_column, time.time_ns() // 1_000_000)
    rows = read_rows(file, wanted, format.value if format else None)
    started_s = time.monotonic()
    with RejectsFile(rejects or Path(f"{file.name}.rejects.ndjson")) as rejected:
        result = _import(call, wanted.view, rows, rejected)
    document = _summary(view, file, result, time.monotonic() - started_s)
    if result.rejected:
        document["rejects_file"] = str(rejected.path)
        tell(f"{result.rejected:,} row(s) could not be stored; {rejected.path} says why")
    if rows.ignored:
        document["ignored_columns"] = rows.ignored
        tell(f"{view} has no field for: {', '.join(rows.ignored)}")
    show(document, lambda: facts(document.items()), as_json=as_json)
    if result.rows and result.rejected == result.rows:
        raise typer.Exit(1)


def _import(call: Invocation, view: View, rows: Rows, rejected: RejectsFile) -> ImportResult:
    from precompute.features import Features
    from precompute.imports import import_rows

    with call.primary() as store, progress_bar(f"importing {view.name}", "rows") as advance:
        return import_rows(Features(store, call.project), view.name, rows, rejected, advance)


def _summary(view: str, file: Path, result: ImportResult, took_s: float) -> dict[str, object]:
    return {
        "view": view,
        "file": str(file),
        "rows": result.rows,
        "written": result.put.written,
        "unchanged": result.put.unchanged,
        "late": result.put.late,
        "rejected": result.rejected,
        "seconds": round(took_s, 3),
        "rows_per_s": round(result.rows / took_s) if took_s else 0,
    }


@group.command(epilog="Example: nearcast features put weather JFK temp=21.5 wind=7 --event-time 2026-01-31T12:00:00Z")
def put(
    ctx: typer.Context,
    view: ViewName,
    entity: Entity,
    values: Annotated[list[str], typer.Argument(metavar="FIELD=VALUE", help="Vectors as [1,2] or 1;2.")],
    event_time: Annotated[str | None, typer.Option(help="When it became true: ISO 8601 or epoch; else now.")] = None,
    as_json: Json = False,
) -> None:
    """Store one row, whole: fields that are left out are missing from now on."""
    from precompute.event_times import event_ms
    from precompute.features import Features, Row

    call = invocation(ctx)
    declared = call.project.view(view)
    when = time.time_ns() // 1_000_000 if event_time is None else event_ms(event_time)
    row = Row(entity, dict(_field(declared, text) for text in values), when)
    with call.primary() as store:
        result = Features(store, call.project).put(view, [row])
    if result.rejected:
        raise RowRejected(result.rejected[0][1])
    show({"view": view, "entity": entity, "outcome": outcome(result)}, lambda: outcome(result), as_json=as_json)


@group.command(epilog="Example: nearcast features get weather JFK")
def get(ctx: typer.Context, view: ViewName, entity: Entity, as_json: Json = False) -> None:
    """Show one row as it is stored."""
    from precompute.features import Features
    from precompute.updates import milliseconds, stream_id, timestamp

    call = invocation(ctx)
    with call.primary() as store:
        row = Features(store, call.project).get(view, [entity])[0]
    if row is None:
        raise FeatureMissing(view, entity)
    head = {
        "view": view,
        "entity": row.entity,
        "event_time": timestamp(row.stamp.event_ms),
        "changed_at": timestamp(milliseconds(row.stamp.update_id)),
        "update_id": stream_id(row.stamp.update_id),
    }
    show({**head, "values": row.values}, lambda: facts([*head.items(), *row.values.items()]), as_json=as_json)


@group.command(epilog="Example: nearcast features delete weather JFK")
def delete(ctx: typer.Context, view: ViewName, entity: Entity, as_json: Json = False) -> None:
    """Forget one row, and the stored predictions made from it; edges stop using them at once."""
    from precompute.features import Features
    from precompute.forget import forget

    call = invocation(ctx)
    with call.primary() as store:
        result = Features(store, call.project).delete(view, [entity])
        with progress_bar("removing predictions", "entries") as advance:
            removed = forget(store, call.project, view, [entity], advance).removed
    document = {"view": view, "entity": entity, "outcome": outcome(result), "predictions_removed": removed}
    show(document, lambda: f"{outcome(result)}; {removed:,} prediction(s) removed", as_json=as_json)


def outcome(result: PutResult) -> str:
    """What became of the one row of a put: `written`, `unchanged`, `late`, `deleted` or `absent`."""
    return next(name for name in ("written", "unchanged", "late", "deleted", "absent") if getattr(result, name))


def _field(view: View, text: str) -> tuple[str, object]:
    from precompute.text_values import parser

    name, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"{text!r} is not FIELD=VALUE")
    field = view.field(name)
    if field is None:
        raise RowRejected(f"view {view.name!r} has no field {name!r}; it has: {', '.join(f.name for f in view.fields)}")
    return name, parser(field)(value)
