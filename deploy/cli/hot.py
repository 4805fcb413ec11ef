"""`nearcast hot`: what is asked for most, and what the refresher makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from deploy.cli.invocation import invocation
from deploy.cli.show import Json, show, table, tell

if TYPE_CHECKING:
    from precompute.hotkeys import HotState
    from precompute.models import Model
    from workers.plan_notes import PlanNote


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(epilog="Example: nearcast hot late --count 20")(hot)


def hot(
    ctx: typer.Context,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model of the project.")],
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="How many keys to show.")] = 20,
    as_json: Json = False,
) -> None:
    """Show the keys that are asked for most, with their requests per second over all edges.

    A key's rate is never overstated, and understated by at most the error bound. `chance` is that of a request before
    the next change, and `refreshed` whether the prediction is recomputed when something behind it changes; both as
    the refresher sees it, for the hottest keys while one runs.
    """
    from precompute import hotkeys
    from workers import plan_notes

    call = invocation(ctx)
    declared = call.project.model(model)
    with call.primary() as store:
        keys, state = hotkeys.snapshot(store, declared.name, count)
        note = plan_notes.read(store, declared.name)
    show(
        _document(declared, keys, state, note),
        lambda: table(("key", "requests/s", "share", "changes/s", "chance", "refreshed"), _rows(keys, state, note)),
        as_json=as_json,
    )
    if not as_json:
        tell(_summary(declared, state, note))


def _document(model: Model, keys: list[tuple[str, float]], state: HotState, note: PlanNote | None) -> dict[str, object]:
    from precompute.updates import timestamp

    return {
        "model": model.name,
        "requests_per_s": state.total_per_s,
        "error_per_s": state.error_per_s,
        "merged_at": timestamp(state.merged_ms) if state.merged_ms else None,
        "windows": state.windows,
        "corrupt_windows": state.corrupt,
        "refresh": model.policy.refresh,
        "plan": None
        if note is None
        else {
            "at": timestamp(note.at_ms),
            "hot_keys": note.hot,
            "refreshed_keys": note.refreshed,
            "rows_per_s": note.rows_per_s,
            "least_chance": note.least_chance,
            "row_us": note.row_us or None,
        },
        "keys": [_key(key, rate, state, note) for key, rate in keys],
    }


def _key(key: str, rate: float, state: HotState, note: PlanNote | None) -> dict[str, object]:
    found = None if note is None else note.keys.get(key)
    return {
        "key": key,
        "requests_per_s": rate,
        "at_most_per_s": rate + state.error_per_s,
        "expected_per_s": None if found is None else found.requests_per_s,
        "changes_per_s": None if found is None else found.changes_per_s,
        "chance": None if found is None else found.chance,
        "refreshed": None if found is None else found.refreshed,
    }


def _rows(keys: list[tuple[str, float]], state: HotState, note: PlanNote | None) -> list[list[object]]:
    total = state.total_per_s
    rows = []
    for key, rate in keys:
        of = _key(key, rate, state, note)
        share = f"{rate / total:.1%}" if total else None
        rows.append([key, rate, share, of["changes_per_s"], of["chance"], of["refreshed"]])
    return rows


def _summary(model: Model, state: HotState, note: PlanNote | None) -> str:
    text = f"{state.total_per_s:.4g} requests/s in all; a key's rate is short by at most {state.error_per_s:.4g}/s"
    if model.policy.refresh == "never":
        return f"{text}; refresh = never"
    if note is None:
        return f"{text}; no refresher has looked lately"
    return (
        f"{text}; refresh = {model.policy.refresh}: {note.refreshed:,} of {note.hot:,} hot keys, "
        f"about {note.rows_per_s:.3g} rows/s"
    )
