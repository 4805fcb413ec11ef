import numpy as np
import pytest

from deploy.demo.card import calibration_table, insert, measure, moments_table

OUTCOME = np.array([True, False] * 10)
PROBABILITY = np.linspace(0, 1, 20)


def test_figures_replace_those_of_the_last_run(tmp_path):
    """Only what stands between the markers changes, however often it is written."""
    card = tmp_path / "CARD.md"
    card.write_text("before\n<!-- figures: written by train.py -->\nold\n<!-- end of figures -->\nafter\n")

    insert(card, ["first"])
    insert(card, ["second"])

    text = card.read_text()
    assert text.startswith("before\n") and text.endswith("\nafter\n")
    assert "second" in text
    assert "old" not in text and "first" not in text


def test_a_card_without_markers_is_refused(tmp_path):
    """Figures never land in a file that was not made for them."""
    (tmp_path / "CARD.md").write_text("no place for figures")

    with pytest.raises(ValueError):
        insert(tmp_path / "CARD.md", ["figures"])


def test_tables_have_a_row_for_each_figure():
    """One row for every moment and variant; ten for the calibration."""
    figures = measure(OUTCOME, PROBABILITY)

    table = moments_table({name: {"now": figures, "later": figures} for name in ("fast", "default")})

    assert len(table.splitlines()) == 2 + 4
    assert len(calibration_table(OUTCOME, PROBABILITY).splitlines()) == 2 + 10
