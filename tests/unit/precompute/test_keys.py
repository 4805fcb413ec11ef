"""Names of Redis keys."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from precompute import keys
from precompute.key_text import escape_part

VALUES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(VALUES)
def test_everything_of_a_view_shares_a_hash_tag(entity: str) -> None:
    """Rows, log and layouts of a view lie in one slot of a Redis cluster, whatever the entity is called."""
    names = [keys.row_key("weather", escape_part(entity)), keys.log_key("weather"), keys.layout_key("weather")]

    assert {re.search(r"\{([^}]*)\}", name)[1] for name in names} == {"weather"}  # type: ignore[index]
    assert names[0] == keys.row_prefix("weather") + escape_part(entity)


def test_an_entry_is_named_by_model_version_and_key() -> None:
    """Two models, versions or keys never share an entry."""
    assert keys.entry_key("late", 3, "UA1:EWR?hour=3") == "p:late:3:UA1:EWR?hour=3"
    assert keys.entry_key("late", 3, "k").startswith(keys.entry_prefix("late", 3))
    assert not keys.entry_key("late", 33, "k").startswith(keys.entry_prefix("late", 3))
