"""How long a client wants to wait: `timeout` among the parameters, in microseconds as Triton has it."""

from __future__ import annotations

from edge.api.oip.shapes import Parameters
from precompute.errors import InvalidRequest

_MOST_US = 60_000_000


def budget_ms(parameters: Parameters, otherwise_ms: float) -> float:
    """The time there is; without a timeout, or with 0, `otherwise_ms`.

    Raises:
        InvalidRequest: it is no whole number of microseconds up to a minute.
    """
    timeout_us = parameters.get("timeout", 0)
    if not isinstance(timeout_us, int) or isinstance(timeout_us, bool) or not 0 <= timeout_us <= _MOST_US:
        raise InvalidRequest(f"parameter 'timeout' is in microseconds, from 1 to {_MOST_US}, not {timeout_us!r:.40}")
    return timeout_us / 1000 if timeout_us else otherwise_ms
