"""What a run of the demo comes to."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from deploy.audit.verdict import VIOLATIONS
from deploy.demo.probes import Probes
from deploy.demo.replay import Replay
from deploy.demo.scoreboard import TIERS, quantile_ms


def figures(
    replay: Replay, counted: Mapping[str, int], probes: Probes, audited: Mapping[str, Any]
) -> dict[str, object]:
    """The last line of a run; what could not be measured is null."""
    board = replay.board
    return {
        "requests": board.requests,
        "tiers": {tier: board.tiers[tier] for tier in TIERS},
        "hit_ratio": round(board.hit_ratio(), 4),
        "fresh_hit_ratio": round(board.fresh_hit_ratio(), 4),
        "p50_ms": _rounded(board.quantile_ms(0.5)),
        "p99_ms": _rounded(board.quantile_ms(0.99)),
        "precomputed": counted.get("precomputed", 0),
        "refreshed": counted.get("refreshed", 0),
        "off_path_rows_per_request": round(board.rows_per_request(counted), 4),
        "updates": replay.updates,
        "update_to_stale_p99_ms": _rounded(quantile_ms(probes.to_stale_s, 0.99)),
        "update_to_refreshed_p99_ms": _rounded(quantile_ms(probes.to_refreshed_s, 0.99)),
        "followed_updates": len(probes.to_stale_s) + len(probes.to_refreshed_s),
        "audited": audited["samples"],
        "falsely_fresh": sum(audited[verdict] for verdict in VIOLATIONS),
        "errors": board.errors.total(),
        **{name: _rounded(value, 4) for name, value in board.quality().items()},
    }


def _rounded(value: float, digits: int = 3) -> float | None:
    return None if math.isnan(value) else round(value, digits)
