"""What requests and answers of predictions say of experiments.

`Nearcast-Experiment: NAME=ARM` is a dictionary of RFC 9651; `;override` behind it says that the request has asked for
the arm. Where a header decides about the arm, `Vary` tells caches.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from urllib.parse import parse_qsl

from starlette.types import Scope

from edge.api.wire import Header
from edge.assignment import Assigned

HEADER = b"nearcast-experiment"


def split_query(
    given: Mapping[str, object], parameters: Collection[str]
) -> tuple[Mapping[str, object], dict[str, str]]:
    """The query's context, and those of its parameters by which testers choose an arm."""
    if not parameters:
        return given, {}
    chosen = {name: str(given[name]) for name in parameters if name in given}
    return {name: value for name, value in given.items() if name not in chosen} if chosen else given, chosen


def query_of(scope: Scope, parameters: Collection[str]) -> dict[str, str]:
    """The same of a request whose context stands in its body."""
    if not parameters or not scope["query_string"]:
        return {}
    given = parse_qsl(scope["query_string"].decode("latin-1"), max_num_fields=64)
    return {name: value for name, value in given if name in parameters}


def experiment_headers(assigned: Assigned | None, vary: Sequence[str]) -> list[Header]:
    """What an answer says of the experiment that it belongs to, and what it depends on even if it belongs to none."""
    headers: list[Header] = []
    if vary:
        headers.append((b"vary", ", ".join(vary).encode()))
    if assigned is not None:
        mark = ";override" if assigned.is_override else ""
        headers.append((HEADER, f"{assigned.experiment.name}={assigned.arm.name}{mark}".encode()))
    return headers


def experiment_member(assigned: Assigned | None) -> bytes:
    """The same inside of a JSON object, in front of other members; names need no escapes."""
    if assigned is None:
        return b""
    mark = ',"override":true' if assigned.is_override else ""
    return f'"experiment":{{"name":"{assigned.experiment.name}","arm":"{assigned.arm.name}"{mark}}},'.encode()
