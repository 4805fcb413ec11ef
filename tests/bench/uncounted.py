"""`python -m tests.bench.uncounted`: an edge that neither counts hits nor tells anybody; only to see what that costs.

Hot keys are counted all the same: that is not telemetry, precomputing goes by it. `Server-Timing` stays as well.
"""

from __future__ import annotations

import inspect
import sys
from textwrap import dedent

from deploy.cli import main
from edge import app, hit, judge

_COUNTING = ("served.took_us[us] += 1", "self._stats.ages.observe(max(0, now_ms - held.computed_ms) / 1000)")


def without(function: object, line: str) -> object:
    """The same function with one line left out; fails if there is no such line, or more than one.

    Done to the text, so that what is left is exactly what there is, whatever else changes.
    """
    text = dedent(inspect.getsource(function))  # type: ignore[arg-type]
    assert text.count(line) == 1, f"counting has moved: {line}"
    scope: dict[str, object] = {}
    # The module's own names, and "pass" where a block would be empty.
    exec(text.replace(line, "pass"), function.__globals__, scope)  # type: ignore[attr-defined]  # noqa: S102
    return scope[function.__name__]  # type: ignore[attr-defined]


def stop_counting() -> None:
    """For this process."""
    hit.HitDoor.again = without(hit.HitDoor.again, _COUNTING[0])  # type: ignore[method-assign, assignment]
    judge.Judge._is_fresh_now = without(judge.Judge._is_fresh_now, _COUNTING[1])  # type: ignore[method-assign, assignment]
    app.Telemetry.start = lambda self: None  # type: ignore[method-assign]


if __name__ == "__main__":
    stop_counting()
    sys.argv[1:1] = ["edge"]
    main()
