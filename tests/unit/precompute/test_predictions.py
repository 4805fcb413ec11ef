"""How long entries live, and how they are written."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from precompute.errors import FeatureMissing
from precompute.models import Key, Model, Policy, Variant
from precompute.predictions import lifetime_ms, write_commands
from precompute.predictor import Batch, Servable
from precompute.updates import AsOf

KEYS = st.text(min_size=1, max_size=20)


@given(KEYS, st.floats(0.001, 1e7), st.floats(0, 0.5))
def test_a_lifetime_is_spread_below_the_ttl(key: str, ttl_s: float, jitter: float) -> None:
    """Never longer than declared, never shorter than the jitter allows, and the same each time."""
    policy = Policy(ttl_s=ttl_s, ttl_jitter=jitter)

    lifetime = lifetime_ms(policy, key)

    assert max(1, int(ttl_s * 1000 * (1 - jitter)) - 1) <= lifetime <= max(1, ttl_s * 1000)
    assert lifetime == lifetime_ms(policy, key)


def test_keys_written_together_do_not_expire_together() -> None:
    """A thousand keys spread over the whole jitter."""
    lifetimes = {lifetime_ms(Policy(ttl_s=1000, ttl_jitter=0.1), f"u{i}") for i in range(1000)}

    assert len(lifetimes) > 900
    assert max(lifetimes) - min(lifetimes) > 95_000


def test_an_entry_outlives_its_ttl_by_what_may_be_served_stale() -> None:
    """Redis keeps it as long as anybody may still be shown it."""
    policy = Policy(ttl_s=60, ttl_jitter=0, stale_while_revalidate_s=30, stale_if_error_s=600)
    model = Model("late", ("user",), (), (), {"fast": Variant("fast")}, "fast", policy=policy)
    servable = Servable(model, "fast", 3, None, ())  # type: ignore[arg-type]
    keys = [Key("u1", ("u1",)), Key("u2", ("u2",)), Key("u3", ("u3",))]
    bodies = [b"{1}", FeatureMissing("user", "u2"), b"{3}"]
    batch = Batch(keys, bodies, AsOf(1, ()), 5, b"head")

    commands = write_commands(servable, batch)

    assert commands == [
        ("SET", "p:late:3:u1", b"head{1}", "PX", 660_000),
        ("SET", "p:late:3:u3", b"head{3}", "PX", 660_000),
    ]
