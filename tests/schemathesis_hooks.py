"""Loaded by schemathesis: half of its requests ask for keys that exist, and none for an answer in no time.

A budget that nobody could keep is answered with 504, which is right, and would be taken for a failure of the server.
"""

from __future__ import annotations

import json
import os
import zlib
from typing import Any

import schemathesis

#: By model: keys, and the part of a ranking's body that says what to rank.
_KEYS: dict[str, list[str]] = json.loads(os.environ["NEARCAST_TEST_KEYS"])
_RANKED: dict[str, dict[str, Any]] = json.loads(os.environ["NEARCAST_TEST_RANKED"])


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case, kwargs: dict[str, Any]) -> None:
    """Changes what is about to be sent."""
    for given in (case.query, case.body):
        if isinstance(given, dict) and _is_a_budget(given.get("budget_ms")):
            del given["budget_ms"]
    _, *door = case.path.split("/")
    chance = zlib.crc32(repr((case.path_parameters, case.query, case.body)).encode())
    if len(door) < 3 or chance % 2:
        return
    if door[1] == "rank" and isinstance(case.body, dict):
        case.body |= _RANKED[door[2]]
    elif case.path_parameters and "key" in case.path_parameters:
        keys = _KEYS[door[2]]
        case.path_parameters["key"] = keys[chance // 2 % len(keys)]


def _is_a_budget(value: object) -> bool:
    try:
        return value is not None and not isinstance(value, bool) and 0 < float(str(value)) <= 60_000
    except ValueError:
        return False
