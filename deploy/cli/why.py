"""`nearcast why`: asks a running edge where an answer would come from, and why not from nearer by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote, urlencode

import typer

from deploy.cli.get import ask, context_pair
from deploy.cli.invocation import invocation
from deploy.cli.show import Json, facts, show, table

if TYPE_CHECKING:
    from rich.console import RenderableType

_WORDS = {
    "absent": "holds nothing for this key",
    "no-row": "knows that it cannot be computed",
    "expired": "past its TTL",
    "unknown-epoch": "made in another history of the primary",
    "corrupt": "holds bytes that are not this prediction",
    "unreachable": "cannot be asked",
    "cannot-compute": "cannot be computed",
    "no-model": "its model is not loaded or taken out",
    "not-allowed": "the model's policy does not allow it",
    "deleted": "made from a row that has been deleted",
}


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(epilog="Example: nearcast why late UA1545:EWR:N14228 hour=17")(why)


def why(
    ctx: typer.Context,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model of the project.")],
    key: Annotated[str, typer.Argument(metavar="KEY", help="The entity values, joined by colons.")],
    context: Annotated[list[str] | None, typer.Argument(metavar="NAME=VALUE", help="Request-time features.")] = None,
    variant: Annotated[str | None, typer.Option(help="Else the model's default.")] = None,
    edge: Annotated[
        str | None, typer.Option(help="URL of the edge; else the one that runs here.", metavar="URL")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show which tier of an edge would answer, why not the nearer ones, and how fresh everything is.

    Nothing is counted, fetched or stored by it.
    """
    query = dict(context_pair(text) for text in context or [])
    if variant:
        query["variant"] = variant
    path = f"/v1/why/{quote(model, safe='')}/{quote(key, safe=':~,@+!*')}"
    document = ask(edge or invocation(ctx).edge_url, f"{path}?{urlencode(query)}" if query else path).body
    show(document, lambda: _for_people(document), as_json=as_json)


def _for_people(found: Mapping[str, Any]) -> RenderableType:
    from rich.console import Group

    parts: list[RenderableType] = [
        facts(_head(found)),
        table(("tier", "answers", "why", "age", "ttl left", "version"), map(_tier, found["tiers"]), title="Tiers"),
        table(
            ("view", "entity", "row changed", "event age", "as-of", "change followed", "changed since"),
            map(_dependency, found["dependencies"]),
            title="Dependencies",
        ),
    ]
    notes = [f"{d['view']} {d['entity']}: {d['note']}" for d in found["dependencies"] if d.get("note")]
    return Group(*parts, *notes)


def _head(found: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    hotness, refresh = found["hotness"], found["next_refresh"]
    yield "key", f"{found['model']} {found['key']}"
    yield "would answer", found["would_answer"]
    others = [str(v) for v in found["versions_ready"] if v != found["version"]]
    yield "version", f"{found['version']} ({found['variant']}){', ready: ' + ', '.join(others) if others else ''}"
    yield "replica", _lag(found)
    if hotness["rank"] is None:
        yield "hotness", "not among the hot keys"
    else:
        yield "hotness", f"rank {hotness['rank']:,}, {hotness['requests_per_s']:.3g} requests/s"
    by = refresh["expected_by"]
    yield "next refresh", f"{by + ', ' if by else ''}{refresh['detail']}"


def _lag(found: Mapping[str, Any]) -> str:
    if not found["replica_connected"]:
        return "not connected"
    return "nobody knows how far behind" if found["lag_s"] is None else f"{found['lag_s']:.3g} s behind at most"


def _tier(tier: Mapping[str, Any]) -> Sequence[object]:
    entry = tier.get("entry") or {}
    name = tier["setting"].removesuffix("_s").replace("_", "-") if "setting" in tier else tier["tier"]
    reasons = "; ".join(map(_reason, tier["reasons"])) or ("fresh" if entry else "")
    ages = _s(entry.get("age_s")), _s(entry.get("ttl_left_s"))
    return name, tier["answers"], reasons, *ages, entry.get("version")


def _reason(reason: Mapping[str, Any]) -> str:
    match reason["reason"]:
        case "changed" if "ordered" in reason:
            return f"invalidated by hand ({reason['ordered']}) at {reason['at']}"
        case "changed":
            return f"{reason['view']} {reason['entity']} changed at {reason['at']}"
        case "below-floor":
            return f"older than what is known of {reason.get('view', 'orders')} (since {reason['at']})"
        case "behind":
            lag = "unknown" if reason["lag_s"] is None else f"{reason['lag_s']:.3g} s"
            return f"the replica may be behind ({lag}, {reason['max_lag_s']:g} s allowed)"
        case "too-stale":
            return f"stale for {reason['stale_for_s']:.1f} s, {reason['allowed_s']:g} s allowed"
        case known:
            text = _WORDS.get(known, known)
            return f"{text}: {reason['detail']}" if "detail" in reason else text


def _dependency(found: Mapping[str, Any]) -> Sequence[object]:
    row, followed = found["row"], found["last_change_followed"]
    changed = {None: "unknown", False: "no row"}.get(row["present"]) or row["changed"]["at"]
    age = _s(row.get("event_age_s"))
    if row.get("within_max_age") is False:
        age = f"{age} (limit {row['max_age_s']:g} s)"
    return (
        found["view"],
        found["entity"],
        changed,
        age,
        found["as_of"],
        followed["id"] if followed else None,
        found["changed_since"],
    )


def _s(seconds: float | None) -> str | None:
    return None if seconds is None else f"{seconds:,.1f} s"
