"""`nearcast model shadow`: what another version would say, compared with the one that serves."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deploy.cli.invocation import Invocation, invocation
from deploy.cli.progress import progress_bar
from deploy.cli.show import Json, facts, show, table
from precompute.errors import InvalidRequest, PermanentError, VersionMissing

if TYPE_CHECKING:
    from rich.console import RenderableType

    from precompute.models import Key, Model
    from precompute.predictor import Predictor
    from precompute.shadow import Comparison
    from precompute.store import Store


def shadow(
    ctx: typer.Context,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model of the project.")],
    version: Annotated[int, typer.Argument(metavar="VERSION", help="A published version, as `model list` shows it.")],
    sample: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="How many keys, the hottest first; any if none is hot.")
    ] = 1000,
    tolerance: Annotated[float, typer.Option(min=0, help="Differences up to this do not count.")] = 0.01,
    as_json: Json = False,
) -> None:
    """Compute live keys with a version and with the one that serves, from the same rows, and compare.

    Nothing is stored, and nothing of it is served.
    """
    call = invocation(ctx)
    declared = call.project.model(model)
    with call.primary() as store:
        active, candidate = _predictors(call, store, declared, version)
        keys = _sample(call, store, declared, sample)
        document, found = _compared(store, active, candidate, keys, tolerance)
    show(document, lambda: _for_people(document, found), as_json=as_json)


def _predictors(call: Invocation, store: Store, model: Model, version: int) -> tuple[Predictor, Predictor]:
    """The one that serves the version's variant, and the version's."""
    from workers.workplace import Workplace

    place = Workplace(store, call.project)
    record = place.registry.version(model.name, version)
    serving = place.registry.active(model.name).get(record.variant)
    if serving is None:
        raise VersionMissing(f"model {model.name!r} serves nothing of variant {record.variant!r} to compare with")
    if serving == version:
        raise InvalidRequest(f"version {version} of {model.name!r} is the one that serves; name another one")
    return place.predictor(model.name, serving), place.predictor(model.name, version)


def _sample(call: Invocation, store: Store, model: Model, count: int) -> list[Key]:
    """The hottest keys; where nobody asks yet, any that there are rows for."""
    from precompute import hotkeys
    from workers.key_listing import list_keys
    from workers.key_sources import AllKeys

    keys = _parsed(model, [key for key, _ in hotkeys.top(store, model.name, count)])
    if keys or model.all_keys is None:
        return keys
    for page in list_keys(AllKeys(), store, call.project, model):
        keys += _parsed(model, [key for key in page if isinstance(key, str)])
        if len(keys) >= count:
            break
    return keys[:count]


def _parsed(model: Model, texts: list[str]) -> list[Key]:
    keys = []
    for text in texts:
        try:
            keys.append(model.parse_key(text))
        except PermanentError:
            continue  # Counted under a declaration that has changed since.
    return keys


def _compared(
    store: Store, active: Predictor, candidate: Predictor, keys: list[Key], tolerance: float
) -> tuple[dict[str, Any], Comparison]:
    from precompute.shadow import compare

    name = active.servable.model.name
    if not keys:
        raise InvalidRequest(f"no keys to compare: nobody has asked for {name!r} yet, and it lists none (all_keys)")
    done = 0
    with progress_bar(f"comparing version {candidate.servable.version}", "keys") as advance:

        def count(more: int) -> None:
            nonlocal done
            done += more
            advance(done / len(keys), done)

        found = compare(store, active, candidate, keys, tolerance, lambda: time.time_ns() // 1_000_000, count)
    head = {
        "model": name,
        "variant": active.servable.variant,
        "active": active.servable.version,
        "candidate": candidate.servable.version,
        "keys": len(keys),
    }
    return {**head, **_document(found)}, found


def _document(found: Comparison) -> dict[str, Any]:
    return {
        "compared": found.compared,
        "tolerance": found.tolerance,
        "share_beyond_tolerance": found.share_beyond,
        "outputs": {
            name: {
                "mean_abs": output.mean,
                "max_abs": output.largest,
                "share_beyond_tolerance": output.share_beyond,
                "not_comparable": output.unlike,
            }
            for name, output in sorted(found.outputs.items())
        },
        "worst": [
            {
                "key": worst.key,
                "difference": None if math.isinf(worst.difference) else worst.difference,
                "active": worst.active,
                "candidate": worst.candidate,
            }
            for worst in sorted(found.worst, reverse=True)
        ],
        "fails_only_with_candidate": found.broken,
        "fails_only_with_active": found.mended,
        "fails_with_both": found.failed,
        "reasons": [{"key": key, "reason": reason} for key, reason in found.reasons],
    }


def _for_people(document: Mapping[str, Any], found: Comparison) -> RenderableType:
    from rich.console import Group

    head = (
        ("model", f"{document['model']} ({document['variant']})"),
        ("versions", f"{document['active']} serves, {document['candidate']} in its shadow"),
        ("keys compared", document["compared"]),
        ("differ by more", f"{found.share_beyond:.1%} (tolerance {found.tolerance:g})"),
        ("fail only with the new one", found.broken),
        ("fail only with the old one", found.mended),
        ("fail with both", found.failed),
    )
    outputs = [
        (name, output.mean, output.largest, f"{output.share_beyond:.1%}", output.unlike)
        for name, output in sorted(found.outputs.items())
    ]
    worst = [(w["key"], w["difference"], str(w["active"]), str(w["candidate"])) for w in document["worst"]]
    parts = [facts(head), table(("output", "mean |d|", "max |d|", "beyond", "not comparable"), outputs)]
    if worst:
        parts.append(table(("key", "difference", "serves", "would say"), worst, title="Differ most"))
    if found.reasons:
        parts.append(table(("key", "reason"), found.reasons, title="Cannot be computed with it"))
    return Group(*parts)
