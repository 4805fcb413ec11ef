"""Measures one edge that runs somewhere: how much it can do, and how long it takes at a part of that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from urllib.parse import quote, urlsplit

from deploy.bench.generator import Generator
from deploy.bench.latencies import Outcome
from precompute.errors import ConfigError

#: Of what it can do; beyond, queues grow and say more about the load than about the node.
LOADED = 0.6


@dataclass(frozen=True, slots=True)
class Phase:
    """One run.

    Attributes:
        loop: `closed`, every connection asks again when it is answered, or `open`, at a constant rate.
        asked_per_s: the rate of an open loop, None in a closed one.
        tiers: share of the answers by where they came from.
        failed: answers other than 200, and requests without one.
    """

    loop: str
    asked_per_s: float | None
    answered_per_s: float
    p50_ms: float
    p99_ms: float
    p999_ms: float
    tiers: dict[str, float]
    failed: int

    def document(self) -> dict[str, object]:
        """For programs."""
        return asdict(self)


def measure(
    url: str,
    paths: Sequence[str],
    *,
    connections: int,
    seconds: float,
    rate_per_s: float | None,
    on_phase: Callable[[Phase], None] = lambda phase: None,
) -> list[Phase]:
    """A closed loop for the capacity, then an open loop at `rate_per_s`, or at 60 % of the capacity.

    Raises:
        ConfigError: not an address that this can measure.
        StoreUnavailable: nobody answers there, or hangs up.
    """
    host, port = _address(url)
    authority = urlsplit(url).netloc
    requests = [f"GET {path} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode() for path in paths]
    generator = Generator(host, port, requests, connections)
    # Once without counting, so that what can be in memory is.
    generator.closed_loop(min(1.0, seconds))
    capacity = _phase(generator.closed_loop(seconds), None)
    on_phase(capacity)
    rate_per_s = rate_per_s or max(1.0, LOADED * capacity.answered_per_s)
    loaded = _phase(generator.open_loop(seconds, rate_per_s), rate_per_s)
    on_phase(loaded)
    return [capacity, loaded]


def paths(model: str, keys: Sequence[str]) -> list[str]:
    """Where predictions are asked for; keys may bring their context behind `?`."""
    return [f"/v1/predict/{quote(model, safe='')}/{quote(key, safe=':~,@+!*?&=')}" for key in keys]


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname or parts.path.strip("/"):
        raise ConfigError(f"{url!r} cannot be measured: write http://host:port, as near the edge as you can get")
    return parts.hostname, parts.port or 80


def _phase(outcome: Outcome, rate_per_s: float | None) -> Phase:
    answers = outcome.tiers.total()
    p50_ms, p99_ms, p999_ms = outcome.ms(0.5, 0.99, 0.999)
    return Phase(
        "closed" if rate_per_s is None else "open",
        rate_per_s,
        outcome.per_s,
        p50_ms,
        p99_ms,
        p999_ms,
        {tier: count / answers for tier, count in outcome.tiers.most_common()},
        outcome.failed(),
    )
