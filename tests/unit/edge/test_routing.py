"""Which variant answers."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.routing import READY, Candidate, choose
from edge.stats import Tier
from precompute.user_tiers import UserTiers

LIVE, MEMORY, REPLICA = Tier.LIVE, Tier.MEMORY, Tier.REPLICA
TIERS = UserTiers({"premium": 2.0, "plain": 1.0, "free": 0.5})
QUALITY = {"accurate": 0.9, "default": 0.8, "fast": 0.7}
#: What computing takes, while all is well and while the most accurate variant is slow.
WELL = {"accurate": 40.0, "default": 12.0, "fast": 3.0}
SLOW = {**WELL, "accurate": 300.0}
LEVELS = {"well": WELL, "slow": SLOW}


def row(p95_ms: Mapping[str, float], cached: Mapping[str, Tier], budget_ms: float, tier: str) -> tuple[str, bool]:
    """What is chosen, and whether it fits."""
    candidates = [
        Candidate(name, QUALITY[name], cached.get(name, LIVE), 0.2 if name in cached else p95_ms[name])
        for name in ("default", "fast", "accurate")
    ]
    choice = choose(candidates, budget_ms * TIERS.factor(tier))
    return choice.candidate.variant, choice.fits


NOTHING: Mapping[str, Tier] = {}
#: The rule, written out: level, what lies ready, budget in ms, user tier; then the variant and whether it fits.
TABLE: list[tuple[str, Mapping[str, Tier], float, str, str, bool]] = [
    ("well", NOTHING, 5, "plain", "fast", True),
    ("well", NOTHING, 5, "premium", "fast", True),
    ("well", NOTHING, 5, "free", "fast", False),
    ("well", NOTHING, 10, "plain", "fast", True),
    ("well", NOTHING, 10, "premium", "default", True),
    ("well", NOTHING, 20, "plain", "default", True),
    ("well", NOTHING, 20, "premium", "accurate", True),
    ("well", NOTHING, 50, "plain", "accurate", True),
    ("well", NOTHING, 50, "free", "default", True),
    ("well", NOTHING, 200, "free", "accurate", True),
    ("well", NOTHING, 500, "plain", "accurate", True),
    ("slow", NOTHING, 5, "plain", "fast", True),
    ("slow", NOTHING, 20, "premium", "default", True),
    ("slow", NOTHING, 50, "plain", "default", True),
    ("slow", NOTHING, 200, "plain", "default", True),
    ("slow", NOTHING, 200, "premium", "accurate", True),
    ("slow", NOTHING, 500, "free", "default", True),
    ("slow", NOTHING, 500, "plain", "accurate", True),
    # What lies ready is not waited for.
    ("well", {"accurate": MEMORY}, 5, "free", "accurate", True),
    ("slow", {"accurate": REPLICA}, 5, "plain", "accurate", True),
    ("well", {"default": REPLICA}, 5, "plain", "default", True),
    ("well", {"default": REPLICA}, 20, "plain", "default", True),
    # Unless a better one fits.
    ("well", {"default": MEMORY}, 50, "plain", "accurate", True),
    ("slow", {"default": MEMORY}, 50, "plain", "default", True),
    ("well", {"fast": MEMORY}, 20, "plain", "default", True),
    ("well", {"fast": MEMORY}, 5, "plain", "fast", True),
    ("well", {"fast": MEMORY, "accurate": REPLICA}, 5, "plain", "accurate", True),
]


@pytest.mark.parametrize(("level", "cached", "budget_ms", "tier", "variant", "fits"), TABLE)
def test_the_rule_says_who_answers(
    level: str, cached: Mapping[str, Tier], budget_ms: float, tier: str, variant: str, fits: bool
) -> None:
    """Budgets, user tiers, what is cached, and a variant made slow."""
    assert row(LEVELS[level], cached, budget_ms, tier) == (variant, fits)


@pytest.mark.parametrize("budget_ms", [5, 10, 20, 50, 100, 200, 300, 500])
@pytest.mark.parametrize("tier", TIERS.factors)
@pytest.mark.parametrize("level", LEVELS)
def test_the_rule_holds_over_the_whole_table(level: str, tier: str, budget_ms: float) -> None:
    """With nothing cached: no better variant would have fitted, and the fastest answers if none does."""
    variant, fits = row(LEVELS[level], NOTHING, budget_ms, tier)

    limit_ms, p95_ms = budget_ms * TIERS.factor(tier), LEVELS[level]
    fitting = [name for name in QUALITY if p95_ms[name] <= limit_ms]
    assert fits is bool(fitting)
    assert variant == (max(fitting, key=QUALITY.__getitem__) if fitting else "fast")


def test_nothing_fits_and_nothing_is_known_is_the_default() -> None:
    """Nobody with a budget is experimented on; the first candidate is the declared default."""
    choice = choose([Candidate("default", 0.8, LIVE), Candidate("accurate", 0.9, LIVE)], 1000.0)

    assert (choice.candidate.variant, choice.fits) == ("default", False)


def test_an_unknown_variant_waits_until_it_is_measured() -> None:
    """However good it is declared to be."""
    choice = choose([Candidate("fast", 0.7, LIVE, 3.0), Candidate("accurate", 0.9, LIVE)], 1000.0)

    assert (choice.candidate.variant, choice.fits) == ("fast", True)


def test_of_equal_quality_the_faster_answers() -> None:
    """Quality is not declared for every model."""
    choice = choose([Candidate("a", 0.0, LIVE, 9.0), Candidate("b", 0.0, LIVE, 3.0)], 20.0)

    assert choice.candidate.variant == "b"


candidates = st.lists(
    st.builds(
        Candidate,
        st.sampled_from("abcdefgh"),
        st.sampled_from([0.0, 0.5, 0.7, 0.9]),
        st.sampled_from([Tier.MEMORY, Tier.REPLICA, Tier.STALE, Tier.LIVE]),
        st.none() | st.floats(0.001, 2000.0),
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda c: c.variant,
)


@given(candidates, st.floats(0.01, 1000.0))
def test_a_choice_keeps_the_rule(given: list[Candidate], budget_ms: float) -> None:
    """A ready better one beats a live worse one; else the best that fits; else the fastest, which is said."""
    choice = choose(given, budget_ms)

    chosen = choice.candidate
    assert chosen in given
    if chosen.tier is LIVE:
        assert all(c.quality < chosen.quality for c in given if c.tier in READY)
    best_ready = max((c.quality for c in given if c.tier in READY), default=-1.0)
    fair = [c for c in given if c.tier in READY or c.quality > best_ready]
    fitting = [c for c in fair if c.expected_ms <= budget_ms]
    assert choice.fits is bool(fitting)
    if fitting:
        assert chosen in fitting
        assert chosen.quality == max(c.quality for c in fitting)
    elif any(c.expected_ms < math.inf for c in fair):
        assert chosen.expected_ms == min(c.expected_ms for c in fair)


@given(candidates, st.floats(0.01, 1000.0), st.floats(1.0, 10.0))
def test_more_time_never_makes_it_worse(given: list[Candidate], budget_ms: float, factor: float) -> None:
    """A wider budget that fits brings at least the same quality."""
    narrow, wide = choose(given, budget_ms), choose(given, budget_ms * factor)

    if narrow.fits:
        assert wide.fits
        assert wide.candidate.quality >= narrow.candidate.quality
