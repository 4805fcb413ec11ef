"""An explanation as `GET /v1/why/{model}/{key}` gives it: a row has changed, so the replica's entry is passed over."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tests.browser.sample import NOW_MS

Document = dict[str, Any]


def explanation(model: str, key: str) -> Document:
    """The document."""
    changed = _at(NOW_MS - 4_200)
    entry = {
        "version": 7,
        "computed_at": _time(NOW_MS - 95_000),
        "age_s": 95.0,
        "ttl_left_s": 205.0,
        "as_of": {"flight": f"{NOW_MS - 96_000}-0", "weather": f"{NOW_MS - 96_400}-0"},
        "deleted": False,
    }
    reason = {"reason": "changed", "view": "weather", "entity": "EWR", **changed}
    return {
        "model": model,
        "key": key,
        "variant": "default",
        "version": 7,
        "versions_ready": [6, 7],
        "lag_s": 0.021,
        "replica_connected": True,
        "would_answer": "live",
        "tiers": [
            {"tier": "memory", "answers": False, "reasons": [{"reason": "absent"}]},
            {"tier": "replica", "answers": False, "reasons": [reason], "entry": entry, "lives_s": 905.0},
            _stale("stale_while_revalidate_s"),
            {"tier": "live", "answers": True, "reasons": []},
            _stale("stale_if_error_s"),
            {"tier": "default", "answers": False, "reasons": [{"reason": "not-allowed"}]},
        ],
        "dependencies": [
            _dependency("flight", "UA1545", 96_000, _at(NOW_MS - 130_000), changed=False),
            _dependency("weather", "EWR", 96_400, changed, changed=True),
        ],
        "hotness": {"requests_per_s": 118.2, "rank": 1, "model_requests_per_s": 2890.0},
        "next_refresh": {
            "expected_by": _time(NOW_MS + 205_000),
            "detail": "hot: recomputed before it expires, or sooner when a row changes",
        },
    }


def _stale(setting: str) -> Document:
    allowed = {"setting": setting, "answers": setting == "stale_if_error_s", "stale_for_s": 4.2}
    late = {"reason": "too-stale", "stale_for_s": 4.2, "allowed_s": 2.0}
    return {"tier": "stale", "reasons": [] if allowed["answers"] else [late], **allowed}


def _dependency(view: str, entity: str, known_ago_ms: int, last: Document, *, changed: bool) -> Document:
    age_s = 6.0 if changed else 140.0
    row = {
        "present": True,
        "event_time": _time(NOW_MS - int(age_s * 1000)),
        "event_age_s": age_s,
        "max_age_s": 60.0,
        "within_max_age": changed,
        "changed": last,
    }
    known = {"as_of": f"{NOW_MS - known_ago_ms}-0", "last_change_followed": last, "changed_since": changed}
    return {"view": view, "entity": entity, "row": row, **known}


def _at(ms: int) -> Document:
    return {"id": f"{ms}-0", "at": _time(ms)}


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
